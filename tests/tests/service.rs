//! The life of the real service: its start, its signals, its configuration, and what it says to its manager.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

use std::{
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::Path,
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use system_tests::{
    artifact,
    bluez::PATIENCE,
    bus::Bus,
    peer::Peer,
    service::{Home, Launch, Service},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    time::timeout,
};
use zbus::fdo::{DBusProxy, RequestNameFlags};

const BUS_NAME: &str = "org.buttplugd.Buttplug1";

#[tokio::test]
async fn it_is_ready_says_so_and_ends_when_told() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new().unwrap();
        let mut service = Launch::new(&home).arg("--no-dbus").start().await.unwrap();
        assert!(service.notifications().iter().any(|said| said.contains("STATUS=0 devices, 0 clients")));
        service.wait_for_log("ready").await.unwrap();
        let mut peer = Peer::socket(service.socket()).await.unwrap();
        peer.open("a client that stays").await.unwrap();
        service.signal(signal).unwrap();
        service.wait_for_notification("STOPPING=1").await.unwrap();
        let status = service.wait().await.unwrap();
        assert_eq!(status.code(), Some(0), "{}", service.log());
        assert!(!service.socket().exists(), "the socket file is gone");
        let told = peer.closed().await.unwrap();
        assert!(told.iter().any(|message| message.get("Error").is_some()), "{told:?}");
    }
}

#[tokio::test]
async fn a_second_service_says_why_it_does_not_start() {
    let home = Home::new().unwrap();
    let mut first = Launch::new(&home).arg("--no-dbus").start().await.unwrap();
    let (status, log) = Launch::new(&home).arg("--no-dbus").by_hand().run().await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("another process serves") && log.lines().count() == 1, "{log}");
    first.assert_alive();
    Peer::socket(first.socket()).await.unwrap().open("someone").await.unwrap();
}

#[tokio::test]
async fn what_a_killed_service_left_behind_is_replaced() {
    let home = Home::new().unwrap();
    let mut first = Launch::new(&home).arg("--no-dbus").start().await.unwrap();
    first.kill().await.unwrap();
    assert!(first.socket().exists(), "a killed service leaves its socket file");
    let second = Launch::new(&home).arg("--no-dbus").start().await.unwrap();
    Peer::socket(second.socket()).await.unwrap().open("someone").await.unwrap();
}

#[tokio::test]
async fn a_taken_port_and_a_wrong_configuration_are_one_line_and_an_exit_status() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = Home::new().unwrap();
    let launch = Launch::new(&home).arg("--no-dbus").arg("--websocket").arg(&address).by_hand();
    let (status, log) = launch.run().await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains(&format!("cannot listen on {address}: ")) && log.lines().count() == 1, "{log}");
    assert_eq!(log.matches("(os error").count(), 1, "the reason is given once: {log}");

    home.write_config("buttplugd.toml", "[websocket]\nenabeld = true\n").unwrap();
    for arguments in [&["--no-dbus"][..], &["--check-config"]] {
        let launch = arguments.iter().fold(Launch::new(&home).by_hand(), Launch::arg);
        let (status, log) = launch.run().await.unwrap();
        assert_eq!(status.code(), Some(1));
        assert!(log.contains("buttplugd.toml:2:1: unknown field `enabeld`"), "{log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }

    let no_front = "[socket]\nenabled = false\n[dbus]\nenabled = false\n";
    home.write_config("buttplugd.toml", no_front).unwrap();
    for launch in [Launch::new(&home).by_hand(), Launch::new(&home).by_hand().arg("--check-config")] {
        let (status, log) = launch.run().await.unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("buttplugd.toml: socket.enabled, dbus.enabled, websocket.enabled: "), "{log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }

    home.write_config("buttplugd.toml", "[websocket]\nenabled = true\n").unwrap();
    let (status, log) = Launch::new(&home).arg("--check-config").by_hand().run().await.unwrap();
    assert_eq!((status.code(), log.as_str()), (Some(0), ""));
    let launch = Launch::new(&home).arg("--check-config").arg("--config").arg("nowhere.toml").by_hand();
    let (status, log) = launch.run().await.unwrap();
    assert!(status.code() == Some(1) && log.contains("cannot read the configuration nowhere.toml"), "{log}");
}

#[tokio::test]
async fn a_reload_takes_what_is_right_and_keeps_what_was_when_it_is_wrong() {
    let home = Home::new().unwrap();
    let mut service = Launch::new(&home).arg("--no-dbus").start().await.unwrap();
    let mut before = Peer::socket(service.socket()).await.unwrap();
    before.open("before").await.unwrap();

    home.write_config("buttplugd.toml", "[access]\ndefault = \"deny\"\n").unwrap();
    service.signal(Signal::HUP).unwrap();
    service.wait_for_notification("RELOADING=1").await.unwrap();
    service.wait_for_notification("READY=1").await.unwrap();
    assert_refused(&service).await;
    before.request("Ping", json!({})).await.unwrap();

    home.write_config("buttplugd.toml", "[access]\ndefault = \"perhaps\"\n").unwrap();
    service.signal(Signal::HUP).unwrap();
    service.wait_for_log("buttplugd.toml:2:11: default: unknown variant `perhaps`").await.unwrap();
    service.wait_for_notification("READY=1").await.unwrap();
    assert_refused(&service).await;
    service.assert_alive();
}

async fn assert_refused(service: &Service) {
    let mut peer = Peer::socket(service.socket()).await.unwrap();
    let hello = json!({ "ClientName": "after", "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0 });
    peer.send("RequestServerInfo", hello).await.unwrap();
    let told = peer.closed().await.unwrap();
    let error = told.iter().find_map(|message| message.get("Error")).expect("an error");
    assert!(error["ErrorMessage"].as_str().unwrap().contains("does not let this client in"), "{error}");
}

#[tokio::test]
async fn signs_of_life_come_when_asked_for_and_only_then() {
    let home = Home::new().unwrap();
    let launch = Launch::new(&home).arg("--no-dbus").env("WATCHDOG_USEC", "400000");
    let mut service = launch.start().await.unwrap();
    for _ in 0..3 {
        service.wait_for_notification("WATCHDOG=1").await.unwrap();
    }
    let home = Home::new().unwrap();
    let mut quiet = Launch::new(&home).arg("--no-dbus").start().await.unwrap();
    let status = quiet.terminate().await.unwrap();
    assert!(status.success() && !quiet.notifications().iter().any(|said| said.contains("WATCHDOG")));
}

#[tokio::test]
async fn without_a_session_bus_the_socket_is_served_alone() {
    let home = Home::new().unwrap();
    let service = Launch::new(&home).start().await.unwrap();
    service.wait_for_log("there is no session bus").await.unwrap();
    Peer::socket(service.socket()).await.unwrap().open("someone").await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_taken_is_an_error() {
    let bus = Bus::session().await.unwrap();
    let other = bus.connect().await.unwrap();
    DBusProxy::new(&other)
        .await
        .unwrap()
        .request_name(BUS_NAME.try_into().unwrap(), RequestNameFlags::DO_NOT_QUEUE)
        .await
        .unwrap();
    let home = Home::new().unwrap();
    let (status, log) = Launch::new(&home).session_bus(&bus).by_hand().run().await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains(&format!("another process serves {BUS_NAME}")), "{log}");
    assert!(log.contains("stopping all outputs"), "its devices are not left as they are: {log}");
}

/// A bus that lets one connection in and gives out no names.
async fn bus_without_names(path: &Path) -> anyhow::Result<()> {
    let (stream, _) = tokio::net::UnixListener::bind(path)?.accept().await?;
    let mut stream = BufReader::new(stream);
    let mut hellos = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        stream.read_until(b'\n', &mut line).await?;
        let words = String::from_utf8_lossy(&line);
        let reply: &[u8] = match words.trim_matches(['\0', '\r', '\n']).split(' ').next() {
            Some("AUTH") => b"OK 0123456789abcdef0123456789abcdef\r\n",
            Some("NEGOTIATE_UNIX_FD") => b"AGREE_UNIX_FD\r\n",
            Some("BEGIN") => break,
            other => anyhow::bail!("{other:?}"),
        };
        stream.write_all(reply).await?;
    }
    let mut head = [0; 16];
    while stream.read_exact(&mut head).await.is_ok() {
        let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let rest = number(12).next_multiple_of(8) + number(4);
        stream.read_exact(&mut vec![0; rest.try_into()?]).await?;
        hellos += 1;
        if hellos == 1 {
            // The reply to Hello: a return with the number of the call and a string.
            let mut reply = vec![b'l', 2, 1, 1, 9, 0, 0, 0, 1, 0, 0, 0, 15, 0, 0, 0, 5, 1, b'u', 0];
            reply.extend(number(8).to_le_bytes());
            reply.extend(b"\x08\x01g\0\x01s\0\0\x04\0\0\0:1.1\0");
            stream.write_all(&reply).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_bus_that_hangs_before_the_name_is_taken_is_gone_on_without() {
    let home = Home::new().unwrap();
    let path = home.path().join("slow-bus");
    let address = format!("unix:path={}", path.display());
    let bus = async move { bus_without_names(&path).await };
    let bus = tokio::spawn(bus);
    let mut service = Launch::new(&home).env("DBUS_SESSION_BUS_ADDRESS", address).start().await.unwrap();
    service.wait_for_log("the session bus does not answer").await.unwrap();
    // The connection is closed, so that the name is not had later by somebody who does not know of it.
    timeout(PATIENCE, bus).await.unwrap().unwrap().unwrap();
    Peer::socket(service.socket()).await.unwrap().open("someone").await.unwrap();
    assert_eq!(service.terminate().await.unwrap().code(), Some(0), "{}", service.log());
}

#[tokio::test]
async fn when_the_session_bus_goes_only_a_service_that_it_started_goes_too() {
    for started_by_the_bus in [true, false] {
        let mut bus = Bus::session().await.unwrap();
        let home = Home::new().unwrap();
        let launch = Launch::new(&home).session_bus(&bus);
        let launch =
            if started_by_the_bus { launch.env("DBUS_STARTER_ADDRESS", bus.address()) } else { launch };
        let mut service = launch.start().await.unwrap();
        bus.stop();
        if started_by_the_bus {
            assert_eq!(service.wait().await.unwrap().code(), Some(0), "{}", service.log());
        } else {
            service.wait_for_log("the session bus is gone").await.unwrap();
            Peer::socket(service.socket()).await.unwrap().open("someone").await.unwrap();
        }
    }
}

#[tokio::test]
async fn sockets_that_systemd_passes_are_served() {
    let home = Home::new().unwrap();
    let path = home.path().join("passed.sock");
    let local = UnixListener::bind(&path).unwrap();
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap().to_string();
    let program = artifact::executable("buttplugd").unwrap();
    // What systemd does: the sockets from number 3 on, and the variables that announce them to this very process.
    let script = "exec 3<&0 4<&1 0</dev/null 1>/dev/null; LISTEN_FDS=2 LISTEN_PID=$$ exec \"$0\" --no-dbus";
    let mut service = Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .env("XDG_RUNTIME_DIR", home.runtime())
        .env("HOME", home.path())
        .stdin(OwnedFd::from(local))
        .stdout(OwnedFd::from(web))
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    Peer::socket(&path).await.unwrap().open("over the socket").await.unwrap();
    Peer::websocket(&address, None).await.unwrap().open("over the port").await.unwrap();
    assert!(!home.socket().exists(), "what is passed takes the place of its own");
    let pid = Pid::from_raw(service.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(timeout(PATIENCE, service.wait()).await.unwrap().unwrap().success());
    assert!(path.exists(), "a socket that systemd made is systemd's to remove");
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let home = Home::new().unwrap();
    let path = home.path().join("precious");
    std::fs::write(&path, "precious").unwrap();
    let launch = Launch::new(&home).arg("--no-dbus").arg("--socket").arg(&path).by_hand();
    let (status, log) = launch.run().await.unwrap();
    assert!(status.code() == Some(1) && log.contains("is no socket, and is left alone"), "{log}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn a_socket_that_someone_else_serves_is_left_alone() {
    let home = Home::new().unwrap();
    let path = home.path().join("other.sock");
    let other = UnixListener::bind(&path).unwrap();
    let launch = Launch::new(&home).arg("--no-dbus").arg("--socket").arg(&path).by_hand();
    let (status, log) = launch.run().await.unwrap();
    assert!(status.code() == Some(1) && log.contains("another process serves"), "{log}");
    assert!(path.exists());
    drop(other);
}
