//! The hub's task: hands messages to the router, and does what it says.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, OnceLock},
    time::Instant,
};

use engine::{
    client::Peer,
    command::{Command, Dispatch},
    device::DeviceCommand,
    fault::{Fault, Reason},
    monitor::Status,
    router::{self, DeviceEntry, Effect, Freshness, OutsideTicket, Router},
    vocabulary::{DeviceIndex, SessionId},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    DeviceLink, Inbox, Link, Parts, Policy, ReloadRequest, ToHub, ToSession, asleep, devices::Devices, ended,
    link::Ending,
};
use crate::transport::ScanWish;

/// Messages taken at a time, before anyone is told of a new status.
const TAKEN_AT_ONCE: usize = 64;

pub(super) struct Task {
    router: Router,
    receiver: mpsc::Receiver<ToHub>,
    hub: mpsc::WeakSender<ToHub>,
    pub(super) sessions: HashMap<SessionId, SessionPost>,
    pub(super) devices: Devices,
    pub(super) outside: BTreeMap<OutsideTicket, oneshot::Sender<Result<(), Fault>>>,
    sessions_max: usize,
    event_queue: usize,
    policy: Policy,
    reload: mpsc::Sender<ReloadRequest>,
    status: watch::Sender<Arc<Status>>,
    wish: watch::Sender<ScanWish>,
    last_session: u64,
    last_outside: u64,
    pub(super) phase: Phase,
    machine: Machine,
    /// What the router is to be told; the first is being worked on.
    inputs: VecDeque<router::Input>,
    /// Kept between messages, so that its room is.
    effects: Vec<Effect>,
}

/// The hub's side of a session.
pub(super) struct SessionPost {
    inbox: mpsc::Sender<ToSession>,
    verdict: Arc<OnceLock<Fault>>,
}

/// How far the end has come.
pub(super) enum Phase {
    Serving,
    /// Outputs are being stopped.
    Stopping {
        stop: OutsideTicket,
        reply: oneshot::Sender<()>,
    },
    /// Sessions and devices have been told to end.
    Closing {
        reply: oneshot::Sender<()>,
    },
}

/// Whether outputs may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Machine {
    Awake,
    /// It sleeps, or is about to.
    Asleep,
}

/// Whether the task goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    End,
}

impl Task {
    pub(super) fn new(
        parts: Parts,
        receiver: mpsc::Receiver<ToHub>,
        hub: mpsc::WeakSender<ToHub>,
    ) -> (Self, watch::Receiver<Arc<Status>>, watch::Receiver<ScanWish>) {
        let mut router = Router::new(now());
        let (status, status_seen) = watch::channel(Arc::new(router.status()));
        let (wish, wish_seen) = watch::channel(ScanWish::Rest);
        let task = Self {
            router,
            receiver,
            hub,
            sessions: HashMap::new(),
            devices: Devices::default(),
            outside: BTreeMap::new(),
            sessions_max: parts.sessions_max,
            event_queue: parts.event_queue,
            policy: parts.policy,
            reload: parts.reload,
            status,
            wish,
            last_session: 0,
            last_outside: 0,
            phase: Phase::Serving,
            machine: Machine::Awake,
            inputs: VecDeque::new(),
            effects: Vec::new(),
        };
        (task, status_seen, wish_seen)
    }

    pub(super) async fn run(mut self) {
        let mut messages = Vec::with_capacity(TAKEN_AT_ONCE);
        loop {
            let due = self.router.deadline();
            // All arms are cancel-safe.
            tokio::select! {
                count = self.receiver.recv_many(&mut messages, TAKEN_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    for message in messages.drain(..) {
                        self.take(message);
                    }
                }
                () = self.devices.next_door() => {}
                () = sleep_until(due), if due.is_some() => self.route(router::Input::Deadline),
            }
            self.publish();
            if self.further() == Next::End {
                return;
            }
        }
    }

    fn take(&mut self, message: ToHub) {
        match message {
            ToHub::Open { peer, departure, reply } => self.open(peer, departure, reply),
            ToHub::Opened { session, introduction } => {
                self.route(router::Input::SessionOpened { session, introduction });
            }
            ToHub::Commands { session, dispatches } => self.commands(session, dispatches),
            ToHub::SessionGone { session } => {
                self.sessions.remove(&session);
                self.route(router::Input::SessionClosed { session });
            }
            ToHub::StopEverything { reply } => self.stop_everything(reply),
            ToHub::Sleep { reply } => {
                self.machine = Machine::Asleep;
                self.stop_everything(reply);
            }
            ToHub::Wake => self.machine = Machine::Awake,
            ToHub::Disconnect { session, fault } => self.end_session(session, fault),
            ToHub::Policy(policy) => self.policy = policy,
            ToHub::DeviceReady { entry, departure, reply } => self.device_ready(entry, departure, reply),
            ToHub::Report { device, generation, report } => {
                if self.devices.is_current(device, generation) {
                    self.route(router::Input::Report { device, report });
                }
            }
            ToHub::DeviceGone { device, generation, fault } => {
                if self.devices.is_current(device, generation) {
                    self.devices.remove(device);
                    self.route(router::Input::DeviceGone { device, fault });
                }
            }
            ToHub::DeviceStatus(status) => self.route(router::Input::DeviceStatus(status)),
            ToHub::Transport(status) => self.route(router::Input::Transport(status)),
            ToHub::ScanEnded(transport) => self.route(router::Input::ScanEnded { transport }),
            // Whoever no longer waits has no use for it.
            ToHub::Outputs { reply } => drop(reply.send(self.router.outputs().collect())),
            ToHub::Facts(facts) => self.route(router::Input::Facts(facts)),
            ToHub::Reloaded { session, ticket, outcome } => {
                self.route(router::Input::Reloaded { session, ticket, outcome });
            }
            ToHub::Shutdown { reply } => self.shut_down(reply),
        }
    }

    fn open(
        &mut self,
        peer: Peer,
        departure: mpsc::OwnedPermit<ToHub>,
        reply: oneshot::Sender<Result<Link, Fault>>,
    ) {
        let link = self.admit(&peer).map(|hub| {
            self.last_session += 1;
            let session = SessionId(self.last_session);
            let (sender, receiver) = mpsc::channel(self.event_queue);
            let verdict = Arc::new(OnceLock::new());
            self.sessions.insert(session, SessionPost { inbox: sender, verdict: verdict.clone() });
            self.route(router::Input::SessionConnected { session, peer: Arc::new(peer) });
            Link {
                id: session,
                devices: self.router.devices().clone(),
                inbox: Inbox { receiver, verdict, ending: Ending::Untold },
                hub,
                departure: Some(departure),
            }
        });
        // A front that no longer waits drops the link, and so the session.
        drop(reply.send(link));
    }

    fn admit(&self, peer: &Peer) -> Result<mpsc::Sender<ToHub>, Fault> {
        match self.phase {
            Phase::Serving => {}
            Phase::Stopping { .. } | Phase::Closing { .. } => return Err(ended()),
        }
        (self.policy)(peer)?;
        if self.sessions.len() >= self.sessions_max {
            let text = format!("{} sessions are open, which is the limit", self.sessions.len());
            return Err(Fault::new(Reason::TooManySessions, text));
        }
        self.hub.upgrade().ok_or_else(ended)
    }

    fn device_ready(
        &mut self,
        entry: DeviceEntry,
        departure: mpsc::OwnedPermit<ToHub>,
        reply: oneshot::Sender<DeviceLink>,
    ) {
        let has_room = matches!(self.phase, Phase::Serving) && !self.devices.is_full();
        let Some(hub) = self.hub.upgrade().filter(|_| has_room) else { return };
        let link = self.devices.add(entry.view.index, hub, departure);
        self.route(router::Input::DeviceReady(entry));
        // A task that no longer waits drops the link, and so the device.
        drop(reply.send(link));
    }

    pub(super) fn command(&mut self, device: DeviceIndex, command: DeviceCommand) {
        if let Some(report) = self.devices.command(device, command) {
            self.route(router::Input::Report { device, report });
        }
    }

    fn commands(&mut self, session: SessionId, mut dispatches: Vec<Dispatch>) {
        if !matches!((&self.phase, self.machine), (Phase::Serving, Machine::Awake)) {
            let mut taken = Vec::new();
            for dispatch in dispatches {
                match self.refuses(&dispatch.command) {
                    Some(fault) => {
                        let answer = ToSession::Answer { ticket: dispatch.ticket, outcome: Err(fault) };
                        self.post(session, answer);
                    }
                    None => taken.push(dispatch),
                }
            }
            dispatches = taken;
        }
        self.route(router::Input::Commands { session, dispatches });
    }

    /// What a command is refused for, whoever sends it and to whatever device. A stop never is.
    fn refuses(&self, command: &Command) -> Option<Fault> {
        match (&self.phase, self.machine, command) {
            (_, _, Command::Stop { .. }) => None,
            (Phase::Stopping { .. } | Phase::Closing { .. }, _, _) => Some(ended()),
            (Phase::Serving, Machine::Asleep, Command::SetOutputs { .. }) => Some(asleep()),
            (Phase::Serving, _, _) => None,
        }
    }

    fn stop_everything(&mut self, reply: oneshot::Sender<Result<(), Fault>>) {
        let ticket = self.next_outside();
        self.outside.insert(ticket, reply);
        self.route(router::Input::StopEverything { ticket });
    }

    pub(super) fn next_outside(&mut self) -> OutsideTicket {
        self.last_outside += 1;
        OutsideTicket(self.last_outside)
    }

    /// Has the router handle an input, and does what it says.
    ///
    /// What an effect leads to waits until the effects before it are done: a session that turns out not to read while a set
    /// of its is being handed out is stopped after that set, not before.
    pub(super) fn route(&mut self, input: router::Input) {
        self.inputs.push_back(input);
        if self.inputs.len() > 1 {
            return;
        }
        let mut effects = std::mem::take(&mut self.effects);
        // An input stays in the list while it is worked on, so that the test above sees it.
        while let Some(input) =
            self.inputs.front_mut().map(|input| std::mem::replace(input, router::Input::Deadline))
        {
            self.router.handle(now(), input, &mut effects);
            for effect in effects.drain(..) {
                self.do_effect(effect);
            }
            self.inputs.pop_front();
        }
        self.effects = effects;
    }

    fn do_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Device { device, command } => self.command(device, command),
            Effect::Answer { session, ticket, outcome } => {
                self.post(session, ToSession::Answer { ticket, outcome });
            }
            Effect::Event { session, event } => self.post(session, ToSession::Event(event)),
            Effect::EndSession { session, fault } => self.end_session(session, fault),
            Effect::Stopped { ticket, outcome } => self.stopped(ticket, outcome),
            Effect::Scan(wish) => {
                self.wish.send_replace(wish);
            }
            Effect::Record { device, recording } => self.devices.record(device, recording),
            Effect::Reload { session, ticket } => {
                let request = ReloadRequest { session, ticket, hub: self.hub.clone() };
                if self.reload.try_send(request).is_err() {
                    let fault = Fault::new(Reason::TooManyRequests, "a reload is going on already");
                    self.route(router::Input::Reloaded { session, ticket, outcome: Err(fault) });
                }
            }
        }
    }

    /// Gives a session a message; one that has no room for it does not read, and is let go.
    fn post(&mut self, session: SessionId, message: ToSession) {
        let Some(post) = self.sessions.get(&session) else { return };
        match post.inbox.try_send(message) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::warn!(%session, "a client does not read what it is sent; its session is closed");
                let text = format!("{} messages waited to be read", self.event_queue);
                self.end_session(session, Fault::new(Reason::SlowReader, text));
            }
            // The front has dropped its link, and the hub is about to be told.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    /// Lets a session go, whatever its front does.
    pub(super) fn end_session(&mut self, session: SessionId, fault: Fault) {
        let Some(post) = self.sessions.remove(&session) else { return };
        if post.verdict.set(fault).is_err() {
            tracing::error!(%session, "a session was ended twice");
        }
        drop(post);
        self.route(router::Input::SessionClosed { session });
    }

    fn publish(&mut self) {
        match self.router.freshness() {
            Freshness::Fresh => {}
            Freshness::Stale => {
                self.status.send_replace(Arc::new(self.router.status()));
            }
        }
    }
}

/// The engine's idea of now. Follows the virtual time of tests.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
