//! What a plugin is told about a device, as owned Rust values: before identification ([`Info`]) and after ([`Model`]).

use crate::{Endpoint, Failure, InputKind, OutputKind, TransportKind};

/// What is known before a byte has been exchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Id of the definition's protocol for which the device was recognised.
    pub protocol: String,
    /// The advertised name; empty where the bus has none.
    pub name: String,
    /// The Bluetooth address where known, else empty.
    pub address: String,
    /// The bus.
    pub transport: TransportKind,
    /// USB vendor, 0 where the bus has none.
    pub vendor: u32,
    /// USB product, 0 where the bus has none.
    pub product: u32,
    /// The entries of the advertisement.
    pub manufacturer_data: Vec<ManufacturerData>,
    /// The endpoints of the definition that the device has. A missing one is normal.
    pub endpoints: Vec<(String, Endpoint)>,
    /// The strings of the definition's `params` table.
    pub params: Vec<(String, String)>,
    /// The only randomness there is; fixed in tests.
    pub seed: u64,
}

/// One entry of a Bluetooth advertisement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManufacturerData {
    /// The company number.
    pub company: u32,
    /// The bytes after it.
    pub data: Vec<u8>,
}

impl Info {
    /// The endpoint of that name, if the device has it.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<Endpoint> {
        self.endpoints.iter().find(|(known, _)| known == name).map(|(_, endpoint)| *endpoint)
    }

    /// The endpoint of that name.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the device does not have it.
    pub fn require(&self, name: &str) -> Result<Endpoint, Failure> {
        self.endpoint(name).ok_or_else(|| Failure::failed(format!("the device has no endpoint {name}")))
    }

    /// The param of that key.
    #[must_use]
    pub fn param(&self, key: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

/// One output of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputRange {
    /// What it does.
    pub kind: OutputKind,
    /// Lowest value.
    pub min: i32,
    /// Highest value.
    pub max: i32,
    /// Shortest and longest duration in milliseconds; zeros where the kind has none.
    pub duration_ms: (u32, u32),
}

/// How an input can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// Only when asked.
    Read,
    /// Only by subscription.
    Subscribe,
    /// Either.
    Both,
}

/// One input of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputRange {
    /// What it tells.
    pub kind: InputKind,
    /// Lowest value.
    pub min: i32,
    /// Highest value.
    pub max: i32,
    /// How it can be had.
    pub ways: Ways,
}

/// One addressable ability of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// As in the definition; indexes may have gaps.
    pub index: u32,
    /// What can be set.
    pub outputs: Vec<OutputRange>,
    /// What can be read.
    pub inputs: Vec<InputRange>,
}

impl Feature {
    /// Whether it has an output of that kind.
    #[must_use]
    pub fn has_output(&self, kind: OutputKind) -> bool {
        self.outputs.iter().any(|output| output.kind == kind)
    }

    /// Whether it has an input of that kind.
    #[must_use]
    pub fn has_input(&self, kind: InputKind) -> bool {
        self.inputs.iter().any(|input| input.kind == kind)
    }
}

/// The model as the definition knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What identification gave, listed or not.
    pub identifier: String,
    /// The variant that the definition names; mostly empty.
    pub variant: String,
    /// In rising index.
    pub features: Vec<Feature>,
}

impl Model {
    /// The features that have an output, in rising index.
    pub fn actuators(&self) -> impl Iterator<Item = &Feature> {
        self.features.iter().filter(|feature| !feature.outputs.is_empty())
    }

    /// The first feature with an input of that kind.
    #[must_use]
    pub fn input(&self, kind: InputKind) -> Option<u32> {
        self.features.iter().find(|feature| feature.has_input(kind)).map(|feature| feature.index)
    }
}
