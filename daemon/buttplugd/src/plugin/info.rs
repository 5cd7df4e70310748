//! What a plugin is told of a device, in the service's own words; `foreign` puts it into the structs of the ABI.

use engine::{
    advertisement::Advertisement,
    protocol::Endpoint,
    view::InputWays,
    vocabulary::{FeatureIndex, InputKind, OutputKind, Range},
};

/// What is known of a device before a byte has been exchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Id of the definition's protocol for which the device was recognised.
    pub protocol: String,
    /// What the device shows of itself.
    pub advertisement: Advertisement,
    /// What tells it apart on its bus.
    pub address: String,
    /// The endpoints that it has, of those that the definition names. Their places in the list are their numbers in the ABI.
    pub endpoints: Vec<Endpoint>,
    /// The strings of the definition for this protocol. The table of the template plugin is one of them, as JSON.
    pub params: Vec<(String, String)>,
    /// The only randomness that the plugin gets.
    pub seed: u64,
}

/// The model of a device, as the definition has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What identification gave, listed or not.
    pub identifier: String,
    /// The variant that the definition names; mostly empty.
    pub variant: String,
    /// In rising index.
    pub features: Vec<Feature>,
}

/// One addressable ability of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its index; there may be gaps.
    pub index: FeatureIndex,
    /// What can be set.
    pub outputs: Vec<OutputRange>,
    /// What can be read.
    pub inputs: Vec<InputRange>,
}

/// One output of a feature, in the range of the hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputRange {
    /// What it does.
    pub kind: OutputKind,
    /// The values that the hardware takes.
    pub range: Range,
    /// Shortest and longest duration in milliseconds; zeros for every kind but position-with-duration.
    pub duration_ms: (u32, u32),
}

/// One input of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputRange {
    /// What it tells.
    pub kind: InputKind,
    /// The values that make sense; a reading outside is dropped.
    pub range: Range,
    /// How it can be had.
    pub ways: InputWays,
}

impl Model {
    /// The range of an input; `None` if the model does not have it.
    pub(super) fn input(&self, feature: FeatureIndex, kind: InputKind) -> Option<Range> {
        let feature = self.features.iter().find(|one| one.index == feature)?;
        feature.inputs.iter().find(|one| one.kind == kind).map(|one| one.range)
    }
}
