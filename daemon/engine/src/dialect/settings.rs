//! From the lists of v0 to v3 (`Speeds`, `Rotations`, `Vectors`) to settings of outputs.
//!
//! The versions have the same lists in types of their own; what a place in a list means is the same in all of them, so it is
//! decided here, once. A command for a device that is not there becomes [`Command::Unlisted`]: the router knows best why it is not there.

use ipc_schema::error::Reason;

use super::{
    refusal, scale,
    tables::{self, OutputEntry},
};
use crate::{
    command::{Command, Setting},
    fault::Fault,
    view::DeviceList,
    vocabulary::{DeviceIndex, OutputKind},
};

/// The way a rotation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Positive values.
    Clockwise,
    /// Negative values.
    CounterClockwise,
}

impl From<bool> for Direction {
    fn from(clockwise: bool) -> Self {
        if clockwise { Self::Clockwise } else { Self::CounterClockwise }
    }
}

/// `VibrateCmd`: index among the vibrators, level.
pub(super) fn vibrate(
    device: u32,
    speeds: impl ExactSizeIterator<Item = (u32, f64)>,
    devices: &DeviceList,
) -> Result<Command, Fault> {
    let device = DeviceIndex(device);
    if speeds.len() == 0 {
        return Err(refusal::empty("Speeds"));
    }
    let Some(view) = devices.get(&device) else { return Ok(for_an_absent(device)) };
    let entries = tables::vibrators(view);
    let settings = speeds.map(|(index, speed)| {
        let entry = entry(&entries, index, "VibrateCmd")?;
        Ok(level(entry, scale::level(speed, entry.steps())?))
    });
    Ok(set_outputs(device, settings.collect::<Result<_, Fault>>()?))
}

/// `SingleMotorVibrateCmd`: every vibrator at once.
pub(super) fn vibrate_all(device: u32, speed: f64, devices: &DeviceList) -> Result<Command, Fault> {
    let device = DeviceIndex(device);
    let Some(view) = devices.get(&device) else { return Ok(for_an_absent(device)) };
    let entries = tables::vibrators(view);
    if entries.is_empty() {
        return Err(none(device, "vibrates"));
    }
    let settings = entries.iter().map(|entry| Ok(level(entry, scale::level(speed, entry.steps())?)));
    Ok(set_outputs(device, settings.collect::<Result<_, Fault>>()?))
}

/// `RotateCmd`: index among the rotations with two directions, level, direction.
pub(super) fn rotate(
    device: u32,
    turns: impl ExactSizeIterator<Item = (u32, f64, Direction)>,
    devices: &DeviceList,
) -> Result<Command, Fault> {
    let device = DeviceIndex(device);
    if turns.len() == 0 {
        return Err(refusal::empty("Rotations"));
    }
    let Some(view) = devices.get(&device) else { return Ok(for_an_absent(device)) };
    let entries = tables::rotators(view);
    let settings = turns.map(|(index, speed, direction)| {
        let entry = entry(&entries, index, "RotateCmd")?;
        Ok(level(entry, signed(scale::level(speed, entry.steps())?, direction)))
    });
    Ok(set_outputs(device, settings.collect::<Result<_, Fault>>()?))
}

/// `VorzeA10CycloneCmd`: every rotation with two directions at once.
pub(super) fn rotate_all(
    device: u32,
    speed: f64,
    direction: Direction,
    devices: &DeviceList,
) -> Result<Command, Fault> {
    let device = DeviceIndex(device);
    let Some(view) = devices.get(&device) else { return Ok(for_an_absent(device)) };
    let entries = tables::rotators(view);
    if entries.is_empty() {
        return Err(none(device, "rotates in two directions"));
    }
    let settings =
        entries.iter().map(|entry| Ok(level(entry, signed(scale::level(speed, entry.steps())?, direction))));
    Ok(set_outputs(device, settings.collect::<Result<_, Fault>>()?))
}

/// `LinearCmd`: index among the movers, position, duration in milliseconds. The list may be empty.
pub(super) fn movements(
    device: u32,
    moves: impl ExactSizeIterator<Item = (u32, f64, u32)>,
    devices: &DeviceList,
) -> Result<Command, Fault> {
    let device = DeviceIndex(device);
    let Some(view) = devices.get(&device) else { return Ok(for_an_absent(device)) };
    let entries = tables::movers(view);
    let settings = moves.map(|(index, position, duration_ms)| {
        let entry = entry(&entries, index, "LinearCmd")?;
        movement(entry, position, duration_ms)
    });
    Ok(set_outputs(device, settings.collect::<Result<_, Fault>>()?))
}

/// `FleshlightLaunchFW12Cmd`: every mover at once; position and speed of 0 to 99.
///
/// The message has a speed where movers want a time, and the way is not known here. The time is that of a full stroke at this
/// speed, so a shorter way is gone more slowly than asked for, never faster.
pub(super) fn launch(device: u32, position: u32, speed: u32, devices: &DeviceList) -> Result<Command, Fault> {
    let device = DeviceIndex(device);
    let Some(view) = devices.get(&device) else { return Ok(for_an_absent(device)) };
    let entries = tables::movers(view);
    if entries.is_empty() {
        return Err(none(device, "moves to a position in a given time"));
    }
    let position = hundredth(position, "Position")?;
    let duration_ms = full_stroke_ms(hundredth(speed, "Speed")?);
    let settings = entries.iter().map(|entry| movement(entry, position, duration_ms));
    Ok(set_outputs(device, settings.collect::<Result<_, Fault>>()?))
}

/// The entry at a client's index.
pub(super) fn entry<'e, 'v>(
    entries: &'e [OutputEntry<'v>],
    index: u32,
    command: &str,
) -> Result<&'e OutputEntry<'v>, Fault> {
    usize::try_from(index).ok().and_then(|index| entries.get(index)).ok_or_else(|| {
        let count = entries.len();
        let reason = if entries.is_empty() { Reason::OutputNotSupported } else { Reason::FeatureUnknown };
        Fault::new(
            reason,
            format!("the device has {count} features for {command}, so none with index {index}"),
        )
    })
}

/// A command for a device that the session's list does not have; the router answers it with the right reason.
pub(super) fn for_an_absent(device: DeviceIndex) -> Command {
    Command::Unlisted { device }
}

/// The command, with its settings in feature order. Of two for one output the later one stands.
pub(super) fn set_outputs(device: DeviceIndex, settings: Vec<Setting>) -> Command {
    let mut kept: Vec<Setting> = Vec::with_capacity(settings.len());
    for setting in settings {
        kept.retain(|earlier| (earlier.feature, earlier.kind) != (setting.feature, setting.kind));
        kept.push(setting);
    }
    kept.sort_by_key(|setting| setting.feature);
    Command::SetOutputs { device, settings: kept }
}

fn level(entry: &OutputEntry<'_>, value: i32) -> Setting {
    Setting { feature: entry.feature.index, kind: entry.output.kind, value, duration_ms: None }
}

/// Clients of these versions were never shown which times the output takes; they get the nearest.
fn movement(entry: &OutputEntry<'_>, position: f64, duration_ms: u32) -> Result<Setting, Fault> {
    let duration_ms = entry
        .output
        .duration_ms
        .map_or(duration_ms, |(shortest, longest)| duration_ms.clamp(shortest, longest));
    Ok(Setting {
        feature: entry.feature.index,
        kind: OutputKind::PositionWithDuration,
        value: scale::mover_position(position, entry.steps())?,
        duration_ms: Some(duration_ms),
    })
}

fn signed(value: i32, direction: Direction) -> i32 {
    match direction {
        Direction::Clockwise => value,
        Direction::CounterClockwise => -value,
    }
}

fn none(device: DeviceIndex, what: &str) -> Fault {
    Fault::new(Reason::OutputNotSupported, format!("device {device} has no feature that {what}"))
}

/// The speed of `VorzeA10CycloneCmd`, a number of 0 to 100, as a fraction.
pub(super) fn percent(speed: u32) -> Result<f64, Fault> {
    if speed > 100 {
        let text = format!("`Speed` is {speed}, but must be between 0 and 100");
        return Err(Fault::new(Reason::ValueOutOfRange, text));
    }
    Ok(f64::from(speed) / 100.0)
}

/// A number of 0 to 99 as a fraction.
fn hundredth(value: u32, member: &str) -> Result<f64, Fault> {
    if value > 99 {
        let text = format!("`{member}` is {value}, but must be between 0 and 99");
        return Err(Fault::new(Reason::ValueOutOfRange, text));
    }
    Ok(f64::from(value) / 99.0)
}

/// Time for the whole way of a Launch at a speed of 0 to 1, from the published measurement of that device
/// (`speed = 250 * (ms * 0.9) ^ -1.05`, turned round). The slowest useful speed takes about seven seconds.
fn full_stroke_ms(speed: f64) -> u32 {
    const SLOWEST_MS: f64 = 7000.0;
    let ms = (speed / 250.0).powf(-1.0 / 1.05) / 0.9;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "limited just before, and positive"
    )]
    let ms = ms.min(SLOWEST_MS) as u32;
    ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_at_full_speed_takes_the_published_time() {
        assert_eq!(full_stroke_ms(1.0), 213);
        assert_eq!(full_stroke_ms(0.0), 7000);
    }

    #[test]
    fn the_later_of_two_settings_of_one_output_stands() {
        let set = |feature, value| Setting {
            feature: crate::vocabulary::FeatureIndex(feature),
            kind: OutputKind::Vibrate,
            value,
            duration_ms: None,
        };
        let command = set_outputs(DeviceIndex(0), vec![set(1, 5), set(0, 3), set(1, 7)]);
        assert_eq!(
            command,
            Command::SetOutputs { device: DeviceIndex(0), settings: vec![set(0, 3), set(1, 7)] }
        );
    }
}
