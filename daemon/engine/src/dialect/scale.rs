//! From the fractions of v0 to v3 to the integers of a device.
//!
//! The rounding is part of the contract: bytes at the hardware depend on it. It is plain `f64` arithmetic without tolerance, as
//! existing servers do it, so `100 * 0.07` gives 8 and not 7.

/// Below this a level is rest; from here on it is at least one step.
const LEAST_LEVEL: f64 = 1e-6;

/// Why a fraction cannot be a value.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not between 0 and 1")]
pub(super) struct NotAFraction(pub(super) f64);

/// A level: up to the next step, so that whatever is not rest is at least one step.
pub(super) fn level(fraction: f64, steps: u32) -> Result<i32, NotAFraction> {
    check(fraction)?;
    Ok(if fraction < LEAST_LEVEL { 0 } else { whole((f64::from(steps) * fraction).ceil()) })
}

/// A position of `ScalarCmd`: up to the next step.
pub(super) fn position(fraction: f64, steps: u32) -> Result<i32, NotAFraction> {
    check(fraction)?;
    Ok(whole((f64::from(steps) * fraction).ceil()))
}

/// A position of `LinearCmd`: cut off.
pub(super) fn mover_position(fraction: f64, steps: u32) -> Result<i32, NotAFraction> {
    check(fraction)?;
    Ok(whole((f64::from(steps) * fraction).trunc()))
}

fn check(fraction: f64) -> Result<(), NotAFraction> {
    if (0.0..=1.0).contains(&fraction) { Ok(()) } else { Err(NotAFraction(fraction)) }
}

/// Of a whole number between 0 and `u32::MAX`; the range of an output ends at `i32::MAX`.
fn whole(value: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "whole, not negative, and `as` saturates at the top")]
    let value = value as i32;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_rounded_up_and_only_nothing_is_rest() {
        for (fraction, steps, value) in [
            (0.5, 127, 64),
            (0.25, 127, 32),
            (0.001, 127, 1),
            (1e-7, 127, 0),
            (0.3, 127, 39),
            (0.9, 127, 115),
            (0.1, 127, 13),
            (1.0, 127, 127),
            (0.0, 127, 0),
            (0.07, 100, 8),
        ] {
            assert_eq!(level(fraction, steps), Ok(value), "{fraction} of {steps}");
        }
    }

    #[test]
    fn positions_with_duration_are_cut_off() {
        assert_eq!(mover_position(0.5, 1000), Ok(500));
        assert_eq!(mover_position(0.4999, 1000), Ok(499));
        assert_eq!(position(0.4999, 1000), Ok(500));
        assert_eq!(position(1e-9, 1000), Ok(1));
    }

    #[test]
    fn what_is_no_fraction_is_refused() {
        for bad in [-0.1, 1.000_001, f64::NAN, f64::INFINITY] {
            assert!(level(bad, 20).is_err(), "{bad}");
            assert!(mover_position(bad, 20).is_err(), "{bad}");
        }
    }
}
