//! The session of one bus connection: its calls, what the hub tells it, its deadline, and the name leaving the bus.

use std::{collections::HashMap, future::poll_fn, pin::pin, sync::Arc, time::Instant};

use engine::{
    client::{Front, Peer},
    fault::{Fault, Reason},
    session::{Effect, End, Form, Input, Session, Told},
    vocabulary::RequestId,
};
use futures_util::{Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};
use zbus::{
    Connection,
    fdo::{DBusProxy, NameOwnerChangedStream},
    names::{BusName, OwnedUniqueName},
    proxy::CacheProperties,
};

use super::{
    super::socket,
    peers::{Call, Peers, Replied},
    signals::{Signal, Signals},
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
    let write_time = shared.config().limits.write_time();
    match shared.hub.open(peer).await {
        Ok(link) => {
            let session = Session::new(settings, Form::Typed, link.devices.clone(), now());
            let signals = Signals::new(connection.clone(), name.clone(), write_time);
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

struct Conversation {
    session: Session,
    signals: Signals,
    waiting: HashMap<RequestId, oneshot::Sender<Replied>>,
    last: u32,
    effects: Vec<Effect>,
}

impl Conversation {
    async fn run(
        mut self,
        mut link: Link,
        mut calls: mpsc::Receiver<Call>,
        mut gone: impl Stream + Unpin,
        ended: impl Fn(),
    ) {
        let mut timer = pin!(tokio::time::sleep_until(tokio::time::Instant::now()));
        loop {
            if let Some(end) = self.end() {
                tracing::debug!(id = %link.id, ?end, "session ended");
                // First of all: dropping the link is what stops the outputs of this session.
                drop(link);
                ended();
                // Calls that came too late are answered at once.
                drop(calls);
                return self.say_all().await;
            }
            self.do_effects(&link).await;
            let due = self.next_due();
            if let Some(due) = due
                && due != timer.deadline()
            {
                timer.as_mut().reset(due);
            }
            // All arms are cancel-safe: none takes anything before it is ready, and what is being sent is kept. While the bus does
            // not take that, what the hub tells stays with the hub.
            tokio::select! {
                Some(call) = calls.recv() => self.called(call),
                told = link.inbox.recv(), if self.signals.is_idle() => self.told(told),
                () = poll_fn(|cx| self.signals.poll_sent(cx)), if !self.signals.is_idle() => {}
                () = &mut timer, if due.is_some() => self.time_passed(),
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

    fn next_due(&self) -> Option<tokio::time::Instant> {
        let deadline = self.session.deadline().map(tokio::time::Instant::from_std);
        [deadline, self.signals.due()].into_iter().flatten().min()
    }

    fn time_passed(&mut self) {
        if self.session.deadline().is_some_and(|due| due <= now()) {
            self.handle(Input::Deadline);
        }
        if self.signals.due().is_some_and(|due| due <= tokio::time::Instant::now()) {
            let text = "the session bus has taken nothing for too long";
            self.handle(Input::Closing(Fault::new(Reason::SlowReader, text)));
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
                Effect::Tell(told) => self.tell(told),
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

    /// Tells what is left to be told once the session has ended. That may take the bus as long as it likes: nothing waits
    /// for it, and it ends with the connection.
    async fn say_all(mut self) {
        for effect in std::mem::take(&mut self.effects) {
            if let Effect::Tell(told) = effect {
                self.tell(told);
            }
        }
        self.waiting.clear();
        poll_fn(|cx| self.signals.poll_sent(cx)).await;
    }

    fn tell(&mut self, told: Told) {
        match told {
            Told::Welcome { id, welcome } => self.reply(id, Replied::Welcome(welcome)),
            Told::Reply { id: RequestId(0), outcome: Err(fault) } => self.signals.push(Signal::Fault(fault)),
            Told::Reply { id, outcome } => self.reply(id, Replied::Outcome(outcome)),
            Told::Echo { .. } => tracing::error!("a session of the bus echoed what it was never asked"),
            Told::Event(event) => self.signals.push(Signal::Event(event)),
        }
    }

    fn reply(&mut self, id: RequestId, replied: Replied) {
        // The method that asked is gone only when the connection to the bus is.
        if self.waiting.remove(&id).is_some_and(|waiting| waiting.send(replied).is_err()) {
            tracing::debug!("a caller did not wait for its reply");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::{
        request::{Hello, Request},
        router::DeviceEntry,
    };
    use ipc_schema::SpecVersion;

    use super::{
        super::{super::tests, tests::bus},
        *,
    };
    use crate::config::Config;

    /// How long a session lasts on a bus that takes no signal at all, when the first is due at once.
    async fn lasts(config: Config, ping_time: Option<Duration>) -> Duration {
        let shared = tests::shared(config);
        let (connection, _taken) = bus(0).await;
        let link = shared.hub.open(Peer { front: Front::DBus, process: None, origin: None }).await.unwrap();
        let session =
            Session::new(shared.session_settings(Front::DBus), Form::Typed, link.devices.clone(), now());
        let name = OwnedUniqueName::try_from(":1.7").unwrap();
        let signals = Signals::new(connection, name, shared.config().limits.write_time());
        let conversation =
            Conversation { session, signals, waiting: HashMap::new(), last: 0, effects: Vec::new() };
        let (calls, asked) = mpsc::channel(1);
        tokio::spawn(conversation.run(link, asked, futures_util::stream::pending::<()>(), || {}));

        let (reply, replied) = oneshot::channel();
        let hello = Hello {
            client_name: "test".to_owned(),
            version: SpecVersion::NEWEST,
            extensions: vec!["ping-time".to_owned()],
            ping_time,
        };
        calls.send(Call { request: Request::Hello(hello), reply }).await.ok().unwrap();
        assert!(matches!(replied.await, Ok(Replied::Welcome(_))));
        let begun = tokio::time::Instant::now();
        let view = tests::device_view();
        let entry = DeviceEntry { view, transport: "simulated", protocol: "toy".into(), outputs: vec![] };
        let _device = shared.hub.device_ready(entry).await.unwrap();
        let mut status = shared.hub.status();
        status.wait_for(|status| status.clients.is_empty()).await.unwrap();
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_bus_that_takes_nothing_holds_up_neither_the_ping_deadline_nor_the_end_of_a_session() {
        let mut config = Config::default();
        config.dbus.max_ping_time_ms = 0;
        let write_time = config.limits.write_time();
        let second = Duration::from_secs(1);
        // Timers have milliseconds.
        let near = |took: Duration, wanted: Duration| took >= wanted && took < wanted + second / 100;
        let took = lasts(config.clone(), Some(second)).await;
        assert!(near(took, second), "the ping deadline: {took:?}");
        let took = lasts(config, None).await;
        assert!(near(took, write_time), "the time of a write: {took:?}");
    }
}
