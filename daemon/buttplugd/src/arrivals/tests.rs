//! The whole way of a command, from a session to the packets of simulated devices, in virtual time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use engine::{
    advertisement::Advertisement,
    client::{Front, Introduction, Peer},
    command::{Answer, Command, Dispatch, Event, Setting, StopTarget, StopWhat},
    definition::{catalogue::Source, layer::Layer, template::AnyTemplate},
    protocol::{Endpoint, InputWish, WriteKind},
    vocabulary::{FeatureIndex, InputKind, OutputKind, Ticket},
};
use ipc_schema::version::SpecVersion;
use tokio::task::JoinHandle;

mod candidates;
mod moved;
mod reconnect;
mod reload;
mod standing;

use super::*;
use crate::{
    hub::{self, Link, Shutdown, ToSession},
    journal::{DeviceNotes, RunningJournal},
    transport::{
        Access, Opened, Opener, Transport, TransportEvent, TransportFault,
        simulated::{self, Appear, DEFINITIONS, MODELS},
    },
};

/// A service without fronts.
struct Service {
    hub: Hub,
    closing: watch::Sender<Option<Reason>>,
    arrivals: JoinHandle<()>,
    discovery: Discovery,
    search: watch::Receiver<Search>,
    catalogue: watch::Sender<Arc<Catalogue>>,
}

/// A rest of this length is written down.
const LASTED: Duration = Duration::from_secs(2);

fn catalogue(user: &str) -> Arc<Catalogue> {
    let source = |layer, file: &str, text: &str| Source { layer, file: file.into(), text: Ok(text.into()) };
    let sources =
        [source(Layer::Plugins, "simulated.toml", DEFINITIONS), source(Layer::User, "user.toml", user)];
    let (catalogue, problems) = Catalogue::build(&sources, None, &AnyTemplate);
    assert!(problems.is_empty(), "{problems:?}");
    Arc::new(catalogue)
}

fn start(state: &Path, user: &str) -> Service {
    start_with(state, user, Reconnect::WhileClientConnected)
}

fn start_with(state: &Path, user: &str, reconnect: Reconnect) -> Service {
    let (journal, left_running) = RunningJournal::open(state);
    let (reload, _reloads) = mpsc::channel(1);
    let (hub, _task) = Hub::start(hub::Parts {
        sessions_max: 4,
        event_queue: 1024,
        policy: Arc::new(|_: &Peer| Ok(())),
        reload,
    });
    let (catalogue, newest) = watch::channel(catalogue(user));
    let (closing, told) = watch::channel(None);
    let parts = Parts {
        hub: hub.clone(),
        catalogue: newest,
        plugins: PluginHost::new(&[*plugin_template::entry()]).unwrap(),
        journal,
        left_running,
        reconnect,
        closing: told,
    };
    let (arrivals, discovery) = Arrivals::new(parts, state).unwrap();
    let search = arrivals.search();
    Service { search, hub, closing, arrivals: tokio::spawn(arrivals.run()), discovery, catalogue }
}

impl Service {
    fn simulate(&self, models: &[&str], appear: Appear) {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        tokio::spawn(simulated::run(self.discovery.clone(), models, appear));
    }

    async fn session(&self) -> Link {
        let link = self.hub.open(Peer::of(Front::Socket)).await.unwrap();
        link.opened(Introduction { client_name: "test".into(), version: SpecVersion::V4, ping_limit: None })
            .await;
        link
    }

    /// Waits until so many devices are ready, and gives their indexes by name.
    async fn devices(&self, count: usize) -> BTreeMap<String, DeviceIndex> {
        let mut status = self.hub.status();
        let status = status.wait_for(|status| status.list.len() == count).await.unwrap();
        status.list.values().map(|device| (device.name.clone(), device.index)).collect()
    }

    async fn end(self) {
        assert_eq!(self.hub.shutdown(Duration::from_secs(10)).await, Shutdown::Complete);
        self.closing.send_replace(Some(Reason::ShuttingDown));
        self.arrivals.await.unwrap();
    }
}

/// Sends a command and waits for its answer.
async fn ask(link: &mut Link, ticket: u64, command: Command) -> Result<Answer, Reason> {
    link.dispatch(vec![Dispatch { ticket: Ticket(ticket), command }]).await;
    loop {
        match link.inbox.recv().await.unwrap() {
            ToSession::Answer { ticket: Ticket(answered), outcome } if answered == ticket => {
                return outcome.map_err(|fault| fault.reason);
            }
            ToSession::Answer { .. } | ToSession::Event(_) => {}
            ToSession::Close(fault) => panic!("{fault}"),
        }
    }
}

fn set(device: DeviceIndex, feature: u32, kind: OutputKind, value: i32) -> Command {
    let duration_ms = (kind == OutputKind::PositionWithDuration).then_some(1000);
    Command::SetOutputs {
        device,
        settings: vec![Setting { feature: FeatureIndex(feature), kind, value, duration_ms }],
    }
}

const STOP: Command = Command::Stop { target: StopTarget::Everything, what: StopWhat::Both };

#[tokio::test(start_paused = true)]
async fn simulated_devices_appear_and_obey() {
    let state = tempfile::tempdir().unwrap();
    let service = start(state.path(), "");
    service.simulate(&MODELS, Appear::AtOnce);
    let devices = service.devices(MODELS.len()).await;
    assert_eq!(devices.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(MODELS));
    let mut link = service.session().await;

    let rotor = devices["Simulated Rotor"];
    assert_eq!(ask(&mut link, 1, set(rotor, 0, OutputKind::Rotate, -20)).await, Ok(Answer::Done));
    assert_eq!(ask(&mut link, 2, set(rotor, 0, OutputKind::Rotate, 21)).await, Err(Reason::ValueOutOfRange));

    let stroker = devices["Simulated Stroker"];
    assert_eq!(
        ask(&mut link, 3, set(stroker, 0, OutputKind::PositionWithDuration, 100)).await,
        Ok(Answer::Done)
    );
    tokio::time::advance(Duration::from_millis(300)).await;
    let read =
        |device, feature, kind, wish| Command::Input { device, feature: FeatureIndex(feature), kind, wish };
    let place = ask(&mut link, 4, read(stroker, 0, InputKind::Position, InputWish::Read)).await;
    let Ok(Answer::Reading(reading)) = place else { panic!("{place:?}") };
    assert_eq!(reading.value, 30);

    let sensor = devices["Simulated Sensor"];
    let charge = ask(&mut link, 5, read(sensor, 1, InputKind::Battery, InputWish::Read)).await;
    assert!(matches!(charge, Ok(Answer::Reading(reading)) if reading.value == 85), "{charge:?}");
    let subscribed = ask(&mut link, 6, read(sensor, 2, InputKind::Pressure, InputWish::Subscribe)).await;
    assert_eq!(subscribed, Ok(Answer::Done));
    link.dispatch(vec![Dispatch { ticket: Ticket(7), command: set(sensor, 0, OutputKind::Vibrate, 50) }])
        .await;
    loop {
        if let ToSession::Event(Event::Reading(reading)) = link.inbox.recv().await.unwrap()
            && reading.value == 500
        {
            break;
        }
    }

    assert_eq!(ask(&mut link, 8, STOP).await, Ok(Answer::Done));
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn devices_keep_their_indexes_and_the_user_is_obeyed() {
    let state = tempfile::tempdir().unwrap();
    let service = start(state.path(), "");
    service.simulate(&["Simulated Motor", "Simulated Twin", "Simulated Heater"], Appear::AtOnce);
    let before = service.devices(3).await;
    service.end().await;

    let user = "[[device]]\nwhich = { address = \"Simulated Motor\" }\ndeny = true\n";
    let service = start(state.path(), user);
    service.simulate(&["Simulated Heater", "Simulated Motor", "Simulated Twin"], Appear::AtOnce);
    let after = service.devices(2).await;
    assert_eq!(after.get("Simulated Heater"), before.get("Simulated Heater"));
    assert_eq!(after.get("Simulated Twin"), before.get("Simulated Twin"));
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn devices_come_when_a_client_scans() {
    let state = tempfile::tempdir().unwrap();
    let service = start(state.path(), "");
    service.simulate(&["Simulated Motor"], Appear::OnScan);
    let mut link = service.session().await;
    // The bus says that it is ready before there is anything to scan.
    let mut status = service.hub.status();
    status.wait_for(|status| !status.transports.is_empty()).await.unwrap();
    assert_eq!(service.hub.status().borrow().list.len(), 0);
    assert_eq!(ask(&mut link, 1, Command::StartScanning).await, Ok(Answer::Done));
    service.devices(1).await;
    service.end().await;
}

/// A motor that writes down its packets, refuses them when told to, and can be lost.
#[derive(Clone, Default)]
struct Motor {
    packets: Arc<Mutex<Vec<Vec<u8>>>>,
    refuses: Arc<Mutex<u32>>,
    shows_itself: bool,
    /// How long it takes to be closed.
    closes_in: Arc<Mutex<Duration>>,
    /// The next packet is taken, and then whoever sent it panics.
    blows_up: Arc<Mutex<bool>>,
    /// Which candidate it turns out to be, and how many there were when it was opened.
    candidate: usize,
    offered: Arc<Mutex<Vec<usize>>>,
    tell: Arc<Mutex<Option<mpsc::Sender<TransportEvent>>>>,
}

#[async_trait]
impl Opener for Motor {
    fn shows_itself(&self) -> bool {
        self.shows_itself
    }

    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        if let Access::Bluetooth { candidates } = access {
            self.offered.lock().unwrap().push(candidates.len());
        }
        let (tell, events) = mpsc::channel(1);
        *self.tell.lock().unwrap() = Some(tell);
        Ok(Opened { transport: self, events })
    }
}

#[async_trait]
impl Transport for Motor {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::from("tx")]
    }

    fn candidate(&self) -> usize {
        self.candidate
    }

    async fn write(&mut self, _: &str, data: &[u8], _: WriteKind) -> Result<(), TransportFault> {
        let mut refuses = self.refuses.lock().unwrap();
        if *refuses > 0 {
            *refuses -= 1;
            return Err(TransportFault::Refused("no".into()));
        }
        // Nothing is held that a panic could poison.
        drop(refuses);
        self.packets.lock().unwrap().push(data.to_vec());
        let blows_up = std::mem::take(&mut *self.blows_up.lock().unwrap());
        assert!(!blows_up, "on purpose");
        Ok(())
    }

    async fn read(&mut self, endpoint: &str, _: u32) -> Result<Vec<u8>, TransportFault> {
        Err(TransportFault::NoEndpoint(endpoint.into()))
    }

    async fn subscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        Err(TransportFault::NoEndpoint(endpoint.into()))
    }

    async fn unsubscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        Err(TransportFault::NoEndpoint(endpoint.into()))
    }

    async fn close(self: Box<Self>) {
        let closes_in = *self.closes_in.lock().unwrap();
        tokio::time::sleep(closes_in).await;
    }
}

impl Motor {
    async fn appear(&self, service: &Service) {
        self.appear_as(service, Box::new(self.clone())).await;
    }

    async fn appear_as(&self, service: &Service, opener: Box<dyn Opener>) {
        let discovered = Discovered {
            transport: "simulated",
            advertisement: Advertisement::Simulated { name: "Simulated Motor".into() },
            address: "motor".into(),
            opener,
        };
        assert!(service.discovery.tell.send(FromTransport::Discovered(discovered)).await.is_ok());
    }

    fn taken(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.packets.lock().unwrap())
    }
}

/// A service whose only device is ready.
async fn with_motor(state: &Path) -> (Service, Motor, DeviceIndex) {
    let service = start(state, "");
    let motor = Motor::default();
    motor.appear(&service).await;
    let index = service.devices(1).await["Simulated Motor"];
    (service, motor, index)
}

fn level(value: u8) -> Vec<u8> {
    vec![1, 0, value, 0]
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_lost_while_it_runs_is_looked_for_and_stopped_first_when_it_returns() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));
    assert_eq!(motor.taken(), [level(9)]);

    motor.tell.lock().unwrap().take();
    service.devices(0).await;
    let mut wish = service.discovery.wish.clone();
    wish.wait_for(|wish| *wish == ScanWish::Scan).await.unwrap();

    motor.appear(&service).await;
    assert_eq!(service.devices(1).await["Simulated Motor"], index);
    assert_eq!(ask(&mut link, 2, set(index, 0, OutputKind::Vibrate, 3)).await, Ok(Answer::Done));
    assert_eq!(motor.taken(), [level(0), level(3)]);
    service.end().await;
    assert_eq!(motor.taken(), [level(0)]);
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_what_was_left_running_is_looked_for_and_stopped() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    service.end().await;
    motor.taken();
    // The crash: a journal that nobody has cleared.
    DeviceNotes::new(RunningJournal::open(state.path()).0).note(index, Motion::MayRun);

    let service = start(state.path(), "");
    let mut wish = service.discovery.wish.clone();
    wish.wait_for(|wish| *wish == ScanWish::Scan).await.unwrap();
    motor.appear(&service).await;
    service.devices(1).await;
    wish.wait_for(|wish| *wish == ScanWish::Rest).await.unwrap();
    assert_eq!(motor.taken(), [level(0)]);
    // Its rest is confirmed and has lasted, so that a second crash would leave nothing to be looked for.
    tokio::time::sleep(LASTED).await;
    assert_eq!(RunningJournal::open(state.path()).1, BTreeSet::new());
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_journal_names_a_device_from_before_its_first_packet_until_its_rest_is_confirmed() {
    let state = tempfile::tempdir().unwrap();
    let named = || RunningJournal::open(state.path()).1;
    let (service, motor, index) = with_motor(state.path()).await;
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 0)).await, Ok(Answer::Done));
    assert_eq!(named(), BTreeSet::new());

    *motor.refuses.lock().unwrap() = 1;
    assert_eq!(ask(&mut link, 2, set(index, 0, OutputKind::Vibrate, 9)).await, Err(Reason::WriteFailed));
    assert_eq!(named(), BTreeSet::from([index]), "what was refused may have been taken");
    assert_eq!(ask(&mut link, 3, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));
    *motor.refuses.lock().unwrap() = 1;
    assert_eq!(ask(&mut link, 4, STOP).await, Err(Reason::WriteFailed));
    assert_eq!(named(), BTreeSet::from([index]));
    assert_eq!(ask(&mut link, 5, STOP).await, Ok(Answer::Done));
    tokio::time::sleep(LASTED).await;
    assert_eq!(named(), BTreeSet::new());
    service.end().await;
}

/// A second sight of a device, which the service has no use for and cannot even forget.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[async_trait]
impl Opener for Bomb {
    async fn open(self: Box<Self>, _: &Access) -> Result<Opened, TransportFault> {
        Err(TransportFault::Refused("nobody opens it".into()))
    }
}

#[tokio::test(start_paused = true)]
async fn devices_can_be_stopped_after_the_task_that_took_them_in_has_panicked() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));
    assert_eq!(motor.taken(), [level(9)]);

    motor.appear_as(&service, Box::new(Bomb)).await;
    assert!(service.arrivals.await.unwrap_err().is_panic());
    assert_eq!(service.hub.shutdown(Duration::from_secs(10)).await, Shutdown::Complete);
    assert_eq!(motor.taken(), [level(0)]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_fails_is_an_error_and_is_repeated_until_it_is_taken() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));
    *motor.refuses.lock().unwrap() = 3;
    assert_eq!(ask(&mut link, 2, STOP).await, Err(Reason::WriteFailed));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(motor.taken(), [level(9), level(0)]);
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_scan_shows_what_came_while_the_service_looked_for_another() {
    let state = tempfile::tempdir().unwrap();
    let service = start(state.path(), "[[device]]\nwhich = { address = \"Simulated Twin\" }\ndeny = true\n");
    service.simulate(&["Simulated Motor", "Simulated Twin"], Appear::AtOnce);
    service.devices(1).await;
    // The motor is renamed, and looked for.
    let renamed = "[[device]]\nwhich = { address = \"Simulated Motor\" }\nname = \"Mine\"\n";
    service.catalogue.send_replace(catalogue(&format!(
        "{renamed}[[device]]\nwhich = {{ address = \"Simulated Twin\" }}\ndeny = true\n"
    )));
    let mut status = service.hub.status();
    let is_renamed = |device: &engine::view::DeviceView| device.display_name.is_some();
    status.wait_for(|status| status.list.values().any(|device| is_renamed(device))).await.unwrap();
    service.catalogue.send_replace(catalogue(renamed));
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, Command::StartScanning).await, Ok(Answer::Done));
    service.devices(2).await;
    service.end().await;
}
