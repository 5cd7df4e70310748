//! What is fuzzed: one function a target, each of which takes any bytes and panics when something is wrong.
//!
//! The same functions run over the corpus and over changed inputs in an ordinary test (`tests/tests/fuzz_corpus.rs`), so that
//! they are tried without the fuzzer too.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::advertisement::Advertisement;
use engine::command::{Answer, Event, Reading};
use engine::definition::catalogue::{Catalogue, Source};
use engine::definition::parse::{AnyTemplate, Layer, Parsed, parse};
use engine::fault::{Fault, Reason};
use engine::session::{Effect, Form, Input, Session, Settings};
use engine::view::{DeviceList, DeviceView, FeatureView, InputView, InputWays, OutputView};
use engine::vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind, Range, Ticket};
use ipc_schema::codec::{self, Encoding, Envelope};
use ipc_schema::frame::FrameDecoder;
use ipc_schema::{v0, v1, v2, v3, v4};
use plugin_sdk::driver::{Bench, Call, Direct, info};
use plugin_sdk::{Feature, InputRange, Model, Output, OutputRange, Wanted, Ways, Wish};
use plugin_template::{Program, TemplateDevice};
use serde::{Serialize, de::DeserializeOwned};

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

// ---- Frames and messages ----

/// Bytes of a stream: cut into pieces of a length that the first byte says, taken apart into frames, and those into messages.
pub fn frames(data: &[u8]) {
    const LIMIT: u32 = 4096;

    messages(data);
    let Some((first, stream)) = data.split_first() else { return };
    let mut decoder = FrameDecoder::new(LIMIT);
    for piece in stream.chunks(usize::from(*first).max(1)) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(payload)) => messages(payload),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_frame(), Err(error), "a broken stream stays broken");
                    break;
                }
            }
        }
    }
}

/// The payload of a frame, in both encodings, for every version and direction.
fn messages(payload: &[u8]) {
    for encoding in BOTH {
        let messages = codec::decode(payload, encoding);
        assert!(!messages.is_empty(), "every frame is answered");
        for message in messages {
            match message {
                Ok(envelope) => {
                    assert!(envelope.body.is_object());
                    client::<v0::ClientMessage>(&envelope);
                    client::<v1::ClientMessage>(&envelope);
                    client::<v2::ClientMessage>(&envelope);
                    client::<v3::ClientMessage>(&envelope);
                    client::<v4::ClientMessage>(&envelope);
                    again::<v0::ServerMessage>(&envelope);
                    again::<v1::ServerMessage>(&envelope);
                    again::<v2::ServerMessage>(&envelope);
                    again::<v3::ServerMessage>(&envelope);
                    again::<v4::ServerMessage>(&envelope);
                }
                Err(bad) => assert!(!bad.text.is_empty(), "{bad:?}"),
            }
        }
    }
}

fn client<T: DeserializeOwned + Serialize + PartialEq + Debug>(envelope: &Envelope) {
    match envelope.request::<T>() {
        Ok(_) => again::<T>(envelope),
        Err(bad) => assert_eq!(bad.id, envelope.id.unwrap_or(0), "{bad:?}"),
    }
}

/// What can be read can be written, and reads the same again.
fn again<T: DeserializeOwned + Serialize + PartialEq + Debug>(envelope: &Envelope) {
    let Ok(message) = envelope.message::<T>() else { return };
    for encoding in BOTH {
        let written = codec::encode(&message, encoding).expect("what was read can be written");
        let mut read = codec::decode(&written, encoding);
        assert_eq!(read.len(), 1, "{message:?}");
        let envelope = read.remove(0).expect("what was written can be read");
        let read = envelope.message::<T>().expect("what was written can be read");
        // Decimal fractions may differ in their last bit.
        if encoding == Encoding::MessagePack {
            assert_eq!(read, message);
        }
    }
}

// ---- Sessions ----

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

// ---- Definitions ----

/// The text of a definition file: read alone, and as one of a catalogue that is then asked.
pub fn definition(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Parsed::Broken { problems, .. } = parse("fuzz.toml", text, Layer::User, &AnyTemplate) {
        assert!(!problems.is_empty(), "a broken file has a problem");
        assert!(problems.iter().all(|problem| !problem.reason.is_empty()), "{problems:?}");
    }
    let source = Source { layer: Layer::User, file: "fuzz.toml".into(), text: Ok(text.to_owned()) };
    let (catalogue, _) = Catalogue::build(&[source], None, &AnyTemplate);
    for listed in catalogue.list() {
        for identifier in listed.identifiers.iter().map(String::as_str).chain(["", "nobody"]) {
            if let Ok(resolved) = catalogue.resolve(listed.protocol, identifier, "00:11:22:33:44:55") {
                let view = resolved.view(DeviceIndex(0), 75);
                let outputs = view.features.iter().flat_map(|feature| &feature.outputs);
                for output in outputs {
                    assert!(output.range.min <= output.range.max, "{output:?}");
                }
            }
        }
    }
    let advertisement = Advertisement::Bluetooth {
        name: Some("Toy".into()),
        manufacturer_data: Vec::new(),
        services: Vec::new(),
    };
    for candidate in catalogue.find(&advertisement) {
        // Whether it may be used is a matter of rules; that there is an answer is what counts here.
        drop(catalogue.admit(candidate.protocol.id(), "00:11:22:33:44:55"));
    }
}

// ---- Templates ----

/// A template in JSON, a byte 0, and what happens to the device that it drives.
pub fn template(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let Ok(json) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
    if let Err(error) = Program::from_json(json) {
        assert!(!error.to_string().is_empty());
        return;
    }
    let mut info = info("fuzz", "NAME", &["tx", "rx", "rxblebattery"]);
    info.params.push(("template".into(), json.to_owned()));
    let Ok(mut device) = Bench::<Direct<TemplateDevice>>::direct(&info) else { return };
    let model = model();
    let deeds = parts.next().unwrap_or_default();
    for deed in [0, 1].into_iter().chain(deeds.iter().copied()) {
        let value = i32::from(deed) / 12;
        let endpoint =
            ["tx", "rx", "rxblebattery"].into_iter().cycle().nth(usize::from(deed) % 7).unwrap_or("rx");
        let bytes = &deeds[..deeds.len().min(usize::from(deed) / 8)];
        // That a call fails is an answer.
        drop(match deed % 12 {
            0 => device.call(Call::Identify),
            1 => device.call(Call::Start(&model)),
            2 | 3 => device.call(Call::Output(&outputs(&model, value))),
            4 => device.call(Call::Stop(&outputs(&model, 0))),
            5 => device.call(Call::KeepAlive),
            6 => device.notified(endpoint, bytes),
            7 => device.read_gave(endpoint, bytes),
            8 => device.read_failed(endpoint),
            9 => device.write_failed(endpoint),
            10 => device.advance(u64::from(deed) * 10),
            _ => device.call(Call::Input(Wanted {
                feature: 3,
                kind: plugin_sdk::InputKind::Battery,
                wish: if deed > 127 { Wish::Read } else { Wish::Subscribe },
            })),
        });
        assert!(device.waiting().count() < 100_000, "operations without an end");
    }
}

fn model() -> Model {
    let output = |index, kind, min, max| Feature {
        index,
        outputs: vec![OutputRange { kind, min, max, duration_ms: (0, 10_000) }],
        inputs: Vec::new(),
    };
    let battery = InputRange { kind: plugin_sdk::InputKind::Battery, min: 0, max: 100, ways: Ways::Both };
    Model {
        identifier: "NAME".into(),
        variant: String::new(),
        features: vec![
            output(0, plugin_sdk::OutputKind::Vibrate, 0, 20),
            output(1, plugin_sdk::OutputKind::Rotate, -20, 20),
            output(2, plugin_sdk::OutputKind::PositionWithDuration, 0, 100),
            Feature { index: 3, outputs: Vec::new(), inputs: vec![battery] },
        ],
    }
}

fn outputs(model: &Model, value: i32) -> Vec<Output> {
    let outputs = model.features.iter().flat_map(|feature| {
        feature.outputs.iter().map(|output| Output {
            feature: feature.index,
            kind: output.kind,
            value: value.min(output.max),
            duration_ms: 100,
        })
    });
    outputs.collect()
}
