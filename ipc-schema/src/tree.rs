//! Takes the payload of a frame apart into trees of values, one a message, from JSON and from MessagePack alike.
//!
//! What a tree cannot hold (NaN, an extension type, too deep a nesting) is noted as a flaw of its message, so that the
//! messages beside it live, and the message itself can still be answered with its Id.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Maps and arrays within each other in one message, the message included; the spec needs nine.
pub(crate) const DEPTH_MAX: u32 = 16;

/// One element of the frame's array, or what stood in place of the array.
pub(crate) struct Tree {
    pub(crate) value: Value,
    /// What `value` does not show.
    pub(crate) flaw: Option<String>,
}

/// Reads one array of messages and hands over each as it is complete.
pub(crate) struct FrameSeed<'a> {
    pub(crate) take: &'a mut dyn FnMut(Tree),
    /// Takes what stands where the array should be.
    pub(crate) bare: &'a mut Option<Tree>,
}

impl<'de> DeserializeSeed<'de> for FrameSeed<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FrameSeed<'_> {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<usize, A::Error> {
        let mut count = 0;
        loop {
            let mut flaw = None;
            let seed = TreeSeed { depth: DEPTH_MAX, flaw: &mut flaw };
            let Some(value) = elements.next_element_seed(seed)? else { return Ok(count) };
            (self.take)(Tree { value, flaw });
            count += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<usize, A::Error> {
        let mut flaw = None;
        let value = TreeSeed { depth: DEPTH_MAX, flaw: &mut flaw }.visit_map(members)?;
        *self.bare = Some(Tree { value, flaw });
        Ok(1)
    }
}

/// Reads one value.
struct TreeSeed<'a> {
    /// How many levels may still follow.
    depth: u32,
    flaw: &'a mut Option<String>,
}

impl TreeSeed<'_> {
    fn note(self, flaw: impl Into<String>) -> Value {
        self.flaw.get_or_insert_with(|| flaw.into());
        Value::Null
    }
}

impl<'de> DeserializeSeed<'de> for TreeSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeSeed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => Ok(self.note(format!("{value} is not a number of the spec"))),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    /// MessagePack has a type for bytes; the spec has arrays of numbers. Text that is no UTF-8 comes this way too.
    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Array(value.iter().map(|byte| Value::from(*byte)).collect()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    /// The way in which extension types of MessagePack arrive.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        IgnoredAny::visit_newtype_struct(IgnoredAny, deserializer)?;
        Ok(self.note("extension types of MessagePack are not in the spec"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(self.note(format!("it is nested deeper than {DEPTH_MAX} levels")));
        };
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(TreeSeed { depth, flaw: &mut *self.flaw })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(self.note(format!("it is nested deeper than {DEPTH_MAX} levels")));
        };
        let mut map = Map::new();
        while let Some(key) = members.next_key_seed(KeySeed)? {
            let value = members.next_value_seed(TreeSeed { depth, flaw: &mut *self.flaw })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Reads a key: text, or a number, which becomes text in decimal as it is in JSON.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text or a whole number as key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        Ok(key.to_owned())
    }

    fn visit_string<E: de::Error>(self, key: String) -> Result<String, E> {
        Ok(key)
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<String, E> {
        Ok(key.to_string())
    }
}
