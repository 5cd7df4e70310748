//! One conversation over a connection of bytes: what comes in goes to the session, what the session says is done.
//!
//! The same loop serves the socket and the WebSocket; how frames lie on the connection is the business of a [`Wire`]. The
//! loop decides nothing that the session can decide. D-Bus has frames of its own and a loop of its own (`front::dbus`).

use std::{
    future::{Future, poll_fn},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use engine::{
    client::{Front, Peer},
    fault::{Fault, Reason},
    session::{Effect, End, Form, Input, Session},
    view::DeviceList,
};
use ipc_schema::codec::Encoding;
use tokio::time::{Sleep, sleep_until};

use super::{Shared, half_open::Seat};
use crate::hub::{Hub, Link, ToSession};

/// Bytes that may wait for a client to read them before nothing more is done for it. What then piles up is bounded by the
/// queue of events; the hub closes the session when that is full.
const UNSENT_MAX: usize = 1024 * 1024;

/// A connection that carries frames.
pub(super) trait Wire: Send {
    /// How payloads are encoded.
    fn encoding(&self) -> Encoding;

    /// Sends what is queued, as far as the other side takes it, and takes in what came. Ready when there may be a frame, when
    /// a part of what is queued went out, or when nothing more can come.
    fn poll_turn(&mut self, cx: &mut Context<'_>, reading: Reading) -> Poll<Turn>;

    /// The next whole payload of those that came.
    ///
    /// # Errors
    /// When what came is no frame, or too large a one. The connection cannot be read any further.
    fn next_frame(&mut self) -> Result<Option<&[u8]>, Fault>;

    /// Puts the payload of a frame with those to be sent. They go out together at the next turn.
    fn queue(&mut self, payload: Vec<u8>);

    /// Bytes that wait to be sent.
    fn unsent(&self) -> usize;

    /// Bytes that the other side has taken since the connection began.
    fn sent(&self) -> u64;

    /// Sends what is queued, says goodbye and closes.
    fn finish(self, end: &End) -> impl Future<Output = ()> + Send;
}

/// Whether requests are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// They are.
    On,
    /// The client must first read what waits for it.
    Paused,
}

/// What a turn of a wire came to.
#[derive(Debug)]
pub(super) enum Turn {
    /// There may be frames.
    Arrived,
    /// The other side took a part of what is queued.
    Sent,
    /// The client is gone, or the connection failed.
    Gone,
    /// The client broke the rules of the wire.
    Broken(Fault),
}

/// Serves one connection until it ends.
pub(super) async fn serve<W: Wire>(wire: W, shared: &Shared, peer: Peer, seat: Seat) {
    let peer_front = peer.front;
    let settings = shared.session_settings(peer_front);
    let form = Form::Bytes(wire.encoding());
    let write_time = shared.config().limits.write_time();
    match shared.hub.open(peer).await {
        Ok(link) => {
            let session = Session::new(settings, form, link.devices.clone(), now());
            Conversation {
                wire,
                session,
                hub: shared.hub.clone(),
                link,
                seat: Some(seat),
                effects: Vec::new(),
                stuck: None,
                write_time,
            }
            .run()
            .await;
        }
        // Everything is being stopped already.
        Err(fault) if fault.reason == Reason::ShuttingDown => refuse(wire, shared, peer_front, fault).await,
        Err(fault) => {
            tracing::info!(reason = %fault.reason, "a connection gets no session");
            turn_away(wire, shared, peer_front, fault, seat).await;
        }
    }
}

/// Hears a client out that may not open a session. It may stop everything, as anyone may; its handshake is answered with the reason.
async fn turn_away<W: Wire>(mut wire: W, shared: &Shared, front: Front, fault: Fault, seat: Seat) {
    let form = Form::Bytes(wire.encoding());
    let session = Session::new(shared.session_settings(front), form, DeviceList::default(), now());
    let mut session = session.closed_to(fault);
    let mut effects = Vec::new();
    let end = loop {
        let mut end = None;
        for effect in std::mem::take(&mut effects) {
            match effect {
                Effect::Send(payload) => wire.queue(payload),
                Effect::StopEverything { id } => {
                    let outcome = shared.hub.stop_everything().await;
                    session.handle(now(), Input::Stopped { id, outcome }, &mut effects);
                }
                Effect::Closed(why) => end = Some(why),
                // For a session that there will not be.
                Effect::Opened(_) | Effect::Dispatch(_) | Effect::Tell(_) => {}
            }
        }
        if let Some(end) = end {
            break end;
        }
        if !effects.is_empty() {
            continue;
        }
        let due = session.deadline();
        // All arms are cancel-safe, as in a conversation.
        let input = tokio::select! {
            turn = poll_fn(|cx| wire.poll_turn(cx, Reading::On)) => match turn {
                Turn::Arrived => {
                    hear(&mut wire, &mut session, &mut effects);
                    continue;
                }
                Turn::Sent => continue,
                Turn::Gone => Input::Gone,
                Turn::Broken(fault) => Input::Closing(fault),
            },
            () = sleep_until(due.unwrap_or_else(now).into()), if due.is_some() => Input::Deadline,
            () = seat.lost() => {
                let text = "too many connections wait for their handshake, and this one waited longest";
                Input::Closing(Fault::new(Reason::HandshakeTimedOut, text))
            }
        };
        session.handle(now(), input, &mut effects);
    };
    match end {
        End::Gone => {}
        End::Disconnected | End::Fault(_) => finish(wire, &end, shared.config().limits.write_time()).await,
    }
}

/// Takes in the frames that have come.
fn hear<W: Wire>(wire: &mut W, session: &mut Session, effects: &mut Vec<Effect>) {
    loop {
        match wire.next_frame() {
            Ok(Some(payload)) => session.handle(now(), Input::Frame(payload), effects),
            Ok(None) => return,
            Err(fault) => return session.handle(now(), Input::Closing(fault), effects),
        }
    }
}

/// Tells a client why it is not served, and closes.
pub(super) async fn refuse<W: Wire>(mut wire: W, shared: &Shared, front: Front, fault: Fault) {
    let form = Form::Bytes(wire.encoding());
    let mut session = Session::new(shared.session_settings(front), form, DeviceList::default(), now());
    let mut effects = Vec::new();
    session.handle(now(), Input::Closing(fault.clone()), &mut effects);
    for effect in effects {
        if let Effect::Send(payload) = effect {
            wire.queue(payload);
        }
    }
    finish(wire, &End::Fault(fault), shared.config().limits.write_time()).await;
}

async fn finish<W: Wire>(wire: W, end: &End, write_time: Duration) {
    if tokio::time::timeout(write_time, wire.finish(end)).await.is_err() {
        tracing::debug!("a client did not read the end of its session");
    }
}

/// The engine's idea of now. Follows the virtual time of tests.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

struct Conversation<W> {
    wire: W,
    session: Session,
    hub: Hub,
    link: Link,
    /// The place among the unfinished handshakes, until the handshake is done.
    seat: Option<Seat>,
    effects: Vec<Effect>,
    /// While something waits to be sent: by when the client must have taken more of it than this.
    stuck: Option<(Instant, u64)>,
    write_time: Duration,
}

impl<W: Wire> Conversation<W> {
    async fn run(mut self) {
        let span = tracing::debug_span!("session", id = %self.link.id);
        let end = self.until_end().await;
        span.in_scope(|| tracing::debug!(?end, "session ended"));
        // First of all: dropping the link is what stops the outputs of this session.
        drop(self.link);
        match &end {
            End::Gone => {}
            End::Disconnected => finish(self.wire, &end, self.write_time).await,
            End::Fault(fault) if fault.reason == Reason::SlowReader => {
                tracing::warn!(%fault, "a client that does not read was closed");
            }
            End::Fault(_) => finish(self.wire, &end, self.write_time).await,
        }
    }

    async fn until_end(&mut self) -> End {
        let parked = tokio::time::Instant::now();
        let mut timer = Box::pin(sleep_until(parked));
        loop {
            // An effect may lead to others.
            while !self.effects.is_empty() {
                if let Some(end) = self.do_effects().await {
                    return end;
                }
            }
            // A client that does not read gets nothing more done, and its answers stay with the hub.
            let reading = if self.wire.unsent() < UNSENT_MAX { Reading::On } else { Reading::Paused };
            if self.wire.unsent() > 0
                && let Poll::Ready(turn) = poll_fn(|cx| Poll::Ready(self.wire.poll_turn(cx, reading))).await
            {
                self.turned(turn).await;
                continue;
            }
            // What is left now waits for the client: mostly nothing, so that no timer wakes an idle session.
            self.watch_reader();
            let due = self.next_due();
            set(&mut timer, due, parked);
            // All arms are cancel-safe: a turn keeps what it took in the wire, the others take nothing until they are ready.
            tokio::select! {
                turn = poll_fn(|cx| self.wire.poll_turn(cx, reading)) => self.turned(turn).await,
                told = self.link.inbox.recv(), if reading == Reading::On => self.told(told),
                () = &mut timer, if due.is_some() => self.time_passed(),
                () = seat_lost(self.seat.as_ref()), if self.seat.is_some() => {
                    let text = "too many connections wait for their handshake, and this one waited longest";
                    self.handle(Input::Closing(Fault::new(Reason::HandshakeTimedOut, text)));
                }
            }
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.session.handle(now(), input, &mut self.effects);
    }

    /// Takes in all frames that have come, so that their answers can go out together.
    async fn turned(&mut self, turn: Turn) {
        match turn {
            Turn::Arrived => {}
            // The time of the reader begins anew, which the loop sees to.
            Turn::Sent => return,
            Turn::Gone => return self.handle(Input::Gone),
            Turn::Broken(fault) => return self.handle(Input::Closing(fault)),
        }
        loop {
            match self.wire.next_frame() {
                Ok(Some(payload)) => self.session.handle(now(), Input::Frame(payload), &mut self.effects),
                Ok(None) => return,
                Err(fault) => return self.handle(Input::Closing(fault)),
            }
            // Between frames, so that a long run of them neither grows the list of effects nor overtakes the hub.
            if self.effects.iter().any(|effect| matches!(effect, Effect::Closed(_))) {
                return;
            }
            self.do_open_effects().await;
        }
    }

    /// Takes in all that the hub has said, for the same reason.
    fn told(&mut self, first: Option<ToSession>) {
        let Some(first) = first else {
            return self.handle(Input::Closing(Fault::new(Reason::ShuttingDown, "the service is ending")));
        };
        self.take(first);
        while let Ok(more) = self.link.inbox.try_recv() {
            self.take(more);
        }
    }

    fn take(&mut self, told: ToSession) {
        match told {
            ToSession::Answer { ticket, outcome } => self.handle(Input::Answer { ticket, outcome }),
            ToSession::Event(event) => self.handle(Input::Event(event)),
            ToSession::Close(fault) => self.handle(Input::Closing(fault)),
        }
    }

    fn time_passed(&mut self) {
        if self.session.deadline().is_some_and(|due| due <= now()) {
            self.handle(Input::Deadline);
        }
        match self.stuck {
            Some((due, _)) if due <= now() && self.wire.unsent() > 0 => {
                let text = format!("nothing was read for {} ms", self.write_time.as_millis());
                self.handle(Input::Closing(Fault::new(Reason::SlowReader, text)));
            }
            Some(_) | None => {}
        }
    }

    /// Keeps the time by which the client must have read something.
    fn watch_reader(&mut self) {
        let sent = self.wire.sent();
        if self.wire.unsent() == 0 {
            self.stuck = None;
        } else if self.stuck.is_none_or(|(_, before)| before != sent) {
            self.stuck = Some((now() + self.write_time, sent));
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let stuck = self.stuck.map(|(due, _)| due);
        [self.session.deadline(), stuck].into_iter().flatten().min()
    }

    /// Does what the session asked for. Gives the end, if that was among it.
    async fn do_effects(&mut self) -> Option<End> {
        let end = self.effects.iter().position(|effect| matches!(effect, Effect::Closed(_)));
        let end = end.map(|end| self.effects.split_off(end));
        self.do_open_effects().await;
        match end?.into_iter().next() {
            Some(Effect::Closed(end)) => Some(end),
            _ => None,
        }
    }

    async fn do_open_effects(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(payload) => self.wire.queue(payload),
                Effect::Opened(introduction) => {
                    self.seat = None;
                    self.link.opened(introduction).await;
                }
                Effect::Dispatch(commands) => self.link.dispatch(commands).await,
                Effect::StopEverything { id } => {
                    // Waits for the writes, which have a limit. Only this connection waits.
                    let outcome = self.hub.stop_everything().await;
                    self.session.handle(now(), Input::Stopped { id, outcome }, &mut self.effects);
                }
                Effect::Tell(told) => tracing::error!(?told, "a session of bytes spoke in words"),
                // Cut off by the callers, since nothing may follow it.
                Effect::Closed(_) => {}
            }
        }
        // Keeps the room that it has, and what the effects led to.
        effects.append(&mut self.effects);
        self.effects = effects;
    }
}

async fn seat_lost(seat: Option<&Seat>) {
    match seat {
        Some(seat) => seat.lost().await,
        None => std::future::pending().await,
    }
}

/// Moves the timer only when it must: the deadline of most turns is that of the turn before. One that is not needed any more, such
/// as that of the handshake, is taken out of the runtime, which it would wake for nothing. `parked` is where it was at first.
fn set(timer: &mut std::pin::Pin<Box<Sleep>>, due: Option<Instant>, parked: tokio::time::Instant) {
    match due.map(tokio::time::Instant::from_std) {
        Some(due) if due != timer.deadline() => timer.as_mut().reset(due),
        // A new one is not known to the runtime until it is first waited for.
        None if timer.deadline() != parked => timer.as_mut().set(sleep_until(parked)),
        Some(_) | None => {}
    }
}
