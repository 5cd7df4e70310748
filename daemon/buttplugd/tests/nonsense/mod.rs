//! Every protocol of this tree with a device that answers nonsense: the plugin through the service's own host, the service's own
//! state of a device around it, and a made-up world in virtual time in place of the device.
//!
//! Which answers are right is not known here, only what must never happen: a panic, a call that asks for too much, a device that
//! neither becomes ready nor is given up, a command without an answer, a stop that is Ok although nothing was sent.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use buttplugd::arrivals::{params, plugin_model, setup};
use buttplugd::plugin::{Code, DeviceInfo, Instance, PluginHost};
use engine::advertisement::Advertisement;
use engine::definition::{
    catalogue::{Catalogue, Source},
    entry::ProtocolEntry,
};
use engine::definition::{layer::Layer, template::AnyTemplate};
use engine::device::{
    Device, DeviceCommand, DeviceReport, DeviceSetup, DeviceTicket, Effect, Input, Motion, StopCause,
    StopScope, Transfer, TransferFault, Transferred,
};
use engine::fault::{Fault, Reason};
use engine::protocol::{Endpoint, InputWish, OutputValue, PluginFault};
use engine::vocabulary::OutputKind;
use system_tests::chance::Chance;

use super::{library, plugins};

/// How many worlds each protocol has to live in.
const WORLDS: u64 = 40;

/// More transfers than this between two looks are a flood.
const TRANSFERS_MAX: usize = 2_000;

/// Protocols without a packet for rest: the device stops by itself as soon as its packets end.
const STOP_BY_THEMSELVES: [&str; 1] = ["hgod"];

/// How long a command may wait for its answer, with every transfer taking the longest that it may.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The longest that a transfer takes before it is given up, but where a device is paired first.
const TRANSFER_LIMIT: Duration = Duration::from_secs(3);

#[test]
fn a_device_that_answers_nonsense_is_ready_or_given_up_and_can_be_stopped() {
    let (mut protocols, mut ready, mut failed) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(plugins()).unwrap() {
        let folder = entry.unwrap().path();
        let path = folder.join("plugin.toml");
        // The hostile plugin does wrong on request, which is tested on its own.
        if !path.exists() || folder.ends_with("hostile") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let source = Source { layer: Layer::Plugins, file: path.display().to_string(), text: Ok(text) };
        let (catalogue, problems) = Catalogue::build(&[source], None, &AnyTemplate);
        assert!(problems.is_empty(), "{problems:?}");
        let mut stage = Stage::new(&folder, catalogue);
        for protocol in stage.catalogue.protocols().into_iter().cloned().collect::<Vec<_>>() {
            protocols += 1;
            for world in 0..WORLDS {
                match stage.play(&protocol, world) {
                    Ok(Came::Ready) => ready += 1,
                    Ok(Came::GivenUp) => {}
                    Err(wrong) => failed.push(format!("{} in world {world}: {wrong}", protocol.id())),
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} went wrong:\n{}", failed.len(), failed.join("\n"));
    assert!(protocols > 0, "no definitions were found in {}", plugins().display());
    // Otherwise the worlds are too bad to test anything but bring-up.
    assert!(ready > protocols * WORLDS / 4, "{ready} of {protocols} protocols were ready");
}

/// How far a device came.
enum Came {
    Ready,
    GivenUp,
}

/// One folder of plugins, with what is needed to make devices of it.
struct Stage {
    catalogue: Catalogue,
    host: PluginHost,
    library: Option<std::path::PathBuf>,
    /// Bytes that devices of this maker say or are told, from its vectors.
    known: Vec<Vec<u8>>,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn new(folder: &Path, catalogue: Catalogue) -> Self {
        Self {
            catalogue,
            host: PluginHost::new(&[*plugin_template::entry()]).unwrap(),
            library: library(folder),
            known: known_bytes(folder),
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
        }
    }

    fn instance(&mut self, protocol: &ProtocolEntry, info: &DeviceInfo) -> Instance {
        let (code, name) = match &self.library {
            Some(path) if protocol.definition.code => (Code::Library(path), protocol.id()),
            Some(_) | None => (Code::LinkedIn, plugin_sdk::TEMPLATE_PROTOCOL),
        };
        let table = self.runtime.block_on(self.host.table(code, name)).unwrap();
        let info =
            DeviceInfo { protocol: protocol.id().to_owned(), params: params(protocol), ..info.clone() };
        Instance::new(table, info)
    }

    fn play(&mut self, protocol: &ProtocolEntry, world: u64) -> Result<Came, String> {
        let mut chance =
            Chance(world.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ u64::try_from(protocol.id().len()).unwrap());
        let definition = &protocol.definition;
        let models: Vec<String> =
            definition.model.iter().flat_map(|model| model.identifiers.iter().cloned()).collect();
        let names: Vec<String> =
            definition.bluetooth.iter().flat_map(|one| one.names.iter().cloned()).collect();
        let name = chance.one_of(&models).or_else(|| chance.one_of(&names)).unwrap_or_default();
        let name = name.trim_end_matches('*').to_owned();
        let mut endpoints: Vec<Endpoint> = vec!["tx".into(), "rx".into()];
        for one in
            definition.bluetooth.iter().flat_map(|one| one.services.values()).flat_map(|one| one.keys())
        {
            if !endpoints.iter().any(|known| **known == **one) {
                endpoints.push(one.as_str().into());
            }
        }
        let companies = definition.bluetooth.iter().flat_map(|one| one.manufacturer_data.iter());
        let manufacturer_data = companies
            .map(|one| {
                (one.company, answer(&mut chance, &self.known, one.data.as_deref().unwrap_or_default()))
            })
            .collect();
        let advertisement =
            Advertisement::Bluetooth { name: Some(name), manufacturer_data, services: Vec::new() };
        let info = DeviceInfo {
            protocol: protocol.id().to_owned(),
            advertisement,
            address: "00:11:22:33:44:55".to_owned(),
            endpoints: endpoints.clone(),
            params: Vec::new(),
            seed: world,
        };
        let instance = self.instance(protocol, &info);
        let start = Instant::now();
        let mood = match world % 4 {
            0 => Mood::Kind,
            1 => Mood::Silent,
            _ => Mood::Odd,
        };
        let device = Device::new(DeviceSetup::default(), start);
        Play {
            stage: self,
            id: protocol.id().to_owned(),
            info,
            instance,
            device,
            chance,
            mood,
            endpoints,
            start,
            now: start,
            inputs: VecDeque::from([Input::Deadline]),
            model: None,
            seen: Seen::default(),
        }
        .run()
    }
}

/// The hexadecimal bytes in the vectors of a folder.
fn known_bytes(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(files) = std::fs::read_dir(folder.join("vectors")) else { return Vec::new() };
    let mut known = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for rest in text.split("hex = \"").skip(1) {
            let hex = rest.split('"').next().unwrap_or_default();
            let bytes: Result<Vec<u8>, _> =
                hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16)).collect();
            known.extend(bytes);
        }
    }
    known
}

/// How a world is disposed. None of them knows the protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Every transfer succeeds, and answers are bytes that are known from this maker.
    Kind,
    /// Transfers succeed, and nothing is ever said.
    Silent,
    /// Transfers fail, hang or succeed; answers are cut, changed, invented, or come twice.
    Odd,
}

/// What has been seen since it was last looked at.
#[derive(Default)]
struct Seen {
    ready: bool,
    gone: Option<Fault>,
    motion: Motion,
    answered: Vec<(DeviceTicket, Result<Option<i32>, Fault>)>,
    writes: usize,
    transfers: usize,
}

/// One device in one world.
struct Play<'s> {
    stage: &'s mut Stage,
    id: String,
    info: DeviceInfo,
    instance: Instance,
    device: Device,
    chance: Chance,
    mood: Mood,
    endpoints: Vec<Endpoint>,
    start: Instant,
    now: Instant,
    inputs: VecDeque<Input>,
    model: Option<buttplugd::plugin::Model>,
    seen: Seen,
}

impl Play<'_> {
    fn run(mut self) -> Result<Came, String> {
        // The limit of bring-up is the device's own; a definition may make it longer, but nobody waits for ever.
        self.until(Duration::from_secs(600), "bring-up", |seen| seen.ready)?;
        if self.seen.gone.is_some() {
            return Ok(Came::GivenUp);
        }
        let model = self.model.clone().ok_or("ready without a model")?;
        let values: Vec<OutputValue> = model
            .features
            .iter()
            .flat_map(|feature| {
                feature.outputs.iter().map(|output| OutputValue {
                    feature: feature.index,
                    kind: output.kind,
                    value: output.range.max,
                    duration_ms: match output.kind {
                        OutputKind::PositionWithDuration => output.duration_ms.1.min(1_000),
                        _ => 0,
                    },
                })
            })
            .collect();
        if !values.is_empty() {
            // So is that it fails.
            drop(self.command("a set", 1, |ticket| DeviceCommand::Set { ticket, values })?);
        }
        let inputs = model.features.iter().flat_map(|feature| {
            let wishes = [InputWish::Read, InputWish::Subscribe, InputWish::Unsubscribe];
            feature.inputs.iter().flat_map(move |input| wishes.map(|wish| (feature.index, input.kind, wish)))
        });
        for (number, (feature, kind, wish)) in (2..).zip(inputs) {
            let ticket = |ticket| DeviceCommand::Input { ticket: Some(ticket), feature, kind, wish };
            // That it cannot be had is an answer.
            drop(self.command("an input", number, ticket)?);
        }
        if self.seen.gone.is_some() {
            return Ok(Came::Ready);
        }
        // Whatever was said before, the path is well again: a stop must get through.
        self.mood = Mood::Silent;
        let runs = self.seen.motion == Motion::MayRun;
        self.seen.writes = 0;
        let stop = |ticket| DeviceCommand::Stop {
            ticket: Some(ticket),
            scope: StopScope::All,
            cause: StopCause::Addressed,
        };
        let stopped = self.command("a stop", 1_000, stop)?;
        if runs && self.seen.gone.is_none() {
            let ends = STOP_BY_THEMSELVES.contains(&self.id.as_str()) && self.device.deadline().is_none();
            if stopped.is_ok() && self.seen.writes == 0 && !ends {
                return Err("a stop of a running device was Ok, and nothing was written".to_owned());
            }
            if stopped.is_ok() && self.seen.motion == Motion::MayRun {
                return Err("a stop was Ok, and the device may run still".to_owned());
            }
        }
        Ok(Came::Ready)
    }

    /// Gives a command and waits for its answer.
    fn command(
        &mut self,
        what: &str,
        number: u64,
        command: impl FnOnce(DeviceTicket) -> DeviceCommand,
    ) -> Result<Result<Option<i32>, Fault>, String> {
        if let Some(fault) = &self.seen.gone {
            return Ok(Err(fault.clone()));
        }
        let ticket = DeviceTicket(number);
        self.seen.transfers = 0;
        self.inputs.push_back(Input::Command(command(ticket)));
        self.until(ANSWER_LIMIT, what, |seen| seen.answered.iter().any(|(one, _)| *one == ticket))?;
        let mut answers = self.seen.answered.extract_if(.., |(one, _)| *one == ticket);
        match (answers.next(), answers.next()) {
            (Some((_, answer)), None) => Ok(answer),
            (Some(_), Some(_)) => Err(format!("{what} was answered twice")),
            (None, _) => Err(format!("the device ended, and {what} was never answered")),
        }
    }

    /// Goes on until that has been seen, or the device is given up.
    fn until(&mut self, limit: Duration, what: &str, done: impl Fn(&Seen) -> bool) -> Result<(), String> {
        let end = self.now + limit;
        loop {
            while let Some(input) = self.inputs.pop_front() {
                self.take(input)?;
                if self.seen.gone.is_some() {
                    return Ok(());
                }
            }
            if done(&self.seen) {
                return Ok(());
            }
            if self.seen.transfers > TRANSFERS_MAX {
                return Err(format!("{what}: {} transfers", self.seen.transfers));
            }
            if self.now > end {
                return Err(format!("{what}: no end in time"));
            }
            match self.device.deadline() {
                Some(due) if due <= self.now => self.inputs.push_back(Input::Deadline),
                due => {
                    self.wait();
                    if self.inputs.is_empty() {
                        self.now = due.ok_or_else(|| format!("{what}: nothing is waited for, for ever"))?;
                        self.inputs.push_back(Input::Deadline);
                    }
                }
            }
        }
    }

    /// Nothing happens by itself: perhaps the device says something.
    fn wait(&mut self) {
        let says = match self.mood {
            Mood::Kind => self.chance.below(2) == 0,
            Mood::Odd => self.chance.below(3) == 0,
            Mood::Silent => false,
        };
        if says && let Some(endpoint) = self.chance.one_of(&self.endpoints) {
            self.now += Duration::from_millis(20);
            let data = self.answer();
            self.inputs.push_back(Input::Notified { endpoint, data });
        }
    }

    fn answer(&mut self) -> Vec<u8> {
        match self.mood {
            Mood::Kind => self.chance.one_of(&self.stage.known).unwrap_or_else(|| vec![1]),
            Mood::Silent => Vec::new(),
            Mood::Odd => answer(&mut self.chance, &self.stage.known, &[]),
        }
    }

    fn take(&mut self, input: Input) -> Result<(), String> {
        let mut effects = Vec::new();
        self.device.handle(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Call(event) => {
                    let now_ms = u64::try_from((self.now - self.start).as_millis()).unwrap();
                    let told = format!("{event:?}");
                    let outcome = self.stage.runtime.block_on(self.instance.call(now_ms, event));
                    if let Err(fault) = &outcome {
                        check_fault(fault).map_err(|fault| format!("{fault}, told {told}"))?;
                    }
                    self.inputs.push_back(Input::Called(outcome));
                }
                Effect::Identified { protocol, model } => {
                    let answer = self.identified(protocol.as_deref(), &model);
                    self.inputs.push_back(answer);
                }
                Effect::Transfer(transfer) => {
                    let answer = self.transfer(&transfer);
                    self.inputs.push_back(answer);
                }
                Effect::Journal(motion) => self.seen.motion = motion,
                Effect::Ready => self.seen.ready = true,
                Effect::Report(DeviceReport::Answered { ticket, result }) => {
                    self.seen.answered.push((ticket, result));
                }
                Effect::Gone(fault) => self.seen.gone = Some(fault),
                Effect::Report(
                    DeviceReport::Reading { .. } | DeviceReport::Output { .. } | DeviceReport::Recorded(_),
                )
                | Effect::Log { .. } => {}
            }
        }
        Ok(())
    }

    fn identified(&mut self, protocol: Option<&str>, model: &str) -> Input {
        let id = protocol.unwrap_or(&self.id).to_owned();
        let resolved = match self.stage.catalogue.resolve(&id, model, &self.info.address) {
            Ok(resolved) => resolved,
            Err(refusal) => return Input::NoModel(Fault::new(Reason::BringUpFailed, refusal.to_string())),
        };
        if protocol.is_some() {
            let info = self.info.clone();
            self.instance = self.stage.instance(&resolved.protocol, &info);
            self.id = id;
        }
        let model = plugin_model(&resolved);
        self.instance.set_model(model.clone());
        self.model = Some(model);
        Input::Model(setup(&resolved, "bluetooth", Motion::AtRest))
    }

    /// What becomes of a transfer. The device may say something before it is known.
    fn transfer(&mut self, transfer: &Transfer) -> Input {
        self.seen.transfers += 1;
        self.now += Duration::from_millis(10);
        if self.mood == Mood::Odd {
            match self.chance.below(20) {
                0 | 1 => return refused(),
                2 => {
                    self.now += TRANSFER_LIMIT;
                    return Input::Transferred(Err(TransferFault::TimedOut("made up".to_owned())));
                }
                3 if self.chance.below(8) == 0 => return Input::Lost("made up".to_owned()),
                _ => {}
            }
        }
        match transfer {
            Transfer::Write(packet) => {
                self.seen.writes += 1;
                assert!(!packet.data.is_empty(), "{}: an empty packet", self.id);
                if self.mood != Mood::Silent && self.chance.below(2) == 0 {
                    self.wait();
                }
                Input::Transferred(Ok(Transferred::Done))
            }
            Transfer::Read { max_len, .. } => {
                let mut data = self.answer();
                data.truncate(usize::try_from(*max_len).unwrap().max(1));
                Input::Transferred(Ok(Transferred::Data(data)))
            }
            Transfer::Subscribe(_) | Transfer::Unsubscribe(_) => Input::Transferred(Ok(Transferred::Done)),
        }
    }
}

fn refused() -> Input {
    Input::Transferred(Err(TransferFault::Refused("made up".to_owned())))
}

/// What a plugin may say of a device that answers nonsense, and what is a fault of the plugin.
fn check_fault(fault: &PluginFault) -> Result<(), String> {
    match fault {
        PluginFault::Unsupported | PluginFault::BadReply | PluginFault::Failed | PluginFault::WrittenOff => {
            Ok(())
        }
        PluginFault::Panicked
        | PluginFault::UnknownStatus(_)
        | PluginFault::TimedOut { .. }
        | PluginFault::ThreadGone
        | PluginFault::OverLimit { .. }
        | PluginFault::Nonsense(_)
        | PluginFault::Busy => Err(fault.to_string()),
    }
}

/// Bytes that may be an answer: known ones, cut, changed or continued ones, or any.
fn answer(chance: &mut Chance, known: &[Vec<u8>], otherwise: &[u8]) -> Vec<u8> {
    let mut data = chance.one_of(known).unwrap_or_else(|| otherwise.to_vec());
    let place = chance.below(data.len());
    match chance.below(6) {
        0 => data.truncate(place),
        1 => {
            if let Some(byte) = data.get_mut(place) {
                *byte = chance.byte();
            }
        }
        2 => data.extend((0..chance.below(20)).map(|_| 0xff)),
        3 => data = (0..chance.below(24)).map(|_| chance.byte()).collect(),
        _ => {}
    }
    data
}
