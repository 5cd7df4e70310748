//! What the user wants of a device.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::range;
use crate::vocabulary::{OutputKind, Range};

/// What the user wants of devices. For one setting the later layer wins, in a layer the more exact `which`, then the later entry;
/// a `deny` always wins.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceRule {
    /// Which devices.
    pub which: Which,
    /// The name that clients are shown beside that of the model.
    pub name: Option<String>,
    /// Whether it is never connected to.
    #[serde(default)]
    pub deny: bool,
    /// Once one entry anywhere says so, only devices are connected to for which an entry says so. Beside `deny`, this device is denied
    /// and the others are shut out all the same.
    #[serde(default)]
    pub allow: bool,
    /// The index that it shall have for life, if no other device has it.
    pub index: Option<u32>,
    /// The shortest time between two packets, in milliseconds.
    pub message_gap_ms: Option<u32>,
    /// Limits of single outputs.
    #[serde(default)]
    pub outputs: Vec<OutputRule>,
}

/// Which devices a rule is about: those for which all that is given here is so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// The protocol that they speak.
    pub protocol: Option<String>,
    /// What they say they are.
    pub identifier: Option<String>,
    /// The address of the one device.
    pub address: Option<String>,
}

/// The user's limits of one output.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputRule {
    /// The index of the feature.
    pub feature: u32,
    /// Which output of it.
    pub kind: OutputKind,
    /// The part of the device's own range that may be used. Of an output with two directions, the strengths in either.
    #[serde(default, deserialize_with = "range::optional_values")]
    #[schemars(with = "Option<[i32; 2]>")]
    pub range: Option<Range>,
    /// The times in milliseconds that may be asked for.
    #[serde(default, deserialize_with = "range::optional_times")]
    #[schemars(with = "Option<[u32; 2]>")]
    pub duration_ms: Option<(u32, u32)>,
    /// Whether no client sees it.
    #[serde(default)]
    pub disabled: bool,
    /// Whether it goes the other way: a position counts from the other end, a rotation turns the other way.
    #[serde(default)]
    pub invert: bool,
}
