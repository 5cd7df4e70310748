//! The format of recordings: what is written can be read, what is no recording is refused, and nothing of the address is left.

use super::*;

const ADDRESS: &str = "C4:4F:33:A1:B2:D3";

fn head() -> Head {
    let advertisement = Advertisement::Bluetooth {
        name: Some("Toy-B2D3".into()),
        manufacturer_data: vec![(620, vec![0xff, 0xd3, 0xb2, 0xa1, 0x33, 0x4f, 0xc4, 0x01])],
        services: vec![Uuid::from_u128(7)],
    };
    Head {
        endpoints: vec!["tx".into()],
        protocol: "toy".into(),
        model: "Toy".into(),
        ..Head::new(&advertisement, &Redaction::of(ADDRESS))
    }
}

fn step(at_ms: u64, what: What, result: Option<&str>) -> Step {
    Step { at_ms, what, result: result.map(str::to_owned) }
}

#[test]
fn what_is_written_is_read_again() {
    let tx = || "tx".to_owned();
    let steps = vec![
        step(0, What::Subscribe { endpoint: tx() }, Some("ok")),
        step(3, What::write("tx", &[1, 0xab], WriteKind::WithResponse), Some("refused: no")),
        step(9, What::Notify { endpoint: tx(), hex: vec![] }, None),
        step(12, What::Read { endpoint: tx(), hex: vec![9] }, Some("timed-out: 500")),
        step(13, What::Unsubscribe { endpoint: tx() }, Some("ok")),
        step(14, What::Missed { steps: 3 }, None),
        step(15, What::Lost { reason: "gone".into() }, None),
    ];
    let redaction = Redaction::of(ADDRESS);
    let mut text = line(&head()).unwrap();
    for step in &steps {
        text.push('\n');
        text.push_str(&step.line(&redaction).unwrap());
    }
    assert_eq!(
        steps[1].line(&redaction).unwrap(),
        r#"{"at_ms":3,"write":{"endpoint":"tx","hex":"01ab","response":true},"result":"refused: no"}"#
    );
    let read = Recording::parse(&text).unwrap();
    assert_eq!(read, Recording { head: head(), steps });
}

#[test]
fn the_protocol_of_the_bring_up_is_told_apart_from_the_one_that_came_of_it() {
    let first = head();
    assert!(!line(&first).unwrap().contains("opened_for"));
    assert_eq!(first.recognised_for(), "toy");
    let second = Head { opened_for: Some("old-toy".into()), bus: Some("dongle".into()), ..head() };
    assert_eq!(second.recognised_for(), "old-toy");
    assert_eq!(Recording::parse(&line(&second).unwrap()).unwrap().head, second);
}

#[test]
fn all_that_a_device_shows_is_read_again() {
    for advertisement in [
        Advertisement::Serial { port: "/dev/x".into(), usb: Some((1, 2)) },
        Advertisement::Hid { vendor: 1, product: 2, name: Some("Joy".into()) },
        Advertisement::WebSocket { name: "w".into() },
        Advertisement::Simulated { name: "s".into() },
        Advertisement::Bluetooth { name: None, manufacturer_data: vec![], services: vec![] },
    ] {
        let head = Head::new(&advertisement, &Redaction::waived());
        let read = Recording::parse(&line(&head).unwrap()).unwrap();
        assert_eq!(read.head.shown.advertisement("p"), advertisement);
    }
    let port = Advertisement::Serial { port: "/dev/x".into(), usb: None };
    let hidden = Head::new(&port, &Redaction::of("/dev/x"));
    assert!(!line(&hidden).unwrap().contains("/dev/x"));
}

#[test]
fn nothing_of_the_address_is_left() {
    let redaction = Redaction::of(ADDRESS);
    assert_eq!(redaction.bytes(b"Z:10:C44f33A1B2D3;"), b"Z:10:000000000000;");
    assert_eq!(redaction.bytes(&[1, 0xc4, 0x4f, 0x33, 0xa1, 0xb2, 0xd3, 2]), [1, 0, 0, 0, 0, 0, 0, 2]);
    assert_eq!(
        redaction.text("org.bluez: /org/bluez/hci0/dev_C4_4F_33_A1_B2_D3 is gone"),
        "org.bluez: /org/bluez/hci0/dev_00_00_00_00_00_00 is gone"
    );
    assert_eq!(redaction.name("Toy-a1b2D3"), "Toy-000000");
    assert_eq!(redaction.name("LVS-Edge36"), "LVS-Edge36");
    let line = line(&head()).unwrap();
    assert!(line.contains("Toy-0000") && line.contains("ff00000000000001"), "{line}");
    assert_eq!(Redaction::of("Simulated Motor").bytes(b"Simulated Motor"), b"Simulated Motor");
    assert_eq!(Redaction::waived().text(ADDRESS), ADDRESS);
}

#[test]
fn nothing_of_the_address_is_left_in_any_kind_of_step() {
    let (redaction, text, hex) = (Redaction::of(ADDRESS), || format!("of {ADDRESS}"), || ADDRESS.into());
    let steps = [
        What::Write { endpoint: text(), hex: hex(), response: false },
        What::Read { endpoint: text(), hex: hex() },
        What::Notify { endpoint: text(), hex: hex() },
        What::Subscribe { endpoint: text() },
        What::Unsubscribe { endpoint: text() },
        What::Lost { reason: text() },
    ];
    for what in steps {
        let line = Step { at_ms: 0, what, result: Some(text()) }.line(&redaction).unwrap();
        assert!(line.contains("of 00:00:00:00:00:00"), "{line}");
        assert!(!line.contains(ADDRESS) && !line.contains("43343a3446"), "{line}");
    }
}

#[test]
fn what_is_no_recording_is_refused_with_what_is_wrong() {
    let good = line(&head()).unwrap();
    let newer = good.replace(r#""version":1"#, r#""version":2"#);
    let odd =
        format!("{good}\n{{\"at_ms\":1,\"write\":{{\"endpoint\":\"tx\",\"hex\":\"0\",\"response\":true}}}}");
    for (text, wanted) in [
        ("", "is no recording"),
        ("{}", "is no recording"),
        ("\0\u{1}", "is no recording"),
        (r#"{"format":"else","version":1}"#, "is no recording"),
        (r#"{"format":"buttplugd-recording","version":1}"#, "line 1"),
        (&newer, "version 2"),
        (&format!("{good}\nnonsense"), "line 2"),
        (&format!("{good}\n\n{{\"at_ms\":1,\"dance\":{{}}}}"), "line 3"),
        (&odd, "hexadecimal"),
    ] {
        let error = Recording::parse(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
