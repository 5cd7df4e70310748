//! The dongle's side is played by the test: report by report, as the hardware sends them.

use std::os::unix::net::UnixDatagram;

use engine::recording::Redaction;
use rustix::{
    fs::{OFlags, fcntl_setfl},
    net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair},
};

use super::{
    super::hid::node::Node,
    talk::{reports, text_of},
    *,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// The far end of a node that keeps the borders of reports.
struct Dongle {
    node: tokio::net::UnixDatagram,
    text: String,
}

fn dongle() -> (Wire, Dongle) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (node, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let far = tokio::net::UnixDatagram::from_std(UnixDatagram::from(far)).unwrap();
    (Wire::Hid(Node::of(node).unwrap()), Dongle { node: far, text: String::new() })
}

impl Dongle {
    /// The next line that it is sent.
    async fn hears(&mut self) -> String {
        loop {
            if let Some((line, rest)) = self.text.split_once("\r\n") {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.text = rest;
                return line;
            }
            self.text += &self.hears_report().await;
        }
    }

    /// The text of the next report that has some.
    async fn hears_report(&self) -> String {
        loop {
            let mut report = [0; 100];
            let length = timeout(PATIENCE, self.node.recv(&mut report)).await.unwrap().unwrap();
            assert_eq!((length, report[0], report[64]), (65, 0, 0), "a report has 65 bytes");
            let text = report[1..64].iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte));
            let text: String = text.collect();
            if !text.is_empty() {
                return text;
            }
        }
    }

    /// Sends a line, in reports of 64 bytes whose last is nothing.
    async fn says(&self, line: &str) {
        for piece in format!("{line}\n").as_bytes().chunks(63) {
            let mut report = [0; 64];
            report[..piece.len()].copy_from_slice(piece);
            timeout(PATIENCE, self.node.send(&report)).await.unwrap().unwrap();
        }
    }
}

async fn event(events: &mut mpsc::Receiver<TransportEvent>) -> Option<TransportEvent> {
    timeout(PATIENCE, events.recv()).await.unwrap()
}

const ASKED: &str = r#"{"type":"toy","func":"statuss"}"#;
const SEARCH: &str = r#"{"type":"toy","func":"search"}"#;
const STOP_SEARCH: &str = r#"{"type":"usb","func":"stopSearch"}"#;

#[tokio::test]
async fn a_toy_is_searched_for_driven_heard_and_lost() {
    let (wire, mut dongle) = dongle();
    let (_wish, wishes) = watch::channel(ScanWish::Scan);
    let searching = tokio::spawn(search(wire, wishes, None));
    assert_eq!(dongle.hears().await, ASKED);
    // No answer: it is asked again, and after its time the search begins. One that ends too early is begun again.
    assert_eq!(dongle.hears().await, ASKED);
    assert_eq!(dongle.hears().await, SEARCH);
    dongle.says(r#"{"type":"toy","func":"search","result":205}"#).await;
    dongle.says(r#"{"type":"toy","func":"search","result":206}"#).await;
    assert_eq!(dongle.hears().await, SEARCH);
    dongle.says("nonsense").await;
    dongle.says(r#"{"type":"toy","func":"toyData","data":{"id":"C0FFEE012345","name":"LVS-Z001"}}"#).await;
    assert_eq!(dongle.hears().await, STOP_SEARCH);
    dongle.says(r#"{"type":"toy","func":"search","result":"206"}"#).await;
    let Opened { mut transport, mut events } = timeout(PATIENCE, searching).await.unwrap().unwrap().unwrap();

    transport.write("tx", b"Vibrate:10;", WriteKind::WithoutResponse).await.unwrap();
    let command = r#"{"type":"toy","func":"command","id":"C0FFEE012345","cmd":"Vibrate:10;"}"#;
    assert_eq!(dongle.hears().await, command);
    let binary = transport.write("tx", &[0xFF, 0xFE], WriteKind::WithoutResponse).await;
    assert!(matches!(binary, Err(TransportFault::Refused(_))), "{binary:?}");

    transport.subscribe("rx").await.unwrap();
    dongle
        .says(r#"{"type":"toy","func":"toyData","data":{"id":"C0FFEE012345","data":"Z:11:C0FFEE012345;"}}"#)
        .await;
    let told =
        TransportEvent::Notified { endpoint: Endpoint::from("rx"), data: b"Z:11:C0FFEE012345;".to_vec() };
    assert_eq!(event(&mut events).await, Some(told));
    // The toy's answers have its address in them, which the bus does not call it by; a recording knows it nevertheless.
    let hides = Redaction::of(&transport.radio_address().unwrap());
    let recorded = hides.bytes(b"Z:11:C0FFEE012345;");
    assert!(!recorded.windows(12).any(|part| part.eq_ignore_ascii_case(b"C0FFEE012345")), "{recorded:?}");

    dongle.says(r#"{"type":"toy","func":"status","data":{"id":"C0FFEE012345","status":403}}"#).await;
    let lost = event(&mut events).await;
    assert!(matches!(lost, Some(TransportEvent::Lost(TransportFault::Disconnected(_)))), "{lost:?}");
}

#[tokio::test]
async fn a_toy_that_is_connected_already_needs_no_search() {
    let (wire, mut dongle) = dongle();
    let (_wish, wishes) = watch::channel(ScanWish::Scan);
    let searching = tokio::spawn(search(wire, wishes, None));
    assert_eq!(dongle.hears().await, ASKED);
    dongle.says(r#"{"type":"toy","func":"status","data":{"id":"AB","status":202}}"#).await;
    let Opened { mut transport, mut events } = timeout(PATIENCE, searching).await.unwrap().unwrap().unwrap();
    transport.write("tx", b"Battery;", WriteKind::WithoutResponse).await.unwrap();
    assert!(dongle.hears().await.contains(r#""id":"AB","cmd":"Battery;""#));
    drop(dongle);
    let lost = event(&mut events).await;
    assert!(matches!(lost, Some(TransportEvent::Lost(_))), "{lost:?}");
}

#[tokio::test]
async fn a_search_ends_when_nobody_wants_it_any_more() {
    let (wire, mut dongle) = dongle();
    let (wish, wishes) = watch::channel(ScanWish::Scan);
    let searching = tokio::spawn(search(wire, wishes, None));
    assert_eq!(dongle.hears().await, ASKED);
    assert_eq!(dongle.hears().await, ASKED);
    assert_eq!(dongle.hears().await, SEARCH);
    wish.send_replace(ScanWish::Rest);
    assert_eq!(dongle.hears().await, STOP_SEARCH);
    assert!(timeout(PATIENCE, searching).await.unwrap().unwrap().is_err());
}

/// What a node does that can take no more reports.
#[derive(Debug, Clone, Copy)]
enum Full {
    Refuses,
    Blocks,
}

/// A toy behind a node that can take no more, until the far end reads.
fn toy_behind_a_full_node(full: Full) -> (Toy, mpsc::Receiver<TransportEvent>, Dongle) {
    let (node, far) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    while send(&node, &[0; 65], SendFlags::DONTWAIT).is_ok() {}
    let far = UnixDatagram::from(far);
    far.set_nonblocking(true).unwrap();
    let far = tokio::net::UnixDatagram::from_std(far).unwrap();
    let copy = node.try_clone().unwrap();
    let wire = Arc::new(Wire::Hid(Node::of(node).unwrap()));
    // Nobody reads at this end, which would have to wait otherwise.
    fcntl_setfl(
        &copy,
        match full {
            Full::Refuses => OFlags::NONBLOCK,
            Full::Blocks => OFlags::empty(),
        },
    )
    .unwrap();
    let (tell, events) = mpsc::channel(EVENT_QUEUE);
    let toy = "C0FFEE012345".to_owned();
    let toy = Toy { toy, wire, line: Line::Whole, tell: Some(tell), reader: JoinSet::new(), _visit: None };
    (toy, events, Dongle { node: far, text: String::new() })
}

#[tokio::test]
async fn the_line_after_one_that_was_cut_is_not_sent_for_nothing() {
    for (full, limit) in [(Full::Blocks, Duration::ZERO), (Full::Refuses, PATIENCE)] {
        let (mut toy, mut events, _dongle) = toy_behind_a_full_node(full);
        let write = toy.write("tx", b"Vibrate:10;", WriteKind::WithoutResponse);
        // Whoever waits for the first of the two reports gives up; or the node does.
        match (full, timeout(limit, write).await) {
            (Full::Blocks, Err(_)) | (Full::Refuses, Ok(Err(TransportFault::Disconnected(_)))) => {}
            (Full::Blocks | Full::Refuses, other) => panic!("{full:?}: {other:?}"),
        }
        let stop = toy.write("tx", b"Vibrate:0;", WriteKind::WithoutResponse).await;
        assert!(matches!(stop, Err(TransportFault::Disconnected(_))), "{full:?}: {stop:?}");
        let lost = event(&mut events).await;
        assert!(
            matches!(lost, Some(TransportEvent::Lost(TransportFault::Disconnected(_)))),
            "{full:?}: {lost:?}"
        );
        assert_eq!(event(&mut events).await, None, "the path is closed");
    }
}

#[test]
fn a_dongle_that_has_half_a_line_is_asked_once_more_before_it_searches() {
    let begun = Instant::now();
    let (mut talk, mut effects) = (Talk::new(begun), Vec::new());
    talk.begin(&mut effects);
    // It took the question for the rest of the line.
    let later = talk.deadline().unwrap();
    talk.deadline_passed(later, &mut effects);
    let asked = Effect::Send(ASKED.into());
    assert_eq!(effects, [asked.clone(), asked]);
    effects.clear();
    talk.heard(later, b"{\"func\":\"status\",\"data\":{\"id\":\"AB\",\"status\":202}}\n", &mut effects);
    assert_eq!(effects, [Effect::Found("AB".into())]);
}

#[test]
fn a_line_is_cut_into_reports_and_a_line_without_an_end_is_given_up() {
    let line = "x".repeat(100);
    let cut = reports(&line);
    assert_eq!(cut.len(), 2);
    assert_eq!((cut[0][0], cut[0][1], cut[0][63], cut[0][64]), (0, b'x', b'x', 0));
    assert_eq!((cut[1][37], cut[1][38], cut[1][39], cut[1][40]), (b'x', b'\r', b'\n', 0));

    let now = Instant::now();
    let (mut talk, mut effects) = (Talk::new(now), Vec::new());
    for _ in 0..1000 {
        talk.heard(now, &text_of(&[b'x'; 64]), &mut effects);
    }
    talk.heard(now, b"\n{\"func\":\"status\",\"data\":{\"id\":\"AB\",\"status\":202}}\n", &mut effects);
    assert_eq!(effects, [Effect::Found("AB".into())]);
}
