//! Values as clients are shown them, and values as the device takes them, with the user's limits in between.
//!
//! Integers only: how old spec versions round their floats is the dialects' business. There is one way from a client to a
//! device, this one, so a limit cannot be missed by one kind of command.
//!
//! - A level has a rest, 0, which is always 0 for the device too. With a limit `[low, high]` clients see `0..=high - low`, and a
//!   value `v` above 0 is `low + v`. Of an output with two directions the limit holds in both.
//! - A position has no rest. With a limit `[low, high]` clients see `0..=high - low`, and 0 is `low`; inverted, 0 is `high`.
//! - A limit that leaves one value (`[20, 20]`) is shown as `0..=1`, since old versions cannot show less: a level is then at
//!   rest or at 20, a position always at 20. A limit of a level to `[0, 0]` disables the output.

use super::model::{Output, OutputRule};
use crate::vocabulary::{OutputKind, Range};

/// How the values of one output that clients see relate to those that the device takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputScale {
    sense: Sense,
    /// The part of the device's own range in use: strengths for a level, places for a position.
    low: i32,
    high: i32,
    heading: Heading,
    duration_ms: Option<(u32, u32)>,
}

/// What a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    /// A strength.
    Level,
    /// A strength, in one of two directions.
    SignedLevel,
    /// A place.
    Place,
}

/// Which way values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heading {
    /// As the device has it.
    Forward,
    /// The other way.
    Inverted,
}

/// A limit that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The limit and the device's range have no value in common.
    #[error("the limit [{}, {}] has no value that the device takes, [{}, {}]", .limit.min, .limit.max, .hardware.min, .hardware.max)]
    NothingLeft {
        /// The user's limit.
        limit: Range,
        /// The device's range.
        hardware: Range,
    },
    /// The limit of times and those of the device have none in common.
    #[error("the limit of {} to {} ms has no time that the device takes, {} to {} ms", .limit.0, .limit.1, .hardware.0, .hardware.1)]
    NoTimeLeft {
        /// The user's limit.
        limit: (u32, u32),
        /// The device's times.
        hardware: (u32, u32),
    },
    /// There is no other way to go.
    #[error("it has one direction, so it cannot be inverted")]
    OneDirection,
}

/// A value outside the range that clients are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{value} is outside {} to {}", .range.min, .range.max)]
pub struct OutsideRange {
    /// The value.
    pub value: i32,
    /// The range.
    pub range: Range,
}

impl OutputScale {
    /// The scale of an output with the user's limits; `None` if the user disabled it.
    ///
    /// # Errors
    /// The limits cannot be kept with this device.
    pub fn new(
        kind: OutputKind,
        output: &Output,
        rule: Option<&OutputRule>,
    ) -> Result<Option<Self>, LimitError> {
        let hardware = output.range;
        let (sense, whole) = match (kind.is_position(), hardware.min < 0) {
            (true, _) => (Sense::Place, hardware),
            (false, true) => (Sense::SignedLevel, Range::new(0, hardware.max)),
            (false, false) => (Sense::Level, Range::new(0, hardware.max)),
        };
        let Some(rule) = rule else {
            let heading = Heading::Forward;
            return Ok(Some(Self {
                sense,
                low: whole.min,
                high: whole.max,
                heading,
                duration_ms: output.duration_ms,
            }));
        };
        if rule.disabled {
            return Ok(None);
        }
        let limit = rule.range.unwrap_or(whole);
        let (low, high) = (limit.min.max(whole.min), limit.max.min(whole.max));
        if low > high {
            return Err(LimitError::NothingLeft { limit, hardware });
        }
        if high == 0 && sense != Sense::Place {
            return Ok(None);
        }
        let duration_ms = match (output.duration_ms, rule.duration_ms) {
            (Some(hardware), Some(limit)) => {
                let both = (hardware.0.max(limit.0), hardware.1.min(limit.1));
                if both.0 > both.1 {
                    return Err(LimitError::NoTimeLeft { limit, hardware });
                }
                Some(both)
            }
            (hardware, _) => hardware,
        };
        let heading = match (rule.invert, sense) {
            (false, _) => Heading::Forward,
            (true, Sense::SignedLevel | Sense::Place) => Heading::Inverted,
            (true, Sense::Level) => return Err(LimitError::OneDirection),
        };
        Ok(Some(Self { sense, low, high, heading, duration_ms }))
    }

    /// The values that clients are shown.
    #[must_use]
    pub fn shown(&self) -> Range {
        let most = self.steps();
        match self.sense {
            Sense::Level | Sense::Place => Range::new(0, most),
            Sense::SignedLevel => Range::new(-most, most),
        }
    }

    /// The times in milliseconds that clients are shown.
    #[must_use]
    pub const fn duration_ms(&self) -> Option<(u32, u32)> {
        self.duration_ms
    }

    /// The value for the device.
    ///
    /// # Errors
    /// The value is not in the range that is [shown](Self::shown). Nothing is clamped: a client that asks for more than
    /// there is has misunderstood something.
    pub fn to_hardware(&self, value: i32) -> Result<i32, OutsideRange> {
        let range = self.shown();
        if !range.contains(value) {
            return Err(OutsideRange { value, range });
        }
        Ok(match (self.sense, self.heading) {
            (Sense::Level | Sense::SignedLevel, Heading::Forward) => self.level(value),
            (Sense::Level | Sense::SignedLevel, Heading::Inverted) => -self.level(value),
            (Sense::Place, Heading::Forward) => self.low.saturating_add(value).min(self.high),
            (Sense::Place, Heading::Inverted) => self.high.saturating_sub(value).max(self.low),
        })
    }

    /// The time for the device: the nearest that it may take, so that a limit of speed holds even for clients of old versions,
    /// which were never shown it. 0 for an output that has no times.
    #[must_use]
    pub fn duration_to_hardware(&self, wanted_ms: u32) -> u32 {
        self.duration_ms.map_or(0, |(shortest, longest)| wanted_ms.clamp(shortest, longest))
    }

    /// The value that a client would have sent for this value of the device; the nearest, if it could not have.
    #[must_use]
    pub fn to_shown(&self, hardware: i32) -> i32 {
        let most = self.steps();
        match (self.sense, self.heading) {
            (Sense::Level | Sense::SignedLevel, _) if hardware == 0 => 0,
            (Sense::Level | Sense::SignedLevel, heading) => {
                let strength = hardware.saturating_abs().saturating_sub(self.low).clamp(1, most);
                match (hardware < 0, heading) {
                    (false, Heading::Forward) | (true, Heading::Inverted) => strength,
                    (true, Heading::Forward) | (false, Heading::Inverted) => -strength,
                }
            }
            (Sense::Place, Heading::Forward) => hardware.saturating_sub(self.low).clamp(0, most),
            (Sense::Place, Heading::Inverted) => self.high.saturating_sub(hardware).clamp(0, most),
        }
    }

    /// How many values there are beyond the first; at least 1. Ranges of more than `i32::MAX` values are refused by the parser.
    fn steps(&self) -> i32 {
        self.high.saturating_sub(self.low).max(1)
    }

    fn level(&self, value: i32) -> i32 {
        if value == 0 {
            return 0;
        }
        let strength = self.low.saturating_add(value.abs()).min(self.high);
        if value < 0 { -strength } else { strength }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn output(min: i32, max: i32) -> Output {
        Output { range: Range::new(min, max), duration_ms: None, on_stop: None }
    }

    fn rule(kind: OutputKind) -> OutputRule {
        OutputRule { feature: 0, kind, range: None, duration_ms: None, disabled: false, invert: false }
    }

    fn limited(kind: OutputKind, hardware: [i32; 2], limit: [i32; 2], heading: Heading) -> OutputScale {
        let rule = OutputRule {
            range: Some(Range::new(limit[0], limit[1])),
            invert: heading == Heading::Inverted,
            ..rule(kind)
        };
        OutputScale::new(kind, &output(hardware[0], hardware[1]), Some(&rule)).unwrap().unwrap()
    }

    #[track_caller]
    fn check(scale: OutputScale, shown: [i32; 2], pairs: &[(i32, i32)]) {
        assert_eq!(scale.shown(), Range::new(shown[0], shown[1]));
        for (value, hardware) in pairs {
            assert_eq!(scale.to_hardware(*value), Ok(*hardware), "value {value}");
        }
        assert!(scale.to_hardware(shown[1] + 1).is_err());
        assert!(scale.to_hardware(shown[0] - 1).is_err());
    }

    #[test]
    fn values_without_a_limit_are_those_of_the_device() {
        let plain = |kind, min, max| OutputScale::new(kind, &output(min, max), None).unwrap().unwrap();
        check(plain(OutputKind::Vibrate, 0, 20), [0, 20], &[(0, 0), (1, 1), (20, 20)]);
        check(plain(OutputKind::Rotate, -99, 99), [-99, 99], &[(-99, -99), (0, 0), (99, 99)]);
        check(plain(OutputKind::Position, 10, 110), [0, 100], &[(0, 10), (100, 110)]);
    }

    #[test]
    fn a_limit_of_a_level_keeps_its_rest() {
        let scale = limited(OutputKind::Vibrate, [0, 100], [20, 50], Heading::Forward);
        check(scale, [0, 30], &[(0, 0), (1, 21), (30, 50)]);
    }

    #[test]
    fn a_limit_of_a_rotation_holds_in_both_directions() {
        let scale = limited(OutputKind::Rotate, [-99, 99], [10, 40], Heading::Inverted);
        check(scale, [-30, 30], &[(-30, 40), (-1, 11), (0, 0), (30, -40)]);
    }

    #[test]
    fn a_limit_of_a_position_holds_at_0_for_both_kinds() {
        for kind in [OutputKind::Position, OutputKind::PositionWithDuration] {
            check(limited(kind, [0, 100], [30, 70], Heading::Forward), [0, 40], &[(0, 30), (40, 70)]);
            check(limited(kind, [0, 100], [30, 70], Heading::Inverted), [0, 40], &[(0, 70), (40, 30)]);
        }
    }

    #[test]
    fn a_limit_to_one_value_still_has_a_range_to_show() {
        check(limited(OutputKind::Vibrate, [0, 100], [20, 20], Heading::Forward), [0, 1], &[(0, 0), (1, 20)]);
        check(
            limited(OutputKind::Position, [0, 100], [20, 20], Heading::Inverted),
            [0, 1],
            &[(0, 20), (1, 20)],
        );
    }

    #[test]
    fn a_limit_wider_than_the_device_is_the_device() {
        check(limited(OutputKind::Vibrate, [0, 20], [0, 50], Heading::Forward), [0, 20], &[(20, 20)]);
    }

    #[test]
    fn limits_that_leave_nothing_disable_or_fail() {
        let kind = OutputKind::Vibrate;
        let zero = OutputRule { range: Some(Range::new(0, 0)), ..rule(kind) };
        assert_eq!(OutputScale::new(kind, &output(0, 20), Some(&zero)), Ok(None));
        let off = OutputRule { disabled: true, ..rule(kind) };
        assert_eq!(OutputScale::new(kind, &output(0, 20), Some(&off)), Ok(None));
        let limit = Range::new(30, 50);
        let outside = OutputRule { range: Some(limit), ..rule(kind) };
        let error = LimitError::NothingLeft { limit, hardware: Range::new(0, 20) };
        assert_eq!(OutputScale::new(kind, &output(0, 20), Some(&outside)), Err(error));
        let inverted = OutputRule { invert: true, ..rule(kind) };
        assert_eq!(OutputScale::new(kind, &output(0, 20), Some(&inverted)), Err(LimitError::OneDirection));
    }

    #[test]
    fn times_stay_inside_device_and_limit() {
        let kind = OutputKind::PositionWithDuration;
        let hardware = Output { duration_ms: Some((10, 5_000)), ..output(0, 100) };
        let limit = OutputRule { duration_ms: Some((200, 9_000)), ..rule(kind) };
        let scale = OutputScale::new(kind, &hardware, Some(&limit)).unwrap().unwrap();
        assert_eq!(scale.duration_ms(), Some((200, 5_000)));
        let times = [0, 200, 1_000, u32::MAX].map(|time| scale.duration_to_hardware(time));
        assert_eq!(times, [200, 200, 1_000, 5_000]);
    }

    proptest! {
        /// Whatever is asked for, the device gets a value inside its own range and inside the limit, and the way back leads
        /// to the same place.
        #[test]
        fn no_value_leaves_the_limit(
            signed in any::<bool>(),
            place in any::<bool>(),
            inverted in any::<bool>(),
            max in 1_i32..=i32::MAX / 2,
            ends in (0_i32..=i32::MAX / 2, 0_i32..=i32::MAX / 2),
            value in any::<i32>(),
            near in -300_i32..300,
        ) {
            let kind = if place { OutputKind::PositionWithDuration } else { OutputKind::Rotate };
            let hardware = output(if signed { -max } else { 0 }, max);
            let limit = Range::new(ends.0.min(ends.1), ends.0.max(ends.1));
            let rule = OutputRule { range: Some(limit), invert: inverted && (signed || place), ..rule(kind) };
            let Ok(Some(scale)) = OutputScale::new(kind, &hardware, Some(&rule)) else { return Ok(()) };
            for value in [value, near, 0, 1, -1, scale.shown().min, scale.shown().max] {
                let Ok(sent) = scale.to_hardware(value) else {
                    prop_assert!(!scale.shown().contains(value));
                    continue;
                };
                prop_assert!(hardware.range.contains(sent));
                if place {
                    prop_assert!(limit.contains(sent));
                } else {
                    prop_assert!(sent == 0 || limit.contains(sent.abs()));
                    prop_assert_eq!(value == 0, sent == 0);
                }
                prop_assert_eq!(scale.to_hardware(scale.to_shown(sent)), Ok(sent));
            }
            prop_assert!(scale.shown().max >= 1);
        }
    }
}
