//! One input of a device: reading it once, or as a stream of values. A subscription ends with its last stream.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream;
use ipc_schema::v4::{ClientMessage, Feature, InputCommand, InputProperties, InputType, ServerMessage};
use tokio::sync::broadcast::error::RecvError;

use crate::connection::Happening;
use crate::error::Error;
use crate::session::{InputKey, Session, Subscription, input_command};

/// The values of an input as they come. The stream ends when the device goes, or the session does.
pub type Readings = Pin<Box<dyn Stream<Item = i64> + Send>>;

/// An input of a device.
#[derive(Debug, Clone)]
pub struct Input {
    session: Arc<Session>,
    device: u32,
    feature: u32,
    description: String,
    kind: InputType,
    limits: InputProperties,
}

impl Input {
    pub(crate) fn new(
        session: Arc<Session>,
        device: u32,
        feature: &Feature,
        kind: InputType,
        limits: &InputProperties,
    ) -> Self {
        Self {
            session,
            device,
            feature: feature.feature_index,
            description: feature.feature_description.clone(),
            kind,
            limits: limits.clone(),
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

    /// What it measures.
    pub fn kind(&self) -> InputType {
        self.kind
    }

    /// Its limits, and what can be asked of it.
    pub fn limits(&self) -> &InputProperties {
        &self.limits
    }

    /// Reads it once.
    ///
    /// # Errors
    /// [`Error::Server`] when the device did not answer or cannot be read so; [`Error::Closed`], [`Error::TimedOut`].
    pub async fn read(&self) -> Result<i64, Error> {
        match self.session.request(|id| self.message(id, InputCommand::Read)).await? {
            ServerMessage::InputReading(reading) => Ok(reading.reading.value()),
            other => Err(Error::Unexpected(format!("{other:?} instead of InputReading"))),
        }
    }

    /// Its values from now on.
    ///
    /// # Errors
    /// [`Error::Server`] when the device cannot be subscribed to; [`Error::Closed`], [`Error::TimedOut`].
    pub async fn subscribe(&self) -> Result<Readings, Error> {
        let subscription = Subscription::of(&self.session, self.key());
        // Listen before asking, so that not even the first value is lost.
        let (device, feature, kind) = self.key();
        let keep: Arc<dyn Send + Sync> = subscription;
        let readings = picked(&self.session, keep, move |happening| match happening {
            Happening::Reading(reading)
                if (reading.device_index, reading.feature_index, reading.reading.input_type())
                    == (device, feature, kind) =>
            {
                Pick::This(reading.reading.value())
            }
            Happening::Removed(removed) if removed.device_index == device => Pick::End,
            _ => Pick::Not,
        });
        self.session.request_ok(|id| self.message(id, InputCommand::Subscribe)).await?;
        Ok(readings)
    }

    fn key(&self) -> InputKey {
        (self.device, self.feature, self.kind)
    }

    fn message(&self, id: u32, command: InputCommand) -> ClientMessage {
        input_command(id, self.key(), command)
    }
}

/// A stream of one kind of happening. It ends with the session, or when `pick` says so.
fn picked<T, F>(
    session: &Arc<Session>,
    keep: Arc<dyn Send + Sync>,
    pick: F,
) -> Pin<Box<dyn Stream<Item = T> + Send>>
where
    T: Send + 'static,
    F: Fn(Happening) -> Pick<T> + Send + 'static,
{
    let state = (session.line.happenings(), Arc::clone(session), keep, pick);
    Box::pin(stream::unfold(state, |mut state| async move {
        loop {
            match state.0.recv().await {
                Ok(Happening::Closed(_)) | Err(RecvError::Closed) => return None,
                Ok(happening) => match (state.3)(happening) {
                    Pick::This(item) => return Some((item, state)),
                    Pick::Not => {}
                    Pick::End => return None,
                },
                // What is lost was older than what is still to come.
                Err(RecvError::Lagged(_)) => {}
            }
        }
    }))
}

/// What a stream makes of a happening.
enum Pick<T> {
    This(T),
    Not,
    End,
}
