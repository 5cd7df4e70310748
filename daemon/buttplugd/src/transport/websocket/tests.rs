//! Devices that dial in, over a real port.

use tokio::sync::watch;
use tokio_tungstenite::{client_async, tungstenite::client::IntoClientRequest as _};

use engine::{
    advertisement::Advertisement,
    protocol::{Endpoint, WriteKind},
};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

use super::{
    super::{Access, Discovered, Opened, TransportEvent, TransportFault},
    *,
};
use crate::transport::ScanWish;

const PATIENCE: Duration = Duration::from_secs(10);

struct Bus {
    address: SocketAddr,
    told: mpsc::Receiver<FromTransport>,
    _wish: watch::Sender<ScanWish>,
    _task: JoinSet<()>,
}

async fn bus() -> Bus {
    // The port is chosen by the system, so that tests do not meet.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel(8);
    let (wish, wishes) = watch::channel(ScanWish::Rest);
    let mut task = JoinSet::new();
    task.spawn(accept(listener, Discovery { wish: wishes, tell }));
    Bus { address, told, _wish: wish, _task: task }
}

impl Bus {
    async fn dial(&self) -> WebSocketStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        client_async("ws://localhost/", stream).await.unwrap().0
    }

    async fn discovered(&mut self) -> Discovered {
        match timeout(PATIENCE, self.told.recv()).await.unwrap().unwrap() {
            FromTransport::Discovered(discovered) => discovered,
            FromTransport::Status(_) | FromTransport::ScanEnded(_) | FromTransport::Gone { .. } => {
                panic!("a device was to be told")
            }
        }
    }

    /// A device that has dialled in and is open.
    async fn open(&mut self) -> (Opened, WebSocketStream<TcpStream>) {
        let mut device = self.dial().await;
        device.send(Message::text(r#"{"identifier":"LVSDevice","address":"A1","version":0}"#)).await.unwrap();
        let discovered = self.discovered().await;
        assert_eq!(discovered.advertisement, Advertisement::WebSocket { name: "LVSDevice".into() });
        assert_eq!(discovered.address, "A1");
        (discovered.opener.open(&Access::WebSocket).await.unwrap(), device)
    }
}

#[tokio::test]
async fn a_device_that_dials_in_speaks_both_ways_until_it_hangs_up() {
    let mut bus = bus().await;
    let (Opened { mut transport, mut events }, mut device) = bus.open().await;
    transport.write("tx", b"Vibrate:5;", WriteKind::WithoutResponse).await.unwrap();
    let sent = loop {
        let message = timeout(PATIENCE, device.next()).await.unwrap().unwrap().unwrap();
        if !message.is_ping() {
            break message;
        }
    };
    assert_eq!(sent, Message::binary(b"Vibrate:5;".to_vec()));

    transport.subscribe("rx").await.unwrap();
    // The link has taken the subscription when it takes the next write.
    transport.write("tx", b"x", WriteKind::WithoutResponse).await.unwrap();
    device.send(Message::binary(b"OK;".to_vec())).await.unwrap();
    let told = TransportEvent::Notified { endpoint: Endpoint::from("rx"), data: b"OK;".to_vec() };
    assert_eq!(timeout(PATIENCE, events.recv()).await.unwrap(), Some(told));

    drop(device);
    let lost = timeout(PATIENCE, events.recv()).await.unwrap();
    assert!(matches!(lost, Some(TransportEvent::Lost(TransportFault::Disconnected(_)))), "{lost:?}");
    assert!(transport.write("tx", b"x", WriteKind::WithoutResponse).await.is_err());
}

/// The next packet that the device reads.
async fn packet(device: &mut WebSocketStream<TcpStream>) -> Vec<u8> {
    loop {
        let message = timeout(PATIENCE, device.next()).await.unwrap().unwrap().unwrap();
        if let Message::Binary(data) = message {
            return data.to_vec();
        }
    }
}

#[tokio::test]
async fn a_device_that_does_not_read_is_sent_no_more_and_a_stop_waits_for_few() {
    let mut bus = bus().await;
    let (Opened { mut transport, .. }, mut device) = bus.open().await;
    for _ in 0..10 {
        transport.write("tx", b"read", WriteKind::WithoutResponse).await.unwrap();
        assert_eq!(packet(&mut device).await, b"read");
    }
    let mut sent = 0;
    let refused = loop {
        match transport.write("tx", b"not read", WriteKind::WithoutResponse).await {
            Ok(()) => sent += 1,
            Err(fault) => break fault,
        }
        assert!(sent < 20);
    };
    assert!(matches!(refused, TransportFault::TimedOut(_)), "{refused}");
    // The one that was refused is not sent later.
    let read = async {
        for _ in 0..sent {
            assert_eq!(packet(&mut device).await, b"not read");
        }
        packet(&mut device).await
    };
    let (stopped, last) = tokio::join!(transport.write("tx", b"stop", WriteKind::WithoutResponse), read);
    stopped.unwrap();
    assert_eq!(last, b"stop");
}

#[tokio::test]
async fn a_closed_device_is_told() {
    let mut bus = bus().await;
    let (opened, mut device) = bus.open().await;
    let read = async {
        while let Some(Ok(message)) = device.next().await
            && !message.is_close()
        {}
    };
    let ((), end) = tokio::join!(opened.transport.close(), timeout(PATIENCE, read));
    assert!(end.is_ok());
}

#[tokio::test]
async fn what_does_not_say_what_it_is_is_turned_away_and_keeps_nobody_out() {
    let mut bus = bus().await;
    let _silent = bus.dial().await;
    for nonsense in [
        Message::text("hello"),
        Message::text(r#"{"identifier":"","address":"A1","version":0}"#),
        Message::text(r#"{"identifier":"LVSDevice"}"#),
        Message::binary(vec![1, 2, 3]),
    ] {
        let mut device = bus.dial().await;
        device.send(nonsense).await.unwrap();
        let read = async { while let Some(Ok(_)) = device.next().await {} };
        timeout(PATIENCE, read).await.unwrap();
    }
    bus.open().await;
}

#[tokio::test]
async fn a_web_page_is_no_device() {
    let bus = bus().await;
    let mut request = "ws://localhost/".into_client_request().unwrap();
    request.headers_mut().insert("Origin", "https://example.org".parse().unwrap());
    let stream = TcpStream::connect(bus.address).await.unwrap();
    let refused = client_async(request, stream).await.unwrap_err();
    assert!(matches!(refused, Error::Http(response) if response.status() == 403));
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_with_what_mends_it() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (listeners, failed) = bind(&[taken.local_addr().unwrap()]).await;
    let status = status(&listeners, failed);
    assert_eq!(status.state, TransportState::Unavailable);
    assert!(status.hint.contains("websocket-devices.listen"), "{status:?}");
}
