//! One open serial port: set as the definition says, written with a limit, read as long as it is open.
//!
//! The port is never waited for on the service's own thread: what may block in a driver (to open, to close) has a thread and a
//! limit, and reading and writing do not block.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use engine::protocol::{Endpoint, WriteKind};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    termios::{
        ControlModes, InputModes, OptionalActions, QueueSelector, SpecialCodeIndex, ioctl_tiocexcl,
        ioctl_tiocnxcl, tcflush, tcgetattr, tcsetattr,
    },
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{
    super::{
        Opened, SerialSettings, Transport, TransportEvent, TransportFault, ready::waitable, thread,
        visits::Visit,
    },
    mend,
};

const COMMANDS: &str = "tx";
const ANSWERS: &str = "rx";

/// The time that a driver has to open a port. Some talk to their adapter first.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// The time in which a port has to take a packet. At 9600 baud that is 1,900 bytes.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// The time for what was written to leave the port at its end.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// What is read at once.
const READ_MAX: usize = 512;
/// Notifications that may wait for the device's task. With more, the port is read no further until some are taken.
const EVENT_QUEUE: usize = 64;

/// Opens the port, for this service alone.
pub(super) async fn open(
    node: &str,
    settings: SerialSettings,
    visit: Visit,
) -> Result<Opened, TransportFault> {
    let line = Arc::new(Line::open(node, settings, &visit).await?);
    let is_heard = Arc::new(AtomicBool::new(false));
    let (tell, events) = mpsc::channel(EVENT_QUEUE);
    let mut reader = JoinSet::new();
    reader.spawn(read_on(Arc::clone(&line), Arc::clone(&is_heard), tell.clone()));
    let transport = SerialPort { line, is_heard, tell: Some(tell), reader, _visit: visit };
    Ok(Opened { transport: Box::new(transport), events })
}

/// Opens the file and sets the line.
fn set_up(node: &str, settings: SerialSettings) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let port = rustix::fs::open(node, flags, Mode::empty())?;
    let mut line = tcgetattr(&port)?;
    // Two programs that drive one device would each undo what the other did. (It does not hold for root.)
    ioctl_tiocexcl(&port)?;
    line.make_raw();
    line.input_modes -= InputModes::IXON | InputModes::IXOFF | InputModes::IXANY;
    let framing = ControlModes::CSIZE
        | ControlModes::CSTOPB
        | ControlModes::PARENB
        | ControlModes::PARODD
        | ControlModes::CRTSCTS;
    line.control_modes -= framing;
    // CLOCAL: these devices have no carrier to wait for.
    line.control_modes |= ControlModes::CREAD
        | ControlModes::CLOCAL
        | match settings.data_bits {
            5 => ControlModes::CS5,
            6 => ControlModes::CS6,
            7 => ControlModes::CS7,
            _ => ControlModes::CS8,
        }
        | match settings.parity {
            'E' => ControlModes::PARENB,
            'O' => ControlModes::PARENB | ControlModes::PARODD,
            _ => ControlModes::empty(),
        }
        | if settings.stop_bits == 2 { ControlModes::CSTOPB } else { ControlModes::empty() };
    line.special_codes[SpecialCodeIndex::VMIN] = 1;
    line.special_codes[SpecialCodeIndex::VTIME] = 0;
    line.set_speed(settings.baud_rate)?;
    tcsetattr(&port, OptionalActions::Now, &line)?;
    // What another program left there is not for this device's protocol.
    tcflush(&port, QueueSelector::IOFlush)?;
    Ok(port)
}

/// An open port as it is, for both directions.
///
/// The kernel sends what is left before it closes a port, which one that hangs never ends. So one that is only dropped, as when
/// whoever opened it is called off, is closed on a thread of its own too.
#[derive(Debug)]
pub(in super::super) struct Line {
    /// None once it is closed.
    port: Option<AsyncFd<OwnedFd>>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(port) = self.port.take().map(AsyncFd::into_inner)
            && let Err(error) = thread::start("serial-close", move || drop(port))
        {
            tracing::debug!(%error, "a serial port is closed in place");
        }
    }
}

impl Line {
    /// Opens the port, for this service alone.
    pub(in super::super) async fn open(
        node: &str,
        settings: SerialSettings,
        visit: &Visit,
    ) -> Result<Self, TransportFault> {
        let path = node.to_owned();
        let opened = thread::once("serial-open", OPEN_LIMIT, move || set_up(&path, settings)).await?;
        let port = match opened {
            Ok(port) => port,
            Err(Errno::ACCESS | Errno::PERM) => {
                visit.denied();
                return Err(TransportFault::NotAllowed(format!("{node} may not be opened; {}", mend(node))));
            }
            Err(Errno::BUSY) => {
                return Err(TransportFault::Refused(format!("another program has {node} open")));
            }
            Err(Errno::NOTTY) => return Err(TransportFault::Refused(format!("{node} is not a serial port"))),
            Err(error) => return Err(TransportFault::Refused(format!("{node} cannot be opened: {error}"))),
        };
        let port = waitable(port, Interest::READABLE | Interest::WRITABLE)
            .map_err(|error| TransportFault::Refused(format!("{node} cannot be waited for: {error}")))?;
        visit.opened();
        Ok(Self { port: Some(port) })
    }

    /// Has the port take a packet. One that it has not taken in time is taken back, so that nothing of it is sent later, after a stop
    /// perhaps; the port is of no use then.
    pub(in super::super) async fn send(&self, data: &[u8]) -> Result<(), TransportFault> {
        tracing::trace!(?data, "serial port write");
        match timeout(WRITE_LIMIT, self.write(data)).await {
            Ok(result) => result.map_err(|error| gone(&error)),
            Err(_) => {
                let emptied =
                    self.port().and_then(|port| Ok(tcflush(port.get_ref(), QueueSelector::OFlush)?));
                if let Err(error) = emptied {
                    tracing::warn!(%error, "what a serial port did not take cannot be taken back");
                }
                Err(thread::timed_out(WRITE_LIMIT))
            }
        }
    }

    /// Waits for what comes next. Cancel-safe.
    pub(in super::super) async fn receive(&self) -> Result<Vec<u8>, TransportFault> {
        let mut buffer = [0; READ_MAX];
        match self.read(&mut buffer).await {
            Ok(0) => Err(TransportFault::Disconnected("the port was closed at its other end".to_owned())),
            Ok(count) => {
                let data = buffer.get(..count).unwrap_or_default().to_vec();
                tracing::trace!(?data, "serial port read");
                Ok(data)
            }
            Err(error) => Err(gone(&error)),
        }
    }

    /// Closes the port. The kernel sends what is left before, which a port that hangs never ends.
    pub(in super::super) async fn close(mut self) {
        let Some(port) = self.port.take().map(AsyncFd::into_inner) else { return };
        let closed = thread::once("serial-close", CLOSE_LIMIT, move || {
            ioctl_tiocnxcl(&port).ok();
            drop(port);
        });
        if let Err(error) = closed.await {
            tracing::debug!(%error, "a serial port is still closing");
        }
    }

    fn port(&self) -> io::Result<&AsyncFd<OwnedFd>> {
        self.port.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    async fn write(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let mut ready = self.port()?.writable().await?;
            let written = ready.try_io(|port| Ok(rustix::io::write(port.get_ref(), data)?));
            match written {
                Ok(Ok(count)) => data = data.get(count..).unwrap_or_default(),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
        Ok(())
    }

    /// Reads some bytes; none means that the other end is gone.
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.port()?.readable().await?;
            match ready.try_io(|port| Ok(rustix::io::read(port.get_ref(), &mut *buffer)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }
}

/// Reads until the port is gone. What nobody has subscribed to is read too, or the device would be held up by it.
async fn read_on(line: Arc<Line>, is_heard: Arc<AtomicBool>, tell: mpsc::Sender<TransportEvent>) {
    let lost = loop {
        match line.receive().await {
            Ok(data) if is_heard.load(Ordering::Relaxed) => {
                let event = TransportEvent::Notified { endpoint: Endpoint::from(ANSWERS), data };
                if tell.send(event).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(fault) => break fault,
        }
    };
    // Nobody may be there to hear it any more.
    tell.send(TransportEvent::Lost(lost)).await.ok();
}

fn gone(error: &io::Error) -> TransportFault {
    let is_unplugged = [Errno::IO, Errno::NODEV, Errno::NXIO, Errno::PIPE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    let why = if is_unplugged { "the port is gone".to_owned() } else { error.to_string() };
    TransportFault::Disconnected(why)
}

/// An open port.
struct SerialPort {
    line: Arc<Line>,
    /// Whether the device's task has subscribed to what comes.
    is_heard: Arc<AtomicBool>,
    /// None once the port is given up.
    tell: Option<mpsc::Sender<TransportEvent>>,
    /// One task, which ends with this.
    reader: JoinSet<()>,
    /// Last: the bus looks again when the port is closed.
    _visit: Visit,
}

impl SerialPort {
    /// The port has not taken a packet in time: it is given up.
    fn give_up(&mut self, fault: &TransportFault) {
        self.reader.abort_all();
        if let Some(tell) = self.tell.take() {
            // Full: then the end of the queue says that the path is gone.
            let lost = TransportFault::Disconnected(format!("the port hangs: {fault}"));
            tell.try_send(TransportEvent::Lost(lost)).ok();
        }
    }
}

#[async_trait]
impl Transport for SerialPort {
    fn endpoints(&self) -> Vec<Endpoint> {
        [COMMANDS, ANSWERS].into_iter().map(Endpoint::from).collect()
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], _: WriteKind) -> Result<(), TransportFault> {
        if endpoint != COMMANDS {
            return Err(TransportFault::NoEndpoint(endpoint.to_owned()));
        }
        if self.tell.is_none() {
            return Err(TransportFault::Disconnected("the port was given up".to_owned()));
        }
        let sent = self.line.send(data).await;
        if let Err(fault @ TransportFault::TimedOut(_)) = &sent {
            self.give_up(fault);
        }
        sent
    }

    async fn read(&mut self, endpoint: &str, _: u32) -> Result<Vec<u8>, TransportFault> {
        match endpoint {
            ANSWERS => Err(TransportFault::Refused(
                "a serial port tells by itself what comes; it is subscribed to, not read".to_owned(),
            )),
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn subscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        match endpoint {
            ANSWERS => {
                self.is_heard.store(true, Ordering::Relaxed);
                Ok(())
            }
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn unsubscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        match endpoint {
            ANSWERS => {
                self.is_heard.store(false, Ordering::Relaxed);
                Ok(())
            }
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn close(self: Box<Self>) {
        let Self { line, tell, mut reader, _visit, .. } = *self;
        drop(tell);
        reader.shutdown().await;
        if let Some(line) = Arc::into_inner(line) {
            line.close().await;
        }
    }
}
