//! One output of a device: its range, and setting it by value or by fraction; and batches of several. Nothing is ever clamped.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ipc_schema::v4::{
    ClientMessage, Feature, OutputCmd, OutputCommand, OutputProperties, OutputType, OutputValue,
    ServerMessage, TimedValue,
};

use crate::error::Error;
use crate::session::Session;

/// Fractions are taken as exact up to this, so that 0.07 of 100 steps is 7 and not 8.
const TOLERANCE: f64 = 1e-9;

/// An output of a device.
#[derive(Debug, Clone)]
pub struct Output {
    session: Arc<Session>,
    device: u32,
    feature: u32,
    description: String,
    kind: OutputType,
    range: RangeInclusive<i32>,
    durations: Option<RangeInclusive<u32>>,
}

impl Output {
    pub(crate) fn new(
        session: Arc<Session>,
        device: u32,
        feature: &Feature,
        kind: OutputType,
        limits: &OutputProperties,
    ) -> Self {
        let [least, greatest] = limits.value;
        Self {
            session,
            device,
            feature: feature.feature_index,
            description: feature.feature_description.clone(),
            kind,
            range: least..=greatest,
            durations: limits.duration.map(|[shortest, longest]| shortest..=longest),
        }
    }

    /// Number of the feature that it belongs to.
    pub fn feature(&self) -> u32 {
        self.feature
    }

    /// What the service says about the feature; may be empty.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What it does.
    pub fn kind(&self) -> OutputType {
        self.kind
    }

    /// The values that it takes, in its own steps.
    pub fn range(&self) -> RangeInclusive<i32> {
        self.range.clone()
    }

    /// The durations that it takes, in milliseconds, if it takes any.
    pub fn durations(&self) -> Option<RangeInclusive<u32>> {
        self.durations.clone()
    }

    /// The value at a fraction of the range.
    ///
    /// For levels 0 is rest and anything above it at least one step; where the range goes below 0, so may the fraction, for the
    /// other direction. For positions 0 is the one end and 1 the other, and the nearest step is taken.
    ///
    /// # Errors
    /// [`Error::FractionOutOfRange`].
    pub fn value_at(&self, fraction: f64) -> Result<i32, Error> {
        let (least, greatest) = (f64::from(*self.range.start()), f64::from(*self.range.end()));
        let is_position = match self.kind {
            OutputType::Position | OutputType::HwPositionWithDuration => true,
            OutputType::Vibrate
            | OutputType::Rotate
            | OutputType::Oscillate
            | OutputType::Constrict
            | OutputType::Temperature
            | OutputType::Led
            | OutputType::Spray => false,
        };
        let has_direction = least < 0.0 && !is_position;
        let lowest: i8 = if has_direction { -1 } else { 0 };
        if !(f64::from(lowest)..=1.0).contains(&fraction) {
            return Err(Error::FractionOutOfRange { value: fraction, least: lowest });
        }
        let value = if is_position {
            (least + fraction * (greatest - least)).round()
        } else if fraction < 0.0 {
            (fraction * -least + TOLERANCE).floor()
        } else {
            (fraction * greatest - TOLERANCE).ceil().max(least)
        };
        #[expect(clippy::cast_possible_truncation, reason = "whole, and between two i32")]
        Ok(value as i32)
    }

    /// Sets a value in the output's own steps.
    ///
    /// # Errors
    /// [`Error::ValueOutOfRange`] and [`Error::WrongCommand`] before anything is sent; [`Error::Server`] when the device did not
    /// take it; [`Error::Closed`], [`Error::TimedOut`].
    pub async fn set(&self, value: i32) -> Result<(), Error> {
        self.send(self.command(value)?).await
    }

    /// Sets a fraction of the range, see [`Output::value_at`].
    ///
    /// # Errors
    /// Those of [`Output::value_at`] and [`Output::set`].
    pub async fn set_fraction(&self, fraction: f64) -> Result<(), Error> {
        self.set(self.value_at(fraction)?).await
    }

    /// Moves to a position within a time; for outputs of kind `HwPositionWithDuration`.
    ///
    /// # Errors
    /// As [`Output::set`].
    pub async fn move_to(&self, value: i32, within: Duration) -> Result<(), Error> {
        self.send(self.timed_command(value, within)?).await
    }

    /// Moves to a fraction of the way within a time, see [`Output::value_at`].
    ///
    /// # Errors
    /// Those of [`Output::value_at`] and [`Output::move_to`].
    pub async fn move_to_fraction(&self, fraction: f64, within: Duration) -> Result<(), Error> {
        self.move_to(self.value_at(fraction)?, within).await
    }

    /// Stops the feature, whoever set it. It overtakes all requests that wait.
    ///
    /// # Errors
    /// [`Error::Server`] when it could not be stopped; the service goes on trying.
    pub async fn stop(&self) -> Result<(), Error> {
        self.session.stop(Some(self.device), Some(self.feature)).await
    }

    async fn send(&self, command: OutputCommand) -> Result<(), Error> {
        self.session.request_ok(|id| self.message(id, command)).await
    }

    fn message(&self, id: u32, command: OutputCommand) -> ClientMessage {
        ClientMessage::OutputCmd(OutputCmd {
            id,
            device_index: self.device,
            feature_index: self.feature,
            command,
        })
    }

    fn check(&self, value: i32) -> Result<i32, Error> {
        if self.range.contains(&value) {
            return Ok(value);
        }
        let (least, greatest) = (i64::from(*self.range.start()), i64::from(*self.range.end()));
        Err(Error::ValueOutOfRange { value: i64::from(value), least, greatest })
    }

    fn command(&self, value: i32) -> Result<OutputCommand, Error> {
        let value = OutputValue { value: self.check(value)? };
        Ok(match self.kind {
            OutputType::Vibrate => OutputCommand::Vibrate(value),
            OutputType::Rotate => OutputCommand::Rotate(value),
            OutputType::Oscillate => OutputCommand::Oscillate(value),
            OutputType::Constrict => OutputCommand::Constrict(value),
            OutputType::Temperature => OutputCommand::Temperature(value),
            OutputType::Led => OutputCommand::Led(value),
            OutputType::Spray => OutputCommand::Spray(value),
            OutputType::Position => OutputCommand::Position(value),
            OutputType::HwPositionWithDuration => {
                return Err(Error::WrongCommand {
                    kind: self.kind,
                    needs: "needs a duration: use `move_to`",
                });
            }
        })
    }

    fn timed_command(&self, value: i32, within: Duration) -> Result<OutputCommand, Error> {
        let value = self.check(value)?;
        if self.kind != OutputType::HwPositionWithDuration {
            return Err(Error::WrongCommand { kind: self.kind, needs: "takes no duration: use `set`" });
        }
        let millis = within.as_millis();
        let durations = self.durations.clone().unwrap_or(0..=u32::MAX);
        match u32::try_from(millis) {
            Ok(duration) if durations.contains(&duration) => {
                Ok(OutputCommand::HwPositionWithDuration(TimedValue { value, duration }))
            }
            _ => Err(Error::ValueOutOfRange {
                value: i64::try_from(millis).unwrap_or(i64::MAX),
                least: i64::from(*durations.start()),
                greatest: i64::from(*durations.end()),
            }),
        }
    }
}

/// Several outputs to be set at once, from [`Client::batch`](crate::Client::batch): what belongs to one device reaches it as one change.
#[derive(Debug)]
#[must_use = "a batch does nothing until it is sent"]
pub struct Batch {
    session: Arc<Session>,
    messages: Vec<(u32, ClientMessage)>,
}

impl Batch {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, messages: Vec::new() }
    }

    /// Adds a value for an output.
    ///
    /// # Errors
    /// [`Error::ValueOutOfRange`], [`Error::WrongCommand`]; nothing of the batch is sent then.
    pub fn set(mut self, output: &Output, value: i32) -> Result<Self, Error> {
        let id = self.session.next_id();
        self.messages.push((id, output.message(id, output.command(value)?)));
        Ok(self)
    }

    /// Adds a movement of an output.
    ///
    /// # Errors
    /// As [`Batch::set`].
    pub fn move_to(mut self, output: &Output, value: i32, within: Duration) -> Result<Self, Error> {
        let id = self.session.next_id();
        self.messages.push((id, output.message(id, output.timed_command(value, within)?)));
        Ok(self)
    }

    /// Sends all in one frame.
    ///
    /// # Errors
    /// The first error among the answers; the other outputs are set all the same.
    pub async fn send(self) -> Result<(), Error> {
        if self.messages.is_empty() {
            return Ok(());
        }
        for answer in self.session.ask_batch(self.messages).await? {
            match answer? {
                ServerMessage::Ok(_) => {}
                other => return Err(Error::Unexpected(format!("{other:?} instead of Ok"))),
            }
        }
        Ok(())
    }
}
