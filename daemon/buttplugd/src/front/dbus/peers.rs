//! The sessions of the bus, one a unique name. What a caller asks is handed to its session in the order of the calls.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use engine::{
    command::Outcome,
    fault::{Fault, Reason},
    request::{Hello, Request, Welcome},
};
use tokio::sync::{mpsc, oneshot};
use zbus::{
    Connection,
    names::{OwnedUniqueName, UniqueName},
};

use super::{super::Shared, refusal::Refusal};

/// Calls of one peer that its session has not looked at. Above it the peer asks faster than it is served.
const CALLS_MAX: usize = 256;

/// Begins the session of a peer, which serves these calls and ends by [`Peers::end`].
pub(super) type Begin = fn(Arc<Peers>, Connection, OwnedUniqueName, mpsc::Receiver<Call>);

/// The sessions.
pub(super) struct Peers {
    pub(super) shared: Shared,
    begin: Begin,
    open: Mutex<HashMap<OwnedUniqueName, mpsc::Sender<Call>>>,
}

/// A request of a peer, and where its reply goes.
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Replied>,
}

/// What a request came to.
pub(super) enum Replied {
    /// The handshake is done.
    Welcome(Welcome),
    /// The one reply.
    Outcome(Outcome),
}

/// A reply that is to come.
pub(super) struct Waiting(oneshot::Receiver<Replied>);

impl Peers {
    pub(super) fn new(shared: Shared, begin: Begin) -> Arc<Self> {
        Arc::new(Self { shared, begin, open: Mutex::new(HashMap::new()) })
    }

    /// Hands a request to the session of the sender.
    ///
    /// Does not wait, so that the order of calls is kept.
    pub(super) fn ask(&self, sender: &UniqueName<'_>, request: Request) -> Result<Waiting, Refusal> {
        let open = self.lock();
        let Some(session) = open.get(sender.as_str()) else {
            return Err(Refusal::new(Reason::HandshakeExpected, "call RequestServerInfo first"));
        };
        hand_over(session, request)
    }

    /// Hands the handshake to the session of the sender, which begins now if there is none.
    pub(super) fn greet(
        self: &Arc<Self>,
        connection: &Connection,
        sender: &UniqueName<'_>,
        hello: Hello,
    ) -> Result<Waiting, Refusal> {
        let name = OwnedUniqueName::from(sender.to_owned());
        let mut open = self.lock();
        let session = match open.entry(name.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let (calls, asked) = mpsc::channel(CALLS_MAX);
                (self.begin)(Arc::clone(self), connection.clone(), name, asked);
                new.insert(calls)
            }
        };
        hand_over(session, Request::Hello(hello))
    }

    /// Takes a session that has ended off the list. The peer may then begin another.
    pub(super) fn end(&self, name: &OwnedUniqueName) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OwnedUniqueName, mpsc::Sender<Call>>> {
        // A panic while the lock was held cannot leave the map half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hand_over(calls: &mpsc::Sender<Call>, request: Request) -> Result<Waiting, Refusal> {
    let (reply, waiting) = oneshot::channel();
    match calls.try_send(Call { request, reply }) {
        Ok(()) => Ok(Waiting(waiting)),
        Err(mpsc::error::TrySendError::Full(_)) => {
            let text = format!("{CALLS_MAX} calls wait already");
            Err(Refusal::new(Reason::TooManyRequests, text))
        }
        Err(mpsc::error::TrySendError::Closed(_)) => Err(ended()),
    }
}

fn ended() -> Refusal {
    Refusal::new(Reason::SessionClosed, "the session has ended; call RequestServerInfo again")
}

impl Waiting {
    /// Waits for the reply to a command.
    pub(super) async fn outcome(self) -> Outcome {
        match self.0.await {
            Ok(Replied::Outcome(outcome)) => outcome,
            Ok(Replied::Welcome(_)) => {
                Err(Fault::new(Reason::Internal, "a command was answered like a handshake"))
            }
            Err(_) => Err(Fault::new(Reason::SessionClosed, "the session has ended")),
        }
    }

    /// Waits for the reply to a handshake.
    pub(super) async fn welcome(self) -> Result<Welcome, Refusal> {
        match self.0.await {
            Ok(Replied::Welcome(welcome)) => Ok(welcome),
            Ok(Replied::Outcome(Err(fault))) => Err(fault.into()),
            Ok(Replied::Outcome(Ok(_))) => {
                Err(Refusal::new(Reason::Internal, "a handshake was answered like a command"))
            }
            Err(_) => Err(ended()),
        }
    }
}
