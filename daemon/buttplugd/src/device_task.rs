//! One task a device: carries time, commands, plugin results and transfer results to the device's state, and does what that says.
//!
//! Nothing is decided here. The transport is used by one transfer at a time, each with a limit; the plugin by one call at a time,
//! which has its limit in [`Instance`]. When the task ends, it has stopped the device, or tried to until the limit.

use std::{collections::VecDeque, future::Future, pin::Pin, time::Duration};

use engine::{
    device::{
        Device, DeviceCommand, DeviceReport, DeviceSetup, Effect, Input, ModelSetup, Motion, Transfer,
        TransferFault, Transferred,
    },
    fault::{Fault, Reason},
    monitor::{Anonymity, Recording},
    protocol::LogLevel,
    router::DeviceEntry,
    vocabulary::DeviceIndex,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    hub::{DeviceLink, Hub},
    journal::{DeviceNotes, RunningJournal},
    plugin::{DeviceInfo, Instance, Model, Table},
    transport::{
        Access, Opened, Opener, Transport, TransportEvent, TransportFault,
        record::Tape,
        recording::{Head, Redaction},
    },
};

/// The longest time for opening a path. Transports have shorter ones of their own; this one is for a transport that breaks that.
const OPEN_LIMIT: Duration = Duration::from_secs(40);
/// The longest time for one transfer.
const TRANSFER_LIMIT: Duration = Duration::from_secs(3);
/// The longest time for closing a path.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// The code of a protocol and what it is told of the definition.
#[derive(Debug, Clone)]
pub struct Code {
    /// The protocol.
    pub table: Table,
    /// Its id.
    pub protocol: String,
    /// The strings of the definition.
    pub params: Vec<(String, String)>,
}

/// A device that has said what it is, and waits to be told what that means.
#[derive(Debug)]
pub struct Identified {
    /// Who asks, as it was given to the task.
    pub task: TaskId,
    /// The protocol that it was opened for.
    pub opened_for: String,
    /// The protocol that takes over.
    pub protocol: Option<String>,
    /// What the device says it is.
    pub identifier: String,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Box<Identity>, Fault>>,
}

/// Which of the device tasks; unique for the life of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

/// What a device is.
#[derive(Debug)]
pub struct Identity {
    /// For the hub: its index, what clients are shown, what their values mean.
    pub entry: DeviceEntry,
    /// For the plugin.
    pub model: Model,
    /// For the state of the device.
    pub setup: ModelSetup,
    /// The code that takes over, if another does.
    pub code: Option<Code>,
}

/// What a device task is made of.
pub struct DeviceTask {
    /// Its number.
    pub id: TaskId,
    /// The way to open the path.
    pub opener: Box<dyn Opener>,
    /// How.
    pub access: Access,
    /// The protocol; where [`Access`] has several candidates, that of each, in their order.
    pub codes: Vec<Code>,
    /// What is known of the device; endpoints and params are filled in here.
    pub info: DeviceInfo,
    /// How long things may take.
    pub setup: DeviceSetup,
    /// Where to ask what a device is.
    pub identify: mpsc::Sender<Identified>,
    /// Set when the device is to be let go.
    pub closing: watch::Receiver<Option<Reason>>,
    /// Where a device that is ready is reported.
    pub hub: Hub,
    /// Where it is written down that the device may be running.
    pub journal: RunningJournal,
}

/// How a device task ended.
#[derive(Debug)]
pub struct Ended {
    /// Which.
    pub id: TaskId,
    /// The device, if it came so far.
    pub entry: Option<DeviceEntry>,
    /// Whether it may be running still.
    pub motion: Motion,
    /// Whether it ever took commands.
    pub reached: Reached,
    /// Why.
    pub fault: Fault,
}

impl Ended {
    /// The index of the device, if it came so far.
    #[must_use]
    pub fn index(&self) -> Option<DeviceIndex> {
        self.entry.as_ref().map(|entry| entry.view.index)
    }
}

/// How far a device came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// The path could not be opened, or has none of the protocol's endpoints.
    Nothing,
    /// The path was open.
    Open,
    /// It took commands.
    Ready,
}

impl DeviceTask {
    /// Runs until the device is gone.
    pub async fn run(self) -> Ended {
        let Self { id, opener, access, codes, mut info, setup, identify, mut closing, hub, journal } = self;
        let nothing =
            |fault| Ended { id, entry: None, motion: Motion::AtRest, reached: Reached::Nothing, fault };
        let opening = timeout(OPEN_LIMIT, opener.open(&access));
        let opened = tokio::select! {
            opened = opening => opened,
            reason = closed(&mut closing) => return nothing(Fault::new(reason, "the device is let go")),
        };
        let opened = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return nothing(bring_up_failed(&error.to_string())),
            Err(_) => return nothing(bring_up_failed("the path could not be opened in time")),
        };
        let Some(code) = codes.into_iter().nth(opened.transport.candidate()) else {
            close(opened.transport).await;
            return nothing(bring_up_failed("it was opened as something that it cannot be"));
        };
        info.endpoints = opened.transport.endpoints();
        if info.endpoints.is_empty() {
            close(opened.transport).await;
            return nothing(bring_up_failed("it has none of the endpoints that the protocol needs"));
        }
        Running::new(id, opened, code, info, setup, identify, closing, hub, journal).run().await
    }
}

fn bring_up_failed(why: &str) -> Fault {
    Fault::new(Reason::BringUpFailed, format!("the device could not be prepared: {why}"))
}

/// Waits until the device is to be let go.
pub(crate) async fn closed(closing: &mut watch::Receiver<Option<Reason>>) -> Reason {
    match closing.wait_for(Option::is_some).await {
        Ok(reason) => (*reason).unwrap_or(Reason::ShuttingDown),
        // Whoever would say it is gone.
        Err(_) => Reason::ShuttingDown,
    }
}

async fn close(transport: Box<dyn Transport>) {
    if timeout(CLOSE_LIMIT, transport.close()).await.is_err() {
        tracing::warn!("closing the path to a device took too long");
    }
}

type Transferring =
    Pin<Box<dyn Future<Output = (Box<dyn Transport>, Result<Transferred, TransferFault>)> + Send>>;

/// Where the transport is.
enum Path {
    Free(Box<dyn Transport>),
    InUse(Transferring),
    /// It was given up.
    Closed,
}

/// A device whose path is open.
struct Running {
    id: TaskId,
    began: Instant,
    device: Device,
    instance: Instance,
    info: DeviceInfo,
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
    fn new(
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
            path: Path::Free(tape.around(opened.transport)),
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

    async fn run(mut self) -> Ended {
        let mut input = Input::Deadline;
        let fault = loop {
            let ended = self.handle(input).await;
            self.tell_recorded().await;
            if let Some(fault) = ended {
                break fault;
            }
            input = self.next().await;
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
            (transport, result) = transferred(&mut self.path) => {
                self.path = Path::Free(transport);
                Input::Transferred(result)
            }
            recording = changed(recording) => {
                self.record(recording);
                Input::Deadline
            }
            event = next_event(&mut self.events) => match self.heard(event) {
                Some(TransportEvent::Notified { endpoint, data }) => Input::Notified { endpoint, data },
                // No input of a device is served from it; readings come through the plugin.
                Some(TransportEvent::Rssi(_)) => Input::Deadline,
                Some(TransportEvent::Lost(fault)) => {
                    self.events = None;
                    Input::Lost(fault.to_string())
                }
                None => {
                    self.events = None;
                    Input::Lost("the path was closed".to_owned())
                }
            },
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
            Path::Free(transport) => self.path = Path::InUse(Box::pin(carry_out(transport, transfer))),
            // The state has one transfer in flight at most.
            other => self.path = other,
        }
    }

    fn heard(&self, event: Option<TransportEvent>) -> Option<TransportEvent> {
        self.tape.heard(event.as_ref());
        event
    }

    /// Begins or ends a recording.
    fn record(&self, recording: Recording) {
        let Recording::On(anonymity) = recording else { return self.tape.stop() };
        let redaction = match anonymity {
            Anonymity::Kept => Redaction::of(&self.info.address),
            Anonymity::Waived => Redaction::waived(),
        };
        let mut head = Head::new(&self.info.advertisement, &redaction);
        head.endpoints = self.info.endpoints.iter().map(ToString::to_string).collect();
        head.protocol.clone_from(&self.info.protocol);
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
        match self.path {
            Path::Free(transport) => close(transport).await,
            Path::InUse(transferring) => {
                let (transport, _) = transferring.await;
                close(transport).await;
            }
            Path::Closed => {}
        }
        Ended { id: self.id, entry: self.entry, motion, reached: self.reached, fault }
    }
}

async fn carry_out(
    mut transport: Box<dyn Transport>,
    transfer: Transfer,
) -> (Box<dyn Transport>, Result<Transferred, TransferFault>) {
    let result = timeout(TRANSFER_LIMIT, async {
        match transfer {
            Transfer::Write(packet) => {
                tracing::trace!(endpoint = %packet.endpoint, data = %Hex(&packet.data), "write");
                transport.write(&packet.endpoint, &packet.data, packet.kind).await.map(|()| Transferred::Done)
            }
            Transfer::Read { endpoint, max_len } => {
                transport.read(&endpoint, max_len).await.map(Transferred::Data)
            }
            Transfer::Subscribe(endpoint) => transport.subscribe(&endpoint).await.map(|()| Transferred::Done),
            Transfer::Unsubscribe(endpoint) => {
                transport.unsubscribe(&endpoint).await.map(|()| Transferred::Done)
            }
        }
    });
    let result = match result.await {
        Ok(result) => result.map_err(|fault| into_transfer_fault(&fault)),
        Err(_) => Err(TransferFault::TimedOut(format!("no answer within {} ms", TRANSFER_LIMIT.as_millis()))),
    };
    (transport, result)
}

fn into_transfer_fault(fault: &TransportFault) -> TransferFault {
    let text = fault.to_string();
    match fault {
        TransportFault::Disconnected(_) => TransferFault::Lost(text),
        TransportFault::TimedOut(_) => TransferFault::TimedOut(text),
        TransportFault::NoEndpoint(_) | TransportFault::NotAllowed(_) | TransportFault::Refused(_) => {
            TransferFault::Refused(text)
        }
    }
}

/// Bytes for the log.
struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

async fn next_command(commands: Option<&mut mpsc::Receiver<DeviceCommand>>) -> Option<DeviceCommand> {
    match commands {
        Some(commands) => commands.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits until a recording begins or ends.
async fn changed(recording: Option<&mut watch::Receiver<Recording>>) -> Recording {
    if let Some(recording) = recording
        && recording.changed().await.is_ok()
    {
        return *recording.borrow_and_update();
    }
    // Whoever would say it is gone, and the commands end.
    std::future::pending().await
}

async fn next_event(events: &mut Option<mpsc::Receiver<TransportEvent>>) -> Option<TransportEvent> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

async fn transferred(path: &mut Path) -> (Box<dyn Transport>, Result<Transferred, TransferFault>) {
    match path {
        Path::InUse(transferring) => transferring.await,
        Path::Free(_) | Path::Closed => std::future::pending().await,
    }
}

async fn answered(
    identity: &mut Option<oneshot::Receiver<Result<Box<Identity>, Fault>>>,
) -> Result<Box<Identity>, Fault> {
    match identity {
        Some(answer) => {
            answer.await.unwrap_or_else(|_| Err(Fault::new(Reason::ShuttingDown, "the service is ending")))
        }
        None => std::future::pending().await,
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
