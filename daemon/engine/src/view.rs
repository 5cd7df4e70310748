//! Devices as clients are shown them: after the user's renaming, limits and disabled outputs.
//!
//! A view is a snapshot. Sessions keep the newest [`DeviceList`] and the dialects read their index tables off it, so that
//! what a client was shown and what its indexes mean cannot differ.

use std::{collections::BTreeMap, sync::Arc};

use crate::vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind, Range};

/// All connected devices, in order of their indexes.
pub type DeviceList = Arc<BTreeMap<DeviceIndex, Arc<DeviceView>>>;

/// The same devices, without the strength of their signal.
#[must_use]
pub fn without_signal(devices: &DeviceList) -> DeviceList {
    let has_signal = devices.values().any(|device| device.has_signal());
    if !has_signal {
        return Arc::clone(devices);
    }
    let devices = devices.iter().map(|(index, device)| {
        let shown = if device.has_signal() { Arc::new(device.without_signal()) } else { Arc::clone(device) };
        (*index, shown)
    });
    Arc::new(devices.collect())
}

/// One connected device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceView {
    /// Its index for life.
    pub index: DeviceIndex,
    /// The name of the model.
    pub name: String,
    /// The name that the user gave it.
    pub display_name: Option<String>,
    /// The shortest time between two packets, in milliseconds. Commands that come faster are coalesced.
    pub message_gap_ms: u32,
    /// Its abilities, in ascending order of their indexes. Features without output and input are left out.
    pub features: Vec<FeatureView>,
}

impl DeviceView {
    /// The feature with this index.
    #[must_use]
    pub fn feature(&self, index: FeatureIndex) -> Option<&FeatureView> {
        self.features.iter().find(|feature| feature.index == index)
    }

    fn has_signal(&self) -> bool {
        self.features.iter().any(|feature| feature.input(InputKind::Rssi).is_some())
    }

    /// The same device, without the strength of its signal.
    #[must_use]
    pub fn without_signal(&self) -> Self {
        let mut view = self.clone();
        view.features.retain_mut(|feature| {
            feature.inputs.retain(|input| input.kind != InputKind::Rssi);
            !(feature.outputs.is_empty() && feature.inputs.is_empty())
        });
        view
    }
}

/// One addressable ability of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureView {
    /// Its index on the device; there may be gaps.
    pub index: FeatureIndex,
    /// What it is, for people; may be empty.
    pub description: String,
    /// What it can be set to. Disabled outputs are left out.
    pub outputs: Vec<OutputView>,
    /// What can be read from it.
    pub inputs: Vec<InputView>,
}

impl FeatureView {
    /// The output of this kind.
    #[must_use]
    pub fn output(&self, kind: OutputKind) -> Option<&OutputView> {
        self.outputs.iter().find(|output| output.kind == kind)
    }

    /// The input of this kind.
    #[must_use]
    pub fn input(&self, kind: InputKind) -> Option<&InputView> {
        self.inputs.iter().find(|input| input.kind == kind)
    }
}

/// One output of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputView {
    /// What it does.
    pub kind: OutputKind,
    /// The values a client may ask for: `0..=n`, or `-n..=n` for an output with two directions.
    pub range: Range,
    /// The times in milliseconds a client may ask for; present for position-with-duration only.
    pub duration_ms: Option<(u32, u32)>,
}

/// One input of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputView {
    /// What it tells.
    pub kind: InputKind,
    /// The values it can have, a range for each number of a reading.
    pub ranges: Vec<Range>,
    /// How it can be had.
    pub ways: InputWays,
}

/// How an input can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputWays {
    /// Only by asking each time.
    Read,
    /// Only by subscription.
    Subscribe,
    /// Both.
    Both,
}

impl InputWays {
    /// Whether a single reading can be asked for.
    #[must_use]
    pub const fn can_read(self) -> bool {
        match self {
            Self::Read | Self::Both => true,
            Self::Subscribe => false,
        }
    }

    /// Whether readings can be subscribed to.
    #[must_use]
    pub const fn can_subscribe(self) -> bool {
        match self {
            Self::Subscribe | Self::Both => true,
            Self::Read => false,
        }
    }
}
