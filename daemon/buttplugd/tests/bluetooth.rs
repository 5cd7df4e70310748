//! Bluetooth against the fake BlueZ, without the rest of the service: btleplug runs unmodified on a private bus.
//!
//! libdbus reads the address of the system bus once in the life of a process. So each test runs in a process of its own,
//! which it starts from itself (`in_own_process`).

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

use std::{env, fs, path::PathBuf, process::Command, time::Duration};

use buttplugd::transport::{
    Access, Discovered, Discovery, FromTransport, Opened, ScanWish, TransportEvent, TransportFault,
    TransportState, TransportStatus,
    ble::{self, Reconnect, Settings},
};
use engine::{
    advertisement::Advertisement,
    protocol::{Endpoint, WriteKind as Wanted},
};
use system_tests::{
    bluez::{
        Action, CharacteristicSpec, Delivery, DeviceSpec, Failure, FakeBluez, FakeDevice, Flag, PATIENCE,
        Power, Presence, ServiceSpec, Step, Write, WriteKind,
    },
    bus::{Bus, BusKind},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use uuid::{Uuid, uuid};

const SERVICE: Uuid = uuid!("50300001-0023-4bd4-bbd5-a6920e4c5653");
const TX: Uuid = uuid!("50300002-0023-4bd4-bbd5-a6920e4c5653");
const RX: Uuid = uuid!("50300003-0023-4bd4-bbd5-a6920e4c5653");
const FAST: Uuid = uuid!("50300004-0023-4bd4-bbd5-a6920e4c5653");
const SLOW: Uuid = uuid!("50300005-0023-4bd4-bbd5-a6920e4c5653");
const ADDRESS: &str = "F0:F1:F2:F3:F4:01";

/// Names the folder of the bus, in the process that runs a test.
const FOLDER: &str = "BUTTPLUGD_TEST_BUS_FOLDER";

/// Runs `test` in a new process whose system bus is a private one.
fn in_own_process(name: &str, test: impl AsyncFnOnce(Rig)) {
    if let Some(folder) = env::var_os(FOLDER) {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_test_writer().init();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(async { test(Rig::new(folder.into()).await).await });
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
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
struct Rig {
    folder: PathBuf,
    bus: Bus,
    bluez: FakeBluez,
    transport: Watched,
}

/// The running transport, as the hub sees it.
struct Watched {
    wish: watch::Sender<ScanWish>,
    told: mpsc::Receiver<FromTransport>,
    task: JoinHandle<()>,
}

impl Watched {
    fn start(reconnect: Reconnect) -> Self {
        Self::start_with(Settings { reconnect, left_running: Vec::new() })
    }

    fn start_with(settings: Settings) -> Self {
        let (wish, wanted) = watch::channel(ScanWish::Rest);
        let (tell, told) = mpsc::channel(64);
        let task = tokio::spawn(ble::run(Discovery { wish: wanted, tell }, settings));
        Self { wish, told, task }
    }

    async fn next(&mut self, limit: Duration) -> Option<FromTransport> {
        timeout(limit, self.told.recv()).await.ok().map(|told| told.expect("the transport goes on"))
    }

    /// The next status.
    async fn status(&mut self) -> TransportStatus {
        loop {
            match self.next(PATIENCE).await.expect("a status in time") {
                FromTransport::Status(status) => return status,
                FromTransport::Discovered(_) | FromTransport::ScanEnded(_) => {}
            }
        }
    }

    async fn state(&mut self, wanted: TransportState) -> TransportStatus {
        loop {
            let status = self.status().await;
            if status.state == wanted {
                return status;
            }
        }
    }

    /// The next device that is told and is as wanted.
    async fn device_that(&mut self, wanted: impl Fn(&Discovered) -> bool) -> Discovered {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next(deadline - Instant::now()).await.expect("a device in time") {
                FromTransport::Discovered(device) if wanted(&device) => return device,
                FromTransport::Discovered(_) | FromTransport::Status(_) | FromTransport::ScanEnded(_) => {}
            }
        }
    }

    async fn device(&mut self) -> Discovered {
        self.device_that(|device| device.address == ADDRESS).await
    }

    /// Whether a device is told within a short time, in which it would be.
    async fn is_quiet(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_millis(1200);
        while let Some(told) = self.next(deadline - Instant::now()).await {
            if matches!(told, FromTransport::Discovered(_)) {
                return false;
            }
        }
        true
    }

    fn scan(&self) {
        self.wish.send_replace(ScanWish::Scan);
    }

    fn rest(&self) {
        self.wish.send_replace(ScanWish::Rest);
    }
}

impl Rig {
    async fn new(folder: PathBuf) -> Self {
        let bus = Bus::start_in(BusKind::System, &folder).await.unwrap();
        let bluez = FakeBluez::start(&bus).await.unwrap();
        let mut transport = Watched::start(Reconnect::Lost);
        // That it starts, and that it has.
        assert_eq!(transport.status().await.state, TransportState::Ready);
        assert_eq!(transport.status().await.reason, "");
        Self { folder, bus, bluez, transport }
    }

    /// A device that was seen, opened, and has its first operations behind it.
    async fn open(&mut self, spec: DeviceSpec) -> (FakeDevice, Opened) {
        let toy = self.bluez.add_device(spec);
        self.transport.scan();
        let opened = self.transport.device().await.opener.open(&access()).await.unwrap();
        assert_eq!(toy.next_operation().await.action, Action::Connect);
        (toy, opened)
    }

    /// The connections to the bus, this process' own and the fake's.
    async fn connections(&self) -> usize {
        let connection = self.bus.connect().await.unwrap();
        let names = zbus::fdo::DBusProxy::new(&connection).await.unwrap().list_names().await.unwrap();
        names.iter().filter(|name| name.starts_with(':')).count()
    }
}

fn toy() -> DeviceSpec {
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

fn access() -> Access {
    let endpoints = [("tx", TX), ("rx", RX), ("fast", FAST), ("slow", SLOW), ("firmware", Uuid::nil())];
    let endpoints = endpoints.map(|(name, uuid)| (Endpoint::from(name), uuid)).to_vec();
    Access::Bluetooth {
        candidates: vec![
            vec![(Uuid::from_u128(2), endpoints.clone())],
            vec![(Uuid::from_u128(1), endpoints.clone()), (SERVICE, endpoints)],
        ],
    }
}

type Events = mpsc::Receiver<TransportEvent>;

async fn next_event(events: &mut Events) -> Option<TransportEvent> {
    timeout(PATIENCE, events.recv()).await.expect("an event in time")
}

/// Passes over what is not the end.
async fn lost(events: &mut Events) -> Option<TransportFault> {
    loop {
        match next_event(events).await {
            Some(TransportEvent::Lost(fault)) => return Some(fault),
            Some(TransportEvent::Notified { .. } | TransportEvent::Rssi(_)) => {}
            None => return None,
        }
    }
}

fn write(characteristic: Uuid, data: &[u8], kind: WriteKind) -> Action {
    Action::Write(Write { characteristic, data: data.to_vec(), kind })
}

#[test]
fn a_device_is_told_with_all_that_it_shows_and_only_while_that_is_wanted() {
    in_own_process(
        "a_device_is_told_with_all_that_it_shows_and_only_while_that_is_wanted",
        async |mut rig: Rig| {
            let toy = rig.bluez.add_device(toy());
            let adapter = rig.bluez.adapter();
            assert!(!adapter.is_discovering());

            rig.transport.scan();
            let device = rig.transport.device().await;
            let expected = Advertisement::Bluetooth {
                name: Some("TOY-1 ".into()),
                manufacturer_data: vec![(0x1234, vec![1, 2, 3])],
                services: vec![SERVICE],
            };
            assert_eq!((device.transport, device.advertisement), ("bluetooth", expected));

            rig.transport.rest();
            adapter.not_discovering().await;
            // What BlueZ hears because another program scans is not told.
            let other = rig.bus.connect().await.unwrap();
            let start = other.call_method(
                Some("org.bluez"),
                "/org/bluez/hci0",
                Some("org.bluez.Adapter1"),
                "StartDiscovery",
                &(),
            );
            start.await.unwrap();
            toy.set_rssi(-40);
            assert!(rig.transport.is_quiet().await);
            other.close().await.unwrap();

            rig.transport.scan();
            rig.transport.device().await;
            drop(rig.transport.told);
            timeout(PATIENCE, rig.transport.task).await.unwrap().unwrap();
            adapter.not_discovering().await;
        },
    );
}

#[test]
fn a_name_that_comes_late_and_without_an_event_is_seen() {
    in_own_process("a_name_that_comes_late_and_without_an_event_is_seen", async |mut rig: Rig| {
        let toy = rig.bluez.add_device(DeviceSpec { name: None, ..toy() });
        rig.transport.scan();
        let device = rig.transport.device().await;
        assert_eq!(device.advertisement.name(), None);

        toy.set_name("TOY-1");
        rig.transport.device_that(|device| device.advertisement.name() == Some("TOY-1")).await;
    });
}

#[test]
fn packets_pass_in_the_way_that_each_characteristic_takes() {
    in_own_process("packets_pass_in_the_way_that_each_characteristic_takes", async |mut rig: Rig| {
        let (toy, mut opened) = rig.open(toy()).await;
        assert_eq!(opened.transport.endpoints(), ["fast", "rx", "slow", "tx"].map(Endpoint::from));

        for (endpoint, wanted, characteristic, kind) in [
            ("tx", Wanted::WithResponse, TX, WriteKind::WithResponse),
            ("tx", Wanted::WithoutResponse, TX, WriteKind::WithoutResponse),
            ("fast", Wanted::WithResponse, FAST, WriteKind::WithoutResponse),
            ("slow", Wanted::WithoutResponse, SLOW, WriteKind::WithResponse),
        ] {
            opened.transport.write(endpoint, &[1, 2], wanted).await.unwrap();
            assert_eq!(toy.next_operation().await.action, write(characteristic, &[1, 2], kind));
        }
        let none = opened.transport.write("firmware", &[1], Wanted::WithResponse).await;
        assert_eq!(none, Err(TransportFault::NoEndpoint("firmware".into())));

        // What is read is not a notification, though BlueZ announces both alike.
        toy.answer_read(RX, b"battery 80");
        assert_eq!(opened.transport.read("rx", 7).await.unwrap(), b"battery");
        assert_eq!(toy.notify(RX, b"nobody asked"), Delivery::NotSubscribed);
        opened.transport.subscribe("rx").await.unwrap();
        assert_eq!(toy.notify(RX, b"hello"), Delivery::Sent);
        let notified =
            |data: &[u8]| Some(TransportEvent::Notified { endpoint: "rx".into(), data: data.to_vec() });
        assert_eq!(next_event(&mut opened.events).await, notified(b"hello"));
        opened.transport.unsubscribe("rx").await.unwrap();
        opened.transport.unsubscribe("rx").await.unwrap();
        assert_eq!(toy.notify(RX, b"too late"), Delivery::NotSubscribed);

        toy.set_rssi(-61);
        assert_eq!(next_event(&mut opened.events).await, Some(TransportEvent::Rssi(-61)));

        opened.transport.close().await;
        assert!(!toy.is_connected());
        assert_eq!(lost(&mut opened.events).await, None);
    });
}

#[test]
fn a_device_that_vanishes_is_lost_and_is_told_when_it_returns() {
    in_own_process("a_device_that_vanishes_is_lost_and_is_told_when_it_returns", async |mut rig: Rig| {
        let (toy, mut opened) = rig.open(toy()).await;

        toy.vanish();
        assert!(matches!(lost(&mut opened.events).await, Some(TransportFault::Disconnected(_))));
        let written = opened.transport.write("tx", &[1], Wanted::WithResponse).await;
        assert!(matches!(written, Err(TransportFault::Disconnected(_))), "{written:?}");

        // BlueZ still has its object, so only the strength of its signal says that it is back.
        toy.appear();
        let device = rig.transport.device().await;
        toy.forget_operations();
        let mut again = device.opener.open(&access()).await.unwrap();
        again.transport.write("tx", &[2], Wanted::WithResponse).await.unwrap();
        assert_eq!(toy.next_write().await.data, [2]);
    });
}

#[test]
fn a_lost_device_is_looked_for_though_nobody_scans_and_no_other_is_told() {
    in_own_process(
        "a_lost_device_is_looked_for_though_nobody_scans_and_no_other_is_told",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(toy()).await;
            rig.transport.rest();
            let adapter = rig.bluez.adapter();
            adapter.not_discovering().await;

            toy.vanish();
            lost(&mut opened.events).await;
            adapter.discovering().await;
            let _other = rig.bluez.add_device(DeviceSpec::named("F0:F1:F2:F3:F4:02", "OTHER"));
            toy.appear();
            let device = rig.transport.device_that(|_| true).await;
            assert_eq!(device.address, ADDRESS);

            let _opened = device.opener.open(&access()).await.unwrap();
            adapter.not_discovering().await;
        },
    );
}

#[test]
fn a_link_that_was_closed_on_purpose_is_not_looked_for() {
    in_own_process("a_link_that_was_closed_on_purpose_is_not_looked_for", async |mut rig: Rig| {
        let (_toy, opened) = rig.open(toy()).await;
        rig.transport.rest();
        rig.bluez.adapter().not_discovering().await;
        opened.transport.close().await;
        assert!(rig.transport.is_quiet().await);
        assert!(!rig.bluez.adapter().is_discovering());
    });
}

#[test]
fn a_device_that_is_connected_already_is_told_without_a_scan() {
    in_own_process("a_device_that_is_connected_already_is_told_without_a_scan", async |mut rig: Rig| {
        let (toy, opened) = rig.open(toy()).await;
        // As after a crash: the process is gone, BlueZ keeps the link.
        rig.transport.task.abort();
        toy.fail_next(Step::Disconnect, Failure::failed("not now"));
        opened.transport.close().await;
        assert!(toy.is_connected());

        let mut after = Watched::start(Reconnect::Lost);
        let device = after.device().await;
        let mut opened = device.opener.open(&access()).await.unwrap();
        opened.transport.write("tx", &[0], Wanted::WithResponse).await.unwrap();
        assert_eq!(toy.next_write().await.data, [0]);
    });
}

#[test]
fn a_device_that_was_left_running_is_looked_for_from_the_start() {
    in_own_process("a_device_that_was_left_running_is_looked_for_from_the_start", async |rig: Rig| {
        rig.transport.task.abort();
        let _other = rig.bluez.add_device(DeviceSpec::named("F0:F1:F2:F3:F4:02", "OTHER"));
        let _toy = rig.bluez.add_device(toy());
        let left_running = vec![ADDRESS.to_owned()];
        let mut after = Watched::start_with(Settings { reconnect: Reconnect::Off, left_running });
        assert_eq!(after.device_that(|_| true).await.address, ADDRESS);
    });
}

#[test]
fn a_failed_connection_is_tried_again_and_not_for_ever() {
    in_own_process("a_failed_connection_is_tried_again_and_not_for_ever", async |mut rig: Rig| {
        let toy = rig.bluez.add_device(toy());
        rig.transport.scan();
        toy.fail_next(Step::Connect, Failure::failed("le-connection-abort-by-local"));
        let opened = rig.transport.device().await.opener.open(&access()).await.unwrap();
        opened.transport.close().await;

        toy.fail_always(Step::Connect, Failure::failed("le-connection-abort-by-local"));
        toy.advertise();
        let fault = rig.transport.device().await.opener.open(&access()).await.err().unwrap();
        assert!(fault.to_string().contains("le-connection-abort-by-local"), "{fault}");
        let tries = toy.operations().iter().filter(|operation| operation.action == Action::Connect).count();
        assert_eq!(tries, 5);

        // A device that could not be opened is told again when it is heard again.
        toy.heal();
        toy.advertise();
        rig.transport.device().await.opener.open(&access()).await.unwrap();
    });
}

#[test]
fn what_goes_wrong_in_the_middle_of_opening_is_said_at_once() {
    in_own_process("what_goes_wrong_in_the_middle_of_opening_is_said_at_once", async |mut rig: Rig| {
        let toy = rig.bluez.add_device(toy());
        rig.transport.scan();
        let begun = Instant::now();

        toy.fail_next(Step::ResolveServices, Failure::Drop);
        let fault = rig.transport.device().await.opener.open(&access()).await.err().unwrap();
        assert!(matches!(fault, TransportFault::Disconnected(_)), "{fault:?}");

        toy.set_services(vec![ServiceSpec { uuid: RX, characteristics: Vec::new() }]);
        toy.advertise();
        let fault = rig.transport.device().await.opener.open(&access()).await.err().unwrap();
        assert!(fault.to_string().contains(&RX.to_string()), "{fault}");
        assert!(!toy.is_connected());
        assert!(begun.elapsed() < PATIENCE, "waited for {:?}", begun.elapsed());

        // Whoever gives up waiting leaves no connection behind.
        toy.fail_next(Step::Connect, Failure::Held);
        toy.advertise();
        let opener = rig.transport.device().await.opener;
        let gave_up = timeout(Duration::from_millis(200), opener.open(&access())).await;
        assert!(gave_up.is_err());
        toy.disconnected().await;
    });
}

#[test]
fn a_write_that_fails_says_why_and_the_link_goes_on() {
    in_own_process("a_write_that_fails_says_why_and_the_link_goes_on", async |mut rig: Rig| {
        let (toy, mut opened) = rig.open(toy()).await;

        toy.fail_next(Step::Write, Failure::failed("Operation failed with ATT error: 0x0e"));
        let refused = opened.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap_err();
        assert!(matches!(&refused, TransportFault::Refused(text) if text.contains("0x0e")), "{refused:?}");

        toy.fail_next(Step::StartNotify, Failure::Refuse { name: "NotPermitted", text: "Not paired" });
        let unpaired = opened.transport.subscribe("rx").await.unwrap_err();
        let says = format!("bluetoothctl pair {ADDRESS}");
        assert!(
            matches!(&unpaired, TransportFault::NotAllowed(text) if text.contains(&says)),
            "{unpaired:?}"
        );

        toy.fail_next(Step::Write, Failure::Silent);
        let silent = opened.transport.write("tx", &[2], Wanted::WithResponse).await;
        assert_eq!(silent, Err(TransportFault::TimedOut(5000)));

        opened.transport.write("tx", &[3], Wanted::WithResponse).await.unwrap();

        toy.fail_next(Step::Write, Failure::DoneThenDrop);
        let broken = opened.transport.write("tx", &[4], Wanted::WithResponse).await;
        assert!(matches!(broken, Err(TransportFault::Disconnected(_))), "{broken:?}");
        assert!(lost(&mut opened.events).await.is_some());
    });
}

#[test]
fn a_link_that_breaks_amid_a_write_does_not_wait_for_its_answer() {
    in_own_process("a_link_that_breaks_amid_a_write_does_not_wait_for_its_answer", async |mut rig: Rig| {
        let (toy, mut opened) = rig.open(toy()).await;
        toy.fail_next(Step::Write, Failure::Silent);
        let begun = Instant::now();
        let write = opened.transport.write("tx", &[1], Wanted::WithResponse);
        let vanish = async {
            toy.next_write().await;
            toy.vanish();
        };
        let (written, ()) = tokio::join!(write, vanish);
        assert!(matches!(written, Err(TransportFault::Disconnected(_))), "{written:?}");
        assert!(begun.elapsed() < Duration::from_secs(4), "waited for {:?}", begun.elapsed());
    });
}

#[test]
fn a_radio_that_is_off_stays_off_and_scans_when_it_is_on() {
    in_own_process("a_radio_that_is_off_stays_off_and_scans_when_it_is_on", async |mut rig: Rig| {
        let (toy, mut opened) = rig.open(toy()).await;
        let adapter = rig.bluez.adapter();

        adapter.set_power(Power::Off);
        let status = rig.transport.state(TransportState::Off).await;
        assert!(
            status.reason.contains("hci0") && status.hint.contains("bluetoothctl power on"),
            "{status:?}"
        );
        assert!(lost(&mut opened.events).await.is_some());
        rig.transport.rest();
        rig.transport.scan();
        assert!(rig.transport.is_quiet().await);
        assert!(!adapter.is_discovering());

        adapter.set_power(Power::On);
        rig.transport.state(TransportState::Ready).await;
        toy.advertise();
        rig.transport.device().await;
    });
}

#[test]
fn an_adapter_that_is_pulled_and_put_back_is_used_again() {
    in_own_process("an_adapter_that_is_pulled_and_put_back_is_used_again", async |mut rig: Rig| {
        let (toy, mut opened) = rig.open(toy()).await;

        rig.bluez.adapter().remove();
        let status = rig.transport.state(TransportState::Unavailable).await;
        assert!(status.reason.contains("no Bluetooth adapter"), "{status:?}");
        assert!(lost(&mut opened.events).await.is_some());

        rig.bluez.adapter().restore();
        rig.transport.state(TransportState::Ready).await;
        toy.advertise();
        let opened = rig.transport.device().await.opener.open(&access()).await.unwrap();
        opened.transport.close().await;
    });
}

#[test]
fn a_bluez_that_ends_and_is_started_again_is_used_again() {
    in_own_process("a_bluez_that_ends_and_is_started_again_is_used_again", async |mut rig: Rig| {
        let (toy, mut opened) = rig.open(toy()).await;

        rig.bluez.leave().await;
        let status = rig.transport.state(TransportState::Unavailable).await;
        assert!(status.hint.contains("systemctl start bluetooth"), "{status:?}");
        assert!(lost(&mut opened.events).await.is_some());
        let written = opened.transport.write("tx", &[1], Wanted::WithResponse).await;
        assert!(matches!(written, Err(TransportFault::Disconnected(_))), "{written:?}");

        rig.bluez.come_back().await;
        rig.transport.state(TransportState::Ready).await;
        rig.bluez.adapter().discovering().await;
        toy.advertise();
        rig.transport.device().await.opener.open(&access()).await.unwrap();
    });
}

#[test]
fn a_system_bus_that_ends_is_found_again() {
    in_own_process("a_system_bus_that_ends_is_found_again", async |mut rig: Rig| {
        let (_toy, mut opened) = rig.open(toy()).await;

        rig.bus.stop();
        let status = rig.transport.state(TransportState::Unavailable).await;
        assert!(status.reason.contains("system bus"), "{status:?}");
        assert!(lost(&mut opened.events).await.is_some());

        let bus = Bus::start_in(BusKind::System, &rig.folder).await.unwrap();
        let bluez = FakeBluez::start(&bus).await.unwrap();
        let _toy = bluez.add_device(toy());
        rig.transport.rest();
        rig.transport.scan();
        rig.transport.state(TransportState::Ready).await;
        let _opened = rig.transport.device().await.opener.open(&access()).await.unwrap();
    });
}

#[test]
fn many_links_leave_nothing_behind() {
    in_own_process("many_links_leave_nothing_behind", async |mut rig: Rig| {
        let (toy, opened) = rig.open(toy()).await;
        opened.transport.close().await;
        let open_files = || fs::read_dir("/proc/self/fd").unwrap().count();
        let threads = || fs::read_dir("/proc/self/task").unwrap().count();
        toy.advertise();
        let mut device = rig.transport.device().await;
        let (connections, files, running) = (rig.connections().await, open_files(), threads());

        // btleplug panics in a task in about one of eight of these, with a signal on its way while a stream is dropped.
        for cycle in 0..60_u8 {
            let mut opened = device.opener.open(&access()).await.unwrap();
            opened.transport.subscribe("rx").await.unwrap();
            opened.transport.write("tx", &[cycle], Wanted::WithResponse).await.unwrap();
            toy.notify(RX, &[cycle]);
            if cycle % 2 == 0 {
                toy.vanish();
                lost(&mut opened.events).await;
                toy.appear();
            } else {
                opened.transport.close().await;
                toy.advertise();
            }
            device = rig.transport.device().await;
        }

        assert_eq!(toy.writes().len(), 60);
        assert_eq!(rig.connections().await, connections);
        assert!(open_files() <= files + 2, "{} files open, {files} before", open_files());
        assert!(threads() <= running + 2, "{} threads, {running} before", threads());
    });
}

#[test]
fn a_long_scan_in_a_crowd_takes_no_more_of_the_bus() {
    in_own_process("a_long_scan_in_a_crowd_takes_no_more_of_the_bus", async |mut rig: Rig| {
        rig.transport.scan();
        rig.bluez.adapter().discovering().await;
        for number in 0..600_u32 {
            // More devices than a connection may have match rules; phones change their addresses.
            let address = format!("C0:00:00:00:{:02X}:{:02X}", number / 256, number % 256);
            let phone = rig.bluez.add_device(DeviceSpec { name: None, ..DeviceSpec::named(&address, "") });
            rig.transport.device_that(|device| device.address == address).await;
            phone.vanish();
            phone.forget();
        }
        let (toy, mut opened) = rig.open(DeviceSpec { presence: Presence::Near, ..toy() }).await;
        opened.transport.write("tx", &[9], Wanted::WithResponse).await.unwrap();
        assert_eq!(toy.next_write().await.data, [9]);
    });
}
