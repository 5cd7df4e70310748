//! What a model can do.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::super::range;
use crate::vocabulary::{InputKind, OutputKind, Range};

/// One addressable ability of a device.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its number, which clients use. There may be gaps.
    pub index: u32,
    /// What it is, for people.
    #[serde(default)]
    pub description: String,
    /// What it can be set to.
    #[serde(default)]
    pub output: BTreeMap<OutputKind, Output>,
    /// What can be read from it.
    #[serde(default)]
    pub input: BTreeMap<InputKind, Input>,
}

/// One output: the values that the device takes, `[0, 20]`, or a table with more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "OutputForm")]
pub struct Output {
    /// The values that the device takes. Negative ones are the other direction, as far as the positive ones go.
    pub range: Range,
    /// The times in milliseconds that it takes; for position-with-duration, and only there.
    pub duration_ms: Option<(u32, u32)>,
    /// What a stop does to it; `None` is what its kind does.
    pub on_stop: Option<OnStop>,
}

/// What a stop does to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnStop {
    /// It goes to rest, 0.
    Rest,
    /// Nothing: it has no rest, or it would act if it were set to it.
    Leave,
}

impl OnStop {
    /// What a stop does to an output of this kind, unless its definition says otherwise.
    #[must_use]
    pub const fn of(kind: OutputKind) -> Self {
        match kind {
            // A place has no rest, and what is sprayed at rest cannot be taken back.
            OutputKind::Position | OutputKind::PositionWithDuration | OutputKind::Spray => Self::Leave,
            OutputKind::Vibrate
            | OutputKind::Rotate
            | OutputKind::Oscillate
            | OutputKind::Constrict
            | OutputKind::Temperature
            | OutputKind::Led => Self::Rest,
        }
    }
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The values it can have, a range for each number of a reading.
    #[serde(deserialize_with = "range::lists")]
    #[schemars(with = "Vec<[i32; 2]>", length(min = 1))]
    pub range: Vec<Range>,
    /// How it can be had.
    pub ways: Vec<InputWay>,
}

/// How an input can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputWay {
    /// By asking each time.
    Read,
    /// By subscription.
    Subscribe,
}

/// How an [`Output`] may be written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "describes the two forms to the JSON Schema; reading is done by hand, for better errors"
)]
enum OutputForm {
    /// Only the values that the device takes.
    Range([i32; 2]),
    /// The values, and more.
    Table(OutputTable),
}

/// An output with more than a range.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OutputTable {
    /// The values that the device takes. Negative ones are the other direction, as far as the positive ones go.
    #[serde(deserialize_with = "range::values")]
    #[schemars(with = "[i32; 2]")]
    range: Range,
    /// The times in milliseconds that it takes; for position-with-duration, and only there.
    #[serde(default, deserialize_with = "range::optional_times")]
    #[schemars(with = "Option<[u32; 2]>")]
    duration_ms: Option<(u32, u32)>,
    /// What a stop does to it. Default: positions and sprays are left, everything else goes to rest (0).
    on_stop: Option<OnStop>,
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> de::Visitor<'de> for Form {
            type Value = Output;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a range `[0, 20]`, or a table `{ range = [0, 20], .. }`")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, from: A) -> Result<Output, A::Error> {
                let range = range::values(de::value::SeqAccessDeserializer::new(from))?;
                Ok(Output { range, duration_ms: None, on_stop: None })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, from: A) -> Result<Output, A::Error> {
                let table = OutputTable::deserialize(de::value::MapAccessDeserializer::new(from))?;
                Ok(Output { range: table.range, duration_ms: table.duration_ms, on_stop: table.on_stop })
            }
        }

        from.deserialize_any(Form)
    }
}
