//! The session bus of the real service, called by a client that is no part of the project: zbus, on a real `dbus-daemon`.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

use std::collections::HashMap;

use futures_util::StreamExt;
use ipc_schema::dbus::{BUS_NAME, SERVER_INTERFACE, SERVER_PATH, SERVER_XML};
use serde::Serialize;
use serde_json::json;
use system_tests::{
    bluez::PATIENCE,
    bus::Bus,
    peer::Peer,
    service::{Home, Launch, Service},
};
use tokio::time::{Instant, timeout};
use zbus::{Connection, DBusError, DynamicType, MatchRule, MessageStream, OwnedFd, OwnedVariant, message};

type Dict = HashMap<String, OwnedVariant>;

/// A service on a bus of its own.
struct Stage {
    _home: Home,
    bus: Bus,
    service: Service,
}

impl Stage {
    async fn new(config: &str) -> Self {
        let home = Home::new().unwrap();
        home.write_config("buttplugd.toml", config).unwrap();
        let bus = Bus::session().await.unwrap();
        let service = Launch::new(&home).session_bus(&bus).start().await.unwrap();
        Self { _home: home, bus, service }
    }

    async fn caller(&self) -> Caller {
        Caller(self.bus.connect().await.unwrap())
    }
}

/// A caller with a connection of its own.
struct Caller(Connection);

impl Caller {
    async fn call<B, R>(&self, method: &str, body: &B) -> Result<R, String>
    where
        B: Serialize + DynamicType,
        R: for<'d> zbus::wire::DynamicDeserialize<'d>,
    {
        let call = self.0.call_method(Some(BUS_NAME), SERVER_PATH, Some(SERVER_INTERFACE), method, body);
        match timeout(PATIENCE, call).await.expect("an answer in time") {
            Ok(reply) => Ok(reply.body().deserialize().unwrap()),
            Err(zbus::Error::MethodError(name, _, _)) => {
                let name = name.as_str();
                Err(name.strip_prefix("org.buttplugd.Buttplug1.Error.").unwrap_or(name).to_owned())
            }
            Err(zbus::Error::FDO(error)) => Err(error.name().to_string()),
            Err(error) => panic!("{method}: {error}"),
        }
    }

    async fn open(&self, name: &str, options: &HashMap<&str, zbus::Variant<'_>>) -> Result<Dict, String> {
        self.call("RequestServerInfo", &(name, options)).await
    }

    async fn property<T>(&self, name: &str) -> T
    where
        T: TryFrom<OwnedVariant>,
        T::Error: std::fmt::Debug,
    {
        let (properties, which) = (Some("org.freedesktop.DBus.Properties"), (SERVER_INTERFACE, name));
        let call = self.0.call_method(Some(BUS_NAME), SERVER_PATH, properties, "Get", &which);
        let value: OwnedVariant = call.await.unwrap().body().deserialize().unwrap();
        value.try_into().unwrap()
    }

    /// The signals that reach this caller.
    async fn signals(&self, name: &'static str) -> MessageStream {
        let rule = MatchRule::builder().msg_type(message::Type::Signal).member(name).build().unwrap();
        MessageStream::for_match_rule(rule, &self.0, None).await.unwrap()
    }

    async fn client_names(&self) -> Vec<String> {
        let clients: Vec<Dict> = self.property("Clients").await;
        let name = |client: &Dict| {
            client.get("Name").and_then(|name| <&str>::try_from(name).ok().map(str::to_owned))
        };
        clients.iter().filter_map(name).collect()
    }
}

#[tokio::test]
async fn a_session_opens_speaks_and_ends() {
    let (home, bus) = (Home::new().unwrap(), Bus::session().await.unwrap());
    let service = Launch::new(&home).session_bus(&bus).with_pings().start().await.unwrap();
    let stage = Stage { _home: home, bus, service };
    let caller = stage.caller().await;
    let info = caller.open("test", &HashMap::new()).await.unwrap();
    assert_eq!(u32::try_from(&info["MaxPingTime"]), Ok(10_000));
    assert_eq!(u32::try_from(&info["ProtocolVersionMajor"]), Ok(4));
    caller.call::<_, ()>("Ping", &()).await.unwrap();
    let devices: HashMap<u32, Dict> = caller.call("RequestDeviceList", &()).await.unwrap();
    assert!(devices.is_empty());
    assert_eq!(caller.client_names().await, ["test"]);
    caller.call::<_, ()>("Disconnect", &()).await.unwrap();
    assert_eq!(caller.call::<_, ()>("Ping", &()).await, Err("Handshake.HandshakeExpected".to_owned()));
    caller.open("again", &HashMap::new()).await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let stage = Stage::new("").await;
    let caller = stage.caller().await;
    let expected = Err("Handshake.HandshakeExpected".to_owned());
    for method in ["Ping", "Disconnect", "StartScanning", "StopScanning", "Reload", "WatchOutputs"] {
        assert_eq!(caller.call::<_, ()>(method, &()).await, expected, "{method}");
    }
    let wrong = HashMap::from([("ping-time", "soon".into())]);
    assert_eq!(caller.open("test", &wrong).await.unwrap_err(), "Message.InvalidValueType");
    caller.open("test", &HashMap::new()).await.unwrap();
    assert_eq!(caller.open("test", &HashMap::new()).await.unwrap_err(), "Handshake.HandshakeRepeated");
    assert_eq!(
        caller.call::<_, ()>("Nothing", &()).await.unwrap_err(),
        "org.freedesktop.DBus.Error.UnknownMethod"
    );
    assert_eq!(
        caller.call::<_, ()>("Ping", &("too", "much")).await.unwrap_err(),
        "org.freedesktop.DBus.Error.InvalidArgs"
    );
    caller.call::<_, ()>("Ping", &()).await.unwrap();
}

#[tokio::test]
async fn anyone_may_stop_everything() {
    let stage = Stage::new("[access]\ndefault = \"deny\"\n").await;
    let caller = stage.caller().await;
    assert_eq!(caller.open("denied", &HashMap::new()).await.unwrap_err(), "Permission.NotAllowed");
    caller.call::<_, ()>("Stop", &()).await.unwrap();
}

#[tokio::test]
async fn a_missed_ping_is_signalled_to_its_peer_alone() {
    let stage = Stage::new("").await;
    let (late, other) = (stage.caller().await, stage.caller().await);
    let (mut told, mut overheard) = (late.signals("Error").await, other.signals("Error").await);
    other.open("other", &HashMap::new()).await.unwrap();
    let options = HashMap::from([("ping-time", 300_u32.into())]);
    let info = late.open("late", &options).await.unwrap();
    assert_eq!(u32::try_from(&info["MaxPingTime"]), Ok(300));
    let begin = Instant::now();
    let signal = timeout(PATIENCE, told.next()).await.unwrap().unwrap().unwrap();
    assert!(begin.elapsed().as_millis() >= 250, "{:?}", begin.elapsed());
    let (name, _): (String, String) = signal.body().deserialize().unwrap();
    assert_eq!(name, "org.buttplugd.Buttplug1.Error.Ping.PingMissed");
    assert_eq!(late.call::<_, ()>("Ping", &()).await, Err("Handshake.HandshakeExpected".to_owned()));
    other.call::<_, ()>("Ping", &()).await.unwrap();
    // Everything that the service sent before that answer has come by now.
    let heard = futures_util::FutureExt::now_or_never(overheard.next());
    assert!(heard.is_none(), "{heard:?}");
}

#[tokio::test]
async fn a_session_ends_with_its_peer() {
    let stage = Stage::new("").await;
    let watcher = stage.caller().await;
    let mut changes = watcher.signals("PropertiesChanged").await;
    let leaver = stage.caller().await;
    leaver.open("leaver", &HashMap::new()).await.unwrap();
    assert_eq!(watcher.client_names().await, ["leaver"]);
    leaver.0.close().await.unwrap();
    let gone = async {
        while !watcher.client_names().await.is_empty() {
            changes.next().await.unwrap().unwrap();
        }
    };
    timeout(PATIENCE, gone).await.expect("the session ends");
}

#[tokio::test]
async fn a_handed_out_socket_speaks_every_version() {
    let stage = Stage::new("").await;
    let caller = stage.caller().await;
    let socket: OwnedFd = caller.call("OpenSocket", &()).await.unwrap();
    let stream = std::os::unix::net::UnixStream::from(std::os::fd::OwnedFd::from(socket));
    stream.set_nonblocking(true).unwrap();
    let mut peer = Peer::connected(tokio::net::UnixStream::from_std(stream).unwrap());
    let hello = json!({ "ClientName": "sandboxed", "MessageVersion": 2 });
    let info = peer.request("RequestServerInfo", hello).await.unwrap();
    assert_eq!(info["ServerInfo"]["MessageVersion"], 2, "{info}");
    let clients: Vec<Dict> = caller.property("Clients").await;
    let pid = u32::try_from(&clients[0]["Pid"]).unwrap();
    assert_eq!(pid, std::process::id(), "the process that asked for it is behind it");
}

#[tokio::test]
async fn one_client_sees_and_ends_another() {
    let stage = Stage::new("").await;
    let caller = stage.caller().await;
    caller.open("one", &HashMap::new()).await.unwrap();
    let mut peer = Peer::socket(stage.service.socket()).await.unwrap();
    peer.open("other").await.unwrap();
    let clients: Vec<Dict> = caller.property("Clients").await;
    let other = clients.iter().find(|client| <&str>::try_from(&client["Name"]) == Ok("other")).unwrap();
    assert_eq!(<&str>::try_from(&other["Front"]), Ok("socket"));
    let id = u64::try_from(&other["Id"]).unwrap();
    caller.call::<_, ()>("DisconnectClient", &id).await.unwrap();
    let told = peer.closed().await.unwrap();
    assert!(told.iter().any(|message| message.get("Error").is_some()), "{told:?}");
    caller.call::<_, ()>("Reload", &()).await.unwrap();
}

#[tokio::test]
async fn calls_that_are_sent_together_act_in_the_order_sent() {
    let stage = Stage::new("").await;
    let caller = stage.caller().await;
    let build = |method: &str| {
        let call =
            zbus::Message::method_call(SERVER_PATH, method).destination(BUS_NAME).interface(SERVER_INTERFACE);
        match method {
            "RequestServerInfo" => call.build(&("busy", HashMap::<&str, zbus::Variant<'_>>::new())).unwrap(),
            _ => call.build(&()).unwrap(),
        }
    };
    // Every ping before the end of the session is answered with Ok, every one after it with an error. The bus itself
    // lets no more than 128 calls wait for their answer.
    let pings = |count: usize| std::iter::repeat_n("Ping", count);
    let script: Vec<&str> = std::iter::once("RequestServerInfo")
        .chain(pings(80))
        .chain(["Disconnect"])
        .chain(pings(20))
        .collect();
    let calls: Vec<zbus::Message> = script.iter().map(|method| build(method)).collect();
    let place: HashMap<_, _> =
        calls.iter().enumerate().map(|(place, call)| (call.primary_header().serial_num(), place)).collect();
    let mut replies = MessageStream::from(&caller.0);
    replies.set_max_queued(1_024.try_into().unwrap());
    caller.0.send_all(&calls).await.unwrap();
    let mut answered = 0;
    let all = async {
        while answered < calls.len() {
            let reply = replies.next().await.unwrap().unwrap();
            let Some(place) = reply.header().reply_serial().and_then(|serial| place.get(&serial)) else {
                continue;
            };
            let expected = if *place <= 81 { message::Type::MethodReturn } else { message::Type::Error };
            assert_eq!(reply.message_type(), expected, "call {place}: {reply:?}");
            answered += 1;
        }
    };
    timeout(PATIENCE, all).await.expect("all answers");
}

#[tokio::test]
async fn the_committed_introspection_is_what_the_running_service_says() {
    let stage = Stage::new("").await;
    let caller = stage.caller().await;
    let introspectable = Some("org.freedesktop.DBus.Introspectable");
    let call = caller.0.call_method(Some(BUS_NAME), SERVER_PATH, introspectable, "Introspect", &());
    let served: String = call.await.unwrap().body().deserialize().unwrap();
    let start = SERVER_XML.find("<interface").unwrap();
    let end = SERVER_XML.rfind("</interface>").unwrap();
    assert!(served.contains(&SERVER_XML[start..end]), "{served}");
}

#[tokio::test]
async fn a_device_is_an_object_that_its_callers_drive() {
    let stage = Stage::new("[simulated]\nenabled = true\nmodels = [\"Simulated Motor\"]\n").await;
    let caller = stage.caller().await;
    let mut added = caller.signals("DeviceAdded").await;
    caller.open("driver", &HashMap::new()).await.unwrap();
    caller.call::<_, ()>("StartScanning", &()).await.unwrap();
    let signal = timeout(PATIENCE, added.next()).await.unwrap().unwrap().unwrap();
    let (index, device): (u32, Dict) = signal.body().deserialize().unwrap();
    assert_eq!(<&str>::try_from(&device["Name"]), Ok("Simulated Motor"));

    let path = ipc_schema::dbus::device_path(index);
    let output = async |feature: u32, kind: &str, value: i32| {
        let body = (feature, kind, value, HashMap::<&str, zbus::Variant<'_>>::new());
        let interface = Some(ipc_schema::dbus::DEVICE_INTERFACE);
        let call = caller.0.call_method(Some(BUS_NAME), path.as_str(), interface, "Output", &body);
        match timeout(PATIENCE, call).await.unwrap() {
            Ok(_) => "done".to_owned(),
            Err(zbus::Error::MethodError(name, _, _)) => name.to_string(),
            Err(error) => panic!("{error}"),
        }
    };
    let error = |name: &str| format!("org.buttplugd.Buttplug1.Error.Device.{name}");
    assert_eq!(output(0, "Vibrate", 50).await, "done");
    assert_eq!(output(0, "Vibrate", 101).await, error("ValueOutOfRange"));
    assert_eq!(output(9, "Vibrate", 1).await, error("FeatureUnknown"));
    assert_eq!(output(0, "Rotate", 1).await, error("OutputNotSupported"));
    assert_eq!(output(0, "Explode", 1).await, error("OutputNotSupported"));
    let drives = async || -> Vec<(u32, u32, String)> {
        let mut clients: Vec<Dict> = caller.property("Clients").await;
        clients.remove(0).remove("Drives").unwrap().try_into().unwrap()
    };
    assert_eq!(drives().await, [(index, 0, "Vibrate".to_owned())]);
    caller.call::<_, ()>("Stop", &()).await.unwrap();
    assert_eq!(drives().await, []);
    assert_eq!(caller.property::<u32>("DeviceCount").await, 1);
}
