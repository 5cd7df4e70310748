//! The session of one bus connection: its calls, what the hub tells it, its deadline, and the name leaving the bus.

use std::{collections::HashMap, pin::pin, sync::Arc, time::Instant};

use engine::{
    client::{Front, Peer},
    command::Event,
    fault::{Fault, Reason},
    session::{Effect, End, Form, Input, Session, Told},
    vocabulary::RequestId,
};
use futures_util::StreamExt;
use ipc_schema::dbus::{SERVER_PATH, device_path};
use tokio::sync::{mpsc, oneshot};
use zbus::{
    Connection,
    fdo::{DBusProxy, NameOwnerChangedStream},
    names::{BusName, OwnedUniqueName},
    object_server::SignalEmitter,
    proxy::CacheProperties,
};

use super::{
    super::socket,
    device::Device,
    peers::{Call, Peers, Replied},
    server::Server,
    words,
};
use crate::hub::{Link, ToSession};

/// Begins to serve one peer, until its session ends.
pub(super) fn begin(
    peers: Arc<Peers>,
    connection: Connection,
    name: OwnedUniqueName,
    calls: mpsc::Receiver<Call>,
) {
    let shared = peers.shared.clone();
    shared.spawn(async move { run(&connection, &name, &peers, calls).await });
}

async fn run(
    connection: &Connection,
    name: &OwnedUniqueName,
    peers: &Peers,
    mut calls: mpsc::Receiver<Call>,
) {
    let shared = &peers.shared;
    let (peer, gone) = match look_at(connection, name).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "a caller left the bus before it was served");
            return peers.end(name);
        }
    };
    let settings = shared.session_settings(Front::DBus);
    match shared.hub.open(peer).await {
        Ok(link) => {
            let session = Session::new(settings, Form::Typed, link.devices.clone(), now());
            let signals = Signals { connection, name };
            let conversation =
                Conversation { session, signals, waiting: HashMap::new(), last: 0, effects: Vec::new() };
            conversation.run(link, calls, gone, || peers.end(name)).await;
        }
        Err(fault) => {
            tracing::info!(reason = %fault.reason, "a caller of the bus was refused");
            peers.end(name);
            calls.close();
            while let Some(call) = calls.recv().await {
                // A caller that is gone by now has no use for it.
                call.reply.send(Replied::Outcome(Err(fault.clone()))).ok();
            }
        }
    }
}

/// Who the peer is, and the signal that says that it left.
async fn look_at(
    connection: &Connection,
    name: &OwnedUniqueName,
) -> zbus::fdo::Result<(Peer, NameOwnerChangedStream)> {
    let bus = DBusProxy::builder(connection).cache_properties(CacheProperties::No).build().await?;
    // A rule for this one name, so that nothing wakes when others come and go.
    let gone = bus.receive_name_owner_changed_with_args(&[(0, name.as_str()), (2, "")]).await?;
    // After the rule is in place, so that a peer that has left already is noticed: the bus does not know it then.
    let pid = bus.get_connection_unix_process_id(BusName::from(name.inner().as_ref())).await?;
    Ok((Peer { front: Front::DBus, process: Some(socket::process(pid)), origin: None }, gone))
}

/// The engine's idea of now.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

struct Conversation<'a> {
    session: Session,
    signals: Signals<'a>,
    waiting: HashMap<RequestId, oneshot::Sender<Replied>>,
    last: u32,
    effects: Vec<Effect>,
}

impl Conversation<'_> {
    async fn run(
        mut self,
        mut link: Link,
        mut calls: mpsc::Receiver<Call>,
        mut gone: NameOwnerChangedStream,
        ended: impl Fn(),
    ) {
        let mut timer = pin!(tokio::time::sleep_until(tokio::time::Instant::now()));
        loop {
            if let Some(end) = self.end() {
                tracing::debug!(id = %link.id, ?end, "session ended");
                // First of all: dropping the link is what stops the outputs of this session.
                drop(link);
                ended();
                return self.say_all().await;
            }
            self.do_effects(&link).await;
            let due = self.session.deadline().map(tokio::time::Instant::from_std);
            if let Some(due) = due
                && due != timer.deadline()
            {
                timer.as_mut().reset(due);
            }
            // All arms are cancel-safe: none takes anything before it is ready.
            tokio::select! {
                Some(call) = calls.recv() => self.called(call),
                told = link.inbox.recv() => self.told(told),
                () = &mut timer, if due.is_some() => self.handle(Input::Deadline),
                _ = gone.next() => self.handle(Input::Gone),
            }
            // What else is there already belongs to the same batch.
            while let Ok(call) = calls.try_recv() {
                self.called(call);
            }
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.session.handle(now(), input, &mut self.effects);
    }

    fn called(&mut self, call: Call) {
        // 0 is the session's own voice, and a number is not used while its request waits.
        loop {
            self.last = self.last.wrapping_add(1).max(1);
            if !self.waiting.contains_key(&RequestId(self.last)) {
                break;
            }
        }
        let id = RequestId(self.last);
        self.waiting.insert(id, call.reply);
        self.handle(Input::Ask { id, request: call.request });
    }

    fn told(&mut self, told: Option<ToSession>) {
        match told {
            Some(ToSession::Answer { ticket, outcome }) => self.handle(Input::Answer { ticket, outcome }),
            Some(ToSession::Event(event)) => self.handle(Input::Event(event)),
            Some(ToSession::Close(fault)) => self.handle(Input::Closing(fault)),
            None => self.handle(Input::Closing(Fault::new(Reason::ShuttingDown, "the service is ending"))),
        }
    }

    fn end(&self) -> Option<End> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Closed(end) => Some(end.clone()),
            Effect::Send(_)
            | Effect::Tell(_)
            | Effect::Opened(_)
            | Effect::Dispatch(_)
            | Effect::StopEverything { .. } => None,
        })
    }

    async fn do_effects(&mut self, link: &Link) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Tell(told) => self.tell(told).await,
                Effect::Opened(introduction) => link.opened(introduction).await,
                Effect::Dispatch(commands) => link.dispatch(commands).await,
                // A typed front stops everything without a session.
                Effect::Send(_) | Effect::StopEverything { .. } => {
                    tracing::error!("a session of words spoke in bytes")
                }
                // The caller looks for it first.
                Effect::Closed(_) => {}
            }
        }
        self.effects = effects;
    }

    /// Tells what is left to be told once the session has ended.
    async fn say_all(mut self) {
        for effect in std::mem::take(&mut self.effects) {
            if let Effect::Tell(told) = effect {
                self.tell(told).await;
            }
        }
    }

    async fn tell(&mut self, told: Told) {
        match told {
            Told::Welcome { id, welcome } => self.reply(id, Replied::Welcome(welcome)),
            Told::Reply { id: RequestId(0), outcome: Err(fault) } => self.signals.fault(&fault).await,
            Told::Reply { id, outcome } => self.reply(id, Replied::Outcome(outcome)),
            Told::Echo { .. } => tracing::error!("a session of the bus echoed what it was never asked"),
            Told::Event(event) => self.signals.event(&event).await,
        }
    }

    fn reply(&mut self, id: RequestId, replied: Replied) {
        // The method that asked is gone only when the connection to the bus is.
        if self.waiting.remove(&id).is_some_and(|waiting| waiting.send(replied).is_err()) {
            tracing::debug!("a caller did not wait for its reply");
        }
    }
}

/// Signals that go to one peer alone.
struct Signals<'a> {
    connection: &'a Connection,
    name: &'a OwnedUniqueName,
}

impl Signals<'_> {
    fn from(&self, path: &str) -> zbus::Result<SignalEmitter<'static>> {
        let emitter = SignalEmitter::new(self.connection, path.to_owned())?;
        Ok(emitter.set_destination(BusName::from(self.name.inner().to_owned())))
    }

    async fn fault(&self, fault: &Fault) {
        log_failure(self.try_fault(fault).await);
    }

    async fn try_fault(&self, fault: &Fault) -> zbus::Result<()> {
        Server::error(&self.from(SERVER_PATH)?, &fault.reason.dbus_name(), &fault.text).await
    }

    async fn event(&self, event: &Event) {
        log_failure(self.try_event(event).await);
    }

    async fn try_event(&self, event: &Event) -> zbus::Result<()> {
        let server = self.from(SERVER_PATH)?;
        match event {
            Event::DeviceAdded { device, .. } => {
                Server::device_added(&server, device.index.0, words::device(device)).await
            }
            Event::DeviceRemoved { device, .. } => Server::device_removed(&server, device.0).await,
            Event::Reading(reading) => {
                let device = self.from(&device_path(reading.device.0))?;
                let kind = words::input_name(reading.kind);
                Device::input_reading(&device, reading.feature.0, kind, reading.value).await
            }
            Event::ScanningFinished => Server::scanning_finished(&server).await,
            Event::OutputsChanged(changes) => {
                for change in changes.iter() {
                    let device = self.from(&device_path(change.output.device.0))?;
                    let kind = words::output_name(change.output.kind);
                    let value = change.confirmed.unwrap_or_default();
                    Device::output_changed(&device, change.output.feature.0, kind, value).await?;
                }
                Ok(())
            }
            // A recording needs the extension `monitor`, which D-Bus does not offer.
            Event::Recorded { .. } => Ok(()),
        }
    }
}

/// A signal that cannot be sent means that the connection to the bus is gone; whoever watches that acts on it.
fn log_failure(sent: zbus::Result<()>) {
    if let Err(error) = sent {
        tracing::debug!(%error, "cannot send a signal");
    }
}
