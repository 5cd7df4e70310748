//! One device, with everything that the definitions and the user's rules say about it.

use std::sync::Arc;

use super::{
    entry::ProtocolEntry,
    model::{Feature, Input, InputWay, KeepAlive, OnStop, Output, OutputRule, SetUnderWay},
    scale::{LimitError, OutputScale},
};
use crate::{
    device::SIGNAL_RANGE,
    view::{DeviceView, FeatureView, InputView, InputWays, OutputView},
    vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind, Range},
};

/// One device, with everything that the definitions and the user's rules say about it.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The protocol that it speaks.
    pub protocol: Arc<ProtocolEntry>,
    /// What it says it is.
    pub identifier: String,
    /// The name of the model.
    pub name: String,
    /// The name that the user gave it.
    pub display_name: Option<String>,
    /// What the code wants to know of the model.
    pub variant: Option<String>,
    /// What it can do, in ascending order of the indexes; disabled outputs are there, since the packets may have a place for them.
    pub features: Vec<ResolvedFeature>,
    /// The shortest time between two packets, if the user or the definition says one.
    pub message_gap_ms: Option<u32>,
    /// The least time between any two packets.
    pub packet_gap_ms: u32,
    /// What becomes of a set that is being sent when a stop comes.
    pub set_under_way: SetUnderWay,
    /// When it must hear something.
    pub keep_alive: Option<KeepAlive>,
    /// How long bring-up may take, if the definition says.
    pub bring_up_limit_ms: Option<u32>,
    /// The index for life that the user wants it to have.
    pub index: Option<u32>,
}

/// One addressable ability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedFeature {
    /// Its index on the device.
    pub index: FeatureIndex,
    /// What it is, for people.
    pub description: String,
    /// What it can be set to, disabled outputs among them.
    pub outputs: Vec<ResolvedOutput>,
    /// What can be read from it.
    pub inputs: Vec<InputView>,
}

/// One output, as the device has it and as clients have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedOutput {
    /// What it does.
    pub kind: OutputKind,
    /// The values that the device takes.
    pub hardware: Range,
    /// The times in milliseconds that the device takes.
    pub hardware_duration_ms: Option<(u32, u32)>,
    /// What a stop does to it.
    pub on_stop: OnStop,
    /// From values of clients to values of the device; `None` if the user disabled it.
    pub scale: Option<OutputScale>,
}

impl Resolved {
    /// How clients are shown it. `default_gap_ms` is that of the transport.
    #[must_use]
    pub fn view(&self, index: DeviceIndex, default_gap_ms: u32) -> DeviceView {
        let features = self.features.iter().filter_map(ResolvedFeature::view).collect();
        DeviceView {
            index,
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            message_gap_ms: self.message_gap_ms.unwrap_or(default_gap_ms).max(self.packet_gap_ms),
            features,
        }
    }

    /// The feature that shows the strength of the signal, for a device that is reached by radio; `None` if the definition has one.
    ///
    /// It comes after all others, disabled ones too: what clients know of a device by its index means the same with it.
    #[must_use]
    pub fn signal(&self) -> Option<FeatureView> {
        let inputs = self.features.iter().flat_map(|feature| &feature.inputs);
        if inputs.into_iter().any(|input| input.kind == InputKind::Rssi) {
            return None;
        }
        let last = self.features.iter().map(|feature| feature.index.0).max();
        let index = last.map_or(Some(0), |last| last.checked_add(1))?;
        let input = InputView { kind: InputKind::Rssi, ranges: vec![SIGNAL_RANGE], ways: InputWays::Both };
        Some(FeatureView {
            index: FeatureIndex(index),
            description: "Signal strength".to_owned(),
            outputs: Vec::new(),
            inputs: vec![input],
        })
    }

    /// The output of this kind of this feature.
    #[must_use]
    pub fn output(&self, feature: FeatureIndex, kind: OutputKind) -> Option<&ResolvedOutput> {
        let feature = self.features.iter().find(|one| one.index == feature)?;
        feature.outputs.iter().find(|output| output.kind == kind)
    }
}

impl ResolvedFeature {
    /// How clients are shown it; `None` if nothing of it is left.
    fn view(&self) -> Option<FeatureView> {
        let shown = |output: &ResolvedOutput| {
            let scale = output.scale?;
            Some(OutputView { kind: output.kind, range: scale.shown(), duration_ms: scale.duration_ms() })
        };
        let outputs: Vec<OutputView> = self.outputs.iter().filter_map(shown).collect();
        (!outputs.is_empty() || !self.inputs.is_empty()).then(|| FeatureView {
            index: self.index,
            description: self.description.clone(),
            outputs,
            inputs: self.inputs.clone(),
        })
    }

    /// A feature with the user's limits.
    pub(super) fn new(feature: &Feature, rules: &[OutputRule]) -> Result<Self, (OutputKind, LimitError)> {
        let outputs = feature.output.iter().map(|(kind, output)| {
            let rule = rules.iter().find(|rule| rule.feature == feature.index && rule.kind == *kind);
            ResolvedOutput::new(*kind, output, rule).map_err(|error| (*kind, error))
        });
        Ok(Self {
            index: FeatureIndex(feature.index),
            description: feature.description.clone(),
            outputs: outputs.collect::<Result<_, _>>()?,
            inputs: feature.input.iter().map(|(kind, input)| input_view(*kind, input)).collect(),
        })
    }
}

impl ResolvedOutput {
    fn new(kind: OutputKind, output: &Output, rule: Option<&OutputRule>) -> Result<Self, LimitError> {
        Ok(Self {
            kind,
            hardware: output.range,
            hardware_duration_ms: output.duration_ms,
            on_stop: output.on_stop.unwrap_or_else(|| OnStop::of(kind)),
            scale: OutputScale::new(kind, output, rule)?,
        })
    }
}

fn input_view(kind: InputKind, input: &Input) -> InputView {
    let ways = match (input.ways.contains(&InputWay::Read), input.ways.contains(&InputWay::Subscribe)) {
        (true, true) => InputWays::Both,
        (false, true) => InputWays::Subscribe,
        // The parser refuses an input without a way.
        (true | false, false) => InputWays::Read,
    };
    InputView { kind, ranges: input.range.clone(), ways }
}
