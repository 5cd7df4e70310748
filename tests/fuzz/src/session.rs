//! A client's conversation with a session, from its handshake to its end, in every version and both encodings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::command::{Answer, Event, Reading};
use engine::fault::{Fault, Reason};
use engine::session::{Effect, Form, Input, Session, Settings};
use engine::view::{DeviceList, DeviceView, FeatureView, InputView, InputWays, OutputView};
use engine::vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind, Range, Ticket};
use ipc_schema::codec::{self, Encoding};
use ipc_schema::{v0, v1, v2, v3, v4};

/// A conversation, a line for each thing that happens. The first line is the version and the encoding, `3 m`, without which no
/// handshake is made. A line that is no word of the list below is a frame: JSON is put into the session's encoding, everything
/// else goes as it is.
///
/// `answer TICKET ok|fault|reading|devices`, `event added|removed|finished|reading`, `wait MILLISECONDS`, `closing`, `gone`.
pub fn session(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let encoding = if first.contains(&b'm') { Encoding::MessagePack } else { Encoding::Json };
    let version = first.first().and_then(|digit| digit.checked_sub(b'0')).filter(|version| *version <= 4);
    let settings = Settings { ping_limit: Some(Duration::from_secs(1)), ..Settings::default() };
    let mut talk = Talk {
        session: Session::new(settings, Form::Bytes(encoding), DeviceList::default(), Instant::now()),
        encoding,
        version,
        now: Instant::now(),
        closed: false,
        dispatched: 0,
    };
    if let Some(version) = version {
        let hello = match version {
            0 => r#"[{"RequestServerInfo":{"Id":1,"ClientName":"a"}}]"#.to_owned(),
            4 => r#"[{"RequestServerInfo":{"Id":1,"ClientName":"a","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"Extensions":["reserve","monitor","error-reason"]}}]"#.to_owned(),
            _ => format!(r#"[{{"RequestServerInfo":{{"Id":1,"ClientName":"a","MessageVersion":{version}}}}}]"#),
        };
        talk.line(hello.as_bytes());
        talk.line(b"event added");
    }
    for line in lines {
        talk.line(line);
    }
    talk.handle(Input::Gone);
}

struct Talk {
    session: Session,
    encoding: Encoding,
    /// `None` where no handshake was made: then a line may have made one, of any version.
    version: Option<u8>,
    now: Instant,
    closed: bool,
    dispatched: u64,
}

impl Talk {
    fn line(&mut self, line: &[u8]) {
        let words: Vec<&str> = std::str::from_utf8(line).unwrap_or_default().split(' ').collect();
        match words[..] {
            ["answer", ticket, outcome] => {
                let reading = Reading {
                    device: DeviceIndex(0),
                    feature: FeatureIndex(2),
                    kind: InputKind::Battery,
                    value: 50,
                };
                let outcome = match outcome {
                    "ok" => Ok(Answer::Done),
                    "reading" => Ok(Answer::Reading(reading)),
                    "devices" => Ok(Answer::Devices(devices())),
                    _ => Err(Fault::new(Reason::WriteFailed, "because")),
                };
                self.handle(Input::Answer { ticket: Ticket(ticket.parse().unwrap_or(1)), outcome });
            }
            ["event", "added"] => {
                let devices = devices();
                let device = devices.values().next().cloned().expect("there is one");
                self.handle(Input::Event(Event::DeviceAdded { device, devices }));
            }
            ["event", "removed"] => {
                let gone = Event::DeviceRemoved { device: DeviceIndex(0), devices: DeviceList::default() };
                self.handle(Input::Event(gone));
            }
            ["event", "finished"] => self.handle(Input::Event(Event::ScanningFinished)),
            ["event", _] => {
                let reading = Reading {
                    device: DeviceIndex(0),
                    feature: FeatureIndex(3),
                    kind: InputKind::Pressure,
                    value: 7,
                };
                self.handle(Input::Event(Event::Reading(reading)));
            }
            ["wait", ms] => {
                let until = self.now + Duration::from_millis(ms.parse::<u16>().unwrap_or(1).into());
                while let Some(due) = self.session.deadline().filter(|due| *due <= until) {
                    self.now = due;
                    self.handle(Input::Deadline);
                }
                self.now = until;
            }
            ["closing"] => self.handle(Input::Closing(Fault::new(Reason::ShuttingDown, "because"))),
            ["gone"] => self.handle(Input::Gone),
            _ => match (self.encoding, serde_json::from_slice::<serde_json::Value>(line)) {
                (Encoding::MessagePack, Ok(value)) => {
                    let packed = rmp_serde::to_vec_named(&value).expect("JSON fits into MessagePack");
                    self.handle(Input::Frame(&packed));
                }
                _ => self.handle(Input::Frame(line)),
            },
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        let mut effects = Vec::new();
        self.session.handle(self.now, input, &mut effects);
        for effect in effects {
            assert!(!self.closed, "an effect after the end: {effect:?}");
            match effect {
                Effect::Send(payload) => self.sent(&payload),
                Effect::Dispatch(dispatches) => {
                    for dispatch in dispatches {
                        self.dispatched += 1;
                        assert_eq!(dispatch.ticket.0, self.dispatched, "tickets count up");
                    }
                }
                Effect::Closed(_) => self.closed = true,
                Effect::Tell(told) => panic!("a session of bytes tells {told:?}"),
                Effect::Opened(_) | Effect::StopEverything { .. } => {}
            }
        }
    }

    /// Whatever is sent is one message that a client of the version can read.
    fn sent(&self, payload: &[u8]) {
        let mut messages = codec::decode(payload, self.encoding);
        assert_eq!(messages.len(), 1);
        let envelope = messages.remove(0).expect("it can be read");
        let read = match self.version {
            Some(0) => envelope.message::<v0::ServerMessage>().map(drop),
            Some(1) => envelope.message::<v1::ServerMessage>().map(drop),
            Some(2) => envelope.message::<v2::ServerMessage>().map(drop),
            Some(3) => envelope.message::<v3::ServerMessage>().map(drop),
            Some(_) => envelope.message::<v4::ServerMessage>().map(drop),
            None => return,
        };
        if let Err(bad) = read {
            // Before the handshake, errors are the same in all versions.
            assert!(!self.session.is_open(), "v{:?}: {bad}: {envelope:?}", self.version);
        }
    }
}

fn devices() -> DeviceList {
    let output = |kind, min, max| OutputView {
        kind,
        range: Range::new(min, max),
        duration_ms: (kind == OutputKind::PositionWithDuration).then_some((0, 10_000)),
    };
    let feature = |index, outputs, inputs| FeatureView {
        index: FeatureIndex(index),
        description: String::new(),
        outputs,
        inputs,
    };
    let battery =
        InputView { kind: InputKind::Battery, ranges: vec![Range::new(0, 100)], ways: InputWays::Read };
    let pressure = InputView {
        kind: InputKind::Pressure,
        ranges: vec![Range::new(0, 1000)],
        ways: InputWays::Subscribe,
    };
    let view = DeviceView {
        index: DeviceIndex(0),
        name: "Toy".into(),
        display_name: Some("Mine".into()),
        message_gap_ms: 75,
        features: vec![
            feature(0, vec![output(OutputKind::Vibrate, 0, 20), output(OutputKind::Rotate, -20, 20)], vec![]),
            feature(1, vec![output(OutputKind::PositionWithDuration, 0, 100)], vec![]),
            feature(2, vec![output(OutputKind::Led, 0, 1)], vec![battery]),
            feature(3, vec![], vec![pressure]),
        ],
    };
    Arc::new(BTreeMap::from([(view.index, Arc::new(view))]))
}
