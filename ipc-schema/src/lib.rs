//! The words on the wire between buttplugd and its clients, and the manual for whoever writes a client.
//!
//! The crate holds the message types of Buttplug spec v0 to v4, the frames and encodings that carry them, the error classes and
//! reasons, the names of extensions and those on D-Bus. It does no I/O and decides nothing: sessions, devices and limits are the
//! service's. A client in Rust wants the crate `buttplugd-client`; a client in any other language wants this page.
//!
//! # Three ways in
//!
//! | Way | Where | What travels |
//! |---|---|---|
//! | Local socket | `$XDG_RUNTIME_DIR/buttplugd/buttplugd.sock` | frames with MessagePack, any spec version |
//! | WebSocket | the same socket as `ws+unix:`, or `ws://127.0.0.1:12345` where the user has switched it on | JSON text, any spec version |
//! | D-Bus | [`dbus::BUS_NAME`] on the session bus | typed methods and signals with the message set of v4; `OpenSocket` hands out a connected local socket |
//!
//! The first two carry the same messages; this page is about them. A connection to the local socket that begins with `GET ` is taken
//! for a WebSocket, so a client needs no other address for it.
//!
//! # Frames
//!
//! On the local socket a frame is four bytes of length, little endian and without themselves, and a payload of that many bytes. On a
//! WebSocket the frame is one WebSocket message, text or binary, with JSON. The payload is always an array of messages, each a map with
//! one key, the message's name, whose value is a map of members:
//!
//! ```text
//! [{"OutputCmd": {"Id": 7, "DeviceIndex": 0, "FeatureIndex": 1, "Command": {"Vibrate": {"Value": 10}}}}]
//! ```
//!
//! MessagePack has the very same shape with text keys. The one difference is the keys of `Devices` and `DeviceFeatures`: integers in
//! MessagePack, decimal text in JSON. Both are read either way.
//!
//! A frame is a batch: its messages are taken in order and answered one by one, and what they set on one device reaches it as one
//! change. The service puts one message into each frame that it sends. A payload may be [`frame::DEFAULT_LIMIT`] bytes long unless the
//! user has set another limit; a longer one ends the connection.
//!
//! All of a client for the local socket, in Python:
//!
//! ```python
//! import msgpack, os, socket, struct
//!
//! service = socket.socket(socket.AF_UNIX)
//! service.connect(os.environ["XDG_RUNTIME_DIR"] + "/buttplugd/buttplugd.sock")
//! stream = service.makefile("rb")
//!
//! def send(name, **members):
//!     payload = msgpack.packb([{name: members}])
//!     service.sendall(struct.pack("<I", len(payload)) + payload)
//!
//! def receive():
//!     length, = struct.unpack("<I", stream.read(4))
//!     return msgpack.unpackb(stream.read(length), strict_map_key=False)
//!
//! send("RequestServerInfo", Id=1, ClientName="example", ProtocolVersionMajor=4, ProtocolVersionMinor=0)
//! print(receive())
//! ```
//!
//! # A session by hand
//!
//! `>` is the client, `<` the service. Every request has an `Id` from 1 to 4294967295 that the client chooses; the answer repeats it.
//! What the service says by itself has Id 0.
//!
//! ```text
//! > [{"RequestServerInfo": {"Id": 1, "ClientName": "example", "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0}}]
//! < [{"ServerInfo": {"Id": 1, "ServerName": "buttplugd", "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0, "MaxPingTime": 10000}}]
//! > [{"RequestDeviceList": {"Id": 2}}]
//! < [{"DeviceList": {"Id": 2, "Devices": {}}}]
//! > [{"StartScanning": {"Id": 3}}]
//! < [{"Ok": {"Id": 3}}]
//! < [{"DeviceList": {"Id": 0, "Devices": {"0": {"DeviceIndex": 0, "DeviceName": "Two motors", "DeviceMessageTimingGap": 100,
//!      "DeviceFeatures": {"0": {"FeatureIndex": 0, "FeatureDescription": "", "Output": {"Vibrate": {"Value": [0, 20]}}},
//!                         "1": {"FeatureIndex": 1, "FeatureDescription": "", "Input": {"Battery": {"Value": [[0, 100]], "Command": ["Read"]}}}}}}}}]
//! > [{"OutputCmd": {"Id": 4, "DeviceIndex": 0, "FeatureIndex": 0, "Command": {"Vibrate": {"Value": 10}}}}]
//! < [{"Ok": {"Id": 4}}]
//! > [{"OutputCmd": {"Id": 5, "DeviceIndex": 0, "FeatureIndex": 0, "Command": {"Vibrate": {"Value": 21}}}}]
//! < [{"Error": {"Id": 5, "ErrorMessage": "...", "ErrorCode": 4}}]
//! > [{"InputCmd": {"Id": 6, "DeviceIndex": 0, "FeatureIndex": 1, "Type": "Battery", "Command": "Read"}}]
//! < [{"InputReading": {"Id": 6, "DeviceIndex": 0, "FeatureIndex": 1, "Reading": {"Battery": {"Value": 85}}}}]
//! > [{"Ping": {"Id": 7}}]
//! < [{"Ok": {"Id": 7}}]
//! > [{"StopCmd": {"Id": 8}}]
//! < [{"Ok": {"Id": 8}}]
//! > [{"Disconnect": {"Id": 9}}]
//! < [{"Ok": {"Id": 9}}]
//! ```
//!
//! The files under `samples/` of this crate show every message of every version, and `schema/` has a JSON Schema of v4.
//!
//! # Handshake and versions
//!
//! The first message is `RequestServerInfo`; anything else is answered with `handshake-expected`. Its shape tells the version that the
//! session will speak:
//!
//! | Members beside `Id` and `ClientName` | Version | Types |
//! |---|---|---|
//! | none | v0 | [`v0`] |
//! | `MessageVersion` 1, 2 or 3 (or 0) | that one | [`v1`], [`v2`], [`v3`] |
//! | `ProtocolVersionMajor` 4, `ProtocolVersionMinor` | v4 | [`v4`] |
//!
//! The answer never names a newer version than the client's. A newer major version than 4 is refused with `version-not-supported`, and
//! the connection is closed; a newer minor version is served as ours. A new client should speak v4.
//!
//! `MaxPingTime` of the answer is a deadline in milliseconds: when that long no `Ping` has come (nothing else counts), the service sends
//! an error of class Ping with Id 0, stops what the session had set, and closes the connection. 0 means that no pings are wanted. A
//! client pings at a third of it.
//!
//! # Order and guarantees
//!
//! - **One answer a request**, with its Id: `Ok`, `Error`, or what was asked for. A message that cannot be read is answered too, with
//!   its Id if that can be read, else with 0.
//! - **Answers come in the order of the requests**, but for one thing: a slow device holds up only the answers about itself. Those
//!   about other devices, pings and stops overtake them. Match answers by Id.
//! - **`Ok` means done**: the bus to the device has taken the bytes, or a newer value for the same output has replaced this one before
//!   it was due. A refused or timed-out write is an error of class Device.
//! - **Values are never clamped**, and never scaled in v4. A value outside the stated range is an error and changes nothing.
//! - **A stop is not queued** behind anything, always writes, and is tried until it is confirmed or the device is gone. It stops
//!   everything that it addresses, whoever set it.
//! - **Outputs belong to the session that set them last.** They are stopped when the session ends, in whatever way that happens.
//! - **Device indexes are for life**: a device that comes back, even after a restart, has its old one, and no other ever gets it.
//! - **Events** (Id 0) come in the order in which things happened. A client must read all the time: one that does not is closed
//!   rather than waited for.
//! - `DeviceList` with Id 0 is the whole list, sent whenever it changes. None is sent right after the handshake: ask for it.
//! - `ScanningFinished` comes to a session that started a scan, when it stops it or when the scan ends by itself.
//!
//! # Errors
//!
//! `Error` has a text for people and a class, `ErrorCode` ([`Class`]). With extension `error-reason` it also has `ErrorReason`, one
//! word of the closed list [`Reason`], which says exactly what happened and what to do about it. A client that did not ask for the
//! extension gets classes 5 and 6 as 0. On D-Bus the reason is the name of the error ([`Reason::dbus_name`]).
//!
//! No error ends the connection but these: a missed ping, a handshake that cannot be served or does not come, a frame over the limit,
//! a client that does not read, and the user's own wish.
//!
//! # Extensions
//!
//! A client of v4 names what it wants in `Extensions` of the handshake, and finds what it got in `Extensions` of the answer. Names that
//! the service does not know are passed over. Who asks for nothing gets exactly the spec.
//!
//! | Name | What it brings |
//! |---|---|
//! | `error-reason` | `ErrorReason` in `Error`, and classes 5 and 6 |
//! | `ping-time` | `PingTime` in the handshake: a ping deadline in milliseconds, if shorter than the service's own |
//! | `reserve` | `Reserve` and `Release`: a device or feature that others may stop but not drive; they get `reserved` |
//! | `monitor` | what `buttplugctl` shows and does, see below |
//! | `rssi` | the strength of the signal as input `RSSI` in the device list, for devices over Bluetooth LE. Not for all, since widely used clients of v3 and v4 lose the whole list over the name |
//!
//! ```text
//! > [{"RequestServerInfo": {"Id": 1, "ClientName": "example", "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0,
//!                           "Extensions": ["error-reason", "ping-time"], "PingTime": 1500}}]
//! < [{"ServerInfo": {"Id": 1, "ServerName": "buttplugd", "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0,
//!                    "MaxPingTime": 1500, "Extensions": ["error-reason", "ping-time"]}}]
//! ```
//!
//! Messages of extension `monitor`:
//!
//! | Request | Answer | Meaning |
//! |---|---|---|
//! | `RequestStatus` | [`Status`](v4::Status) | version, buses and what they lack, known devices, warnings of definition files |
//! | `RequestClients` | [`Clients`](v4::Clients) | who is connected, and what each drives |
//! | `DisconnectClient` | `Ok` | ends a session as if it had left by itself; its client gets `disconnected-by-user` |
//! | `Reload` | `Ok` | reads configuration, definitions and plugin folders again; what is wrong with them is in the next `Status` |
//! | `RequestOutputs` | [`Outputs`](v4::Outputs) | every output: wanted and confirmed value, and whose it is |
//! | `SubscribeOutputs`, `UnsubscribeOutputs` | `Ok` | events `OutputsChanged` with what has changed, newest state, none while nothing does |
//! | `StartRecording`, `StopRecording` | `Ok` | events `Recorded` with each transfer of one device as lines of a file that `buttplugd --replay` takes; one session a device |
//!
//! # With this crate
//!
//! ```
//! use ipc_schema::codec::{self, Encoding};
//! use ipc_schema::frame::{self, FrameDecoder};
//! use ipc_schema::v4::{ClientMessage, Plain, ServerMessage};
//!
//! // A client writes a frame ...
//! let request = codec::encode_frame(&[ClientMessage::Ping(Plain { id: 7 })], frame::DEFAULT_LIMIT)?;
//!
//! // ... the service takes it apart, however it arrives ...
//! let mut frames = FrameDecoder::new(frame::DEFAULT_LIMIT);
//! frames.push(&request);
//! let payload = frames.next_frame()?.ok_or("not all there yet")?;
//! for message in codec::decode(payload, Encoding::MessagePack) {
//!     let ClientMessage::Ping(ping) = message?.request()? else { return Err("no ping".into()) };
//!
//!     // ... and answers.
//!     let answer = codec::encode(&ServerMessage::Ok(Plain { id: ping.id }), Encoding::Json)?;
//!     assert_eq!(answer, br#"[{"Ok":{"Id":7}}]"#);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod codec;
pub mod frame;

pub mod error;
pub mod extension;
pub mod version;

pub mod v0;
pub mod v1;
pub mod v2;
pub mod v3;
pub mod v4;

pub mod dbus;

mod lenient;
mod number;
mod tree;

pub use codec::{BadMessage, Encoding, Envelope};
pub use error::{Class, Reason};
pub use extension::{Extension, Extensions};
pub use version::SpecVersion;
