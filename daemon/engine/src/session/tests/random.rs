//! Whatever comes in, in whatever order: one reply a request, no event before the handshake, nothing after the end.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Hello(u8),
    Requests(Vec<(u32, &'static str)>),
    Disconnect,
    Garbage(Vec<u8>),
    Answer(u64, AnswerKind),
    Event,
    Wait(u64),
    Closing,
    Gone,
}

#[derive(Debug, Clone, Copy)]
enum AnswerKind {
    Done,
    Reading,
    Fault,
}

fn op() -> impl Strategy<Value = Op> {
    let body = prop::sample::select(vec![
        r#""Ping":{"Id":ID}"#,
        r#""StartScanning":{"Id":ID}"#,
        r#""RequestDeviceList":{"Id":ID}"#,
        r#""StopCmd":{"Id":ID}"#,
        r#""StopCmd":{"Id":ID,"FeatureIndex":1}"#,
        r#""OutputCmd":{"Id":ID,"DeviceIndex":7,"FeatureIndex":0,"Command":{"Vibrate":{"Value":5}}}"#,
        r#""OutputCmd":{"Id":ID,"DeviceIndex":8,"FeatureIndex":0,"Command":{"Rotate":{"Value":-5}}}"#,
        r#""InputCmd":{"Id":ID,"DeviceIndex":7,"FeatureIndex":1,"Type":"Battery","Command":"Read"}"#,
        r#""StopAllDevices":{"Id":ID}"#,
        r#""VibrateCmd":{"Id":ID,"DeviceIndex":7,"Speeds":[{"Index":0,"Speed":0.5}]}"#,
        r#""Nonsense":{"Id":ID}"#,
    ]);
    prop_oneof![
        3 => (0..6_u8).prop_map(Op::Hello),
        8 => prop::collection::vec((1..=u32::MAX, body), 1..5).prop_map(Op::Requests),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Op::Garbage),
        8 => (0..40_u64, prop_oneof![Just(AnswerKind::Done), Just(AnswerKind::Reading), Just(AnswerKind::Fault)])
            .prop_map(|(ticket, kind)| Op::Answer(ticket, kind)),
        2 => Just(Op::Event),
        2 => (0..400_u64).prop_map(Op::Wait),
        1 => Just(Op::Closing),
        1 => Just(Op::Disconnect),
        1 => Just(Op::Gone),
    ]
}

/// What a client has seen, and what it waits for.
#[derive(Default)]
struct Client {
    greeted: bool,
    closed: bool,
    gone: bool,
    /// How many replies are missing, by Id.
    missing: BTreeMap<u64, usize>,
    dispatched: u64,
    answered: Vec<u64>,
}

impl Client {
    /// A request goes out; while the session lives it must be replied to.
    fn expect(&mut self, id: u64) {
        if !self.closed {
            *self.missing.entry(id).or_default() += 1;
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            assert!(!self.closed, "an effect after the end: {effect:?}");
            match effect {
                Effect::Send(payload) => self.read(&serde_json::from_slice(&payload).unwrap()),
                Effect::Opened(_) => {
                    assert!(!self.greeted, "opened twice");
                    self.greeted = true;
                }
                Effect::Dispatch(dispatches) => {
                    assert!(self.greeted, "a command before the handshake");
                    for dispatch in dispatches {
                        self.dispatched += 1;
                        assert_eq!(dispatch.ticket.0, self.dispatched, "tickets count up");
                    }
                }
                Effect::Closed(end) => {
                    self.closed = true;
                    self.gone = end == End::Gone;
                }
                Effect::StopEverything { id } => {
                    // Done at once, and answered as the session would.
                    self.read(&serde_json::json!([{ "Ok": { "Id": id.0 } }]));
                }
                Effect::Tell(told) => panic!("a session of bytes tells: {told:?}"),
            }
        }
    }

    fn read(&mut self, frame: &serde_json::Value) {
        let [message] = &frame.as_array().unwrap()[..] else { panic!("one message a frame: {frame}") };
        let (name, body) = message.as_object().unwrap().iter().next().unwrap();
        let id = body["Id"].as_u64().unwrap();
        if id == 0 {
            assert!(self.greeted || name == "Error", "an event before the handshake: {frame}");
            return;
        }
        let missing = self.missing.get_mut(&id).unwrap_or_else(|| panic!("a reply to nothing: {frame}"));
        *missing -= 1;
        if *missing == 0 {
            self.missing.remove(&id);
        }
    }
}

fn run(ops: Vec<Op>) {
    let mut now = Instant::now();
    let mut settings = settings();
    settings.ping_limit = Some(Duration::from_millis(500));
    settings.limits.requests_in_flight = 6;
    settings.limits.messages_in_frame = 3;
    let mut session = Session::new(settings, Form::Bytes(codec::Encoding::Json), devices(), now);
    let mut client = Client::default();
    for op in ops {
        let mut effects = Vec::new();
        match op {
            Op::Hello(version) => {
                let version = match version {
                    0 => String::new(),
                    1..=3 => format!(r#","MessageVersion":{version}"#),
                    _ => format!(r#","ProtocolVersionMajor":{version},"ProtocolVersionMinor":0"#),
                };
                let frame = format!(r#"[{{"RequestServerInfo":{{"Id":77,"ClientName":"a"{version}}}}}]"#);
                client.expect(77);
                session.handle(now, Input::Frame(frame.as_bytes()), &mut effects);
            }
            Op::Requests(requests) => {
                let bodies: Vec<String> = requests
                    .iter()
                    .map(|(id, body)| format!("{{{}}}", body.replace("ID", &id.to_string())))
                    .collect();
                for (id, _) in &requests {
                    client.expect((*id).into());
                }
                let frame = format!("[{}]", bodies.join(","));
                session.handle(now, Input::Frame(frame.as_bytes()), &mut effects);
            }
            Op::Disconnect => {
                client.expect(88);
                session.handle(now, Input::Frame(br#"[{"Disconnect":{"Id":88}}]"#), &mut effects);
            }
            Op::Garbage(bytes) => session.handle(now, Input::Frame(&bytes), &mut effects),
            Op::Answer(ticket, kind) => {
                // The hub answers each command once.
                if ticket == 0 || ticket > client.dispatched || client.answered.contains(&ticket) {
                    continue;
                }
                client.answered.push(ticket);
                let outcome = match kind {
                    AnswerKind::Done => Ok(Answer::Done),
                    AnswerKind::Reading => Ok(Answer::Reading(battery(50))),
                    AnswerKind::Fault => Err(Fault::new(Reason::WriteFailed, "because")),
                };
                session.handle(now, Input::Answer { ticket: Ticket(ticket), outcome }, &mut effects);
            }
            Op::Event => session.handle(now, Input::Event(Event::ScanningFinished), &mut effects),
            Op::Wait(wait) => {
                let until = now + Duration::from_millis(wait);
                if let Some(due) = session.deadline().filter(|due| *due <= until) {
                    session.handle(due, Input::Deadline, &mut effects);
                    assert!(!session.is_open(), "a deadline that passed without an end");
                }
                now = until;
            }
            Op::Closing => {
                session.handle(now, Input::Closing(Fault::new(Reason::ShuttingDown, "over")), &mut effects);
            }
            Op::Gone => session.handle(now, Input::Gone, &mut effects),
        }
        client.take(effects);
        assert!(!(client.closed && session.is_open()), "open after its end");
        let waiting = usize::try_from(client.dispatched).unwrap() - client.answered.len();
        let missing: usize = client.missing.values().sum();
        if client.closed {
            assert!(client.gone || missing == 0, "no reply for {:?}", client.missing);
        } else {
            // A reply may wait for an earlier one about the same device, but not when nothing is on its way.
            assert!(missing >= waiting, "more is on its way than was asked for");
            assert!(waiting > 0 || missing == 0, "no reply for {:?}", client.missing);
        }
    }
}

proptest! {
    #[test]
    fn one_reply_a_request_and_nothing_out_of_place(ops in prop::collection::vec(op(), 1..60)) {
        run(ops);
    }
}
