//! The fake BlueZ, seen through a plain D-Bus client: what other tests build on has to hold by itself.
//!
//! How btleplug and the service take it is the business of `bluetooth.rs`.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

use std::{collections::HashMap, time::Duration};

use futures_util::StreamExt as _;
use system_tests::{
    bluez::{
        Action, CharacteristicSpec, Delivery, DeviceSpec, Failure, FakeBluez, Flag, Outcome, PATIENCE, Power,
        Presence, Step, Write, WriteKind,
    },
    bus::Bus,
};
use tokio::time::timeout;
use uuid::{Uuid, uuid};
use zbus::{Connection, DBusError as _, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, Variant};

const SERVICE: Uuid = uuid!("50300001-0023-4bd4-bbd5-a6920e4c5653");
const TX: Uuid = uuid!("50300002-0023-4bd4-bbd5-a6920e4c5653");
const RX: Uuid = uuid!("50300003-0023-4bd4-bbd5-a6920e4c5653");

const DEVICE_PATH: &str = "/org/bluez/hci0/dev_F0_F1_F2_F3_F4_01";
const TX_PATH: &str = "/org/bluez/hci0/dev_F0_F1_F2_F3_F4_01/service0010/char0011";
const RX_PATH: &str = "/org/bluez/hci0/dev_F0_F1_F2_F3_F4_01/service0010/char0013";

type Objects = HashMap<OwnedObjectPath, HashMap<String, HashMap<String, OwnedVariant>>>;

fn toy() -> DeviceSpec {
    DeviceSpec {
        manufacturer_data: [(0x1234, vec![1, 2, 3])].into(),
        ..DeviceSpec::named("F0:F1:F2:F3:F4:01", "TOY-1")
    }
    .advertising(SERVICE)
    .service(
        SERVICE,
        vec![
            CharacteristicSpec::new(TX, &[Flag::Write, Flag::WriteWithoutResponse]),
            CharacteristicSpec::new(RX, &[Flag::Read, Flag::Notify]),
        ],
    )
}

struct Bench {
    client: Client,
    bluez: FakeBluez,
    bus: Bus,
}

async fn bench() -> Bench {
    let bus = Bus::system().await.unwrap();
    let bluez = FakeBluez::start(&bus).await.unwrap();
    let client = Client(bus.connect().await.unwrap());
    Bench { client, bluez, bus }
}

struct Client(Connection);

impl Client {
    async fn call<B>(
        &self,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
    ) -> zbus::Result<zbus::Message>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        let call = self.0.call_method(Some("org.bluez"), path, Some(interface), member, body);
        timeout(PATIENCE, call).await.expect("an answer in time")
    }

    async fn adapter(&self, member: &str) -> zbus::Result<zbus::Message> {
        self.call("/org/bluez/hci0", "org.bluez.Adapter1", member, &()).await
    }

    async fn device(&self, member: &str) -> zbus::Result<zbus::Message> {
        self.call(DEVICE_PATH, "org.bluez.Device1", member, &()).await
    }

    async fn write(&self, data: &[u8], kind: &str) -> zbus::Result<zbus::Message> {
        let options = HashMap::from([("type", Variant::from(kind))]);
        self.call(TX_PATH, "org.bluez.GattCharacteristic1", "WriteValue", &(data, options)).await
    }

    async fn objects(&self) -> Objects {
        let reply =
            self.call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &()).await.unwrap();
        reply.body().deserialize().unwrap()
    }

    async fn signals(&self, member: &str) -> MessageStream {
        let rule =
            MatchRule::builder().msg_type(zbus::message::Type::Signal).sender("org.bluez").member(member);
        MessageStream::for_match_rule(rule.build().unwrap(), &self.0, None).await.unwrap()
    }
}

async fn next(signals: &mut MessageStream) -> zbus::Message {
    timeout(PATIENCE, signals.next()).await.expect("a signal in time").expect("a live bus").unwrap()
}

/// The path and the changed properties of a PropertiesChanged signal.
fn change(signal: &zbus::Message) -> (String, HashMap<String, OwnedVariant>, Vec<String>) {
    let (_, properties, gone): (String, _, _) = signal.body().deserialize().unwrap();
    (signal.header().path().unwrap().to_string(), properties, gone)
}

/// The name and the text of an error answer.
fn refusal(answer: zbus::Result<zbus::Message>) -> (String, String) {
    match answer.unwrap_err() {
        zbus::Error::MethodError(name, text, _) => (name.to_string(), text.unwrap_or_default()),
        zbus::Error::FDO(error) => {
            (error.name().to_string(), error.description().unwrap_or_default().to_owned())
        }
        other => panic!("not an error answer: {other}"),
    }
}

#[tokio::test]
async fn a_device_is_shown_when_somebody_looks() {
    let bench = bench().await;
    let toy = bench.bluez.add_device(toy());
    let mut added = bench.client.signals("InterfacesAdded").await;
    assert!(!bench.client.objects().await.keys().any(|path| path.as_str() == DEVICE_PATH));

    bench.client.adapter("StartDiscovery").await.unwrap();

    let signal = next(&mut added).await;
    let (path, interfaces): (OwnedObjectPath, HashMap<String, HashMap<String, OwnedVariant>>) =
        signal.body().deserialize().unwrap();
    assert_eq!(path.as_str(), DEVICE_PATH);
    let properties = &interfaces["org.bluez.Device1"];
    assert_eq!(properties["RSSI"], OwnedVariant::try_from(Variant::from(-50i16)).unwrap());
    assert_eq!(properties["Name"], OwnedVariant::try_from(Variant::from("TOY-1")).unwrap());
    let data: HashMap<u16, OwnedVariant> = properties["ManufacturerData"].clone().try_into().unwrap();
    assert_eq!(Vec::<u8>::try_from(data[&0x1234].clone()).unwrap(), [1, 2, 3]);
    assert!(bench.client.objects().await.keys().any(|path| path.as_str() == DEVICE_PATH));

    // Gone and back: no new object, only a new signal strength.
    let mut changed = bench.client.signals("PropertiesChanged").await;
    toy.vanish();
    toy.appear();
    let (path, properties, _) = change(&next(&mut changed).await);
    assert_eq!(path, DEVICE_PATH);
    assert!(properties.contains_key("RSSI") && properties.contains_key("ManufacturerData"), "{properties:?}");

    // The end of the search makes BlueZ forget how strong it was.
    bench.client.adapter("StopDiscovery").await.unwrap();
    let (path, ..) = change(&next(&mut changed).await);
    assert_eq!(path, "/org/bluez/hci0");
    let (path, _, gone) = change(&next(&mut changed).await);
    assert_eq!((path.as_str(), gone), (DEVICE_PATH, vec!["RSSI".to_owned()]));
}

#[tokio::test]
async fn a_filter_hides_what_advertises_no_wanted_service() {
    let bench = bench().await;
    let _toy = bench.bluez.add_device(toy());
    let _other = bench.bluez.add_device(DeviceSpec::named("F0:F1:F2:F3:F4:02", "OTHER"));
    let filter =
        HashMap::from([("UUIDs", Variant::from(vec![SERVICE.to_string()])), ("Transport", "le".into())]);
    bench.client.call("/org/bluez/hci0", "org.bluez.Adapter1", "SetDiscoveryFilter", &filter).await.unwrap();
    bench.client.adapter("StartDiscovery").await.unwrap();

    let devices = bench.client.objects().await.keys().filter(|path| path.contains("/dev_")).count();
    assert_eq!(devices, 1);
    assert_eq!(bench.bluez.adapter().filters()[0].services, [SERVICE]);
}

#[tokio::test]
async fn a_search_ends_with_its_client_and_links_do_not() {
    let bench = bench().await;
    let toy = bench.bluez.add_device(toy());
    let other = Client(bench.bus.connect().await.unwrap());
    other.adapter("StartDiscovery").await.unwrap();
    other.device("Connect").await.unwrap();
    bench.bluez.adapter().discovering().await;

    other.0.close().await.unwrap();

    bench.bluez.adapter().not_discovering().await;
    assert!(toy.is_connected());
}

#[tokio::test]
async fn packets_and_notifications_pass_and_are_recorded() {
    let bench = bench().await;
    let toy = bench.bluez.add_device(toy());
    toy.respond_with(|write| vec![(RX, [b"ok ", &write.data[..]].concat())]);
    bench.client.adapter("StartDiscovery").await.unwrap();
    bench.client.device("Connect").await.unwrap();
    toy.connected().await;

    assert_eq!(toy.notify(RX, b"nobody listens"), Delivery::NotSubscribed);
    bench.client.call(RX_PATH, "org.bluez.GattCharacteristic1", "StartNotify", &()).await.unwrap();
    let mut changed = bench.client.signals("PropertiesChanged").await;
    bench.client.write(b"Battery;", "request").await.unwrap();
    bench.client.write(&[7], "command").await.unwrap();

    for expected in [&b"ok Battery;"[..], b"ok \x07"] {
        let (path, properties, _) = change(&next(&mut changed).await);
        assert_eq!(path, RX_PATH);
        assert_eq!(Vec::<u8>::try_from(properties["Value"].clone()).unwrap(), expected);
    }
    let actions: Vec<_> = toy.operations().into_iter().map(|operation| operation.action).collect();
    let write = |data: &[u8], kind| Action::Write(Write { characteristic: TX, data: data.to_vec(), kind });
    assert_eq!(
        actions,
        [
            Action::Connect,
            Action::StartNotify(RX),
            write(b"Battery;", WriteKind::WithResponse),
            write(&[7], WriteKind::WithoutResponse),
        ]
    );
    assert_eq!(toy.next_operation().await.action, Action::Connect);
    assert_eq!(toy.next_write().await.text(), "Battery;");

    toy.lose_notifications(1);
    assert_eq!(toy.notify(RX, b"lost"), Delivery::Lost);
    assert_eq!(toy.notify(RX, b"found"), Delivery::Sent);
}

#[tokio::test]
async fn reads_take_the_queued_answers_and_repeat_the_last() {
    let bench = bench().await;
    let toy = bench.bluez.add_device(toy());
    toy.answer_read(RX, b"first");
    toy.answer_read(RX, b"last");
    bench.client.adapter("StartDiscovery").await.unwrap();
    bench.client.device("Connect").await.unwrap();

    for expected in [&b"first"[..], b"last", b"last"] {
        let options: HashMap<String, OwnedVariant> = HashMap::new();
        let reply =
            bench.client.call(RX_PATH, "org.bluez.GattCharacteristic1", "ReadValue", &options).await.unwrap();
        assert_eq!(reply.body().deserialize::<Vec<u8>>().unwrap(), expected);
    }
}

#[tokio::test]
async fn faults_come_at_their_step_and_once() {
    let bench = bench().await;
    let toy = bench.bluez.add_device(toy());
    bench.client.adapter("StartDiscovery").await.unwrap();
    toy.fail_next(Step::Connect, Failure::failed("le-connection-abort-by-local"));
    let refused = refusal(bench.client.device("Connect").await);
    assert_eq!(refused, ("org.bluez.Error.Failed".into(), "le-connection-abort-by-local".into()));
    bench.client.device("Connect").await.unwrap();

    toy.fail_after(Step::Write, 1, Failure::failed("Operation failed with ATT error: 0x0e"));
    bench.client.write(&[1], "request").await.unwrap();
    refusal(bench.client.write(&[2], "request").await);
    bench.client.write(&[3], "request").await.unwrap();
    let written: Vec<_> = toy.writes().into_iter().map(|write| write.data).collect();
    assert_eq!(written, [[1], [3]]);

    toy.fail_next(Step::Write, Failure::Silent);
    let call = bench.client.write(&[4], "request");
    assert!(timeout(Duration::from_millis(100), call).await.is_err());
    let operation = toy.operation_that(|operation| operation.outcome == Outcome::Unanswered).await;
    assert!(matches!(operation.action, Action::Write(write) if write.data == [4]));

    toy.fail_next(Step::Write, Failure::Held);
    let held = bench.client.write(&[5], "request");
    let release = async {
        toy.operation_that(
            |operation| matches!(&operation.action, Action::Write(write) if write.data == [5]),
        )
        .await;
        toy.release();
    };
    tokio::join!(held, release).0.unwrap();

    toy.fail_next(Step::Write, Failure::DoneThenDrop);
    assert_eq!(refusal(bench.client.write(&[6], "request").await).1, "Not connected");
    assert!(!toy.is_connected());
    assert_eq!(toy.writes().last().unwrap().data, [6]);
}

#[tokio::test]
async fn a_device_away_cannot_be_connected_and_loses_its_link() {
    let bench = bench().await;
    let toy = bench.bluez.add_device(toy());
    bench.client.adapter("StartDiscovery").await.unwrap();
    bench.client.device("Connect").await.unwrap();
    toy.connected().await;

    toy.vanish();

    assert_eq!(refusal(bench.client.write(&[1], "request").await).1, "Not connected");
    refusal(bench.client.device("Connect").await);
    toy.appear();
    bench.client.device("Connect").await.unwrap();
}

#[tokio::test]
async fn a_radio_can_be_switched_blocked_pulled_and_put_back() {
    let bench = bench().await;
    let toy = bench.bluez.add_device(toy());
    let adapter = bench.bluez.adapter();
    bench.client.adapter("StartDiscovery").await.unwrap();
    bench.client.device("Connect").await.unwrap();

    adapter.set_power(Power::Off);
    assert!(!toy.is_connected());
    assert!(!adapter.is_discovering());
    assert_eq!(refusal(bench.client.adapter("StartDiscovery").await).0, "org.bluez.Error.NotReady");
    let power_on = ("org.bluez.Adapter1", "Powered", Variant::from(true));
    let set = || bench.client.call("/org/bluez/hci0", "org.freedesktop.DBus.Properties", "Set", &power_on);
    adapter.set_power(Power::Blocked);
    refusal(set().await);
    adapter.set_power(Power::Off);
    set().await.unwrap();
    bench.client.adapter("StartDiscovery").await.unwrap();

    let mut removed = bench.client.signals("InterfacesRemoved").await;
    adapter.remove();
    let gone: (OwnedObjectPath, Vec<String>) = next(&mut removed).await.body().deserialize().unwrap();
    assert_eq!(gone.0.as_str(), DEVICE_PATH);
    next(&mut removed).await;
    assert!(bench.client.objects().await.is_empty());
    adapter.restore();
    assert_eq!(bench.client.objects().await.len(), 1);
}

#[tokio::test]
async fn the_whole_name_leaves_and_returns_without_memory() {
    let bench = bench().await;
    let toy = bench.bluez.add_device(DeviceSpec { presence: Presence::Near, ..toy() });
    bench.client.adapter("StartDiscovery").await.unwrap();
    bench.client.device("Connect").await.unwrap();

    bench.bluez.leave().await;
    assert_eq!(
        refusal(bench.client.adapter("StartDiscovery").await).0,
        "org.freedesktop.DBus.Error.ServiceUnknown"
    );
    bench.bluez.come_back().await;

    assert!(!toy.is_connected());
    assert!(!bench.bluez.adapter().is_discovering());
    assert_eq!(bench.client.objects().await.len(), 1);
    bench.client.adapter("StartDiscovery").await.unwrap();
    assert_eq!(bench.client.objects().await.len(), 2);
}
