//! How ranges are written in a definition file, `[lowest, highest]`, and that they cannot be empty.

use serde::{Deserialize, Deserializer, de::Error};

use crate::vocabulary::Range;

/// Reads `[min, max]` of values.
///
/// # Errors
/// Not two integers of 32 bits, or the first above the second.
pub(super) fn values<'de, D: Deserializer<'de>>(from: D) -> Result<Range, D::Error> {
    ordered(<[i32; 2]>::deserialize(from)?)
}

/// Reads `[[min, max], ...]`.
///
/// # Errors
/// One of them is not a range, or there is none.
pub(super) fn lists<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Range>, D::Error> {
    let lists = Vec::<[i32; 2]>::deserialize(from)?;
    if lists.is_empty() {
        return Err(D::Error::custom("needs at least one range, `[[0, 100]]`"));
    }
    lists.into_iter().map(ordered).collect()
}

/// Reads an optional `[min, max]` of values.
///
/// # Errors
/// As for [`values`].
pub(super) fn optional_values<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Range>, D::Error> {
    values(from).map(Some)
}

/// Reads an optional `[min, max]` of milliseconds.
///
/// # Errors
/// Not two integers from 0, or the first above the second.
pub(super) fn optional_times<'de, D: Deserializer<'de>>(from: D) -> Result<Option<(u32, u32)>, D::Error> {
    let [min, max] = <[u32; 2]>::deserialize(from)?;
    if min > max {
        return Err(D::Error::custom(format_args!(
            "the range [{min}, {max}] is empty: its first number is above its second"
        )));
    }
    Ok(Some((min, max)))
}

fn ordered<E: Error>([min, max]: [i32; 2]) -> Result<Range, E> {
    if min > max {
        return Err(E::custom(format_args!(
            "the range [{min}, {max}] is empty: its first number is above its second"
        )));
    }
    Ok(Range::new(min, max))
}
