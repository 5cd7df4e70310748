//! How each operation is carried out, and how time passes.

use super::*;

impl World {
    pub(crate) fn arrive(&mut self, index: DeviceIndex) {
        if self.machines.contains_key(&index) {
            return;
        }
        let device = Device::new(DeviceSetup::default(), self.now);
        let machine = Machine { device, ready: false, transfer: None, hardware: BTreeMap::new(), sets: 0 };
        self.machines.insert(index, machine);
        // This is how it begins.
        self.device(index, device::Input::Deadline);
    }

    pub(crate) fn wake_devices(&mut self) {
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
    pub(crate) fn finish(&mut self, index: DeviceIndex, result: Result<(), TransferFault>, taken: bool) {
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

    pub(crate) fn pass(&mut self, until: Instant) {
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

    pub(crate) fn ask(&mut self, id: SessionId, ask: Ask) {
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

    pub(crate) fn run(&mut self, op: Op) {
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
}
