//! A raw client for tests: it sends what it is told, right or wrong, over the socket (MessagePack) or WebSocket (JSON).
//!
//! It is written without the project's own message types and codecs, so that a mistake in those cannot hide. Every wait
//! has a limit.

use std::{collections::VecDeque, fmt, path::Path};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::bluez::PATIENCE;

/// A connection to the service. What it gets and did not ask for waits in a queue.
pub struct Peer {
    wire: Wire,
    next_id: u32,
    /// Messages that came and were not taken.
    waiting: VecDeque<Value>,
}

enum Wire {
    Socket(UnixStream),
    OverUnix(Box<WebSocketStream<UnixStream>>),
    OverTcp(Box<WebSocketStream<TcpStream>>),
}

impl Peer {
    /// Connects to the socket.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn socket(path: &Path) -> anyhow::Result<Self> {
        let stream =
            UnixStream::connect(path).await.with_context(|| format!("connecting to {}", path.display()))?;
        Ok(Self::over(Wire::Socket(stream)))
    }

    /// Wraps a socket that is connected already, such as one that was passed over D-Bus.
    #[must_use]
    pub fn connected(stream: UnixStream) -> Self {
        Self::over(Wire::Socket(stream))
    }

    /// Connects to the same socket as a WebSocket client.
    ///
    /// # Errors
    /// Nobody listens, or the handshake is refused.
    pub async fn websocket_over_unix(path: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(path).await?;
        let (socket, _) =
            timeout(PATIENCE, tokio_tungstenite::client_async("ws://localhost/", stream)).await??;
        Ok(Self::over(Wire::OverUnix(Box::new(socket))))
    }

    /// Connects to a WebSocket address, `127.0.0.1:12345`, as a page of that origin if one is given.
    ///
    /// # Errors
    /// Nobody listens, or the handshake is refused.
    pub async fn websocket(address: &str, origin: Option<&str>) -> anyhow::Result<Self> {
        let mut request = format!("ws://{address}/").into_client_request()?;
        if let Some(origin) = origin {
            request.headers_mut().insert("Origin", origin.parse()?);
        }
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        let (socket, _) = timeout(PATIENCE, tokio_tungstenite::client_async(request, stream)).await??;
        Ok(Self::over(Wire::OverTcp(Box::new(socket))))
    }

    fn over(wire: Wire) -> Self {
        Self { wire, next_id: 1, waiting: VecDeque::new() }
    }

    /// Opens a session of spec version 4 and gives the `ServerInfo`.
    ///
    /// # Errors
    /// As [`Peer::request`].
    pub async fn open(&mut self, name: &str) -> anyhow::Result<Value> {
        self.open_with(name, json!({})).await
    }

    /// The same, with more members in the handshake (`Extensions`, `PingTime`).
    ///
    /// # Errors
    /// As [`Peer::request`]; and the answer is not `ServerInfo`.
    pub async fn open_with(&mut self, name: &str, more: Value) -> anyhow::Result<Value> {
        let mut body = json!({ "ClientName": name, "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0 });
        merge(&mut body, more);
        let reply = self.request("RequestServerInfo", body).await?;
        reply.get("ServerInfo").cloned().with_context(|| format!("the handshake was answered with {reply}"))
    }

    /// Sends one message with a new Id and gives its reply, whole: `{"Ok": {"Id": 3}}`. Events that come between wait.
    ///
    /// # Errors
    /// The connection ends, or no reply comes in time.
    pub async fn request(&mut self, name: &str, body: Value) -> anyhow::Result<Value> {
        let id = self.send(name, body).await?;
        self.reply(id).await
    }

    /// Sends one message with a new Id and gives the Id.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn send(&mut self, name: &str, body: Value) -> anyhow::Result<u32> {
        let id = self.next_id;
        self.next_id += 1;
        let mut with_id = json!({ "Id": id });
        merge(&mut with_id, body);
        self.send_batch(&json!([{ name: with_id }])).await?;
        Ok(id)
    }

    /// Sends any value as one frame.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn send_batch(&mut self, value: &Value) -> anyhow::Result<()> {
        match self.wire {
            Wire::Socket(_) => {
                let payload = rmp_serde::to_vec_named(value)?;
                let mut frame = u32::try_from(payload.len())?.to_le_bytes().to_vec();
                frame.extend_from_slice(&payload);
                self.send_raw(&frame).await
            }
            Wire::OverUnix(_) | Wire::OverTcp(_) => self.send_raw(value.to_string().as_bytes()).await,
        }
    }

    /// Sends bytes as they are; over WebSocket as one text message if they are text, else as a binary one.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let message = || match std::str::from_utf8(bytes) {
            Ok(text) => Message::text(text),
            Err(_) => Message::binary(bytes.to_vec()),
        };
        let sent = async {
            match &mut self.wire {
                Wire::Socket(stream) => stream.write_all(bytes).await.map_err(anyhow::Error::from),
                Wire::OverUnix(socket) => socket.send(message()).await.map_err(anyhow::Error::from),
                Wire::OverTcp(socket) => socket.send(message()).await.map_err(anyhow::Error::from),
            }
        };
        timeout(PATIENCE, sent).await.context("the service does not read")?
    }

    /// The reply to that Id.
    ///
    /// # Errors
    /// The connection ends, or no reply comes in time.
    pub async fn reply(&mut self, id: u32) -> anyhow::Result<Value> {
        self.message_that(&format!("reply to {id}"), |message| id_of(message) == Some(id)).await
    }

    /// The next message that answers no request: Id 0.
    ///
    /// # Errors
    /// The connection ends, or none comes in time.
    pub async fn next_event(&mut self) -> anyhow::Result<Value> {
        self.message_that("event", |message| id_of(message) == Some(0)).await
    }

    /// The body of the next event of that name; others wait.
    ///
    /// # Errors
    /// The connection ends, or none comes in time.
    pub async fn event(&mut self, name: &str) -> anyhow::Result<Value> {
        let found = |message: &Value| id_of(message) == Some(0) && message.get(name).is_some();
        let message = self.message_that(name, found).await?;
        Ok(message.get(name).cloned().unwrap_or_default())
    }

    /// The next message that is as wanted; others wait.
    ///
    /// # Errors
    /// The connection ends, or none comes in time.
    pub async fn message_that(
        &mut self,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        if let Some(place) = self.waiting.iter().position(&wanted) {
            return self.waiting.remove(place).context("a message that was just found");
        }
        let search = async {
            loop {
                for message in self.receive().await?.context("the service closed the connection")? {
                    self.waiting.push_back(message);
                }
                if let Some(place) = self.waiting.iter().position(&wanted) {
                    return self.waiting.remove(place).context("a message that was just found");
                }
            }
        };
        match timeout(PATIENCE, search).await {
            Ok(found) => {
                found.with_context(|| format!("waiting for: {what}; waiting are {:?}", self.waiting))
            }
            Err(_) => bail!("no {what} within {PATIENCE:?}; waiting are {:?}", self.waiting),
        }
    }

    /// Waits until the service closes the connection, and gives all that came before and was not taken.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn closed(mut self) -> anyhow::Result<Vec<Value>> {
        let rest = async {
            // An error is a close as well: a reset says it too.
            while let Ok(Some(messages)) = self.receive().await {
                self.waiting.extend(messages);
            }
        };
        let ended = timeout(PATIENCE, rest).await;
        if ended.is_err() {
            bail!("the service did not close the connection within {PATIENCE:?}");
        }
        Ok(self.waiting.into())
    }

    /// The messages of the next frame; `None` when the service closed the connection.
    async fn receive(&mut self) -> anyhow::Result<Option<Vec<Value>>> {
        let value = match &mut self.wire {
            Wire::Socket(stream) => {
                let mut header = [0; 4];
                match stream.read(&mut header).await? {
                    0 => return Ok(None),
                    read => stream.read_exact(header.get_mut(read..).unwrap_or_default()).await?,
                };
                let mut payload = vec![0; usize::try_from(u32::from_le_bytes(header))?];
                stream.read_exact(&mut payload).await?;
                rmp_serde::from_slice::<Tree>(&payload).context("a payload that is no MessagePack")?.0
            }
            Wire::OverUnix(socket) => match text(socket.next().await)? {
                Some(text) => serde_json::from_str(&text)?,
                None => return Ok(None),
            },
            Wire::OverTcp(socket) => match text(socket.next().await)? {
                Some(text) => serde_json::from_str(&text)?,
                None => return Ok(None),
            },
        };
        match value {
            Value::Array(messages) => Ok(Some(messages)),
            other => bail!("a frame that is no array: {other}"),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("next_id", &self.next_id)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// The Id of a message.
#[must_use]
pub fn id_of(message: &Value) -> Option<u32> {
    let body = message.as_object()?.values().next()?;
    body.get("Id")?.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// The text of a WebSocket message, passing over what is none; `None` at the end.
fn text(
    message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
) -> anyhow::Result<Option<String>> {
    match message {
        None | Some(Ok(Message::Close(_))) => Ok(None),
        Some(Ok(Message::Text(text))) => Ok(Some(text.to_string())),
        // Pings are answered by the library; an empty batch stands for them.
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Some("[]".into())),
        Some(Ok(other)) => bail!("a WebSocket message that is no text: {other:?}"),
        Some(Err(error)) => Err(error.into()),
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// A value of MessagePack as JSON. The keys of device and feature maps are integers there and become text.
struct Tree(Value);

/// A key of a map.
struct Key(String);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Self)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything that JSON can say")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Tree(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((Key(key), Tree(value))) = access.next_entry()? {
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or an integer")
    }

    fn visit_str<E>(self, value: &str) -> Result<Key, E> {
        Ok(Key(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Key, E> {
        Ok(Key(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Key, E> {
        Ok(Key(value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_keys_become_text() {
        // [{"DeviceList": {"Id": 0, "Devices": {0: {}}}}] with the last key an integer.
        let bytes = [
            &[0x91, 0x81, 0xaa][..],
            b"DeviceList",
            &[0x82, 0xa2],
            b"Id",
            &[0x00, 0xa7],
            b"Devices",
            &[0x81, 0x00, 0x80],
        ]
        .concat();
        let Tree(value) = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(value, json!([{ "DeviceList": { "Id": 0, "Devices": { "0": {} } } }]));
    }

    #[tokio::test]
    async fn replies_are_matched_and_events_wait() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut peer = Peer::connected(ours);
        let id = peer.send("Ping", json!({})).await.unwrap();
        let mut header = [0; 4];
        theirs.read_exact(&mut header).await.unwrap();
        let mut payload = vec![0; usize::try_from(u32::from_le_bytes(header)).unwrap()];
        theirs.read_exact(&mut payload).await.unwrap();
        assert_eq!(rmp_serde::from_slice::<Tree>(&payload).unwrap().0, json!([{ "Ping": { "Id": id } }]));

        let mut other = Peer::connected(theirs);
        let news = json!([{ "ScanningFinished": { "Id": 0 } }, { "Ok": { "Id": id } }]);
        other.send_batch(&news).await.unwrap();
        assert_eq!(peer.reply(id).await.unwrap(), json!({ "Ok": { "Id": id } }));
        assert_eq!(peer.next_event().await.unwrap(), json!({ "ScanningFinished": { "Id": 0 } }));
        drop(other);
        assert!(peer.closed().await.unwrap().is_empty());
    }
}
