//! The state after the handshake: requests become commands, answers become replies, and the ping deadline runs.

use std::time::{Duration, Instant};

use ipc_schema::{
    codec::{BadMessage, Envelope},
    error::Reason,
    extension::Extension,
};

use super::{
    Effect, Form, Limits,
    hello::HELLO,
    log::Log,
    pending::{Pending, Requested},
    voice::Voice,
};
use crate::{
    command::{Answer, Command, Dispatch, Event, Outcome},
    dialect::{self, Asked, Shape},
    fault::Fault,
    request::Request,
    view::DeviceList,
    vocabulary::{RequestId, Ticket},
};

/// The text of a `Test` that asks for an error.
const ASKS_FOR_ERROR: &str = "Error";

/// What this state has.
#[derive(Debug)]
pub(super) struct Open {
    voice: Voice,
    limits: Limits,
    ping: Option<Ping>,
    pending: Pending,
    log: Log,
}

#[derive(Debug, Clone, Copy)]
struct Ping {
    limit: Duration,
    due: Instant,
}

/// What a request means for the session as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// The client wants to end the session; its `Ok` has not been sent.
    Disconnect(RequestId),
}

impl Open {
    pub(super) fn new(voice: Voice, limits: Limits, ping_limit: Option<Duration>, now: Instant) -> Self {
        let ping = ping_limit.map(|limit| Ping { limit, due: now + limit });
        Self { voice, limits, ping, pending: Pending::default(), log: Log::default() }
    }

    pub(super) const fn form(&self) -> Form {
        self.voice.form
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ping.map(|ping| ping.due)
    }

    /// Takes one message of a frame; `position` is its place in the frame, from 0.
    pub(super) fn message(
        &mut self,
        now: Instant,
        position: usize,
        message: Result<Envelope, BadMessage>,
        devices: &DeviceList,
        dispatches: &mut Vec<Dispatch>,
        effects: &mut Vec<Effect>,
    ) -> Next {
        let (id, asked) = match &message {
            // Whatever version it is of: its members may be unknown in that of this session.
            Ok(envelope) if envelope.name == HELLO => {
                (RequestId(envelope.id.unwrap_or(0)), Err(handshake_repeated()))
            }
            Ok(envelope) => {
                (RequestId(envelope.id.unwrap_or(0)), dialect::read(self.voice.version, envelope, devices))
            }
            Err(bad) => (RequestId(bad.id), Err(Fault::new(bad.reason, bad.text.clone()))),
        };
        match asked {
            Ok(asked) if position >= self.limits.messages_in_frame && !is_stop(&asked.request) => {
                let text = format!("a frame may hold {} messages", self.limits.messages_in_frame);
                self.refuse(id, &Fault::new(Reason::TooManyRequests, text), devices, effects);
                Next::GoOn
            }
            Ok(asked) => self.request(now, id, asked, devices, dispatches, effects),
            Err(fault) => {
                self.refuse(id, &fault, devices, effects);
                Next::GoOn
            }
        }
    }

    /// Takes a message that comes too late for the session, if it is a stop.
    pub(super) fn stop_though_late(
        &mut self,
        message: Result<Envelope, BadMessage>,
        devices: &DeviceList,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let Ok(envelope) = message else { return };
        if let Ok(asked) = dialect::read(self.voice.version, &envelope, devices) {
            self.take_stop(RequestId(envelope.id.unwrap_or(0)), asked, dispatches);
        }
    }

    /// Takes a request, if it is a stop, however many others wait.
    pub(super) fn take_stop(&mut self, id: RequestId, asked: Asked, dispatches: &mut Vec<Dispatch>) {
        if let Request::Command(command @ Command::Stop { .. }) = asked.request {
            let ticket = self.pending.add(Requested { id, shape: asked.shape }, &command);
            dispatches.push(Dispatch { ticket, command });
        }
    }

    /// Takes one request that could be read.
    pub(super) fn request(
        &mut self,
        now: Instant,
        id: RequestId,
        asked: Asked,
        devices: &DeviceList,
        dispatches: &mut Vec<Dispatch>,
        effects: &mut Vec<Effect>,
    ) -> Next {
        let outcome = match asked.request {
            Request::Command(command) => match self.admit(&command) {
                Ok(()) => {
                    let ticket = self.pending.add(Requested { id, shape: asked.shape }, &command);
                    dispatches.push(Dispatch { ticket, command });
                    return Next::GoOn;
                }
                Err(fault) => {
                    if let Command::Stop { .. } = command {
                        // It is carried out. That the client is not told when is the price of asking for so much.
                        dispatches.push(Dispatch { ticket: self.pending.unanswered(), command });
                    }
                    Err(fault)
                }
            },
            Request::Ping => {
                if let Some(ping) = &mut self.ping {
                    ping.due = now + ping.limit;
                }
                effects.extend(self.done(id, devices));
                effects.extend(self.log.pinged(self.voice));
                return Next::GoOn;
            }
            Request::Log(level) => {
                self.log.level = level;
                Ok(Answer::Done)
            }
            Request::Disconnect => return Next::Disconnect(id),
            Request::Echo(text) if text == ASKS_FOR_ERROR => {
                Err(Fault::new(Reason::TestRequested, "the client asked for an error"))
            }
            Request::Echo(text) => {
                effects.extend(self.voice.echo(id, text, devices));
                return Next::GoOn;
            }
            Request::Hello(_) => Err(handshake_repeated()),
        };
        match outcome {
            Ok(answer) => effects.extend(self.voice.outcome(id, Shape::Usual, Ok(answer), devices)),
            Err(fault) => self.refuse(id, &fault, devices, effects),
        }
        Next::GoOn
    }

    /// Tells the client that its request failed, and its log after that.
    fn refuse(&self, id: RequestId, fault: &Fault, devices: &DeviceList, effects: &mut Vec<Effect>) {
        effects.extend(self.voice.fault(id, fault, devices));
        effects.extend(self.log.failed(self.voice, id, fault));
    }

    /// Whether the session may ask for this now.
    fn admit(&self, command: &Command) -> Result<(), Fault> {
        let room = match command {
            Command::Stop { .. } => self.limits.requests_in_flight.saturating_add(Limits::STOPS_BEYOND),
            Command::StartScanning
            | Command::StopScanning
            | Command::ListDevices
            | Command::SetOutputs { .. }
            | Command::Unlisted { .. }
            | Command::Input { .. }
            | Command::Reserve { .. }
            | Command::Release { .. }
            | Command::Monitor(_) => self.limits.requests_in_flight,
        };
        if self.pending.len() >= room {
            let text = format!("{room} requests of this session wait for their answer already");
            return Err(Fault::new(Reason::TooManyRequests, text));
        }
        match needed_extension(command) {
            Some(extension) if !self.voice.granted.contains(extension) => {
                let text = format!("ask for extension `{extension}` in the handshake");
                Err(Fault::new(Reason::ExtensionRequired, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn answered(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        devices: &DeviceList,
        effects: &mut Vec<Effect>,
    ) {
        let (voice, log) = (self.voice, self.log);
        self.pending.answered(ticket, outcome, |request, outcome| {
            let line = outcome.as_ref().err().and_then(|fault| log.failed(voice, request.id, fault));
            effects.extend(voice.outcome(request.id, request.shape, outcome, devices));
            effects.extend(line);
        });
    }

    pub(super) fn event(&self, event: &Event, devices: &DeviceList, effects: &mut Vec<Effect>) {
        effects.extend(self.voice.event(event, devices));
        effects.extend(self.log.event(self.voice, event));
    }

    /// Replies to everything that still waits, since no answer will reach this session any more.
    pub(super) fn give_up(&mut self, devices: &DeviceList, effects: &mut Vec<Effect>) {
        let voice = self.voice;
        for (request, outcome) in self.pending.give_up() {
            let outcome = outcome.unwrap_or_else(|| {
                Err(Fault::new(Reason::SessionClosed, "the session ended before the answer was there"))
            });
            effects.extend(voice.outcome(request.id, request.shape, outcome, devices));
        }
    }

    /// The answer to a stop of everything that was asked for before the handshake.
    pub(super) fn stopped(
        &self,
        id: RequestId,
        outcome: Result<(), Fault>,
        devices: &DeviceList,
    ) -> Option<Effect> {
        self.voice.outcome(id, Shape::Usual, outcome.map(|()| Answer::Done), devices)
    }

    pub(super) fn done(&self, id: RequestId, devices: &DeviceList) -> Option<Effect> {
        self.voice.outcome(id, Shape::Usual, Ok(Answer::Done), devices)
    }

    /// Tells the client of a fault that no request of its has caused.
    pub(super) fn fault(&self, fault: &Fault, devices: &DeviceList) -> Option<Effect> {
        self.voice.fault(RequestId(0), fault, devices)
    }
}

fn handshake_repeated() -> Fault {
    Fault::new(Reason::HandshakeRepeated, "the handshake of this session is done already")
}

fn is_stop(request: &Request) -> bool {
    matches!(request, Request::Command(Command::Stop { .. }))
}

fn needed_extension(command: &Command) -> Option<Extension> {
    match command {
        Command::Reserve { .. } | Command::Release { .. } => Some(Extension::Reserve),
        Command::Monitor(_) => Some(Extension::Monitor),
        Command::StartScanning
        | Command::StopScanning
        | Command::ListDevices
        | Command::SetOutputs { .. }
        | Command::Unlisted { .. }
        | Command::Stop { .. }
        | Command::Input { .. } => None,
    }
}
