//! A value written as a list of one: npm `buttplug` 4.0.2 sends every output so, and works unchanged if it is read.

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Unexpected, Visitor};

/// The value itself, or the only entry of a list.
pub(super) fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    deserializer.deserialize_any(Single)
}

struct Single;

impl<'de> Visitor<'de> for Single {
    type Value = i32;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("i32")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<i32, E> {
        i32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<i32, E> {
        i32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<i32, E> {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range, checked just before")]
        let whole = (value.fract() == 0.0 && value.abs() <= f64::from(i32::MAX)).then_some(value as i32);
        whole.ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<i32, A::Error> {
        let only = list.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        match list.next_element::<de::IgnoredAny>()? {
            None => Ok(only),
            Some(_) => Err(de::Error::invalid_length(2, &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::v4::OutputValue;

    #[test]
    fn a_list_of_one_is_the_value_and_nothing_else_is() {
        let read =
            |value| serde_json::from_value::<OutputValue>(json!({ "Value": value })).map(|read| read.value);
        for good in [json!(7), json!([7]), json!(7.0)] {
            assert_eq!(read(good.clone()).ok(), Some(7), "{good}");
        }
        for bad in [json!([]), json!([7, 8]), json!([[7]]), json!("7"), json!(7.5), json!(null), json!(3e9)] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
