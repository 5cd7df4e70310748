//! Bytes that end a connection, and nothing else.

use super::*;

/// How a peer speaks that cannot stay.
enum Breach {
    /// Nothing but these bytes, to the socket.
    Socket(Vec<u8>),
    /// Nothing but these bytes, to the port of WebSocket.
    Tcp(Vec<u8>),
    /// The handshake of WebSocket, then these bytes.
    Upgraded(Vec<u8>),
    /// The handshakes of WebSocket and of a session of v4, then these bytes.
    Greeted(Vec<u8>),
}

/// What the other side is told before the end.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// Nothing that it could read.
    Nothing,
    /// A page of HTTP with this status.
    Status(u16),
    /// An error of that class, in the encoding of the door.
    Class(u8),
}

fn breaches() -> Vec<(&'static str, Breach, Told)> {
    let over = vec![b'x'; FRAME_SIZE + 1];
    let fragments = {
        let mut bytes = websocket_frame(TEXT_TO_BE_CONTINUED, &[b' '; 1_000]);
        for _ in 0..FRAME_SIZE / 1_000 + 1 {
            bytes.extend(websocket_frame(CONTINUED, &[b' '; 1_000]));
        }
        bytes
    };
    let unmasked = [&[TEXT, 2][..], b"[]"].concat();
    let promised = [&[TEXT, 0x80 | 127][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    let get = |more: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{more}").into_bytes();
    let upgrade = |version: &str, more: &str| {
        get(&format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: {version}\r\n{more}\r\n"
        ))
    };
    let handshake_late = Told::Class(1);
    vec![
        // Those who say too little.
        ("a silent peer on the socket", Breach::Socket(Vec::new()), handshake_late),
        ("a silent peer on TCP", Breach::Tcp(Vec::new()), Told::Nothing),
        ("half a length", Breach::Socket(vec![1, 0]), handshake_late),
        ("a length and no more", Breach::Socket(vec![16, 0, 0, 0]), handshake_late),
        ("half a frame", Breach::Socket(vec![16, 0, 0, 0, 0x91, 0x81]), handshake_late),
        ("half a request of HTTP", Breach::Tcp(get("")), Told::Nothing),
        ("half a request of HTTP to the socket", Breach::Socket(get("")), Told::Nothing),
        ("a WebSocket on which nothing comes", Breach::Upgraded(Vec::new()), handshake_late),
        ("half a frame of WebSocket", Breach::Upgraded(vec![TEXT, 0x80 | 50, 0, 0]), handshake_late),
        // Those who say too much.
        ("a huge length", Breach::Socket([&u32::MAX.to_le_bytes()[..], b"x"].concat()), Told::Class(0)),
        ("a frame over the limit", Breach::Socket(socket_frame(&over)), Told::Class(0)),
        ("a huge length of WebSocket", Breach::Upgraded(promised), Told::Class(0)),
        ("a message over the limit", Breach::Greeted(websocket_frame(TEXT, &over)), Told::Class(0)),
        ("fragments without an end", Breach::Upgraded(fragments), Told::Class(0)),
        ("headers without an end", Breach::Tcp(get(&"X-More: more\r\n".repeat(20_000))), Told::Nothing),
        // Those who say it wrong.
        ("HTTP that is no WebSocket", Breach::Tcp(get("\r\n")), Told::Nothing),
        ("HTTP that is no WebSocket, to the socket", Breach::Socket(get("\r\n")), Told::Nothing),
        ("another method", Breach::Tcp(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()), Told::Nothing),
        (
            "no HTTP at all",
            Breach::Tcp(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
            Told::Nothing,
        ),
        ("a WebSocket of the past", Breach::Tcp(upgrade("8", "")), Told::Nothing),
        ("a foreign page", Breach::Tcp(upgrade("13", "Origin: https://evil.example\r\n")), Told::Status(403)),
        (
            "a foreign page at the socket",
            Breach::Socket(upgrade("13", "Origin: null\r\n")),
            Told::Status(403),
        ),
        ("invalid UTF-8", Breach::Upgraded(websocket_frame(TEXT, b"[\xff\xfe]")), Told::Class(3)),
        ("a frame without a mask", Breach::Upgraded(unmasked), Told::Class(3)),
        ("an opcode that does not exist", Breach::Greeted(websocket_frame(0x83, b"x")), Told::Class(3)),
        ("a continuation of nothing", Breach::Greeted(websocket_frame(CONTINUED, b"x")), Told::Class(3)),
        ("a ping in fragments", Breach::Greeted(websocket_frame(PING & 0x7f, b"x")), Told::Class(3)),
        ("a ping that is too long", Breach::Greeted(websocket_frame(PING, &[0; 126])), Told::Class(3)),
        // Those who want what we do not have.
        (
            "a handshake of the future",
            Breach::Upgraded(websocket_frame(TEXT, hello(3, 5).to_string().as_bytes())),
            Told::Class(1),
        ),
    ]
}

#[tokio::test]
async fn what_breaks_a_connection_ends_that_one_and_nothing_else() {
    let mut stage = Stage::set().await;
    for (sin, breach, told) in breaches() {
        let (said, in_json) = match breach {
            Breach::Socket(bytes) => (say(sin, stage.socket().await, &bytes).await, false),
            Breach::Tcp(bytes) => (say(sin, stage.tcp().await, &bytes).await, true),
            Breach::Upgraded(bytes) => (say(sin, stage.upgraded().await, &bytes).await, true),
            Breach::Greeted(bytes) => {
                let mut stream = stage.upgraded().await;
                let hello = hello(1, 4).to_string();
                stream.write_all(&websocket_frame(TEXT, hello.as_bytes())).await.unwrap();
                (say(sin, stream, &bytes).await, true)
            }
        };
        let shown = String::from_utf8_lossy(&said);
        match told {
            Told::Nothing => assert!(!holds(&said, "ErrorCode"), "{sin}: {shown}"),
            Told::Status(status) => assert!(holds(&said, &format!("HTTP/1.1 {status}")), "{sin}: {shown}"),
            Told::Class(class) if in_json => {
                assert!(holds(&said, &format!("\"ErrorCode\":{class}")), "{sin}: {shown}");
            }
            Told::Class(class) => {
                let wanted = [&b"ErrorCode"[..], &[class]].concat();
                assert!(said.windows(wanted.len()).any(|window| window == wanted), "{sin}: {said:02x?}");
            }
        }
        stage.others_noticed_nothing(sin).await;
    }
    stage.beside.end().await;
}

/// Says that, and hears to the end what comes back.
async fn say(sin: &str, mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> Vec<u8> {
    // The service may close before it has read everything: that is an error here, and right.
    stream.write_all(bytes).await.ok();
    to_the_end(sin, &mut stream).await
}
