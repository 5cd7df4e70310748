//! A device whose path is open, until it is gone.

use std::collections::VecDeque;

use engine::{
    device::{Device, DeviceCommand, DeviceReport, DeviceSetup, Effect, Input, Motion, Transfer},
    fault::{Fault, Reason},
    monitor::{Anonymity, Recording},
    protocol::LogLevel,
    recording::{Head, Redaction},
    router::DeviceEntry,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    Code, Ended, Identified, Identity, Reached, TaskId, closed,
    path::{Line, Path, transferred},
    waits::{answered, changed, next_command, next_event, passed},
};
use crate::{
    hub::{DeviceLink, Hub},
    journal::{DeviceNotes, RunningJournal},
    plugin::{DeviceInfo, Instance},
    transport::{Opened, TransportEvent, record::Tape, recording},
};

/// A device whose path is open.
pub(super) struct Running {
    id: TaskId,
    began: Instant,
    device: Device,
    instance: Instance,
    info: DeviceInfo,
    /// The protocol that it was recognised for.
    opened_for: String,
    /// What a recording hides.
    radio_address: String,
    path: Path,
    tape: Tape,
    /// What the device sends; none once the path is gone.
    events: Option<mpsc::Receiver<TransportEvent>>,
    identify: mpsc::Sender<Identified>,
    /// The answer that is waited for.
    identity: Option<oneshot::Receiver<Result<Box<Identity>, Fault>>>,
    closing: watch::Receiver<Option<Reason>>,
    /// Whether that has been seen.
    told_to_close: ToldToClose,
    hub: Hub,
    notes: DeviceNotes,
    link: Option<DeviceLink>,
    entry: Option<DeviceEntry>,
    reached: Reached,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ToldToClose {
    Yes,
    No,
}

impl Running {
    #[expect(clippy::too_many_arguments, reason = "the parts of a task, taken apart once")]
    pub(super) fn new(
        id: TaskId,
        opened: Opened,
        code: Code,
        mut info: DeviceInfo,
        setup: DeviceSetup,
        identify: mpsc::Sender<Identified>,
        closing: watch::Receiver<Option<Reason>>,
        hub: Hub,
        journal: RunningJournal,
    ) -> Self {
        let opened_for = code.protocol.clone();
        let radio_address = opened.transport.radio_address().unwrap_or_else(|| info.address.clone());
        info.protocol = code.protocol;
        info.params = code.params;
        let began = Instant::now();
        let tape = Tape::new();
        Self {
            id,
            began,
            device: Device::new(setup, began.into_std()),
            instance: Instance::new(code.table, info.clone()),
            info,
            opened_for,
            radio_address,
            path: Path::Free(Line::new(tape.around(opened.transport))),
            tape,
            events: Some(opened.events),
            identify,
            identity: None,
            closing,
            told_to_close: ToldToClose::No,
            hub,
            notes: DeviceNotes::new(journal),
            link: None,
            entry: None,
            reached: Reached::Open,
        }
    }

    pub(super) async fn run(mut self) -> Ended {
        let mut input = Input::Deadline;
        // What the path has told with its opening comes before any command.
        let early = self.events.as_mut().and_then(|events| events.try_recv().ok());
        let mut early = early.map(|event| self.heard(Some(event)));
        let fault = loop {
            let ended = self.handle(input).await;
            self.tell_recorded().await;
            if let Some(fault) = ended {
                break fault;
            }
            input = match early.take() {
                Some(early) => early,
                None => self.next().await,
            };
        };
        self.end(fault).await
    }

    /// Waits for the next thing that concerns the device. Every arm is cancel-safe: channels, a sleep, the instance's result, and
    /// a transfer that is kept in its place until it is done.
    async fn next(&mut self) -> Input {
        let deadline = self.device.deadline().map(Instant::from_std);
        let deadline = deadline.into_iter().chain(self.notes.deadline()).min();
        let told_to_close = self.told_to_close;
        let (commands, recording) = match &mut self.link {
            Some(link) => (Some(&mut link.commands), Some(&mut link.recording)),
            None => (None, None),
        };
        tokio::select! {
            command = next_command(commands) => match command {
                Some(command) => Input::Command(command),
                None => {
                    // The hub has ended, or a newer device has the index. The link has said all it will say.
                    self.link = None;
                    self.told_to_close = ToldToClose::Yes;
                    Input::Command(DeviceCommand::Close { reason: Reason::ShuttingDown })
                }
            },
            reason = closed(&mut self.closing), if told_to_close == ToldToClose::No => {
                self.told_to_close = ToldToClose::Yes;
                Input::Command(DeviceCommand::Close { reason })
            }
            result = self.instance.result() => Input::Called(result),
            (line, result) = transferred(&mut self.path) => {
                self.path = Path::Free(line);
                Input::Transferred(result)
            }
            recording = changed(recording) => {
                self.record(recording);
                Input::Deadline
            }
            event = next_event(&mut self.events) => self.heard(event),
            identity = answered(&mut self.identity) => {
                self.identity = None;
                match identity {
                    Ok(identity) => self.take_identity(*identity),
                    Err(fault) => Input::NoModel(fault),
                }
            }
            () = passed(deadline) => {
                self.notes.settle();
                Input::Deadline
            }
        }
    }

    /// Hands something to the device and does what it says. The fault is that of its end.
    async fn handle(&mut self, input: Input) -> Option<Fault> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.device.handle(Instant::now().into_std(), input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Call(event) => {
                        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
                        if let Err(fault) = self.instance.submit(now_ms, event) {
                            inputs.push_back(Input::Called(Err(fault)));
                        }
                    }
                    Effect::Transfer(transfer) => self.transfer(transfer),
                    Effect::Journal(motion) => {
                        if let Some(entry) = &self.entry {
                            self.notes.note(entry.view.index, motion);
                        }
                    }
                    Effect::Identified { protocol, model } => self.ask(protocol, model).await,
                    Effect::Ready => inputs.extend(self.ready().await),
                    Effect::Report(report) => {
                        if let Some(link) = &self.link {
                            link.report(report).await;
                        }
                    }
                    Effect::Log { level, text } => self.log(level, &text),
                    Effect::Gone(fault) => return Some(fault),
                }
            }
        }
        None
    }

    fn transfer(&mut self, transfer: Transfer) {
        match std::mem::replace(&mut self.path, Path::Closed) {
            Path::Free(line) => self.path = Path::InUse(Box::pin(line.carry_out(transfer))),
            // The state has one transfer in flight at most.
            other => self.path = other,
        }
    }

    /// What an event of the path is to the device.
    fn heard(&mut self, event: Option<TransportEvent>) -> Input {
        self.tape.heard(event.as_ref());
        match event {
            Some(TransportEvent::Notified { endpoint, data }) => Input::Notified { endpoint, data },
            Some(TransportEvent::Rssi(dbm)) => Input::Signal(dbm.into()),
            Some(TransportEvent::Lost(fault)) => {
                self.events = None;
                Input::Lost(fault.to_string())
            }
            None => {
                self.events = None;
                Input::Lost("the path was closed".to_owned())
            }
        }
    }

    /// Begins or ends a recording.
    fn record(&self, recording: Recording) {
        let Recording::On(anonymity) = recording else { return self.tape.stop() };
        let redaction = match anonymity {
            Anonymity::Kept => Redaction::of(&self.radio_address),
            Anonymity::Waived => Redaction::waived(),
        };
        let mut head = Head::new(&self.info.advertisement, &redaction);
        head.endpoints = self.info.endpoints.iter().map(ToString::to_string).collect();
        head.protocol.clone_from(&self.info.protocol);
        head.opened_for = Some(self.opened_for.clone()).filter(|protocol| *protocol != head.protocol);
        let transport = self.entry.as_ref().map(|entry| entry.transport);
        head.bus = transport.filter(|transport| *transport != recording::bus(&head.shown)).map(str::to_owned);
        let view = self.entry.as_ref().map(|entry| &entry.view);
        head.model = view.map(|view| view.name.clone()).unwrap_or_default();
        if redaction.is_waived() {
            head.address = Some(self.info.address.clone());
            head.given_name = view.and_then(|view| view.display_name.clone());
        }
        self.tape.start(&head, redaction);
    }

    /// Tells what was recorded, if somebody records.
    async fn tell_recorded(&mut self) {
        let Some(link) = &self.link else { return };
        let lines = self.tape.lines();
        if !lines.is_empty() {
            link.report(DeviceReport::Recorded(lines.into())).await;
        }
    }

    async fn ask(&mut self, protocol: Option<String>, identifier: String) {
        let (reply, answer) = oneshot::channel();
        self.identity = Some(answer);
        let opened_for = self.info.protocol.clone();
        let question = Identified { task: self.id, opened_for, protocol, identifier, reply };
        if self.identify.send(question).await.is_err() {
            // The answer's other end is gone with it, which says the same.
            tracing::debug!(task = self.id.0, "nobody knows devices any more");
        }
    }

    fn take_identity(&mut self, identity: Identity) -> Input {
        let Identity { entry, model, setup, code } = identity;
        if let Some(code) = code {
            self.info.protocol = code.protocol;
            self.info.params = code.params;
            self.instance = Instance::new(code.table, self.info.clone());
        }
        self.instance.set_model(model);
        self.entry = Some(entry);
        Input::Model(setup)
    }

    async fn ready(&mut self) -> Option<Input> {
        self.reached = Reached::Ready;
        self.tape.bring_up_ended();
        let entry = self.entry.clone()?;
        tracing::info!(device = %entry.view.index, protocol = %entry.protocol, "device ready");
        match self.hub.device_ready(entry).await {
            Ok(link) => {
                self.link = Some(link);
                None
            }
            Err(fault) => Some(Input::Command(DeviceCommand::Close { reason: fault.reason })),
        }
    }

    fn log(&self, level: LogLevel, text: &str) {
        let (protocol, task) = (self.info.protocol.as_str(), self.id.0);
        match level {
            LogLevel::Error => tracing::error!(protocol, task, "{text}"),
            LogLevel::Warn => tracing::warn!(protocol, task, "{text}"),
            LogLevel::Debug => tracing::debug!(protocol, task, "{text}"),
        }
    }

    async fn end(self, fault: Fault) -> Ended {
        let motion = self.device.motion();
        match &self.entry {
            Some(entry) => {
                tracing::info!(device = %entry.view.index, reason = ?fault.reason, %fault, "device gone")
            }
            None => tracing::info!(protocol = self.info.protocol, %fault, "device given up"),
        }
        if motion == Motion::MayRun {
            tracing::warn!(
                task = self.id.0,
                "a device is gone that may be running; it is stopped when it is back"
            );
        }
        if let Some(link) = self.link {
            link.gone(fault.clone());
        }
        self.path.close().await;
        Ended { id: self.id, entry: self.entry, motion, reached: self.reached, fault }
    }
}
