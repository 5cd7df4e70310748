//! One open hidraw node: reports out, on a thread of its own since the kernel takes its time with them, and reports in.
//!
//! A packet is a report with its number in the first byte, 0 for devices that have no numbers, as the kernel wants it.

use std::{
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
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
    task::JoinSet,
};

use super::{
    super::{
        Opened, Transport, TransportEvent, TransportFault, ready::waitable, thread, thread::Worker,
        visits::Visit,
    },
    Listed,
};

const COMMANDS: &str = "tx";
const ANSWERS: &str = "rx";

/// The time that the kernel has to open a node. It may have to wake the device.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// The time in which a device has to take a report.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// The longest report that the kernel passes on.
const REPORT_MAX: usize = 4096;
/// Reports that may wait for the device's task. With more, the kernel keeps the newest 64 and drops the rest.
const EVENT_QUEUE: usize = 64;

/// What gives the user access to a device with this vendor and product.
pub(in super::super) fn mend((vendor, product): (u16, u16)) -> String {
    // The rule is by the name of the HID device, which has the ids over Bluetooth too.
    let rule = format!(r#"SUBSYSTEM=="hidraw", KERNELS=="*:{vendor:04X}:{product:04X}.*", TAG+="uaccess""#);
    format!(
        "install the udev rules 60-buttplugd.rules into /etc/udev/rules.d (with the line `{rule}` if they do not name the \
         device), then `sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=hidraw`"
    )
}

/// An open node before it is anybody's transport.
#[derive(Debug)]
pub(in super::super) struct Node {
    writer: Worker<Arc<OwnedFd>>,
    reports: AsyncFd<Arc<OwnedFd>>,
}

impl Node {
    /// Opens the node of a device.
    ///
    /// # Errors
    /// It may not be opened, or is gone.
    pub(in super::super) async fn open(listed: &Listed, visit: &Visit) -> Result<Self, TransportFault> {
        let node = &listed.node;
        let path = node.clone();
        let open = move || {
            let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
        };
        match thread::once("hid-open", OPEN_LIMIT, open).await? {
            Ok(file) => {
                visit.opened();
                Self::of(file)
            }
            Err(Errno::ACCESS | Errno::PERM) => {
                visit.denied();
                Err(TransportFault::NotAllowed(format!(
                    "{node} may not be opened; {}",
                    mend((listed.vendor, listed.product))
                )))
            }
            Err(error) => Err(TransportFault::Refused(format!("{node} cannot be opened: {error}"))),
        }
    }

    /// Sends a report.
    pub(in super::super) async fn write(&self, report: &[u8]) -> Result<(), TransportFault> {
        write(&self.writer, report).await
    }

    /// The next report. Cancel-safe.
    pub(in super::super) async fn read(&self) -> Result<Vec<u8>, TransportFault> {
        read(&self.reports).await
    }

    /// Takes an open file.
    pub(in super::super) fn of(file: OwnedFd) -> Result<Self, TransportFault> {
        let file = Arc::new(file);
        let reports = waitable(Arc::clone(&file), Interest::READABLE).map_err(|error| {
            TransportFault::Refused(format!("the reports of the device cannot be waited for: {error}"))
        })?;
        Ok(Self { writer: Worker::start("hid-write", file)?, reports })
    }
}

async fn write(writer: &Worker<Arc<OwnedFd>>, report: &[u8]) -> Result<(), TransportFault> {
    let report = report.to_vec();
    tracing::trace!(?report, "HID write");
    let written = writer.run(WRITE_LIMIT, move |file| {
        loop {
            match rustix::io::write(&**file, &report) {
                Err(Errno::INTR) => {}
                Ok(count) if count < report.len() => break Err(Errno::MSGSIZE),
                Ok(_) => break Ok(()),
                Err(error) => break Err(error),
            }
        }
    });
    written.await?.map_err(gone)
}

async fn read(reports: &AsyncFd<Arc<OwnedFd>>) -> Result<Vec<u8>, TransportFault> {
    let mut buffer = [0; REPORT_MAX];
    loop {
        let mut ready =
            reports.readable().await.map_err(|error| TransportFault::Refused(error.to_string()))?;
        let read = ready.try_io(|file| Ok(rustix::io::read(&**file.get_ref(), &mut buffer)?));
        match read {
            Ok(Ok(0)) => return Err(TransportFault::Disconnected("the device is gone".to_owned())),
            Ok(Ok(count)) => {
                let report = buffer.get(..count).unwrap_or_default().to_vec();
                tracing::trace!(?report, "HID read");
                return Ok(report);
            }
            Ok(Err(error)) => match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {}
                Some(errno) => return Err(gone(errno)),
                None => return Err(TransportFault::Refused(error.to_string())),
            },
            Err(_would_block) => {}
        }
    }
}

fn gone(error: Errno) -> TransportFault {
    match error {
        Errno::IO | Errno::NODEV | Errno::NXIO | Errno::PIPE | Errno::SHUTDOWN => {
            TransportFault::Disconnected("the device is gone".to_owned())
        }
        other => TransportFault::Refused(other.to_string()),
    }
}

/// Opens the node as the transport of a device.
pub(super) async fn open(listed: &Listed, visit: Visit) -> Result<Opened, TransportFault> {
    let node = Node::open(listed, &visit).await?;
    Ok(transport(node, Some(visit)))
}

fn transport(node: Node, visit: Option<Visit>) -> Opened {
    let Node { writer, reports } = node;
    let is_heard = Arc::new(AtomicBool::new(false));
    let (tell, events) = mpsc::channel(EVENT_QUEUE);
    let mut reader = JoinSet::new();
    reader.spawn(read_on(reports, Arc::clone(&is_heard), tell.clone()));
    let transport = HidDevice { writer, is_heard, tell: Some(tell), reader, _visit: visit };
    Opened { transport: Box::new(transport), events }
}

/// Reads until the device is gone, which is how that is noticed; so reports are read even when nobody has subscribed.
async fn read_on(
    reports: AsyncFd<Arc<OwnedFd>>,
    is_heard: Arc<AtomicBool>,
    tell: mpsc::Sender<TransportEvent>,
) {
    let lost = loop {
        match read(&reports).await {
            Ok(data) => {
                if is_heard.load(Ordering::Relaxed) {
                    let event = TransportEvent::Notified { endpoint: Endpoint::from(ANSWERS), data };
                    if tell.send(event).await.is_err() {
                        return;
                    }
                }
            }
            Err(fault) => break fault,
        }
    };
    // Nobody may be there to hear it any more.
    tell.send(TransportEvent::Lost(lost)).await.ok();
}

/// An open device.
struct HidDevice {
    writer: Worker<Arc<OwnedFd>>,
    /// Whether the device's task has subscribed to input reports.
    is_heard: Arc<AtomicBool>,
    /// None once the device is given up.
    tell: Option<mpsc::Sender<TransportEvent>>,
    reader: JoinSet<()>,
    /// Last: the bus looks again when the node is closed.
    _visit: Option<Visit>,
}

#[async_trait]
impl Transport for HidDevice {
    fn endpoints(&self) -> Vec<Endpoint> {
        [COMMANDS, ANSWERS].into_iter().map(Endpoint::from).collect()
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], _: WriteKind) -> Result<(), TransportFault> {
        if endpoint != COMMANDS {
            return Err(TransportFault::NoEndpoint(endpoint.to_owned()));
        }
        let result = write(&self.writer, data).await;
        if let Err(fault @ TransportFault::TimedOut(_)) = &result {
            // The report is still with the kernel and may be sent yet: the device is opened anew, and stopped first.
            self.reader.abort_all();
            if let Some(tell) = self.tell.take() {
                let lost = TransportFault::Disconnected(format!("the device hangs: {fault}"));
                // Full: then the end of the queue says that the path is gone.
                tell.try_send(TransportEvent::Lost(lost)).ok();
            }
        }
        result
    }

    async fn read(&mut self, endpoint: &str, _: u32) -> Result<Vec<u8>, TransportFault> {
        match endpoint {
            ANSWERS => Err(TransportFault::Refused(
                "a HID device sends its reports by itself; they are subscribed to, not read".to_owned(),
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

    async fn close(mut self: Box<Self>) {
        self.tell = None;
        self.reader.shutdown().await;
        // The file is closed by the thread of the writer, which ends when this is dropped; a driver that hangs holds up nobody.
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A node that keeps the borders of reports, as a hidraw node does, and the device behind it.
    fn device() -> (Opened, UnixDatagram) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (node, device) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let device = UnixDatagram::from(device);
        device.set_nonblocking(false).unwrap();
        device.set_read_timeout(Some(PATIENCE)).unwrap();
        (transport(Node::of(node).unwrap(), None), device)
    }

    async fn event(events: &mut mpsc::Receiver<TransportEvent>) -> Option<TransportEvent> {
        timeout(PATIENCE, events.recv()).await.unwrap()
    }

    #[tokio::test]
    async fn reports_go_out_whole_and_come_in_when_subscribed() {
        let (Opened { mut transport, mut events }, device) = device();
        transport.write("tx", &[0x10, 1, 2], WriteKind::WithoutResponse).await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(device.recv(&mut buffer).unwrap(), 3);
        assert_eq!(buffer[..3], [0x10, 1, 2]);

        let told = |data: &[u8]| {
            Some(TransportEvent::Notified { endpoint: Endpoint::from("rx"), data: data.to_vec() })
        };
        transport.subscribe("rx").await.unwrap();
        device.send(&[0x21, 5]).unwrap();
        device.send(&[0x21, 6]).unwrap();
        assert_eq!(event(&mut events).await, told(&[0x21, 5]));
        assert_eq!(event(&mut events).await, told(&[0x21, 6]));
        assert_eq!(
            transport.write("rx", &[1], WriteKind::WithResponse).await,
            Err(TransportFault::NoEndpoint("rx".into()))
        );
    }

    #[tokio::test]
    async fn a_report_that_is_not_taken_is_a_fault_and_a_closed_device_says_nothing_more() {
        let (Opened { mut transport, mut events }, device) = device();
        // Nobody reads at the other end, so its queue fills.
        let full = loop {
            let result = transport.write("tx", &[0; 4096], WriteKind::WithoutResponse).await;
            if let Err(fault) = result {
                break fault;
            }
        };
        assert!(matches!(full, TransportFault::Refused(_)), "{full:?}");
        transport.close().await;
        assert_eq!(event(&mut events).await, None);
        drop(device);
    }

    #[tokio::test]
    async fn a_device_that_is_pulled_is_lost() {
        let (Opened { mut transport, mut events }, device) = device();
        drop(device);
        let lost = event(&mut events).await;
        assert!(matches!(lost, Some(TransportEvent::Lost(TransportFault::Disconnected(_)))), "{lost:?}");
        assert!(transport.write("tx", &[0], WriteKind::WithoutResponse).await.is_err());
    }
}
