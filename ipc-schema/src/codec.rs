//! From the payload of a frame to messages, and back.
//!
//! Decoding goes in two steps, so that every bad message can be answered with its own Id and reason: a payload becomes a list of
//! [`Envelope`]s (name, Id, body), and each envelope becomes a typed message of the session's version. Encoding goes straight from
//! the typed message. Ranges of values and everything else that needs a device are not looked at.

use std::io::Cursor;

use serde::de::{DeserializeOwned, DeserializeSeed};
use serde::{Deserializer, Serialize};
use serde_json::Value;

use crate::error::Reason;
use crate::frame::{self, FrameError};
use crate::lenient::{Flaw, Named, ReadError};
use crate::tree::{FrameSeed, Tree};
use crate::{number, v0, v1, v2, v3, v4};

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON text, as all WebSocket clients speak it.
    Json,
    /// MessagePack with text keys, as the local socket speaks it.
    MessagePack,
}

/// One message as it came: taken apart far enough to answer it, whatever else may be wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The message's name.
    pub name: String,
    /// Its Id, if it has one that can be read; 0 is not excluded.
    pub id: Option<u32>,
    /// Its body, always a map.
    pub body: Value,
}

/// A message, or a whole frame, that cannot be read. The connection lives on after it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct BadMessage {
    /// The Id to answer with: the message's own if it can be read, else 0.
    pub id: u32,
    /// What is wrong.
    pub reason: Reason,
    /// What is wrong and where, for people.
    pub text: String,
}

/// Why a message cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The message holds what JSON cannot express.
    #[error("could not write a message as JSON")]
    Json(#[from] serde_json::Error),
    /// The message holds what MessagePack cannot express.
    #[error("could not write a message as MessagePack")]
    MessagePack(#[from] rmp_serde::encode::Error),
    /// The message is larger than a frame may be.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Takes a payload apart. Messages stand in the order in which they were sent.
///
/// Where the payload breaks off or turns to garbage, all messages before that place are still there, and one [`BadMessage`] with
/// Id 0 stands for the rest. The list is never empty.
pub fn decode(payload: &[u8], encoding: Encoding) -> Vec<Result<Envelope, BadMessage>> {
    match encoding {
        Encoding::Json => decode_json(payload),
        Encoding::MessagePack => decode_message_pack(payload),
    }
}

fn decode_json(payload: &[u8]) -> Vec<Result<Envelope, BadMessage>> {
    let mut messages = Vec::new();
    let mut input = serde_json::Deserializer::from_slice(payload);
    loop {
        if let Err(error) = decode_array(&mut input, &mut messages) {
            messages
                .push(Err(broken_frame(&format!("the frame is not an array of messages in JSON: {error}"))));
            return messages;
        }
        if input.end().is_ok() {
            return messages;
        }
    }
}

fn decode_message_pack(payload: &[u8]) -> Vec<Result<Envelope, BadMessage>> {
    /// Levels at which MessagePack is given up as a whole. Below it, depth is a flaw of the message alone.
    const GIVE_UP_DEPTH: usize = 128;

    let mut messages = Vec::new();
    let mut input = rmp_serde::Deserializer::new(Cursor::new(payload));
    input.set_max_depth(GIVE_UP_DEPTH);
    let length = u64::try_from(payload.len()).unwrap_or(u64::MAX);
    loop {
        if let Err(error) = decode_array(&mut input, &mut messages) {
            let text = format!("the frame is not an array of messages in MessagePack: {error}");
            messages.push(Err(broken_frame(&text)));
            return messages;
        }
        if input.position() >= length {
            return messages;
        }
    }
}

/// Reads one array, and hands its messages on even if it breaks off.
fn decode_array<'de, D: Deserializer<'de>>(
    input: D,
    messages: &mut Vec<Result<Envelope, BadMessage>>,
) -> Result<(), D::Error> {
    let mut bare = None;
    let mut take = |tree| messages.push(open(tree));
    let count = FrameSeed { take: &mut take, bare: &mut bare }.deserialize(input)?;
    if let Some(tree) = bare {
        messages.push(Err(BadMessage {
            id: find_id(&tree.value).unwrap_or(0),
            reason: Reason::MalformedFrame,
            text: "a frame is an array of messages, but this one is a message without its array".into(),
        }));
    } else if count == 0 {
        messages.push(Err(broken_frame("the array of messages is empty")));
    }
    Ok(())
}

fn broken_frame(text: &str) -> BadMessage {
    BadMessage { id: 0, reason: Reason::MalformedFrame, text: text.to_owned() }
}

/// The Id of the first message in a map of messages.
fn find_id(value: &Value) -> Option<u32> {
    value.as_object()?.values().find_map(|body| number::to_u32(body.get("Id")?))
}

/// Opens one element of the array.
fn open(tree: Tree) -> Result<Envelope, BadMessage> {
    let malformed = |id: Option<u32>, text: String| BadMessage {
        id: id.unwrap_or(0),
        reason: Reason::MalformedMessage,
        text,
    };
    let Value::Object(map) = tree.value else {
        return Err(malformed(None, format!("a message is a map with one key, not {}", kind(&tree.value))));
    };
    let keys = map.len();
    if keys != 1 {
        let id = find_id(&Value::Object(map));
        return Err(malformed(id, format!("a message is a map with one key, its name; this one has {keys}")));
    }
    let Some((name, body)) = map.into_iter().next() else {
        return Err(malformed(None, "a message is a map with one key, its name".into()));
    };
    if !body.is_object() {
        return Err(malformed(None, format!("the body of `{name}` must be a map, but is {}", kind(&body))));
    }
    let id = body.get("Id").and_then(number::to_u32);
    match tree.flaw {
        Some(flaw) => Err(malformed(id, format!("`{name}` cannot be read: {flaw}"))),
        None => Ok(Envelope { name, id, body }),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "a map",
    }
}

impl Envelope {
    /// Reads the envelope as a request, such as [`v4::ClientMessage`]: its Id must be 1 or above.
    ///
    /// # Errors
    /// The answer that the request deserves: `invalid-id`, `unknown-message`, `invalid-value-type` or `malformed-message`.
    pub fn request<T: DeserializeOwned>(&self) -> Result<T, BadMessage> {
        match self.id {
            Some(0) => {
                Err(self.bad(Reason::InvalidId, "`Id` must be 1 or above; 0 is for events of the server"))
            }
            Some(_) => self.message(),
            None => match self.body.get("Id") {
                None => Err(self.bad(Reason::InvalidId, "`Id` is missing")),
                Some(id) => Err(self.bad(
                    Reason::InvalidId,
                    &format!("`Id` must be a whole number from 1 to 4294967295, but is {id}"),
                )),
            },
        }
    }

    /// Reads the envelope as any message, such as [`v4::ServerMessage`] or an event with Id 0.
    ///
    /// # Errors
    /// `unknown-message`, `invalid-value-type` or `malformed-message`, with the path of the member that is wrong.
    pub fn message<T: DeserializeOwned>(&self) -> Result<T, BadMessage> {
        T::deserialize(Named { name: &self.name, body: &self.body }).map_err(|error| self.explain(&error))
    }

    fn bad(&self, reason: Reason, text: &str) -> BadMessage {
        BadMessage { id: self.id.unwrap_or(0), reason, text: format!("{}: {text}", self.name) }
    }

    fn explain(&self, error: &ReadError) -> BadMessage {
        let id = self.id.unwrap_or(0);
        if error.is_unknown_message() {
            return BadMessage { id, reason: Reason::UnknownMessage, text: unknown_message(&self.name) };
        }
        let reason = match error.flaw {
            Flaw::Type => Reason::InvalidValueType,
            Flaw::Shape | Flaw::UnknownName => Reason::MalformedMessage,
        };
        BadMessage { id, reason, text: error.to_string() }
    }
}

/// Says of a message that the session's version does not have who has it.
fn unknown_message(name: &str) -> String {
    /// Names come from outside; no more of them is repeated.
    const SHOWN_CHARS: usize = 40;

    let client: [&[&str]; 5] = [
        message_names::<v0::ClientMessage>(),
        message_names::<v1::ClientMessage>(),
        message_names::<v2::ClientMessage>(),
        message_names::<v3::ClientMessage>(),
        message_names::<v4::ClientMessage>(),
    ];
    let server: [&[&str]; 5] = [
        message_names::<v0::ServerMessage>(),
        message_names::<v1::ServerMessage>(),
        message_names::<v2::ServerMessage>(),
        message_names::<v3::ServerMessage>(),
        message_names::<v4::ServerMessage>(),
    ];
    let versions: Vec<String> = (0..)
        .zip(client)
        .filter(|(_, names)| names.contains(&name))
        .map(|(number, _): (u32, _)| format!("v{number}"))
        .collect();
    let shown: String = name.chars().take(SHOWN_CHARS).collect();
    if !versions.is_empty() {
        format!("this session's spec version has no message `{shown}`; it belongs to {}", versions.join(", "))
    } else if server.iter().any(|names| names.contains(&name)) {
        format!("`{shown}` is a message that only the server sends")
    } else {
        format!("no spec version has a message `{shown}`")
    }
}

/// The names of all variants of an enum of messages, in the order of the enum.
pub fn message_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The deserializer below takes note of the names and then always fails, so there is nothing in the result.
    drop(T::deserialize(NameTaker(&mut names)));
    names
}

struct NameTaker<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for NameTaker<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("not an enum"))
    }

    fn deserialize_enum<V: serde::de::Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = variants;
        Err(serde::de::Error::custom("only the names were wanted"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Writes one message as the payload of a frame: an array of length one.
///
/// # Errors
/// [`EncodeError`]; it does not happen with the types of this crate.
pub fn encode<M: Serialize>(message: &M, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
    encode_batch(std::slice::from_ref(message), encoding)
}

/// Writes several messages as the payload of one frame: they are handled as one batch.
///
/// # Errors
/// [`EncodeError`]; it does not happen with the types of this crate.
pub fn encode_batch<M: Serialize>(messages: &[M], encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
    let mut payload = Vec::with_capacity(TYPICAL_LEN);
    write(messages, encoding, &mut payload)?;
    Ok(payload)
}

/// Writes several messages as one whole frame of the local socket: header and MessagePack, in one allocation.
///
/// # Errors
/// [`EncodeError::Frame`] when the payload is over `limit`.
pub fn encode_frame<M: Serialize>(messages: &[M], limit: u32) -> Result<Vec<u8>, EncodeError> {
    let mut whole = Vec::with_capacity(TYPICAL_LEN);
    whole.extend_from_slice(&[0; frame::HEADER_LEN]);
    write(messages, Encoding::MessagePack, &mut whole)?;
    let header = frame::header(whole.len() - frame::HEADER_LEN, limit)?;
    if let Some(room) = whole.first_chunk_mut::<{ frame::HEADER_LEN }>() {
        *room = header;
    }
    Ok(whole)
}

/// Room that most messages fit into, in bytes.
const TYPICAL_LEN: usize = 128;

fn write<M: Serialize>(messages: &[M], encoding: Encoding, to: &mut Vec<u8>) -> Result<(), EncodeError> {
    match encoding {
        Encoding::Json => serde_json::to_writer(to, messages)?,
        Encoding::MessagePack => {
            messages.serialize(&mut rmp_serde::Serializer::new(to).with_struct_map())?;
        }
    }
    Ok(())
}
