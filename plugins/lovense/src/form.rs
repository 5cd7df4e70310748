//! The six forms of commands, which one a model gets, and how values are written in it.

use plugin_sdk::{Endpoint, Failure, Feature, Model, Ops, Output, OutputKind, Values};

/// How a model wants its outputs said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One motor.
    Single,
    /// Several motors, each by its number.
    Indexed,
    /// A motor and an air pump.
    Max,
    /// A motor and a rotation that can only be turned round, not set to a direction.
    Rotator {
        /// The direction that the device has now. It cannot be asked for; at power-on it is clockwise.
        direction: Direction,
    },
    /// All values in one command.
    Mply,
    /// A stroke of a speed, and on some models a place to go to.
    Stroker {
        /// What follows the speed 0. One hardware needs the range 0 there, the other shudders at it.
        range_at_rest: u8,
    },
}

/// Which way a rotation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Positive values.
    Clockwise,
    /// Negative values.
    CounterClockwise,
}

/// The full range of a stroke, in the same unit as the speed.
const FULL_RANGE: u8 = 20;

impl Form {
    /// The form of a model: by its identifier where the hardware differs from what its outputs say, else by the outputs.
    pub(crate) fn of(model: &Model) -> Self {
        match model.identifier.as_str() {
            "H" => return Self::Stroker { range_at_rest: 0 },
            "BA" => return Self::Stroker { range_at_rest: FULL_RANGE },
            _ => {}
        }
        let outputs = model.actuators().count();
        let with = |kind| model.actuators().filter(|one| one.has_output(kind)).count();
        let driven =
            |one: &&Feature| one.has_output(OutputKind::Vibrate) || one.has_output(OutputKind::Oscillate);
        let motors = model.actuators().filter(driven).count();
        match (outputs, with(OutputKind::Vibrate), with(OutputKind::Constrict), with(OutputKind::Rotate)) {
            (1, _, _, _) => Self::Single,
            (2, 1, 1, _) => Self::Max,
            (2, 1, _, 1) => Self::Rotator { direction: Direction::Clockwise },
            _ if motors > 2 || (motors == 2 && outputs > 2) => Self::Mply,
            _ => Self::Indexed,
        }
    }

    /// Whether the model can be sent to a place.
    pub(crate) fn has_movement(self) -> bool {
        match self {
            Self::Stroker { .. } => true,
            Self::Single | Self::Indexed | Self::Max | Self::Rotator { .. } | Self::Mply => false,
        }
    }

    /// Writes the set, of which `values` already knows. Places to go to are not written here.
    pub(crate) fn write(
        &mut self,
        tx: Endpoint,
        set: &[Output],
        values: &Values,
        ops: &mut Ops<'_>,
    ) -> Result<(), Failure> {
        if *self == Self::Mply {
            let all: Vec<String> = values.iter().map(|one| one.value.unsigned_abs().to_string()).collect();
            ops.write_text(tx, format_args!("Mply:{};", all.join(":")));
            return Ok(());
        }
        for output in set {
            let value = output.value;
            match (&mut *self, output.kind) {
                (Self::Stroker { range_at_rest }, OutputKind::Oscillate) => {
                    let range = if value == 0 { *range_at_rest } else { FULL_RANGE };
                    ops.write_text(tx, format_args!("Mply:{value}:{range};"));
                }
                (Self::Stroker { .. }, OutputKind::PositionWithDuration) => {}
                (Self::Rotator { direction }, OutputKind::Rotate) => {
                    let wanted = match value {
                        0 => *direction,
                        1.. => Direction::Clockwise,
                        _ => Direction::CounterClockwise,
                    };
                    if wanted != *direction {
                        *direction = wanted;
                        ops.write(tx, b"RotateChange;");
                    }
                    ops.write_text(tx, format_args!("Rotate:{};", value.unsigned_abs()));
                }
                (Self::Max, OutputKind::Constrict) => ops.write_text(tx, format_args!("Air:Level:{value};")),
                (Self::Single, OutputKind::Vibrate | OutputKind::Oscillate)
                | (Self::Max | Self::Rotator { .. }, OutputKind::Vibrate) => {
                    ops.write_text(tx, format_args!("Vibrate:{value};"));
                }
                (Self::Indexed, OutputKind::Vibrate | OutputKind::Oscillate) => {
                    let place = values.place(output.feature, output.kind).ok_or(Failure::Unsupported)?;
                    ops.write_text(tx, format_args!("Vibrate{}:{value};", place + 1));
                }
                _ => return Err(Failure::Unsupported),
            }
        }
        Ok(())
    }
}
