//! One client's conversation: handshake, versions, ping deadline, limits, and an answer for everything that comes in.
//!
//! A [`Session`] is a value. The loop around it does the I/O: it hands in what came ([`Input`]) with the time, does what the
//! [`Effect`]s say in their order, and calls again at [`Session::deadline`]. The same type serves every front. What a session
//! may drive is not decided here but by the [`router`](crate::router).

mod hello;
mod log;
mod open;
mod pending;
mod settings;
mod voice;

#[cfg(test)]
mod tests;

use std::time::Instant;

use ipc_schema::{codec, error::Reason, extension::Extension};

pub use self::settings::{Form, Limits, Settings};
use self::{
    hello::Awaiting,
    open::{Next, Open},
    voice::Voice,
};
use crate::{
    client::Introduction,
    command::{Dispatch, Event, Outcome},
    fault::Fault,
    request::{Hello, Request, Welcome},
    view::DeviceList,
    vocabulary::{RequestId, Ticket},
};

/// What a session is told by the loop around it.
#[derive(Debug)]
pub enum Input<'a> {
    /// The payload of a frame.
    Frame(&'a [u8]),
    /// A request of a typed front. Its reply comes as [`Told::Reply`] or [`Told::Welcome`] with the same Id.
    Ask {
        /// The front's own number for it.
        id: RequestId,
        /// The request.
        request: Request,
    },
    /// What a dispatched command came to.
    Answer {
        /// The number it was dispatched with.
        ticket: Ticket,
        /// What it came to.
        outcome: Outcome,
    },
    /// What [`Effect::StopEverything`] came to.
    Stopped {
        /// Of the request.
        id: RequestId,
        /// `Ok` when everything is at rest.
        outcome: Result<(), Fault>,
    },
    /// Something happened that clients are told unasked. To be handed in from the start on, in order, even before the
    /// handshake: the session keeps its device list by it.
    Event(Event),
    /// [`Session::deadline`] has passed.
    Deadline,
    /// The service ends the session: it shuts down, the user disconnected the client, the client does not read.
    Closing(Fault),
    /// The client is gone; nothing can be sent any more.
    Gone,
}

/// What the loop around a session shall do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send the payload of one frame.
    Send(Vec<u8>),
    /// Tell the typed front.
    Tell(Told),
    /// The handshake is done: tell the hub, before anything is dispatched.
    Opened(Introduction),
    /// Stop everything, for a client that has not opened a session; hand back [`Input::Stopped`].
    StopEverything {
        /// Of the request.
        id: RequestId,
    },
    /// Hand these to the hub, all at once: they came in one frame.
    Dispatch(Vec<Dispatch>),
    /// The session has ended. Send what was to be sent, close the connection, drop the link to the hub. Nothing follows.
    Closed(End),
}

/// What a typed front is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The handshake is done.
    Welcome {
        /// The request's.
        id: RequestId,
        /// What was agreed.
        welcome: Welcome,
    },
    /// The one reply to a request.
    Reply {
        /// The request's; 0 for a fault of the session itself (a missed ping, the end of the service).
        id: RequestId,
        /// What it came to.
        outcome: Outcome,
    },
    /// The text of [`Request::Echo`].
    Echo {
        /// The request's.
        id: RequestId,
        /// The text.
        text: String,
    },
    /// Something happened.
    Event(Event),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The client asked for it.
    Disconnected,
    /// The client was gone.
    Gone,
    /// The session was ended by a fault, which the client was told: missed ping, late handshake, unknown version, or what
    /// [`Input::Closing`] said.
    Fault(Fault),
}

/// One client's conversation.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    devices: DeviceList,
    state: State,
    /// Why there will be no session, if there will be none.
    refusal: Option<Fault>,
}

#[derive(Debug)]
enum State {
    AwaitingHello(Awaiting),
    Open(Open),
    Closed,
}

impl Session {
    /// A session that awaits its handshake. `devices` is the list as it was when the session's events began.
    #[must_use]
    pub fn new(settings: Settings, form: Form, devices: DeviceList, now: Instant) -> Self {
        let awaiting = Awaiting::new(form, settings.limits.time_to_handshake, now);
        Self { settings, devices, state: State::AwaitingHello(awaiting), refusal: None }
    }

    /// Answers the handshake with a fault and ends. Everything may be stopped all the same, as anyone may at any time.
    #[must_use]
    pub fn closed_to(mut self, fault: Fault) -> Self {
        self.refusal = Some(fault);
        self
    }

    /// Whether the handshake is done and the session has not ended.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// When [`Input::Deadline`] is due, if nothing else comes before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::AwaitingHello(awaiting) => awaiting.deadline(),
            State::Open(open) => open.deadline(),
            State::Closed => None,
        }
    }

    /// Takes in what came and says what to do about it. After [`Effect::Closed`] it does nothing any more.
    ///
    /// A deadline that has passed is acted on first, whatever the input is: a ping that comes too late is too late. Only a stop is never
    /// too late.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, effects: &mut Vec<Effect>) {
        if self.deadline().is_some_and(|due| due <= now) {
            self.stop_though_late(input, effects);
            self.close_overdue(effects);
            return;
        }
        match input {
            Input::Frame(payload) => self.frame(now, payload, effects),
            Input::Ask { id, request } => self.ask(now, id, request, effects),
            Input::Answer { ticket, outcome } => {
                if let State::Open(open) = &mut self.state {
                    open.answered(ticket, outcome, &self.devices, effects);
                }
            }
            Input::Stopped { id, outcome } => match &self.state {
                State::AwaitingHello(awaiting) => effects.extend(awaiting.stopped(id, outcome)),
                State::Open(open) => effects.extend(open.stopped(id, outcome, &self.devices)),
                State::Closed => {}
            },
            Input::Event(event) => self.event(&event, effects),
            Input::Deadline => {}
            Input::Closing(fault) => self.close(End::Fault(fault), effects),
            Input::Gone => {
                if !matches!(self.state, State::Closed) {
                    self.state = State::Closed;
                    effects.push(Effect::Closed(End::Gone));
                }
            }
        }
    }

    fn frame(&mut self, now: Instant, payload: &[u8], effects: &mut Vec<Effect>) {
        let form = match &self.state {
            State::AwaitingHello(awaiting) => awaiting.form(),
            State::Open(open) => open.form(),
            State::Closed => return,
        };
        let Form::Bytes(encoding) = form else {
            let text = "a typed front has no frames";
            self.close(End::Fault(Fault::new(Reason::Internal, text)), effects);
            return;
        };
        let mut dispatches = Vec::new();
        for (position, message) in codec::decode(payload, encoding).into_iter().enumerate() {
            match &mut self.state {
                State::AwaitingHello(awaiting) => match awaiting.message(message, effects) {
                    Some(hello::Heard::Hello { id, hello }) => self.welcome(now, id, hello, effects),
                    Some(hello::Heard::TooNew(fault)) => self.close_told(End::Fault(fault), effects),
                    Some(hello::Heard::Stop { id }) => effects.push(Effect::StopEverything { id }),
                    None => {}
                },
                State::Open(open) => {
                    let next = open.message(now, position, message, &self.devices, &mut dispatches, effects);
                    self.go_on(next, &mut dispatches, effects);
                }
                State::Closed => break,
            }
        }
        if !dispatches.is_empty() {
            effects.push(Effect::Dispatch(dispatches));
        }
    }

    /// Takes the stops out of what comes too late for its session.
    fn stop_though_late(&mut self, input: Input<'_>, effects: &mut Vec<Effect>) {
        let mut dispatches = Vec::new();
        match (&mut self.state, input) {
            (State::Open(open), Input::Frame(payload)) => {
                let Form::Bytes(encoding) = open.form() else { return };
                for message in codec::decode(payload, encoding) {
                    open.stop_though_late(message, &self.devices, &mut dispatches);
                }
            }
            (State::Open(open), Input::Ask { id, request }) => {
                open.take_stop(id, crate::dialect::Asked::usual(request), &mut dispatches);
            }
            (State::AwaitingHello(awaiting), Input::Frame(payload)) => {
                let Form::Bytes(encoding) = awaiting.form() else { return };
                for message in codec::decode(payload, encoding) {
                    let Ok(envelope) = message else { continue };
                    effects.extend(awaiting.stop(&envelope).map(|id| Effect::StopEverything { id }));
                }
            }
            (State::Open(_) | State::AwaitingHello(_) | State::Closed, _) => {}
        }
        if !dispatches.is_empty() {
            effects.push(Effect::Dispatch(dispatches));
        }
    }

    fn ask(&mut self, now: Instant, id: RequestId, request: Request, effects: &mut Vec<Effect>) {
        let mut dispatches = Vec::new();
        match (&mut self.state, request) {
            (State::AwaitingHello(_), Request::Hello(hello)) => self.welcome(now, id, hello, effects),
            (State::AwaitingHello(awaiting), _) => effects.extend(awaiting.expected_hello(id)),
            (State::Open(open), request) => {
                let asked = crate::dialect::Asked::usual(request);
                let next = open.request(now, id, asked, &self.devices, &mut dispatches, effects);
                self.go_on(next, &mut dispatches, effects);
            }
            (State::Closed, _) => {}
        }
        if !dispatches.is_empty() {
            effects.push(Effect::Dispatch(dispatches));
        }
    }

    fn welcome(&mut self, now: Instant, id: RequestId, hello: Hello, effects: &mut Vec<Effect>) {
        let State::AwaitingHello(awaiting) = &self.state else { return };
        if let Some(fault) = self.refusal.take() {
            effects.extend(awaiting.fault(id, &fault));
            return self.close_told(End::Fault(fault), effects);
        }
        let asked_for_any = !hello.extensions.is_empty();
        let granted = self.settings.extensions.grant(hello.extensions.iter().map(String::as_str));
        let wished =
            hello.ping_time.filter(|limit| granted.contains(Extension::PingTime) && !limit.is_zero());
        let ping_limit = match (self.settings.ping_limit, wished) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        let welcome = Welcome {
            server_name: self.settings.server_name.clone(),
            version: hello.version,
            ping_limit,
            extensions: asked_for_any.then_some(granted),
        };
        let voice = Voice { form: awaiting.form(), version: hello.version, granted };
        effects.push(Effect::Opened(Introduction {
            client_name: hello.client_name.into(),
            version: hello.version,
            ping_limit,
        }));
        effects.extend(voice.welcome(id, welcome, &self.devices));
        self.state = State::Open(Open::new(voice, self.settings.limits, ping_limit, now));
    }

    fn event(&mut self, event: &Event, effects: &mut Vec<Effect>) {
        match event {
            Event::DeviceAdded { devices, .. } | Event::DeviceRemoved { devices, .. } => {
                self.devices.clone_from(devices);
            }
            Event::Reading(_)
            | Event::ScanningFinished
            | Event::OutputsChanged(_)
            | Event::Recorded { .. } => {}
        }
        if let State::Open(open) = &self.state {
            open.event(event, &self.devices, effects);
        }
    }

    fn go_on(&mut self, next: Next, dispatches: &mut Vec<Dispatch>, effects: &mut Vec<Effect>) {
        match next {
            Next::GoOn => {}
            Next::Disconnect(id) => {
                // What came before it in the same frame was asked for, and is done: it may be a stop.
                if !dispatches.is_empty() {
                    effects.push(Effect::Dispatch(std::mem::take(dispatches)));
                }
                if let State::Open(open) = &mut self.state {
                    open.give_up(&self.devices, effects);
                    effects.extend(open.done(id, &self.devices));
                }
                self.close_told(End::Disconnected, effects);
            }
        }
    }

    fn close_overdue(&mut self, effects: &mut Vec<Effect>) {
        let fault = match &self.state {
            State::AwaitingHello(_) => Fault::new(Reason::HandshakeTimedOut, "no handshake came in time"),
            State::Open(_) => {
                Fault::new(Reason::PingMissed, "no ping came in time; what this session set is stopped")
            }
            State::Closed => return,
        };
        self.close(End::Fault(fault), effects);
    }

    /// Ends the session and tells the client why, if there is a why.
    fn close(&mut self, end: End, effects: &mut Vec<Effect>) {
        if let End::Fault(fault) = &end {
            match &mut self.state {
                State::AwaitingHello(awaiting) => effects.extend(awaiting.fault(RequestId(0), fault)),
                State::Open(open) => {
                    effects.extend(open.fault(fault, &self.devices));
                    open.give_up(&self.devices, effects);
                }
                State::Closed => return,
            }
        }
        self.close_told(end, effects);
    }

    fn close_told(&mut self, end: End, effects: &mut Vec<Effect>) {
        self.state = State::Closed;
        effects.push(Effect::Closed(end));
    }
}
