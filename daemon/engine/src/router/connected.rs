//! What the router keeps of one connected device: its outputs and their owners, its subscriptions, what waits for it.

use std::collections::BTreeMap;

use ipc_schema::error::Reason;

use super::{
    claim::Claim,
    entry::{DeviceEntry, OutputEntry},
    inputs::Subscription,
    waiting::Waiting,
};
use crate::{
    definition::scale::OutputScale,
    device::DeviceTicket,
    fault::Fault,
    vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind},
};

/// One connected device.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) entry: DeviceEntry,
    pub(super) outputs: BTreeMap<(FeatureIndex, OutputKind), Output>,
    pub(super) subscriptions: BTreeMap<(FeatureIndex, InputKind), Subscription>,
    /// What the device has not answered.
    pub(super) waiting: BTreeMap<DeviceTicket, Waiting>,
    /// In percent, when last read.
    pub(super) battery: Option<i32>,
}

/// One output of a connected device. Values are the device's own.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) entry: OutputEntry,
    pub(super) wanted: Option<i32>,
    pub(super) confirmed: Option<i32>,
    pub(super) claim: Option<Claim>,
}

impl Output {
    /// Nobody drives it any more, and it is on its way to rest.
    pub(super) fn abandon(&mut self) {
        self.claim = None;
        if !self.entry.kind.is_position() {
            self.wanted = Some(0);
        }
    }
}

impl Connected {
    pub(super) fn new(entry: DeviceEntry) -> Self {
        let outputs = entry
            .outputs
            .iter()
            .map(|entry| {
                let output = Output { entry: *entry, wanted: None, confirmed: None, claim: None };
                ((entry.feature, entry.kind), output)
            })
            .collect();
        Self { entry, outputs, subscriptions: BTreeMap::new(), waiting: BTreeMap::new(), battery: None }
    }

    pub(super) fn index(&self) -> DeviceIndex {
        self.entry.view.index
    }

    /// The scale of an output, if clients may set it.
    pub(super) fn scale(&self, feature: FeatureIndex, kind: OutputKind) -> Result<&OutputScale, Fault> {
        match self.outputs.get(&(feature, kind)) {
            Some(output) => output.entry.scale.as_ref().ok_or_else(|| {
                let text = format!("{} of feature {feature} is switched off by the user", kind.name());
                Fault::new(Reason::OutputDisabled, text)
            }),
            None => {
                self.check_feature(feature)?;
                let text = format!("feature {feature} has no output {}", kind.name());
                Err(Fault::new(Reason::OutputNotSupported, text))
            }
        }
    }

    /// Whether there is such a feature; one whose outputs are all switched off counts.
    pub(super) fn check_feature(&self, feature: FeatureIndex) -> Result<(), Fault> {
        let there = self.entry.view.feature(feature).is_some()
            || self.entry.outputs.iter().any(|output| output.feature == feature);
        if there {
            return Ok(());
        }
        let text = format!("device {} has no feature {feature}", self.index());
        Err(Fault::new(Reason::FeatureUnknown, text))
    }
}
