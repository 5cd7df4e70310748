//! Plays a conversation: a client on one side of the real service, a fake Bluetooth device on the other.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::file::{Conversation, Device, Phase, Step, bytes};
use crate::{
    bluez::{Action, CharacteristicSpec, DeviceSpec, FakeBluez, FakeDevice, Flag, Outcome, WriteKind},
    peer::Peer,
    service::Service,
};

/// How much longer than a file says things may take: the machine may be busy.
const SLACK: u64 = 60;

/// The service and the radio that a conversation is played on.
pub struct Stage<'s> {
    /// The service.
    pub service: &'s Service,
    /// The radio.
    pub bluez: &'s FakeBluez,
}

/// A device as the player sees it.
struct Actor<'c> {
    facts: &'c Device,
    fake: FakeDevice,
    index: Option<u64>,
    /// The write that was matched last, which may be repeated if the file says so.
    last: Option<(Uuid, Vec<u8>)>,
}

/// A reading that may come later.
struct Awaited {
    id: u32,
    level: f64,
}

/// Plays a conversation in one spec version, with devices at addresses that end in `number`.
///
/// # Errors
/// The first step that did not come as written, with its place in the file.
pub async fn play(
    stage: &Stage<'_>,
    conversation: &Conversation,
    version: u32,
    number: u16,
) -> anyhow::Result<()> {
    // Both encodings are played: neither may change what a message means.
    let mut peer = if version.is_multiple_of(2) {
        Peer::socket(stage.service.socket()).await?
    } else {
        Peer::websocket_over_unix(stage.service.socket()).await?
    };
    hello(&mut peer, version).await?;
    expect_ok(&peer.request("StartScanning", json!({})).await?)?;

    let mut actors = Vec::new();
    for (place, facts) in conversation.devices.iter().enumerate() {
        let spec = spec(facts, number, u8::try_from(place)?);
        let fake = stage.bluez.add_device(DeviceSpec { presence: crate::bluez::Presence::Away, ..spec });
        actors.push(Actor { facts, fake, index: None, last: None });
    }
    let outcome = converse(&mut peer, conversation, &mut actors, version).await;
    for actor in &actors {
        actor.fake.vanish();
        if let (Ok(()), Some(index)) = (&outcome, actor.index) {
            peer.message_that("removal", |message| is_removal(message, index)).await?;
        }
        actor.fake.forget();
    }
    outcome
}

async fn converse(
    peer: &mut Peer,
    conversation: &Conversation,
    actors: &mut [Actor<'_>],
    version: u32,
) -> anyhow::Result<()> {
    let mut steps =
        conversation.steps.iter().enumerate().filter(|(_, step)| step.min_version <= version).peekable();
    // What the device has ready before it is connected to.
    while let Some((_, step)) = steps.next_if(|(_, step)| step.answer_read.is_some()) {
        let actor = actors.get(step.device).context("a step names a device that is not there")?;
        answer_read(actor, step)?;
    }
    for actor in actors.iter() {
        actor.fake.appear();
    }

    let mut awaited = Vec::new();
    for (place, step) in steps {
        if step.phase == Phase::Run {
            announced(peer, actors, version).await?;
        }
        let actor = actors.get_mut(step.device).context("a step names a device that is not there")?;
        one(peer, conversation, actor, step, version, &mut awaited).await.with_context(|| {
            format!("step {} ({})", place + 1, serde_json::to_string(&step.command).unwrap_or_default())
        })?;
    }
    announced(peer, actors, version).await?;
    for reading in awaited {
        let reply = peer.reply(reading.id).await?;
        check_level(&reply, reading.level)?;
    }

    Ok(())
}

async fn hello(peer: &mut Peer, version: u32) -> anyhow::Result<()> {
    let body = match version {
        0 => json!({ "ClientName": "conversation" }),
        1..=3 => json!({ "ClientName": "conversation", "MessageVersion": version }),
        _ => {
            json!({ "ClientName": "conversation", "ProtocolVersionMajor": version, "ProtocolVersionMinor": 0 })
        }
    };
    let reply = peer.request("RequestServerInfo", body).await?;
    ensure!(reply.get("ServerInfo").is_some(), "the handshake was answered with {reply}");
    Ok(())
}

fn expect_ok(reply: &Value) -> anyhow::Result<()> {
    ensure!(reply.get("Ok").is_some(), "answered with {reply}");
    Ok(())
}

/// The number in the address of a device that a configuration names.
const CONFIGURED: u16 = u16::MAX;

fn address(number: u16, place: u8) -> String {
    let [high, low] = number.to_be_bytes();
    format!("F0:C0:DE:{place:02X}:{high:02X}:{low:02X}")
}

/// The user's configuration of a conversation, with the addresses that its devices have here.
#[must_use]
pub fn configuration(conversation: &Conversation) -> Option<Value> {
    let config = conversation.user_device_config.as_ref()?.to_string();
    let named = (0..).zip(&conversation.devices);
    let text = named.fold(config, |text, (place, device)| match &device.address {
        Some(name) => text.replace(&format!("\"{name}\""), &format!("\"{}\"", address(CONFIGURED, place))),
        None => text,
    });
    serde_json::from_str(&text).ok()
}

/// Every characteristic can do everything, as the files ask for.
fn spec(facts: &Device, number: u16, place: u8) -> DeviceSpec {
    const ALL: [Flag; 4] = [Flag::Read, Flag::Write, Flag::WriteWithoutResponse, Flag::Notify];
    let address = address(if facts.address.is_some() { CONFIGURED } else { number }, place);
    facts.gatt.iter().fold(
        DeviceSpec::named(&address, &facts.advertised_name),
        |spec, (service, endpoints)| {
            let characteristics =
                endpoints.values().map(|uuid| CharacteristicSpec::new(*uuid, &ALL)).collect();
            spec.service(*service, characteristics)
        },
    )
}

async fn one(
    peer: &mut Peer,
    conversation: &Conversation,
    actor: &mut Actor<'_>,
    step: &Step,
    version: u32,
    awaited: &mut Vec<Awaited>,
) -> anyhow::Result<()> {
    let limit = Duration::from_millis(conversation.timing.step_timeout_ms * SLACK);
    let repeats = conversation.timing.periodic_writes.is_some();
    if let Some(place) = &step.expect_subscribe {
        let uuid = actor.uuid(&place.endpoint)?;
        return actor.expect(limit, repeats, &Action::StartNotify(uuid)).await;
    }
    if let Some(place) = &step.expect_unsubscribe {
        let uuid = actor.uuid(&place.endpoint)?;
        return actor.expect(limit, repeats, &Action::StopNotify(uuid)).await;
    }
    if let Some(write) = &step.expect_write {
        let kind = if write.with_response { WriteKind::WithResponse } else { WriteKind::WithoutResponse };
        let characteristic = actor.uuid(&write.endpoint)?;
        let packet = crate::bluez::Write { characteristic, data: bytes(&write.hex)?, kind };
        return actor.expect(limit, repeats, &Action::Write(packet)).await;
    }
    if let Some(sent) = &step.notify {
        actor.fake.notify(actor.uuid(&sent.endpoint)?, &bytes(&sent.hex)?);
        return Ok(());
    }
    if step.answer_read.is_some() {
        return answer_read(actor, step);
    }
    let command = step.command.as_ref().context("a step in which nothing happens")?;
    let none = Vec::new();
    let messages = step.messages.as_ref().and_then(|messages| messages.get(&version)).unwrap_or(&none);
    let index = actor.index.context("a command to a device that is not announced")?;
    let mut ids = Vec::new();
    for message in messages {
        let (name, body) = message.iter().next().context("a message without a name")?;
        let mut body = body.clone();
        body["DeviceIndex"] = index.into();
        ids.push(peer.send(name, body).await?);
    }
    let battery = command.get("battery");
    for id in ids {
        match battery {
            Some(battery) => {
                let level = battery["expect"].as_f64().context("a battery command without a level")?;
                if battery["async"].as_bool() == Some(true) {
                    awaited.push(Awaited { id, level });
                } else {
                    check_level(&peer.reply(id).await?, level)?;
                }
            }
            None => expect_ok(&peer.reply(id).await?)?,
        }
    }
    Ok(())
}

fn answer_read(actor: &Actor<'_>, step: &Step) -> anyhow::Result<()> {
    let answer = step.answer_read.as_ref().context("no answer to a read")?;
    actor.fake.answer_read(actor.uuid(&answer.endpoint)?, &bytes(&answer.hex)?);
    Ok(())
}

impl Actor<'_> {
    fn uuid(&self, endpoint: &str) -> anyhow::Result<Uuid> {
        let found = self.facts.gatt.values().find_map(|endpoints| endpoints.get(endpoint));
        found.copied().with_context(|| format!("the device has no endpoint {endpoint}"))
    }

    /// Holds the next thing that the server does against what it should be.
    async fn expect(&mut self, limit: Duration, repeats: bool, wanted: &Action) -> anyhow::Result<()> {
        loop {
            let Some(operation) = self.fake.try_next_operation(limit).await else {
                bail!("expected {wanted:?}, but nothing came within {limit:?}");
            };
            ensure!(operation.outcome == Outcome::Done, "{operation:?}");
            match &operation.action {
                // When and how often the server reads or connects is its own affair.
                Action::Connect
                | Action::Disconnect
                | Action::Pair
                | Action::Read(_)
                | Action::ReadDescriptor(_)
                | Action::WriteDescriptor(..) => {}
                found if found == wanted => {
                    if let Action::Write(write) = found {
                        self.last = Some((write.characteristic, write.data.clone()));
                    }
                    return Ok(());
                }
                Action::Write(write)
                    if repeats && self.last.as_ref() == Some(&(write.characteristic, write.data.clone())) => {
                }
                found => bail!("expected {wanted:?}, but the server did {found:?}"),
            }
        }
    }
}

/// Waits until every device is announced, and looks at what is shown of it.
async fn announced(peer: &mut Peer, actors: &mut [Actor<'_>], version: u32) -> anyhow::Result<()> {
    let mut known: Vec<u64> = actors.iter().filter_map(|actor| actor.index).collect();
    for actor in actors.iter_mut().filter(|actor| actor.index.is_none()) {
        let message = peer.message_that("device", |message| !new_devices(message, &known).is_empty()).await?;
        let device = new_devices(&message, &known).remove(0);
        let index = device["DeviceIndex"].as_u64().context("a device without an index")?;
        known.push(index);
        actor.index = Some(index);
        if let Some(name) = &actor.facts.expected_name {
            ensure!(device["DeviceName"] == json!(name), "called {}, not {name}", device["DeviceName"]);
        }
        if let Some(name) = actor.facts.expected_display_name.as_ref().filter(|_| version >= 3) {
            ensure!(device["DeviceDisplayName"] == json!(name), "shown as {}", device["DeviceDisplayName"]);
        }
        if version >= 4 && !actor.facts.features.is_empty() {
            check_features(actor.facts, &device)?;
        }
    }
    Ok(())
}

fn new_devices(message: &Value, known: &[u64]) -> Vec<Value> {
    let devices: Vec<Value> = if let Some(added) = message.get("DeviceAdded") {
        vec![added.clone()]
    } else {
        let list = message.get("DeviceList").and_then(|list| list["Devices"].as_object());
        list.map(|devices: &Map<String, Value>| devices.values().cloned().collect()).unwrap_or_default()
    };
    devices
        .into_iter()
        .filter(|device| device["DeviceIndex"].as_u64().is_some_and(|index| !known.contains(&index)))
        .collect()
}

fn is_removal(message: &Value, index: u64) -> bool {
    if let Some(removed) = message.get("DeviceRemoved") {
        return removed["DeviceIndex"].as_u64() == Some(index);
    }
    let list = message.get("DeviceList").and_then(|list| list["Devices"].as_object());
    list.is_some_and(|devices| !devices.contains_key(&index.to_string()))
}

fn check_features(facts: &Device, device: &Value) -> anyhow::Result<()> {
    let shown = device["DeviceFeatures"].as_object().context("a device without features")?;
    let shown: BTreeMap<u32, &Value> =
        shown.iter().map(|(index, feature)| Ok((index.parse()?, feature))).collect::<anyhow::Result<_>>()?;
    for feature in &facts.features {
        if feature.outputs.is_empty() && feature.inputs.is_empty() {
            continue;
        }
        let found =
            shown.get(&feature.index).with_context(|| format!("feature {} is not shown", feature.index))?;
        for (name, output) in &feature.outputs {
            let value = &found["Output"][name]["Value"];
            ensure!(*value == json!(output.value), "feature {}: {name} is {value}", feature.index);
        }
        for name in feature.inputs.keys() {
            ensure!(found["Input"].get(name).is_some(), "feature {}: no {name}", feature.index);
        }
    }
    ensure!(
        shown.len()
            == facts.features.iter().filter(|one| !(one.outputs.is_empty() && one.inputs.is_empty())).count(),
        "more features are shown than there are: {device}"
    );
    Ok(())
}

fn check_level(reply: &Value, expected: f64) -> anyhow::Result<()> {
    let percent = |value: &Value| value.as_f64().map(|value| value / 100.0);
    let level = reply
        .get("InputReading")
        .and_then(|reading| percent(&reading["Reading"]["Battery"]["Value"]))
        .or_else(|| reply.get("SensorReading").and_then(|reading| percent(&reading["Data"][0])))
        .or_else(|| reply.get("BatteryLevelReading").and_then(|reading| reading["BatteryLevel"].as_f64()))
        .with_context(|| format!("answered with {reply}"))?;
    ensure!((level - expected).abs() < 0.005, "the battery is at {level}, not at {expected}");
    Ok(())
}
