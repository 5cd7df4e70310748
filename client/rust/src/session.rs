//! Requests and their answers: what a client, its devices, outputs, inputs and streams ask through. What goes over the wire is in
//! `connection.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ipc_schema::v4::{ClientMessage, InputCmd, InputCommand, InputType, ServerMessage, StopCmd};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use crate::connection::{Answer, Line, PING_ID, Request};
use crate::error::Error;

/// An input: device, feature, and what it measures.
pub(crate) type InputKey = (u32, u32, InputType);

/// What the client, its devices and its streams share.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) line: Line,
    answer_within: Duration,
    next_id: AtomicU32,
    /// The inputs that are subscribed to.
    subscribed: Mutex<HashMap<InputKey, Weak<Subscription>>>,
}

impl Session {
    pub(crate) fn new(line: Line, answer_within: Duration) -> Self {
        Self { line, answer_within, next_id: AtomicU32::new(1), subscribed: Mutex::default() }
    }

    /// An Id that no request in flight has: neither 0 nor that of pings.
    pub(crate) fn next_id(&self) -> u32 {
        loop {
            let id = self.next_id.fetch_add(1, Ordering::Relaxed);
            if id != 0 && id != PING_ID {
                return id;
            }
        }
    }

    pub(crate) async fn request(&self, message: impl FnOnce(u32) -> ClientMessage) -> Answer {
        let id = self.next_id();
        self.ask(id, message(id)).await
    }

    pub(crate) async fn request_ok(&self, message: impl FnOnce(u32) -> ClientMessage) -> Result<(), Error> {
        expect_ok(self.request(message).await?)
    }

    /// Stops outputs: all, those of a device, those of a feature. It overtakes all requests that wait.
    pub(crate) async fn stop(&self, device: Option<u32>, feature: Option<u32>) -> Result<(), Error> {
        let id = self.next_id();
        let stop = ClientMessage::StopCmd(StopCmd {
            id,
            device_index: device,
            feature_index: feature,
            inputs: false,
            outputs: true,
        });
        expect_ok(self.ask_through(&self.line.stops, id, stop).await?)
    }

    /// Sends a request and waits for its answer; an `Error` message becomes an error.
    pub(crate) async fn ask(&self, id: u32, message: ClientMessage) -> Answer {
        self.ask_through(&self.line.requests, id, message).await
    }

    async fn ask_through(
        &self,
        queue: &mpsc::Sender<Vec<Request>>,
        id: u32,
        message: ClientMessage,
    ) -> Answer {
        let mut answers = self.ask_all(queue, vec![(id, message)]).await?;
        answers.pop().unwrap_or_else(|| Err(self.line.close_reason().into()))
    }

    /// Sends several requests in one frame and waits for all answers, which come in the order of the requests.
    pub(crate) async fn ask_batch(&self, messages: Vec<(u32, ClientMessage)>) -> Result<Vec<Answer>, Error> {
        self.ask_all(&self.line.requests, messages).await
    }

    async fn ask_all(
        &self,
        queue: &mpsc::Sender<Vec<Request>>,
        messages: Vec<(u32, ClientMessage)>,
    ) -> Result<Vec<Answer>, Error> {
        // Declared first, so that it speaks when all receivers below are gone.
        let _given_up = OnDrop(&self.line.given_up);
        let mut waiting = Vec::with_capacity(messages.len());
        let mut frame = Vec::with_capacity(messages.len());
        for (id, message) in messages {
            let (answer, comes) = oneshot::channel();
            frame.push(Request { id, message, answer });
            waiting.push(comes);
        }
        let whole = async {
            queue.send(frame).await.map_err(|_| self.line.close_reason())?;
            let mut answers = Vec::with_capacity(waiting.len());
            for answer in waiting {
                answers.push(match answer.await {
                    Ok(Ok(ServerMessage::Error(error))) => Err(Error::Server(error.into())),
                    Ok(answer) => answer,
                    Err(_) => Err(self.line.close_reason().into()),
                });
            }
            Ok(answers)
        };
        match timeout(self.answer_within, whole).await {
            Ok(answers) => answers,
            Err(_) => Err(Error::TimedOut { after: self.answer_within }),
        }
    }

    /// Sends a request whose answer nobody waits for, if there is room for it.
    pub(crate) fn tell(&self, id: u32, message: ClientMessage) {
        let (answer, _) = oneshot::channel();
        if let Err(error) = self.line.requests.try_send(vec![Request { id, message, answer }]) {
            tracing::debug!(%error, "could not send a request on the way out");
        }
    }
}

/// Tells the connection that a call is over, answered or not: there may be room for others.
struct OnDrop<'a>(&'a Notify);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn expect_ok(answer: ServerMessage) -> Result<(), Error> {
    match answer {
        ServerMessage::Ok(_) => Ok(()),
        other => Err(Error::Unexpected(format!("{other:?} instead of Ok"))),
    }
}

/// Kept by all streams of one input. The last one to go unsubscribes.
#[derive(Debug)]
pub(crate) struct Subscription {
    session: Arc<Session>,
    key: InputKey,
}

impl Subscription {
    /// The one of this input, shared with the streams that there are.
    pub(crate) fn of(session: &Arc<Session>, key: InputKey) -> Arc<Self> {
        let mut all = session.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.get(&key).and_then(Weak::upgrade) {
            return shared;
        }
        let new = Arc::new(Self { session: Arc::clone(session), key });
        all.insert(key, Arc::downgrade(&new));
        new
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut all = self.session.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        // Another stream may have subscribed anew between the end of the last one and this line.
        if all.get(&self.key).is_some_and(|weak| weak.strong_count() > 0) {
            return;
        }
        all.remove(&self.key);
        let id = self.session.next_id();
        self.session.tell(id, input_command(id, self.key, InputCommand::Unsubscribe));
        // Until here nobody can subscribe anew, so that this does not end what begins after it.
        drop(all);
    }
}

pub(crate) fn input_command(id: u32, key: InputKey, command: InputCommand) -> ClientMessage {
    let (device_index, feature_index, input_type) = key;
    ClientMessage::InputCmd(InputCmd { id, device_index, feature_index, input_type, command })
}
