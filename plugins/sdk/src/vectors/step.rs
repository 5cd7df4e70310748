//! The file of a vector and its steps, as typed values.

use serde::Deserialize;
use thiserror::Error;

/// Why a file is not a vector.
#[derive(Debug, Error)]
pub enum VectorError {
    /// Not TOML, or not of the form of a vector.
    #[error("not a vector: {0}")]
    Form(#[from] toml::de::Error),
    /// Bytes that are not pairs of hex digits.
    #[error("step {step}: \"{hex}\" is not hex")]
    Hex {
        /// Which step, counted from 1.
        step: usize,
        /// The text.
        hex: String,
    },
    /// A step that is none or several of what a step can be.
    #[error("step {step} must have exactly one of {allowed}")]
    NotOne {
        /// Which step, counted from 1.
        step: usize,
        /// What there is to choose from.
        allowed: &'static str,
    },
}

/// One golden vector: a device, and what it is made to do step by step.
#[derive(Debug, Clone)]
pub struct Vector {
    /// Id of the protocol in the definition beside it.
    pub protocol: String,
    pub(super) name: String,
    pub(super) address: Option<String>,
    pub(super) manufacturer_data: Option<(u32, Vec<u8>)>,
    pub(super) endpoints: Option<Vec<String>>,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Do(Do),
    Expect(Expect),
}

/// What is done to the protocol.
#[derive(Debug, Clone)]
pub(super) enum Do {
    Set(Vec<SetTable>),
    Stop(Stop),
    Notify(String, Vec<u8>),
    ReadResult(String, Vec<u8>),
    ReadFails(String),
    WriteFails(String),
    Wait(u64),
    Read(InputName),
    Subscribe(InputName),
    Unsubscribe(InputName),
    KeepAlive,
}

impl Do {
    /// Whether a service does this only after the bring-up.
    pub(super) fn needs_a_ready_device(&self) -> bool {
        match self {
            Self::Set(_)
            | Self::Stop(_)
            | Self::Read(_)
            | Self::Subscribe(_)
            | Self::Unsubscribe(_)
            | Self::KeepAlive
            // Before, it ends the device without the protocol being told.
            | Self::WriteFails(_) => true,
            Self::Notify(..) | Self::ReadResult(..) | Self::ReadFails(_) | Self::Wait(_) => false,
        }
    }
}

/// What the protocol shall ask for next.
#[derive(Debug, Clone)]
pub(super) enum Expect {
    Write { endpoint: String, data: Vec<u8>, response: bool },
    Subscribe(String),
    Unsubscribe(String),
    Read(String),
    Ready(String),
    Reading(ReadingTable),
    InputFailed(InputName),
    GivesUp,
}

/// Which features a stop is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Stop {
    Features(Vec<u32>),
    All(All),
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) enum All {
    #[serde(rename = "all")]
    All,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetTable {
    pub(super) feature: u32,
    pub(super) kind: String,
    pub(super) value: i32,
    #[serde(default)]
    pub(super) duration_ms: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputName {
    pub(super) feature: u32,
    pub(super) kind: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadingTable {
    pub(super) feature: u32,
    pub(super) kind: String,
    pub(super) value: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VectorTable {
    protocol: String,
    #[serde(default)]
    name: String,
    address: Option<String>,
    manufacturer_data: Option<String>,
    company: Option<u32>,
    endpoints: Option<Vec<String>>,
    step: Vec<StepTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepTable {
    #[serde(rename = "do")]
    action: Option<DoTable>,
    expect: Option<ExpectTable>,
    /// For the reader of the file.
    #[serde(default, rename = "why")]
    _why: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct DoTable {
    set: Option<Vec<SetTable>>,
    stop: Option<Stop>,
    notify: Option<String>,
    read_result: Option<String>,
    read_fails: Option<String>,
    write_fails: Option<String>,
    timer_ms: Option<u64>,
    read: Option<InputName>,
    subscribe: Option<InputName>,
    unsubscribe: Option<InputName>,
    keep_alive: Option<Now>,
    hex: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
enum Now {
    #[serde(rename = "now")]
    Now,
}

#[derive(Deserialize, Clone, Copy)]
enum GivesUp {
    #[serde(rename = "device")]
    Device,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ExpectTable {
    write: Option<String>,
    subscribe: Option<String>,
    unsubscribe: Option<String>,
    read: Option<String>,
    ready: Option<String>,
    reading: Option<ReadingTable>,
    input_failed: Option<InputName>,
    gives_up: Option<GivesUp>,
    hex: Option<String>,
    text: Option<String>,
    response: bool,
}

impl Vector {
    /// Reads a vector.
    ///
    /// # Errors
    /// If the file is not one.
    pub fn parse(text: &str) -> Result<Self, VectorError> {
        let table: VectorTable = toml::from_str(text)?;
        let company = table.company.unwrap_or(0);
        let manufacturer_data = match table.manufacturer_data {
            Some(hex) => Some((company, bytes(0, Some(hex), None)?)),
            None => None,
        };
        let steps = table.step.into_iter().zip(1..).map(|(table, number)| step(number, table));
        Ok(Self {
            steps: steps.collect::<Result<_, _>>()?,
            protocol: table.protocol,
            name: table.name,
            address: table.address,
            manufacturer_data,
            endpoints: table.endpoints,
        })
    }
}

fn step(number: usize, table: StepTable) -> Result<Step, VectorError> {
    match (table.action, table.expect) {
        (Some(action), None) => Ok(Step::Do(done(number, action)?)),
        (None, Some(expect)) => Ok(Step::Expect(expected(number, expect)?)),
        (Some(_), Some(_)) | (None, None) => {
            Err(VectorError::NotOne { step: number, allowed: "\"do\" and \"expect\"" })
        }
    }
}

fn done(step: usize, table: DoTable) -> Result<Do, VectorError> {
    let has_data = table.notify.is_some() || table.read_result.is_some();
    let data = if has_data { bytes(step, table.hex, table.text)? } else { Vec::new() };
    let choices = [
        table.set.map(Do::Set),
        table.stop.map(Do::Stop),
        table.notify.map(|endpoint| Do::Notify(endpoint, data.clone())),
        table.read_result.map(|endpoint| Do::ReadResult(endpoint, data)),
        table.read_fails.map(Do::ReadFails),
        table.write_fails.map(Do::WriteFails),
        table.timer_ms.map(Do::Wait),
        table.read.map(Do::Read),
        table.subscribe.map(Do::Subscribe),
        table.unsubscribe.map(Do::Unsubscribe),
        table.keep_alive.map(|Now::Now| Do::KeepAlive),
    ];
    one_of(
        step,
        choices,
        "set, stop, notify, read_result, read_fails, write_fails, timer_ms, read, subscribe, \
                          unsubscribe and keep_alive",
    )
}

fn expected(step: usize, table: ExpectTable) -> Result<Expect, VectorError> {
    let data = if table.write.is_some() { bytes(step, table.hex, table.text)? } else { Vec::new() };
    let response = table.response;
    let choices = [
        table.write.map(|endpoint| Expect::Write { endpoint, data, response }),
        table.subscribe.map(Expect::Subscribe),
        table.unsubscribe.map(Expect::Unsubscribe),
        table.read.map(Expect::Read),
        table.ready.map(Expect::Ready),
        table.reading.map(Expect::Reading),
        table.input_failed.map(Expect::InputFailed),
        table.gives_up.map(|GivesUp::Device| Expect::GivesUp),
    ];
    one_of(step, choices, "write, subscribe, unsubscribe, read, ready, reading, input_failed and gives_up")
}

fn one_of<T, const N: usize>(
    step: usize,
    choices: [Option<T>; N],
    allowed: &'static str,
) -> Result<T, VectorError> {
    let mut present = choices.into_iter().flatten();
    match (present.next(), present.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) | (None, _) => Err(VectorError::NotOne { step, allowed }),
    }
}

/// Bytes given as hex digits with any spaces between, or as text.
fn bytes(step: usize, hex: Option<String>, text: Option<String>) -> Result<Vec<u8>, VectorError> {
    match (hex, text) {
        (None, Some(text)) => Ok(text.into_bytes()),
        (Some(hex), None) => {
            let digits: Option<Vec<u32>> =
                hex.chars().filter(|char| !char.is_whitespace()).map(|char| char.to_digit(16)).collect();
            let digits = digits.filter(|digits| digits.len() % 2 == 0);
            let pairs = digits.as_deref().map(|digits| {
                digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit))
            });
            let bytes = pairs.map(|pairs| pairs.filter_map(|byte| u8::try_from(byte).ok()).collect());
            bytes.ok_or(VectorError::Hex { step, hex })
        }
        (Some(_), Some(_)) | (None, None) => Err(VectorError::NotOne { step, allowed: "hex and text" }),
    }
}
