//! Every message of every spec version, as files under `samples/`: each is read, written again as JSON and as MessagePack, and
//! must come out as it went in. A message without a sample fails the test. Bad input is tested in `bad_input.rs`.
//!
//! The bytes in MessagePack are kept too, in `samples/vN/messagepack.txt`. `UPDATE_SAMPLES=1` writes that file anew: only right
//! after a new sample, since the bytes of a released message must never change.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use ipc_schema::codec::{self, Encoding, Envelope};
use ipc_schema::{v0, v1, v2, v3, v4};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn folder(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(version)
}

/// Name of the file without ending, and its text; sorted.
fn samples(version: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = fs::read_dir(folder(version))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    found
}

fn only(payload: &[u8], encoding: Encoding) -> Envelope {
    let mut messages = codec::decode(payload, encoding);
    assert_eq!(messages.len(), 1);
    messages.remove(0).unwrap()
}

/// Reads a sample as `T` and back; gives its MessagePack bytes.
fn round_trip<T>(file: &str, text: &str) -> Vec<u8>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let original: Value = serde_json::from_str(text).unwrap();

    let message: T = only(text.as_bytes(), Encoding::Json).message().unwrap();
    let json = codec::encode(&message, Encoding::Json).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), original, "{file} as JSON");

    let packed = codec::encode(&message, Encoding::MessagePack).unwrap();
    let unpacked: T = only(&packed, Encoding::MessagePack).message().unwrap();
    assert_eq!(unpacked, message, "{file} as MessagePack");

    let by_serde: Vec<T> = rmp_serde::from_slice(&packed).unwrap();
    assert_eq!(by_serde, [unpacked], "{file} as MessagePack, read strictly");
    packed
}

fn check<C, S>(version: &str)
where
    C: Serialize + DeserializeOwned + PartialEq + Debug,
    S: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let client: BTreeSet<&str> = codec::message_names::<C>().iter().copied().collect();
    let server: BTreeSet<&str> = codec::message_names::<S>().iter().copied().collect();
    assert!(!client.is_empty() && !server.is_empty());
    let mut without_sample: BTreeSet<&str> = client.union(&server).copied().collect();
    let mut packed = String::new();

    for (file, text) in samples(version) {
        let name = file.split('-').next().unwrap();
        without_sample.remove(name);
        assert_eq!(only(text.as_bytes(), Encoding::Json).name, name, "{version}/{file}");
        let mut bytes = Vec::new();
        if client.contains(name) {
            bytes = round_trip::<C>(&file, &text);
        }
        if server.contains(name) {
            bytes = round_trip::<S>(&file, &text);
        }
        assert!(!bytes.is_empty(), "{version} has no message {name}");
        write!(packed, "{file} ").unwrap();
        bytes.iter().for_each(|byte| write!(packed, "{byte:02x}").unwrap());
        packed.push('\n');
    }

    assert!(without_sample.is_empty(), "{version}: no sample of {without_sample:?}");
    let golden = folder(version).join("messagepack.txt");
    if env::var_os("UPDATE_SAMPLES").is_some() {
        fs::write(&golden, &packed).unwrap();
    }
    assert_eq!(fs::read_to_string(golden).unwrap(), packed, "{version}: bytes in MessagePack");
}

#[test]
fn v0_is_as_it_was() {
    check::<v0::ClientMessage, v0::ServerMessage>("v0");
}

#[test]
fn v1_is_as_it_was() {
    check::<v1::ClientMessage, v1::ServerMessage>("v1");
}

#[test]
fn v2_is_as_it_was() {
    check::<v2::ClientMessage, v2::ServerMessage>("v2");
}

#[test]
fn v3_is_as_it_was() {
    check::<v3::ClientMessage, v3::ServerMessage>("v3");
}

#[test]
fn v4_is_as_it_was() {
    check::<v4::ClientMessage, v4::ServerMessage>("v4");
}

#[test]
fn integer_keys_are_integers_in_message_pack_and_text_in_json() {
    let text = r#"[{"DeviceList":{"Id":0,"Devices":{"2":{"DeviceIndex":2,"DeviceName":"","DeviceMessageTimingGap":0,"DeviceFeatures":{}}}}}]"#;
    let list: v4::ServerMessage = only(text.as_bytes(), Encoding::Json).message().unwrap();
    let packed = codec::encode(&list, Encoding::MessagePack).unwrap();
    // "Devices", then a map of one entry whose key is the integer 2.
    let key = [b"\xa7Devices".as_slice(), &[0x81, 0x02]].concat();
    assert!(packed.windows(key.len()).any(|window| window == key));
    assert!(
        String::from_utf8(codec::encode(&list, Encoding::Json).unwrap())
            .unwrap()
            .contains(r#""Devices":{"2":"#)
    );
}
