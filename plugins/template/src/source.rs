//! The keys of `[protocol.template]`, exactly as a file has them.
//!
//! These types only carry text and numbers and refuse unknown keys; `program` turns them into something that
//! cannot be wrong. The README beside this crate shows every key with an example.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{InputKind, OutputKind};

/// A protocol written as data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Template")]
pub struct Template {
    /// How the model is found out. Absent: the identifier is the advertised name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identify: Option<Identify>,
    /// Steps from identified to ready, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start: Vec<Step>,
    /// Named expressions: `sel = "m0 == m1 ? 0 : 1"`.
    #[serde(default, rename = "let", skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// Tables of numbers, used as `name[v]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, Vec<i64>>,
    /// The packets that set outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packet: Vec<Packet>,
    /// How inputs are read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<Input>,
    /// What the host's keep-alive repeats. Absent: the last packet written, unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// Packets that follow the rest packets when a stop leaves nothing running.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<Write>,
}

/// When something applies. All keys given must hold; in a list one entry is enough.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateWhen")]
pub struct When {
    /// The variant of the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variant: Vec<String>,
    /// The identifier of the model; a trailing `*` stands for any rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifier: Vec<String>,
    /// Endpoints of which the device has at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoint: Vec<String>,
    /// How many outputs the model has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<u32>,
}

/// One packet that carries outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplatePacket")]
pub struct Packet {
    /// Only for models and devices like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Not for models and devices like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<When>,
    /// Feature indexes that it carries. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<u32>,
    /// Output kinds that it carries. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<OutputKind>,
    /// The endpoint that it is written to.
    #[serde(default = "tx")]
    pub to: String,
    /// Whether the device shall confirm it.
    #[serde(default)]
    pub response: bool,
    /// A condition on the values; the packet is left out while it is 0.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The bytes.
    pub bytes: String,
    /// The bytes when all that it carries is at rest; `""` sends nothing then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<String>,
    /// Sent so many milliseconds after the change, with the values of that moment; a new change starts the time anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u32>,
}

/// A packet without outputs of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateWrite")]
pub struct Write {
    /// The endpoint that it is written to.
    #[serde(default = "tx")]
    pub to: String,
    /// Whether the device shall confirm it.
    #[serde(default)]
    pub response: bool,
    /// The bytes.
    pub bytes: String,
}

/// What the keep-alive sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "wanted \"all\", \"last\" or a list of packets")]
#[schemars(rename = "TemplateKeepAlive")]
pub enum KeepAlive {
    /// A word: `"all"` makes every packet anew from the current values.
    Word(KeepAliveWord),
    /// These packets.
    Packets(Vec<Write>),
}

/// What the keep-alive sends, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "TemplateKeepAliveWord")]
pub enum KeepAliveWord {
    /// Every packet whose outputs were ever set, made anew from the current values.
    All,
    /// The last packet written, unchanged. The same as leaving the key out.
    Last,
}

/// One step of a bring-up. Exactly one of `write`, `subscribe`, `unsubscribe`, `read`, `wait_ms`, `send` and
/// (without `write`) `wait_for` says what it does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateStep")]
pub struct Step {
    /// Only for models and devices like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Not for models and devices like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<When>,
    /// Endpoint to write `bytes` to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<String>,
    /// What `write` writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
    /// Whether the device shall confirm the write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<bool>,
    /// Endpoint to subscribe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<String>,
    /// Endpoint to unsubscribe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsubscribe: Option<String>,
    /// Endpoint to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
    /// Milliseconds to let pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u32>,
    /// `"rest"`: the packets of all outputs at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<SendWord>,
    /// Endpoint whose next notification is waited for, after the write if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_for: Option<String>,
    /// How the notification, or what was read, must begin; others are passed over. `..` is any byte.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Time limit of `wait_for` in milliseconds. Absent: the limit of the whole bring-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u32>,
    /// How often `write` is written at most while no answer comes. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// What happens when no answer came or the read failed. Default `"fail"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Otherwise>,
}

/// What a step sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "TemplateSendWord")]
pub enum SendWord {
    /// The packets of all outputs at rest; positions are left alone.
    Rest,
}

/// What happens when a step does not get what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "TemplateOtherwise")]
pub enum Otherwise {
    /// The bring-up fails, with the reason.
    #[default]
    Fail,
    /// The next step is taken.
    GoOn,
}

/// How the model is found out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateIdentify")]
pub struct Identify {
    /// Take the bytes from the advertisement, if it has them; the steps are then left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<Manufacturer>,
    /// Steps whose last `read` or `wait_for` yields the bytes. Absent: the bytes are the advertised name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// First and last byte, counted from 0, that are taken. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<[usize; 2]>,
    /// How bytes become the identifier. Default `"text"`.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub form: Option<IdentifierForm>,
    /// The text begins behind the last of these characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The text ends before the first of these characters, after `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What the identifier is when there are no bytes, or they are not of the form. Default `"fail"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<NoIdentifier>,
    /// Another protocol for identifiers that are not of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<HandOver>,
}

/// Which manufacturer data names the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateManufacturer")]
pub struct Manufacturer {
    /// The company's number.
    pub company: u16,
    /// How many bytes its data must have. Absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
}

/// How bytes become an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "TemplateIdentifierForm")]
pub enum IdentifierForm {
    /// UTF-8, without 00 bytes at the end.
    #[default]
    Text,
    /// Two small hexadecimal digits a byte.
    Hex,
    /// All bytes as one number, the first byte the highest, in decimal. At most eight.
    Decimal,
}

/// What the identifier is when none could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "TemplateNoIdentifier")]
pub enum NoIdentifier {
    /// The bring-up fails.
    #[default]
    Fail,
    /// The advertised name.
    Name,
    /// Empty: the model is the protocol's default.
    Default,
}

/// When another protocol takes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateHandOver")]
pub struct HandOver {
    /// The identifiers that stay here.
    pub unless: Vec<String>,
    /// The protocol that takes all others.
    pub to: String,
}

/// How one kind of input is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TemplateInput")]
pub struct Input {
    /// The kind.
    pub kind: InputKind,
    /// Only for models and devices like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Not for models and devices like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<When>,
    /// The feature indexes. Absent: every feature with this kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<u32>,
    /// Endpoint that a reading is read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
    /// Endpoint that notifies readings; used for a single reading too where `read` is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<String>,
    /// Packet that asks the device for a notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Write>,
    /// How long a single reading may take to be notified, in milliseconds. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u32>,
    /// How the bytes must begin; others are passed over. `..` is any byte.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// How many bytes there must be, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// The value. Default `"u8(0)"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

fn tx() -> String {
    String::from("tx")
}
