//! Sessions, router and devices together, with a plugin of a few lines and hardware that sometimes refuses, all in virtual time.
//!
//! Random operations in random order; after each step, and when everything has come to rest, the promises of the service
//! are checked against what the hardware really does.

#![expect(clippy::unwrap_used, reason = "a test; clippy knows that only within functions marked as one")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use engine::{
    command::{Command, Outcome, Setting, StopTarget, StopWhat},
    definition::{model::Output, scale::OutputScale},
    device::{
        self, Device, DeviceCommand, DeviceReport, DeviceSetup, InputSetup, ModelSetup, Motion, OnStop,
        OutputSetup, Transfer, TransferFault, Transferred,
    },
    monitor::{Finds, ScanWish, TransportState, TransportStatus},
    protocol::{InputWish, Operation, OutputValue, PluginFault, ProtocolEvent, WriteKind},
    router::{self, DeviceEntry, Front, OutputEntry, OutsideTicket, Peer, Router},
    session::{self, Form, Hello, Limits, Request, Session, Settings, Told},
    view::{DeviceView, FeatureView, InputView, InputWays, OutputView},
    vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind, Range, RequestId, SessionId},
};
use ipc_schema::version::SpecVersion;
use proptest::prelude::*;

/// Outputs of every device: two vibrators and a mover.
const OUTPUTS: [(FeatureIndex, OutputKind); 3] = [
    (FeatureIndex(0), OutputKind::Vibrate),
    (FeatureIndex(1), OutputKind::Vibrate),
    (FeatureIndex(2), OutputKind::PositionWithDuration),
];
const SENSOR: (FeatureIndex, InputKind) = (FeatureIndex(3), InputKind::Pressure);
const PING_LIMIT: Duration = Duration::from_millis(500);
const GAP: Duration = Duration::from_millis(40);

#[derive(Debug, Clone)]
enum Op {
    Connect,
    Hello(usize),
    Ask(usize, Ask),
    Ping(usize),
    Die(usize),
    Arrive(u32),
    Leave(u32),
    /// The transfer under way ends well.
    Done(u32),
    /// It fails; the hardware may have taken the packet all the same.
    Fails(u32, bool),
    Pass(u64),
    Outside,
    Bus(bool),
    FoundAll,
    Settle,
}

#[derive(Debug, Clone)]
enum Ask {
    Set(u32, usize, i32),
    StopAll,
    StopDevice(u32),
    StopFeature(u32, usize),
    Scan,
    StopScan,
    List,
    Input(u32, u8),
    Reserve(u32),
    Disconnect,
}

fn ask() -> impl Strategy<Value = Ask> {
    let device = 0..3_u32;
    prop_oneof![
        12 => (device.clone(), 0..3_usize, -1..22_i32).prop_map(|(d, o, v)| Ask::Set(d, o, v)),
        2 => Just(Ask::StopAll),
        2 => device.clone().prop_map(Ask::StopDevice),
        2 => (device.clone(), 0..4_usize).prop_map(|(d, o)| Ask::StopFeature(d, o)),
        2 => Just(Ask::Scan),
        2 => Just(Ask::StopScan),
        1 => Just(Ask::List),
        3 => (device.clone(), 0..3_u8).prop_map(|(d, w)| Ask::Input(d, w)),
        1 => device.prop_map(Ask::Reserve),
        1 => Just(Ask::Disconnect),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..3_usize;
    let device = 0..2_u32;
    prop_oneof![
        3 => Just(Op::Connect),
        4 => who.clone().prop_map(Op::Hello),
        20 => (who.clone(), ask()).prop_map(|(s, a)| Op::Ask(s, a)),
        6 => who.clone().prop_map(Op::Ping),
        2 => who.prop_map(Op::Die),
        3 => device.clone().prop_map(Op::Arrive),
        1 => device.clone().prop_map(Op::Leave),
        20 => device.clone().prop_map(Op::Done),
        8 => (device, any::<bool>()).prop_map(|(d, taken)| Op::Fails(d, taken)),
        8 => (0..150_u64).prop_map(Op::Pass),
        1 => Just(Op::Outside),
        1 => any::<bool>().prop_map(Op::Bus),
        1 => Just(Op::FoundAll),
        5 => Just(Op::Settle),
    ]
}

/// One client, and what it may expect.
struct Client {
    session: Session,
    greeted: bool,
    over: bool,
    /// Requests that have not been replied to.
    missing: BTreeMap<RequestId, Ask>,
    wants_scan: bool,
}

/// One device, and what its hardware really does.
struct Machine {
    device: Device,
    ready: bool,
    transfer: Option<Transfer>,
    hardware: BTreeMap<(FeatureIndex, OutputKind), i32>,
    /// Sets that the router has handed to it.
    sets: u64,
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

fn entry(index: DeviceIndex) -> DeviceEntry {
    let outputs = OUTPUTS.map(|(feature, kind)| {
        let duration_ms = (kind == OutputKind::PositionWithDuration).then_some((0, 1000));
        let output = Output { range: Range::new(0, 20), duration_ms, on_stop: None };
        OutputEntry { feature, kind, scale: OutputScale::new(kind, &output, None).unwrap() }
    });
    let mut features: Vec<FeatureView> = OUTPUTS
        .iter()
        .map(|(feature, kind)| FeatureView {
            index: *feature,
            description: String::new(),
            outputs: vec![OutputView {
                kind: *kind,
                range: Range::new(0, 20),
                duration_ms: (*kind == OutputKind::PositionWithDuration).then_some((0, 1000)),
            }],
            inputs: vec![],
        })
        .collect();
    features.push(FeatureView {
        index: SENSOR.0,
        description: String::new(),
        outputs: vec![],
        inputs: vec![InputView { kind: SENSOR.1, ranges: vec![Range::new(0, 100)], ways: InputWays::Both }],
    });
    DeviceEntry {
        view: Arc::new(DeviceView {
            index,
            name: "Toy".into(),
            display_name: None,
            message_gap_ms: 40,
            features,
        }),
        transport: "simulated",
        protocol: "toy".into(),
        outputs: outputs.to_vec(),
    }
}

fn model() -> ModelSetup {
    ModelSetup {
        outputs: OUTPUTS
            .iter()
            .map(|(feature, kind)| OutputSetup {
                feature: *feature,
                kind: *kind,
                rest: 0,
                on_stop: OnStop::Rest,
            })
            .collect(),
        inputs: vec![InputSetup { feature: SENSOR.0, kind: SENSOR.1 }],
        gap: GAP,
        left: Motion::MayRun,
        ..ModelSetup::default()
    }
}

/// The plugin: a packet a value.
fn plugin(event: &ProtocolEvent) -> Result<Vec<Operation>, PluginFault> {
    let write = |set: &OutputValue| Operation::Write {
        endpoint: "tx".into(),
        data: format!("{} {} {}", set.feature, set.kind.name(), set.value).into_bytes(),
        kind: WriteKind::WithResponse,
    };
    Ok(match event {
        ProtocolEvent::Identify => vec![Operation::Identified { protocol: None, model: "toy".into() }],
        ProtocolEvent::Start => vec![Operation::Ready],
        ProtocolEvent::Output(set) => set.iter().map(write).collect(),
        ProtocolEvent::Stop(set) => set.iter().filter(|value| !value.kind.is_position()).map(write).collect(),
        ProtocolEvent::Input { wish: InputWish::Read, .. } => {
            vec![Operation::Read { endpoint: "rx".into(), max_len: 1 }]
        }
        ProtocolEvent::Input { wish: InputWish::Subscribe, .. } => {
            vec![Operation::Subscribe { endpoint: "rx".into() }]
        }
        ProtocolEvent::Input { wish: InputWish::Unsubscribe, .. } => {
            vec![Operation::Unsubscribe { endpoint: "rx".into() }]
        }
        ProtocolEvent::ReadDone { data, .. } | ProtocolEvent::Notified { data, .. } => {
            vec![Operation::Reading { feature: SENSOR.0, kind: SENSOR.1, value: i32::from(data[0]) }]
        }
        ProtocolEvent::ReadFailed { .. } => {
            vec![Operation::InputFailed { feature: SENSOR.0, kind: SENSOR.1 }]
        }
        ProtocolEvent::WriteFailed { .. } | ProtocolEvent::Timer { .. } => Vec::new(),
        ProtocolEvent::KeepAlive => return Err(PluginFault::Unsupported),
    })
}

impl Machine {
    /// The hardware takes the packet under way.
    fn take_packet(&mut self) {
        if let Some(Transfer::Write(packet)) = &self.transfer {
            let text = String::from_utf8(packet.data.clone()).unwrap();
            let words: Vec<&str> = text.split(' ').collect();
            let feature = FeatureIndex(words[0].parse().unwrap());
            let kind = OutputKind::ALL.into_iter().find(|kind| kind.name() == words[1]).unwrap();
            self.hardware.insert((feature, kind), words[2].parse().unwrap());
        }
    }

    fn runs(&self) -> bool {
        self.hardware.iter().any(|((_, kind), value)| !kind.is_position() && *value != 0)
    }
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

    fn arrive(&mut self, index: DeviceIndex) {
        if self.machines.contains_key(&index) {
            return;
        }
        let device = Device::new(DeviceSetup::default(), self.now);
        let machine = Machine { device, ready: false, transfer: None, hardware: BTreeMap::new(), sets: 0 };
        self.machines.insert(index, machine);
        // This is how it begins.
        self.device(index, device::Input::Deadline);
    }

    fn wake_devices(&mut self) {
        for index in self.machines.keys().copied().collect::<Vec<_>>() {
            for _ in 0..1000 {
                let due = self.machines.get(&index).and_then(|machine| machine.device.deadline());
                if due.is_none_or(|due| due > self.now) {
                    break;
                }
                self.device(index, device::Input::Deadline);
            }
        }
    }

    /// Ends the transfer under way, if there is one.
    fn finish(&mut self, index: DeviceIndex, result: Result<(), TransferFault>, taken: bool) {
        let Some(machine) = self.machines.get_mut(&index) else { return };
        if taken {
            machine.take_packet();
        }
        let Some(transfer) = machine.transfer.take() else { return };
        let result = result.map(|()| match transfer {
            Transfer::Read { .. } => Transferred::Data(vec![42]),
            Transfer::Write(_) | Transfer::Subscribe(_) | Transfer::Unsubscribe(_) => Transferred::Done,
        });
        self.device(index, device::Input::Transferred(result));
    }

    fn pass(&mut self, until: Instant) {
        for _ in 0..10_000 {
            let sessions = self.clients.values().filter_map(|client| client.session.deadline());
            let devices = self.machines.values().filter_map(|machine| machine.device.deadline());
            let next = sessions.chain(devices).chain(self.router.deadline()).min();
            let Some(due) = next.filter(|due| *due <= until) else { break };
            self.now = self.now.max(due);
            for id in self.clients.keys().copied().collect::<Vec<_>>() {
                if self.clients[&id].session.deadline().is_some_and(|due| due <= self.now) {
                    self.session(id, session::Input::Deadline);
                    assert!(self.clients[&id].over, "a deadline passed without an end");
                }
            }
            if self.router.deadline().is_some_and(|due| due <= self.now) {
                self.route(router::Input::Deadline);
            }
            self.wake_devices();
        }
        self.now = self.now.max(until);
    }

    fn ask(&mut self, id: SessionId, ask: Ask) {
        self.last_request += 1;
        let request_id = RequestId(self.last_request);
        let feature = |place: usize| FeatureIndex(u32::try_from(place).unwrap());
        let command = match &ask {
            Ask::Set(device, output, value) => {
                let (feature, kind) = OUTPUTS[*output];
                let value = if (1..=20).contains(value) { &value_of(id) } else { value };
                let duration_ms = (kind == OutputKind::PositionWithDuration).then_some(100);
                let settings = vec![Setting { feature, kind, value: *value, duration_ms }];
                Some(Command::SetOutputs { device: DeviceIndex(*device), settings })
            }
            Ask::StopAll => Some(Command::Stop { target: StopTarget::Everything, what: StopWhat::Both }),
            Ask::StopDevice(device) => {
                Some(Command::Stop { target: StopTarget::Device(DeviceIndex(*device)), what: StopWhat::Both })
            }
            Ask::StopFeature(device, place) => Some(Command::Stop {
                target: StopTarget::Feature(DeviceIndex(*device), feature(*place)),
                what: StopWhat::Outputs,
            }),
            Ask::Scan => Some(Command::StartScanning),
            Ask::StopScan => Some(Command::StopScanning),
            Ask::List => Some(Command::ListDevices),
            Ask::Input(device, wish) => Some(Command::Input {
                device: DeviceIndex(*device),
                feature: SENSOR.0,
                kind: SENSOR.1,
                wish: [InputWish::Read, InputWish::Subscribe, InputWish::Unsubscribe][usize::from(*wish)],
            }),
            Ask::Reserve(device) => Some(Command::Reserve { device: DeviceIndex(*device), feature: None }),
            Ask::Disconnect => None,
        };
        if let Ask::StopAll = ask {
            let sets = self.machines.iter().map(|(index, machine)| (*index, machine.sets)).collect();
            self.stops.insert((id, request_id), sets);
        }
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.missing.insert(request_id, ask);
        let request = command.map_or(Request::Disconnect, Request::Command);
        self.session(id, session::Input::Ask { id: request_id, request });
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Connect => {
                self.last_session += 1;
                let id = SessionId(self.last_session);
                let settings = Settings {
                    ping_limit: Some(PING_LIMIT),
                    limits: Limits { time_to_handshake: None, requests_in_flight: 8, ..Limits::default() },
                    ..Settings::default()
                };
                let peer = Arc::new(Peer::of(Front::DBus));
                self.route(router::Input::SessionConnected { session: id, peer });
                let session = Session::new(settings, Form::Typed, self.router.devices().clone(), self.now);
                let client = Client {
                    session,
                    greeted: false,
                    over: false,
                    missing: BTreeMap::new(),
                    wants_scan: false,
                };
                self.clients.insert(id, client);
            }
            Op::Hello(place) => {
                let Some(id) = self.who(place) else { return };
                self.last_request += 1;
                let request_id = RequestId(self.last_request);
                if self.clients[&id].greeted
                    && let Some(client) = self.clients.get_mut(&id)
                {
                    client.missing.insert(request_id, Ask::List);
                }
                let hello = Hello {
                    client_name: "sim".into(),
                    version: SpecVersion::V4,
                    extensions: vec!["reserve".into()],
                    ping_time: None,
                };
                self.session(id, session::Input::Ask { id: request_id, request: Request::Hello(hello) });
            }
            Op::Ask(place, ask) => {
                if let Some(id) = self.who(place) {
                    self.ask(id, ask);
                }
            }
            Op::Ping(place) => {
                let Some(id) = self.who(place) else { return };
                self.last_request += 1;
                let request_id = RequestId(self.last_request);
                if let Some(client) = self.clients.get_mut(&id) {
                    client.missing.insert(request_id, Ask::List);
                }
                self.session(id, session::Input::Ask { id: request_id, request: Request::Ping });
            }
            Op::Die(place) => {
                if let Some(id) = self.who(place) {
                    self.session(id, session::Input::Gone);
                }
            }
            Op::Arrive(index) => self.arrive(DeviceIndex(index)),
            Op::Leave(index) => self.device(DeviceIndex(index), device::Input::Lost("out of reach".into())),
            Op::Done(index) => self.finish(DeviceIndex(index), Ok(()), true),
            Op::Fails(index, taken) => {
                self.finish(DeviceIndex(index), Err(TransferFault::Refused("no".into())), taken);
            }
            Op::Pass(wait) => self.pass(self.now + Duration::from_millis(wait)),
            Op::Outside => {
                self.last_outside += 1;
                let ticket = OutsideTicket(self.last_outside);
                self.outside.insert(ticket);
                self.route(router::Input::StopEverything { ticket });
            }
            Op::Bus(true) => self.bus(TransportState::Ready),
            Op::Bus(false) => self.bus(TransportState::Off),
            Op::FoundAll => self.route(router::Input::ScanEnded { transport: "simulated" }),
            Op::Settle => self.settle(),
        }
        self.check();
    }

    /// What holds at every moment.
    fn check(&self) {
        let wanted = self.clients.values().any(|client| !client.over && client.wants_scan);
        assert_eq!(self.wish == ScanWish::Scan, wanted, "the wish to scan");
        for state in self.router.outputs() {
            if let Some(owner) = state.owner {
                assert!(!self.clients[&owner].over, "an output of a dead session: {state:?}");
            }
        }
        let listed: Vec<_> = self.router.devices().keys().copied().collect();
        let ready: Vec<_> =
            self.machines.iter().filter(|(_, machine)| machine.ready).map(|(index, _)| *index).collect();
        assert_eq!(listed, ready, "the list of devices");
    }

    /// Lets everything that is under way come to its end, with hardware that works.
    fn settle(&mut self) {
        for _ in 0..500 {
            for index in self.machines.keys().copied().collect::<Vec<_>>() {
                self.finish(index, Ok(()), true);
            }
            // Too short for a ping to be missed while everyone pings.
            for place in 0..self.clients.len() {
                if self.who(place).is_some_and(|id| self.clients[&id].greeted) {
                    self.run(Op::Ping(place));
                }
            }
            self.pass(self.now + Duration::from_millis(20));
            // A device without a deadline has nothing left to try.
            let busy = |machine: &Machine| machine.transfer.is_some() || machine.device.deadline().is_some();
            let busy = self.machines.values().any(busy);
            let missing = self.clients.values().any(|client| !client.over && !client.missing.is_empty());
            if !busy && !missing {
                break;
            }
        }
        for (id, client) in self.clients.iter().filter(|(_, client)| !client.over) {
            assert!(client.missing.is_empty(), "session {id} has no reply to {:?}", client.missing);
        }
        assert!(self.outside.is_empty(), "a stop without a session was not answered");
        for (index, machine) in &self.machines {
            for ((feature, kind), value) in &machine.hardware {
                let whose = |id: &SessionId, client: &Client| !client.over && value_of(*id) == *value;
                let lives = self.clients.iter().any(|(id, client)| whose(id, client));
                assert!(
                    kind.is_position() || *value == 0 || lives,
                    "feature {feature} of device {index} runs at {value} for a session that has ended"
                );
            }
        }
    }
}

fn run(ops: Vec<Op>) {
    let mut world = World::new();
    for op in ops {
        world.run(op);
    }
    world.settle();
    // Whatever happened: when nobody is left, nothing runs.
    for id in world.clients.keys().copied().collect::<Vec<_>>() {
        world.session(id, session::Input::Gone);
    }
    world.settle();
    world.pass(world.now + Duration::from_secs(5));
    world.settle();
    for (index, machine) in &world.machines {
        assert!(!machine.runs(), "device {index} runs for nobody: {:?}", machine.hardware);
    }
    world.check();
}

proptest! {
    #[test]
    fn nothing_runs_for_nobody(ops in prop::collection::vec(op(), 1..120)) {
        run(ops);
    }
}

#[test]
fn a_killed_session_leaves_nothing_running_even_if_its_stop_fails_first() {
    let mut world = World::new();
    world.run(Op::Arrive(0));
    world.settle();
    for op in [Op::Connect, Op::Hello(0), Op::Ask(0, Ask::Set(0, 0, 5))] {
        world.run(op);
    }
    world.settle();
    assert!(world.machines[&DeviceIndex(0)].runs());
    world.run(Op::Die(0));
    for _ in 0..3 {
        assert!(world.machines[&DeviceIndex(0)].transfer.is_some(), "it tries again");
        world.run(Op::Fails(0, false));
        world.run(Op::Pass(1000));
    }
    assert!(world.machines[&DeviceIndex(0)].runs());
    world.run(Op::Done(0));
    assert!(!world.machines[&DeviceIndex(0)].runs());
}

#[test]
fn a_value_that_a_failed_write_did_not_replace_ends_with_the_session_that_set_it() {
    let mut world = World::new();
    world.run(Op::Arrive(0));
    world.settle();
    for op in [Op::Connect, Op::Hello(0), Op::Connect, Op::Hello(1), Op::Ask(0, Ask::Set(0, 0, 1))] {
        world.run(op);
    }
    world.settle();
    world.run(Op::Ask(1, Ask::Set(0, 0, 1)));
    world.run(Op::Pass(GAP.as_millis().try_into().unwrap()));
    world.run(Op::Fails(0, false));
    let running = &world.machines[&DeviceIndex(0)].hardware[&OUTPUTS[0]];
    assert_eq!(*running, value_of(SessionId(1)), "the newer value did not get there");
    world.run(Op::Die(0));
    world.settle();
    assert!(!world.machines[&DeviceIndex(0)].runs());
}
