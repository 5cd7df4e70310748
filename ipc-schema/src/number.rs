//! Whole numbers that were written as fractions: `5.0` is taken for `5`, since many languages know only one kind of number.

use serde_json::{Number, Value};

/// The greatest whole number up to which every one has an exact `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A JSON value as `u32`; `None` when it is no number, has a fraction, or does not fit.
pub(crate) fn to_u32(value: &Value) -> Option<u32> {
    let Value::Number(number) = value else { return None };
    match number.as_u64() {
        Some(whole) => u32::try_from(whole).ok(),
        None => u32::try_from(integral(number)?).ok(),
    }
}

/// A number that was written as a fraction and has none; `None` for all others.
pub(crate) fn integral(number: &Number) -> Option<i64> {
    if !number.is_f64() {
        return None;
    }
    let float = number.as_f64()?;
    if float.fract() != 0.0 || float.abs() > EXACT {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, checked above")]
    Some(float as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_whole_numbers_that_fit_are_taken() {
        assert_eq!(to_u32(&json!(5)), Some(5));
        assert_eq!(to_u32(&json!(5.0)), Some(5));
        assert_eq!(to_u32(&json!(4_294_967_295.0)), Some(u32::MAX));
        for bad in [
            json!(5.5),
            json!(-1),
            json!(-1.0),
            json!(4_294_967_296_u64),
            json!(1e300),
            json!("5"),
            json!(null),
        ] {
            assert_eq!(to_u32(&bad), None, "{bad}");
        }
    }
}
