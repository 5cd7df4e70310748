//! The client's side of a trip, as thin as it can be, so that what is measured is the service.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

/// No trip takes that long; one that does is lost.
const LOST: Duration = Duration::from_secs(20);

/// The length of a frame of the socket comes first, in so many bytes.
const HEADER: usize = 4;

/// A frame of the socket.
pub(crate) fn frame(message: &Value) -> anyhow::Result<Vec<u8>> {
    let payload = rmp_serde::to_vec_named(message)?;
    let mut frame = u32::try_from(payload.len())?.to_le_bytes().to_vec();
    frame.extend_from_slice(&payload);
    Ok(frame)
}

/// The handshake of a session.
pub(crate) fn hello(name: &str) -> Value {
    json!([{ "RequestServerInfo": {
        "Id": 1, "ClientName": name, "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0,
    } }])
}

/// A connection to a Unix socket that carries frames.
pub(crate) struct SocketLane {
    stream: UnixStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl SocketLane {
    pub(crate) async fn connect(path: &Path) -> anyhow::Result<Self> {
        Ok(Self { stream: UnixStream::connect(path).await?, buffer: vec![0; 64 * 1024], filled: 0 })
    }

    /// Opens a session on it.
    pub(crate) async fn open(mut self, name: &str) -> anyhow::Result<Self> {
        self.trip(&frame(&hello(name))?, 1).await?;
        Ok(self)
    }

    /// Sends bytes, and waits until so many frames have come.
    pub(crate) async fn trip(&mut self, bytes: &[u8], frames: usize) -> anyhow::Result<()> {
        self.send(bytes).await?;
        for _ in 0..frames {
            self.take_frame().await?;
        }
        Ok(())
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Waits for a frame.
    pub(crate) async fn take_frame(&mut self) -> anyhow::Result<()> {
        loop {
            let whole = self.buffer.get(..self.filled).unwrap_or_default();
            if let Some((header, rest)) = whole.split_first_chunk::<HEADER>() {
                let length = usize::try_from(u32::from_le_bytes(*header))?;
                if let Some(payload) = rest.get(..length) {
                    // A fault would be quick, and make the figures pretty.
                    ensure!(!contains(payload, b"Error"), "{}", String::from_utf8_lossy(payload));
                    let end = HEADER + length;
                    self.buffer.copy_within(end..self.filled, 0);
                    self.filled -= end;
                    return Ok(());
                }
            }
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            let read = timeout(LOST, self.stream.read(room)).await.context("a frame that never came")??;
            ensure!(read > 0, "the connection was closed");
            self.filled += read;
        }
    }
}

fn contains(payload: &[u8], word: &[u8]) -> bool {
    payload.windows(word.len()).any(|part| part == word)
}

/// A WebSocket over TCP.
pub(crate) struct WebSocketLane(WebSocketStream<TcpStream>);

impl WebSocketLane {
    pub(crate) async fn connect(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(tokio_tungstenite::client_async(format!("ws://{address}/"), stream).await?.0))
    }

    /// Opens a session on it.
    pub(crate) async fn open(mut self, name: &str) -> anyhow::Result<Self> {
        self.trip(&[&hello(name).to_string()]).await?;
        Ok(self)
    }

    /// Sends messages, each on its own and at once, and waits until as many have come.
    pub(crate) async fn trip(&mut self, messages: &[&str]) -> anyhow::Result<()> {
        for message in messages {
            self.0.send(Message::text(*message)).await?;
        }
        let mut missing = messages.len();
        while missing > 0 {
            match timeout(LOST, self.0.next()).await.context("a message that never came")? {
                Some(Ok(Message::Text(text))) => {
                    ensure!(!text.contains("Error"), "{text}");
                    missing -= 1;
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => bail!("the connection was closed"),
                Some(Err(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
