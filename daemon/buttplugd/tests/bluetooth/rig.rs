//! A private bus, a fake BlueZ on it, and the Bluetooth transport in a process of its own.

use std::{collections::BTreeSet, env, path::PathBuf, process::Command, time::Duration};

use buttplugd::transport::{
    Access, Discovered, FromTransport, Opened, ScanWish, Search, TransportEvent, TransportFault,
    TransportState, TransportStatus, Whom,
    ble::{self, Air},
};
use engine::protocol::Endpoint;
use system_tests::{
    bluez::{
        Action, CharacteristicSpec, DeviceSpec, FakeBluez, FakeDevice, Flag, PATIENCE, Write, WriteKind,
    },
    bus::{Bus, BusKind},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use uuid::{Uuid, uuid};

pub(crate) const SERVICE: Uuid = uuid!("50300001-0023-4bd4-bbd5-a6920e4c5653");
pub(crate) const TX: Uuid = uuid!("50300002-0023-4bd4-bbd5-a6920e4c5653");
pub(crate) const RX: Uuid = uuid!("50300003-0023-4bd4-bbd5-a6920e4c5653");
pub(crate) const FAST: Uuid = uuid!("50300004-0023-4bd4-bbd5-a6920e4c5653");
pub(crate) const SLOW: Uuid = uuid!("50300005-0023-4bd4-bbd5-a6920e4c5653");
pub(crate) const ADDRESS: &str = "F0:F1:F2:F3:F4:01";

/// Names the folder of the bus, in the process that runs a test.
pub(crate) const FOLDER: &str = "BUTTPLUGD_TEST_BUS_FOLDER";

/// Runs `test`, of this name in this module, in a new process whose system bus is a private one.
pub(crate) fn in_own_process(module: &str, name: &str, test: impl AsyncFnOnce(Rig)) {
    if let Some(folder) = env::var_os(FOLDER) {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_test_writer().init();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(async { test(Rig::new(folder.into()).await).await });
    }
    let folder = tempfile::tempdir().unwrap();
    let (_, module) = module.split_once("::").unwrap();
    let name = format!("{module}::{name}");
    let output = Command::new(env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .env("DBUS_SYSTEM_BUS_ADDRESS", Bus::address_in(folder.path()))
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{name} is not the name of this test:\n{text}");
}

/// A bus, a fake BlueZ on it, and the transport.
pub(crate) struct Rig {
    pub(crate) folder: PathBuf,
    pub(crate) bus: Bus,
    pub(crate) bluez: FakeBluez,
    pub(crate) transport: Watched,
}

/// The running transport, as the hub sees it.
pub(crate) struct Watched {
    pub(crate) search: watch::Sender<Search>,
    pub(crate) told: mpsc::Receiver<FromTransport>,
    pub(crate) task: JoinHandle<()>,
}

impl Watched {
    /// Nobody scans, and nothing is looked for.
    pub(crate) fn start() -> Self {
        let (search, wanted) = watch::channel(Search::rest());
        let (tell, told) = mpsc::channel(64);
        let task = tokio::spawn(ble::run(Air { search: wanted, tell }));
        Self { search, told, task }
    }

    pub(crate) async fn next(&mut self, limit: Duration) -> Option<FromTransport> {
        timeout(limit, self.told.recv()).await.ok().map(|told| told.expect("the transport goes on"))
    }

    /// The next status.
    pub(crate) async fn status(&mut self) -> TransportStatus {
        loop {
            match self.next(PATIENCE).await.expect("a status in time") {
                FromTransport::Status(status) => return status,
                FromTransport::Discovered(_) | FromTransport::ScanEnded(_) | FromTransport::Gone { .. } => {}
            }
        }
    }

    pub(crate) async fn state(&mut self, wanted: TransportState) -> TransportStatus {
        loop {
            let status = self.status().await;
            if status.state == wanted {
                return status;
            }
        }
    }

    /// The next device that is told and is as wanted.
    pub(crate) async fn device_that(&mut self, wanted: impl Fn(&Discovered) -> bool) -> Discovered {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next(deadline - Instant::now()).await.expect("a device in time") {
                FromTransport::Discovered(device) if wanted(&device) => return device,
                FromTransport::Discovered(_)
                | FromTransport::Status(_)
                | FromTransport::ScanEnded(_)
                | FromTransport::Gone { .. } => {}
            }
        }
    }

    pub(crate) async fn device(&mut self) -> Discovered {
        self.device_that(|device| device.address == ADDRESS).await
    }

    /// Whether a device is told within a short time, in which it would be.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_millis(1200);
        while let Some(told) = self.next(deadline - Instant::now()).await {
            if matches!(told, FromTransport::Discovered(_)) {
                return false;
            }
        }
        true
    }

    /// A client scans.
    pub(crate) fn scan(&self) {
        self.search.send_replace(Search { scan: ScanWish::Scan, whom: Whom::Anyone });
    }

    /// Nobody does, and the device with this address is looked for.
    pub(crate) fn look_for(&self, address: &str) {
        let whom = Whom::These(BTreeSet::from([address.to_owned()]));
        self.search.send_replace(Search { scan: ScanWish::Scan, whom });
    }

    pub(crate) fn rest(&self) {
        self.search.send_replace(Search::rest());
    }
}

impl Rig {
    pub(crate) async fn new(folder: PathBuf) -> Self {
        let bus = Bus::start_in(BusKind::System, &folder).await.unwrap();
        let bluez = FakeBluez::start(&bus).await.unwrap();
        let mut transport = Watched::start();
        // That it starts, and that it has.
        assert_eq!(transport.status().await.state, TransportState::Ready);
        assert_eq!(transport.status().await.reason, "");
        Self { folder, bus, bluez, transport }
    }

    /// A device that was seen, opened, and has its first operations behind it.
    pub(crate) async fn open(&mut self, spec: DeviceSpec) -> (FakeDevice, Opened) {
        let toy = self.bluez.add_device(spec);
        self.transport.scan();
        let opened = self.transport.device().await.opener.open(&access()).await.unwrap();
        assert_eq!(toy.next_operation().await.action, Action::Connect);
        (toy, opened)
    }

    /// The connections to the bus, this process' own and the fake's.
    pub(crate) async fn connections(&self) -> usize {
        let connection = self.bus.connect().await.unwrap();
        let names = zbus::fdo::DBusProxy::new(&connection).await.unwrap().list_names().await.unwrap();
        names.iter().filter(|name| name.starts_with(':')).count()
    }
}

pub(crate) fn toy() -> DeviceSpec {
    DeviceSpec { manufacturer_data: [(0x1234, vec![1, 2, 3])].into(), ..DeviceSpec::named(ADDRESS, "TOY-1 ") }
        .advertising(SERVICE)
        .service(
            SERVICE,
            vec![
                CharacteristicSpec::new(TX, &[Flag::Write, Flag::WriteWithoutResponse]),
                CharacteristicSpec::new(RX, &[Flag::Read, Flag::Notify]),
                CharacteristicSpec::new(FAST, &[Flag::WriteWithoutResponse]),
                CharacteristicSpec::new(SLOW, &[Flag::Write]),
            ],
        )
}

pub(crate) fn access() -> Access {
    let endpoints = [("tx", TX), ("rx", RX), ("fast", FAST), ("slow", SLOW), ("firmware", Uuid::nil())];
    let endpoints = endpoints.map(|(name, uuid)| (Endpoint::from(name), uuid)).to_vec();
    Access::Bluetooth {
        candidates: vec![
            vec![(Uuid::from_u128(2), endpoints.clone())],
            vec![(Uuid::from_u128(1), endpoints.clone()), (SERVICE, endpoints)],
        ],
    }
}

pub(crate) type Events = mpsc::Receiver<TransportEvent>;

pub(crate) async fn next_event(events: &mut Events) -> Option<TransportEvent> {
    timeout(PATIENCE, events.recv()).await.expect("an event in time")
}

/// Passes over what is not the end.
pub(crate) async fn lost(events: &mut Events) -> Option<TransportFault> {
    loop {
        match next_event(events).await {
            Some(TransportEvent::Lost(fault)) => return Some(fault),
            Some(TransportEvent::Notified { .. } | TransportEvent::Rssi(_)) => {}
            None => return None,
        }
    }
}

pub(crate) fn write(characteristic: Uuid, data: &[u8], kind: WriteKind) -> Action {
    Action::Write(Write { characteristic, data: data.to_vec(), kind })
}
