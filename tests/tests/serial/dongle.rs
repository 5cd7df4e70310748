//! The older kind of Lovense dongle, which is a serial port that the user has named.

use system_tests::plugins;

use super::*;

#[tokio::test]
async fn the_toy_behind_a_dongle_at_a_named_port_is_searched_for_driven_and_stopped() {
    let sent =
        |text: &str| format!(r#"{{"type":"toy","func":"command","id":"C0FFEE012345","cmd":"{text}"}}"#);
    let home = Home::new().unwrap();
    let port = home.path().join("dongle");
    home.write_config("buttplugd.toml", &format!("[transports]\nlovense-dongle-port = {port:?}\n")).unwrap();
    let plugins = plugins::installed().unwrap();
    let service = Launch::new(&home).plugin_path(plugins.path()).arg("--no-dbus").start().await.unwrap();
    let mut dongle = SerialDevice::plug_in(&port).unwrap();
    service.wait_for_log("transport=\"lovense-dongle\" state=Ready").await.unwrap();
    let mut peer = Peer::driver(service.socket()).await.unwrap();
    assert!(peer.request("StartScanning", json!({})).await.unwrap().get("Ok").is_some());
    assert_eq!(dongle.line().await.unwrap(), r#"{"type":"toy","func":"statuss"}"#);
    // No answer: it is asked again, and then told to search. One half of a line comes with the next.
    assert_eq!(dongle.line().await.unwrap(), r#"{"type":"toy","func":"statuss"}"#);
    assert_eq!(dongle.line().await.unwrap(), r#"{"type":"toy","func":"search"}"#);
    dongle.send(br#"{"type":"toy","func":"toyData","data"#).await.unwrap();
    dongle.send(b"\":{\"id\":\"C0FFEE012345\"}}\r\n").await.unwrap();
    assert_eq!(dongle.line().await.unwrap(), r#"{"type":"usb","func":"stopSearch"}"#);
    dongle.send(b"{\"type\":\"toy\",\"func\":\"search\",\"result\":206}\r\n").await.unwrap();
    assert_eq!(dongle.line().await.unwrap(), sent("DeviceType;"));
    let answer =
        r#"{"type":"toy","func":"toyData","data":{"id":"C0FFEE012345","data":"S:11:C0FFEE012345;"}}"#;
    dongle.send(format!("{answer}\n").as_bytes()).await.unwrap();
    let index = peer.device().await.unwrap();
    peer.drive(index, 0, vibrate(10)).await.unwrap();
    assert_eq!(dongle.line().await.unwrap(), sent("Vibrate:10;"));
    drop(peer);
    assert_eq!(dongle.line().await.unwrap(), sent("Vibrate:0;"));
}
