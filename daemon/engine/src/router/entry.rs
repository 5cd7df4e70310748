//! A device as it is handed to the router when its bring-up is done: what clients are shown, and what their values mean.

use std::sync::Arc;

use crate::{
    view::DeviceView,
    vocabulary::{FeatureIndex, OutputKind},
};

/// A device that is ready to be driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    /// What clients are shown.
    pub view: Arc<DeviceView>,
    /// The bus that it is on.
    pub transport: &'static str,
    /// The protocol that it speaks.
    pub protocol: Arc<str>,
    /// All its outputs, also those that clients are not shown.
    pub outputs: Vec<OutputEntry>,
}

/// One output of a device, as the definitions and the user have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputEntry {
    /// Which feature.
    pub feature: FeatureIndex,
    /// Which output of it.
    pub kind: OutputKind,
    /// Whether clients may set it.
    pub access: OutputAccess,
    /// From the range that clients are shown to the device's own.
    pub scale: Scale,
}

/// Whether clients may set an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputAccess {
    /// They may.
    Enabled,
    /// The user has switched it off. It is not in the view, but a client that knew of it is told so.
    Disabled,
}

/// From the values that clients are shown to those of the device, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Where the shown 0 of a position lies, and what a level that is not at rest starts above.
    pub low: i32,
    /// The highest value of the device that the user allows.
    pub high: i32,
    /// Which way it goes.
    pub direction: Direction,
}

/// Which way an output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// As the device counts.
    Straight,
    /// The other way round: positions count from the high end, rotations turn the other way.
    Inverted,
}

impl Scale {
    /// The value of the device for a value that a client was allowed to ask for.
    #[must_use]
    pub const fn to_device(self, kind: OutputKind, value: i32) -> i32 {
        if kind.is_position() {
            return match self.direction {
                Direction::Straight => self.low.saturating_add(value),
                Direction::Inverted => self.high.saturating_sub(value),
            };
        }
        let level = match value.signum() {
            0 => 0,
            1 => self.low.saturating_add(value),
            _ => value.saturating_sub(self.low),
        };
        match (self.direction, kind) {
            (Direction::Inverted, OutputKind::Rotate) => level.saturating_neg(),
            (Direction::Straight | Direction::Inverted, _) => level,
        }
    }

    /// The value that clients are shown for a value of the device.
    #[must_use]
    pub const fn to_client(self, kind: OutputKind, value: i32) -> i32 {
        if kind.is_position() {
            return match self.direction {
                Direction::Straight => value.saturating_sub(self.low),
                Direction::Inverted => self.high.saturating_sub(value),
            };
        }
        let level = match (self.direction, kind) {
            (Direction::Inverted, OutputKind::Rotate) => value.saturating_neg(),
            (Direction::Straight | Direction::Inverted, _) => value,
        };
        match level.signum() {
            0 => 0,
            1 => level.saturating_sub(self.low),
            _ => level.saturating_add(self.low),
        }
    }
}
