//! The strength of the signal of a device that is reached by radio: an input that the path tells of, not the device.
//!
//! A radio hears it when the device advertises. Many devices are silent while they are connected, so the value can be old: what
//! is read is the last that was heard, and a device that was never heard has none.

use super::{command::DeviceReport, inputs::InputName};
use crate::{
    fault::{Fault, Reason},
    protocol::InputWish,
    vocabulary::{FeatureIndex, InputKind, Range},
};

/// The strengths that a radio tells, in dBm.
pub const SIGNAL_RANGE: Range = Range::new(-128, 0);

/// What is known of the signal.
#[derive(Debug, Default)]
pub(super) struct Signal {
    /// The feature that shows it, if one does.
    feature: Option<FeatureIndex>,
    /// In dBm, within [`SIGNAL_RANGE`].
    last: Option<i32>,
    telling: Telling,
}

/// Whether changes are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Telling {
    Changes,
    #[default]
    Nothing,
}

impl Signal {
    /// The feature that shows it is known now. What was heard before stays.
    pub(super) fn set_up(&mut self, feature: Option<FeatureIndex>) {
        self.feature = feature;
    }

    /// Whether an input is this one.
    pub(super) fn is(&self, input: InputName) -> bool {
        input.1 == InputKind::Rssi && self.feature == Some(input.0)
    }

    /// The radio heard the device. Gives what is to be told.
    pub(super) fn heard(&mut self, dbm: i32) -> Option<DeviceReport> {
        let value = dbm.clamp(SIGNAL_RANGE.min, SIGNAL_RANGE.max);
        if self.last.replace(value) == Some(value) {
            return None;
        }
        match self.telling {
            Telling::Changes => {
                let kind = InputKind::Rssi;
                self.feature.map(|feature| DeviceReport::Reading { feature, kind, value })
            }
            Telling::Nothing => None,
        }
    }

    /// Answers a wish.
    pub(super) fn ask(&mut self, wish: InputWish) -> Result<Option<i32>, Fault> {
        self.telling = match wish {
            InputWish::Read => return self.last.map(Some).ok_or_else(unheard),
            InputWish::Subscribe => Telling::Changes,
            InputWish::Unsubscribe => Telling::Nothing,
        };
        Ok(None)
    }
}

fn unheard() -> Fault {
    Fault::new(
        Reason::ReadFailed,
        "the strength of the signal is not known: the radio has not heard the device advertise",
    )
}
