//! Sessions, router and devices together, with a plugin of a few lines and hardware that sometimes refuses, all in virtual time.
//!
//! Random operations in random order; after each step, and when everything has come to rest, the promises of the service
//! are checked against what the hardware really does.

#![expect(clippy::unwrap_used, reason = "a test; clippy knows that only within functions marked as one")]

mod acts;
mod machine;
mod operations;
mod promises;
mod runs;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use engine::{
    client::{Front, Peer},
    command::{Command, Outcome, Setting, StopTarget, StopWhat},
    definition::{model::Output, scale::OutputScale},
    device::{
        self, Device, DeviceCommand, DeviceReport, DeviceSetup, InputSetup, ModelSetup, Motion, OnStop,
        OutputSetup, Transfer, TransferFault, Transferred,
    },
    monitor::{Finds, ScanWish, TransportState, TransportStatus},
    protocol::{InputWish, Operation, OutputValue, PluginFault, ProtocolEvent, WriteKind},
    request::{Hello, Request},
    router::{self, DeviceEntry, OutputEntry, OutsideTicket, Router},
    session::{self, Form, Limits, Session, Settings, Told},
    view::{DeviceView, FeatureView, InputView, InputWays, OutputView},
    vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind, Range, RequestId, SessionId},
};
use ipc_schema::version::SpecVersion;
use proptest::prelude::*;

use machine::{Machine, entry, model, plugin};
use operations::{Ask, Op, op};

/// Outputs of every device: two vibrators and a mover.
const OUTPUTS: [(FeatureIndex, OutputKind); 3] = [
    (FeatureIndex(0), OutputKind::Vibrate),
    (FeatureIndex(1), OutputKind::Vibrate),
    (FeatureIndex(2), OutputKind::PositionWithDuration),
];
const SENSOR: (FeatureIndex, InputKind) = (FeatureIndex(3), InputKind::Pressure);
const PING_LIMIT: Duration = Duration::from_millis(500);
const GAP: Duration = Duration::from_millis(40);

/// One client, and what it may expect.
struct Client {
    session: Session,
    greeted: bool,
    over: bool,
    /// Requests that have not been replied to.
    missing: BTreeMap<RequestId, Ask>,
    wants_scan: bool,
}

struct World {
    now: Instant,
    router: Router,
    clients: BTreeMap<SessionId, Client>,
    machines: BTreeMap<DeviceIndex, Machine>,
    wish: ScanWish,
    last_session: u64,
    last_request: u32,
    last_outside: u64,
    outside: BTreeSet<OutsideTicket>,
    /// How many sets each device had been given when a stop of everything was asked for.
    stops: BTreeMap<(SessionId, RequestId), BTreeMap<DeviceIndex, u64>>,
}

/// The value that a session sets when it sets something running: nobody else's, so that the hardware tells whose it is.
fn value_of(session: SessionId) -> i32 {
    i32::try_from(session.0 % 20).unwrap() + 1
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let mut world = Self {
            now,
            router: Router::new(now),
            clients: BTreeMap::new(),
            machines: BTreeMap::new(),
            wish: ScanWish::Rest,
            last_session: 0,
            last_request: 0,
            last_outside: 0,
            outside: BTreeSet::new(),
            stops: BTreeMap::new(),
        };
        world.bus(TransportState::Ready);
        world
    }

    fn bus(&mut self, state: TransportState) {
        let status = TransportStatus {
            transport: "simulated",
            finds: Finds::WhenAsked,
            state,
            reason: String::new(),
            hint: String::new(),
        };
        self.route(router::Input::Transport(status));
    }

    fn who(&self, place: usize) -> Option<SessionId> {
        self.clients.iter().filter(|(_, client)| !client.over).map(|(id, _)| *id).nth(place)
    }

    fn route(&mut self, input: router::Input) {
        let mut effects = Vec::new();
        self.router.handle(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                router::Effect::Device { device, command } => {
                    if let Some(machine) = self.machines.get_mut(&device) {
                        if let DeviceCommand::Set { values, .. } = &command {
                            machine.sets += 1;
                            assert!(values.iter().all(|set| (0..=20).contains(&set.value)), "out of range");
                        }
                        self.device(device, device::Input::Command(command));
                    }
                }
                router::Effect::Answer { session, ticket, outcome } => {
                    self.session(session, session::Input::Answer { ticket, outcome });
                }
                router::Effect::Event { session, event } => {
                    self.session(session, session::Input::Event(event))
                }
                router::Effect::Stopped { ticket, .. } => {
                    assert!(self.outside.remove(&ticket), "stopped twice")
                }
                router::Effect::Scan(wish) => {
                    assert_ne!(wish, self.wish, "a wish that is none");
                    self.wish = wish;
                }
                router::Effect::Reload { .. } | router::Effect::Record { .. } => {}
                router::Effect::EndSession { session, fault } => {
                    self.session(session, session::Input::Closing(fault));
                }
            }
        }
    }

    fn session(&mut self, id: SessionId, input: session::Input<'_>) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let mut effects = Vec::new();
        client.session.handle(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                session::Effect::Send(_) | session::Effect::StopEverything { .. } => {
                    panic!("a typed session sends bytes")
                }
                session::Effect::Opened(introduction) => {
                    self.route(router::Input::SessionOpened { session: id, introduction });
                }
                session::Effect::Dispatch(dispatches) => {
                    self.route(router::Input::Commands { session: id, dispatches });
                }
                session::Effect::Tell(told) => self.told(id, told),
                session::Effect::Closed(_) => {
                    if let Some(client) = self.clients.get_mut(&id) {
                        assert!(!client.over, "closed twice");
                        client.over = true;
                        client.wants_scan = false;
                    }
                    self.route(router::Input::SessionClosed { session: id });
                }
            }
        }
    }

    fn told(&mut self, id: SessionId, told: Told) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        assert!(!client.over, "told after its end: {told:?}");
        match told {
            Told::Welcome { .. } => client.greeted = true,
            Told::Echo { .. } => panic!("nobody asked for an echo"),
            Told::Event(event) => {
                assert!(client.greeted, "an event before the handshake");
                if event == engine::command::Event::ScanningFinished {
                    client.wants_scan = false;
                }
            }
            Told::Reply { id: RequestId(0), .. } => {}
            Told::Reply { id: request, outcome } => {
                let ask = client.missing.remove(&request).expect("a reply to nothing, or a second one");
                self.replied(id, request, &ask, &outcome);
            }
        }
    }

    fn replied(&mut self, id: SessionId, request: RequestId, ask: &Ask, outcome: &Outcome) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        match (ask, outcome) {
            (Ask::Scan, Ok(_)) => client.wants_scan = true,
            (Ask::StopScan, Ok(_)) => client.wants_scan = false,
            (Ask::StopAll, Ok(_)) => {
                for (device, sets) in self.stops.remove(&(id, request)).unwrap_or_default() {
                    if let Some(machine) = self.machines.get(&device).filter(|machine| machine.sets == sets) {
                        assert!(!machine.runs(), "stopped, and yet it runs: {:?}", machine.hardware);
                    }
                }
            }
            (Ask::Set(_, _, value), Ok(_)) => assert!((0..=20).contains(value), "{value} was accepted"),
            _ => {}
        }
    }

    fn device(&mut self, index: DeviceIndex, input: device::Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let Some(machine) = self.machines.get_mut(&index) else { return };
            let mut effects = Vec::new();
            machine.device.handle(self.now, input, &mut effects);
            for effect in effects {
                let Some(machine) = self.machines.get_mut(&index) else { return };
                match effect {
                    device::Effect::Call(event) => inputs.push(device::Input::Called(plugin(&event))),
                    device::Effect::Transfer(transfer) => {
                        assert!(machine.transfer.replace(transfer).is_none(), "two transfers at a time");
                    }
                    device::Effect::Identified { .. } => inputs.push(device::Input::Model(model())),
                    device::Effect::Ready => {
                        machine.ready = true;
                        self.route(router::Input::DeviceReady(entry(index)));
                    }
                    device::Effect::Report(report) => {
                        if let DeviceReport::Output { feature, kind, value } = &report
                            && !kind.is_position()
                        {
                            let real = machine.hardware.get(&(*feature, *kind)).copied().unwrap_or(0);
                            assert_eq!(real, *value, "confirmed ahead of the write");
                        }
                        self.route(router::Input::Report { device: index, report });
                    }
                    device::Effect::Gone(fault) => {
                        self.machines.remove(&index);
                        self.route(router::Input::DeviceGone { device: index, fault });
                        return;
                    }
                    device::Effect::Journal(_) | device::Effect::Log { .. } => {}
                }
            }
        }
    }
}
