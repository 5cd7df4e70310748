//! Which of several protocols a device is brought up as.

use engine::recording::Recording;

use super::*;
use crate::transport::replay;

/// Two makers with one name. They can be told apart by their services only.
pub(super) const NAMESAKES: &str = r#"
[[protocol]]
id = "exact"
[[protocol.bluetooth]]
names = ["FM-LILAC"]
services = { "0000aaaa-0000-1000-8000-00805f9b34fb" = { tx = "0000aaab-0000-1000-8000-00805f9b34fb" } }
[protocol.template]
packet = [{ features = [0], bytes = "AA {v}" }]
[protocol.default]
name = "Lilac"
features = [{ index = 0, output = { vibrate = [0, 9] } }]

[[protocol]]
id = "prefix"
[[protocol.bluetooth]]
names = ["FM-*"]
services = { "0000bbbb-0000-1000-8000-00805f9b34fb" = { tx = "0000bbbc-0000-1000-8000-00805f9b34fb" } }
[protocol.template]
packet = [{ features = [0], bytes = "BB {v}" }]
[protocol.default]
name = "Machine"
features = [{ index = 0, output = { vibrate = [0, 9] } }]
"#;

/// Shows the device that two protocols claim.
pub(super) async fn lilac(service: &Service, motor: &Motor) {
    let discovered = Discovered {
        transport: "bluetooth",
        advertisement: Advertisement::Bluetooth {
            name: Some("FM-LILAC".into()),
            manufacturer_data: Vec::new(),
            services: Vec::new(),
        },
        address: "aa:bb".into(),
        opener: Box::new(motor.clone()),
    };
    assert!(service.discovery.tell.send(FromTransport::Discovered(discovered)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_name_two_protocols_claim_is_opened_once_and_speaks_the_one_whose_services_it_has() {
    for (candidate, name, first_byte) in [(0, "Lilac", 0xAA), (1, "Machine", 0xBB)] {
        let state = tempfile::tempdir().unwrap();
        let service = start(state.path(), NAMESAKES);
        let motor = Motor { candidate, ..Motor::default() };
        lilac(&service, &motor).await;
        let index = service.devices(1).await[name];
        let mut link = service.session().await;
        assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));
        assert_eq!(motor.taken(), [vec![first_byte, 9]]);
        assert_eq!(*motor.offered.lock().unwrap(), [2], "opened once, as either");
        service.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_turns_out_to_be_denied_is_let_alone_until_the_rules_are_read_again() {
    let state = tempfile::tempdir().unwrap();
    let denied = format!("{NAMESAKES}[[device]]\nwhich = {{ protocol = \"prefix\" }}\ndeny = true\n");
    let service = start(state.path(), &denied);
    let motor = Motor { candidate: 1, ..Motor::default() };
    for _ in 0..20 {
        lilac(&service, &motor).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(*motor.offered.lock().unwrap(), [2], "connected to once, to see what it is");
    assert!(service.hub.status().borrow().list.is_empty());

    service.catalogue.send_replace(catalogue(NAMESAKES));
    assert!(service.devices(1).await.contains_key("Machine"), "what was seen of it was kept");
    service.end().await;
}

/// Two protocols with the same ids; the first comes first by the alphabet.
const SAME_IDS: &str = r#"
[[protocol]]
id = "first"
[[protocol.hid]]
ids = [{ vendor = 0xb077, product = 2 }]
[protocol.template]
packet = [{ features = [0], bytes = "AA {v}" }]
[protocol.default]
name = "First"
features = [{ index = 0, output = { vibrate = [0, 9] } }]

[[protocol]]
id = "second"
[[protocol.hid]]
ids = [{ vendor = 0xb077, product = 2 }]
[protocol.template]
packet = [{ features = [0], bytes = "BB {v}" }]
[protocol.default]
name = "Second"
features = [{ index = 0, output = { vibrate = [0, 9] } }]
"#;

/// A path that cannot be opened as long as there is a fault to tell.
pub(super) struct Shut {
    pub(super) faults: Arc<Mutex<Vec<TransportFault>>>,
    pub(super) motor: Motor,
}

#[async_trait]
impl Opener for Shut {
    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        let fault = self.faults.lock().unwrap().pop();
        match fault {
            Some(fault) => Err(fault),
            None => Box::new(self.motor).open(access).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_could_not_be_opened_and_was_pulled_out_is_not_tried_where_another_may_be_by_now() {
    let state = tempfile::tempdir().unwrap();
    let service = start(state.path(), "");
    let refusal = TransportFault::NotAllowed("no rule".into());
    let faults = Arc::new(Mutex::new(vec![refusal; 3]));
    let motor = Motor::default();
    motor.appear_as(&service, Box::new(Shut { faults: Arc::clone(&faults), motor: motor.clone() })).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    // It is told of again, and waits.
    motor.appear_as(&service, Box::new(Shut { faults: Arc::clone(&faults), motor: motor.clone() })).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let gone = FromTransport::Gone { transport: "simulated", address: "motor".into() };
    assert!(service.discovery.tell.send(gone).await.is_ok());
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(faults.lock().unwrap().len(), 2, "it was tried once");
    motor.appear(&service).await;
    service.devices(1).await;
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn only_a_device_that_has_not_what_a_protocol_needs_is_tried_as_another() {
    let cases = [
        (TransportFault::NotAllowed("no rule".into()), "First"),
        (TransportFault::Refused("another program has it open".into()), "First"),
        (TransportFault::TimedOut(5000), "First"),
        (TransportFault::Disconnected("gone".into()), "First"),
        (TransportFault::NoEndpoint("interface 4".into()), "Second"),
    ];
    for (fault, name) in cases {
        let state = tempfile::tempdir().unwrap();
        let service = start(state.path(), "");
        let text = Ok(SAME_IDS.into());
        let source = Source { layer: Layer::User, file: "user.toml".into(), text };
        // With a problem: that the two cannot be told apart.
        let (both, _) = Catalogue::build(&[source], None, &AnyTemplate);
        service.catalogue.send_replace(Arc::new(both));
        let faults = Arc::new(Mutex::new(vec![fault.clone()]));
        // The bus tells of it again and again.
        let tell = service.discovery.tell.clone();
        let again = tokio::spawn(async move {
            loop {
                let discovered = Discovered {
                    transport: "hid",
                    advertisement: Advertisement::Hid { vendor: 0xb077, product: 2, name: None },
                    address: "b077:0002".into(),
                    opener: Box::new(Shut { faults: Arc::clone(&faults), motor: Motor::default() }),
                };
                if tell.send(FromTransport::Discovered(discovered)).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let devices = service.devices(1).await;
        assert_eq!(devices.keys().collect::<Vec<_>>(), [name], "{fault}");
        again.abort();
        service.end().await;
    }
}

fn recording(protocol: &str) -> Recording {
    Recording::parse(&format!(
        r#"{{"format":"buttplugd-recording","version":1,"transport":"bluetooth","name":"FM-LILAC","endpoints":["tx"],"protocol":"{protocol}","model":"m"}}"#
    ))
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_recorded_device_is_brought_up_as_what_it_was() {
    let state = tempfile::tempdir().unwrap();
    let service = start(state.path(), NAMESAKES);
    let recordings = vec![recording("prefix"), recording("exact"), recording("renamed-since")];
    tokio::spawn(replay::run(service.discovery.clone(), recordings));
    let mut link = service.session().await;
    ask(&mut link, 1, Command::StartScanning).await.unwrap();
    let mut status = service.hub.status();
    let status = status.wait_for(|status| status.list.len() == 3).await.unwrap().clone();
    let mut names: Vec<_> = status.list.values().map(|device| device.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Lilac", "Lilac", "Machine"]);
    drop(link);
    service.end().await;
}
