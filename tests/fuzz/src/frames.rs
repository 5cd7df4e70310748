//! What comes over a client's connection: frames, and the messages of every version in both encodings.

use std::fmt::Debug;

use ipc_schema::codec::{self, Encoding, Envelope};
use ipc_schema::frame::FrameDecoder;
use ipc_schema::{v0, v1, v2, v3, v4};
use serde::{Serialize, de::DeserializeOwned};

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

/// Bytes of a stream: cut into pieces of a length that the first byte says, taken apart into frames, and those into messages.
pub fn frames(data: &[u8]) {
    const LIMIT: u32 = 4096;

    messages(data);
    let Some((first, stream)) = data.split_first() else { return };
    let mut decoder = FrameDecoder::new(LIMIT);
    for piece in stream.chunks(usize::from(*first).max(1)) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(payload)) => messages(payload),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_frame(), Err(error), "a broken stream stays broken");
                    break;
                }
            }
        }
    }
}

/// The payload of a frame, in both encodings, for every version and direction.
fn messages(payload: &[u8]) {
    for encoding in BOTH {
        let messages = codec::decode(payload, encoding);
        assert!(!messages.is_empty(), "every frame is answered");
        for message in messages {
            match message {
                Ok(envelope) => {
                    assert!(envelope.body.is_object());
                    client::<v0::ClientMessage>(&envelope);
                    client::<v1::ClientMessage>(&envelope);
                    client::<v2::ClientMessage>(&envelope);
                    client::<v3::ClientMessage>(&envelope);
                    client::<v4::ClientMessage>(&envelope);
                    again::<v0::ServerMessage>(&envelope);
                    again::<v1::ServerMessage>(&envelope);
                    again::<v2::ServerMessage>(&envelope);
                    again::<v3::ServerMessage>(&envelope);
                    again::<v4::ServerMessage>(&envelope);
                }
                Err(bad) => assert!(!bad.text.is_empty(), "{bad:?}"),
            }
        }
    }
}

fn client<T: DeserializeOwned + Serialize + PartialEq + Debug>(envelope: &Envelope) {
    match envelope.request::<T>() {
        Ok(_) => again::<T>(envelope),
        Err(bad) => assert_eq!(bad.id, envelope.id.unwrap_or(0), "{bad:?}"),
    }
}

/// What can be read can be written, and reads the same again.
fn again<T: DeserializeOwned + Serialize + PartialEq + Debug>(envelope: &Envelope) {
    let Ok(message) = envelope.message::<T>() else { return };
    for encoding in BOTH {
        let written = codec::encode(&message, encoding).expect("what was read can be written");
        let mut read = codec::decode(&written, encoding);
        assert_eq!(read.len(), 1, "{message:?}");
        let envelope = read.remove(0).expect("what was written can be read");
        let read = envelope.message::<T>().expect("what was written can be read");
        // Decimal fractions may differ in their last bit.
        if encoding == Encoding::MessagePack {
            assert_eq!(read, message);
        }
    }
}
