//! One input of a device: reading it once, or as a stream of values. A subscription ends with its last stream.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};

use futures_util::Stream;
use ipc_schema::v4::{
    ClientMessage, Feature, InputCmd, InputCommand, InputProperties, InputType, ServerMessage,
};

use crate::client::{Client, Session};
use crate::connection::Happening;
use crate::error::Error;
use crate::event::{Pick, picked};

/// The values of an input as they come. The stream ends when the device goes, or the session does.
pub type Readings = Pin<Box<dyn Stream<Item = i64> + Send>>;

/// An input of a device.
#[derive(Debug, Clone)]
pub struct Input {
    client: Client,
    device: u32,
    feature: u32,
    description: String,
    kind: InputType,
    limits: InputProperties,
}

impl Input {
    pub(crate) fn new(
        client: Client,
        device: u32,
        feature: &Feature,
        kind: InputType,
        limits: &InputProperties,
    ) -> Self {
        Self {
            client,
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
        match self.client.request(|id| self.message(id, InputCommand::Read)).await? {
            ServerMessage::InputReading(reading) => Ok(reading.reading.value()),
            other => Err(Error::Unexpected(format!("{other:?} instead of InputReading"))),
        }
    }

    /// Its values from now on.
    ///
    /// # Errors
    /// [`Error::Server`] when the device cannot be subscribed to; [`Error::Closed`], [`Error::TimedOut`].
    pub async fn subscribe(&self) -> Result<Readings, Error> {
        let subscription = Subscription::of(self);
        // Listen before asking, so that not even the first value is lost.
        let (device, feature, kind) = self.key();
        let keep: Arc<dyn Send + Sync> = subscription;
        let readings = picked(&self.client, keep, move |happening| match happening {
            Happening::Reading(reading)
                if (reading.device_index, reading.feature_index, reading.reading.input_type())
                    == (device, feature, kind) =>
            {
                Pick::This(reading.reading.value())
            }
            Happening::Removed(removed) if removed.device_index == device => Pick::End,
            _ => Pick::Not,
        });
        self.client.request_ok(|id| self.message(id, InputCommand::Subscribe)).await?;
        Ok(readings)
    }

    fn key(&self) -> (u32, u32, InputType) {
        (self.device, self.feature, self.kind)
    }

    fn message(&self, id: u32, command: InputCommand) -> ClientMessage {
        message(id, self.key(), command)
    }
}

fn message(id: u32, key: (u32, u32, InputType), command: InputCommand) -> ClientMessage {
    let (device_index, feature_index, input_type) = key;
    ClientMessage::InputCmd(InputCmd { id, device_index, feature_index, input_type, command })
}

/// Kept by all streams of one input. The last one to go unsubscribes.
#[derive(Debug)]
pub(crate) struct Subscription {
    session: Arc<Session>,
    key: (u32, u32, InputType),
}

impl Subscription {
    /// The one of this input, shared with the streams that there are.
    fn of(input: &Input) -> Arc<Self> {
        let session = &input.client.session;
        let key = input.key();
        let mut all = session.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.get(&key).and_then(std::sync::Weak::upgrade) {
            return shared;
        }
        let new = Arc::new(Self { session: Arc::clone(session), key });
        all.insert(key, Arc::downgrade(&new));
        new
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut all = self.session.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        // Another stream may have subscribed anew between the end of the last one and this line.
        if all.get(&self.key).is_some_and(|weak| weak.strong_count() > 0) {
            return;
        }
        all.remove(&self.key);
        drop(all);
        let id = self.session.next_id();
        self.session.tell(id, message(id, self.key, InputCommand::Unsubscribe));
    }
}
