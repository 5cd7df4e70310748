//! Calls on characteristics and descriptors: reads, writes and notifications.

use std::collections::HashMap;

use uuid::Uuid;
use zbus::OwnedVariant;

use super::{
    call::{Call, Refusal, operation, unknown},
    fault::Step,
    operation::{Action, Outcome, Write, WriteKind},
    parts::{self, Link, NodeKind, Properties},
    spec::Flag,
    world::World,
};

pub(super) fn attribute(world: &mut World, call: &Call<'_>, member: &str) -> Result<(), Refusal> {
    let found = world.devices.iter().find_map(|(path, device)| {
        device.gatt.iter().find(|node| node.path == call.path).map(|node| (path.clone(), node.clone()))
    });
    let (path, node) =
        found.ok_or_else(|| Refusal::standard("UnknownObject", format!("no object {}", call.path)))?;
    if world.device(&path).link != Link::Resolved {
        return Err(Refusal::not_connected());
    }
    match (&node.kind, member) {
        (NodeKind::Characteristic(flags), "ReadValue") => {
            if !flags.contains(&Flag::Read) {
                return Err(Refusal::bluez("NotPermitted", "Read not permitted"));
            }
            read(world, call, &path, node.uuid)
        }
        (NodeKind::Characteristic(flags), "WriteValue") => write(world, call, &path, node.uuid, flags),
        (NodeKind::Characteristic(flags), "StartNotify") => {
            if !flags.contains(&Flag::Notify) && !flags.contains(&Flag::Indicate) {
                return Err(Refusal::bluez("NotSupported", "Operation is not supported"));
            }
            operation(world, call, &path, (Step::StartNotify, Action::StartNotify(node.uuid)), |world| {
                let clients = world.device(&path).subscribers.entry(call.path.clone()).or_default();
                clients.insert(call.sender.clone());
                let notifying = Properties::from([("Notifying", true.into())]);
                world.properties_changed(&call.path, parts::CHARACTERISTIC, notifying, &[]);
                call.reply(&())
            })
        }
        (NodeKind::Characteristic(_), "StopNotify") => {
            let subscribers = world.device(&path).subscribers.get(&call.path);
            if !subscribers.is_some_and(|clients| clients.contains(&call.sender)) {
                return Err(Refusal::bluez("Failed", "No notify session started"));
            }
            operation(world, call, &path, (Step::StopNotify, Action::StopNotify(node.uuid)), |world| {
                if let Some(clients) = world.device(&path).subscribers.get_mut(&call.path) {
                    clients.remove(&call.sender);
                }
                call.reply(&())
            })
        }
        (NodeKind::Descriptor, "ReadValue") => {
            operation(world, call, &path, (Step::Read, Action::ReadDescriptor(node.uuid)), |_| {
                call.reply(&vec![0u8, 0])
            })
        }
        (NodeKind::Descriptor, "WriteValue") => {
            let (data, _): (Vec<u8>, HashMap<String, OwnedVariant>) = call.body()?;
            operation(world, call, &path, (Step::Write, Action::WriteDescriptor(node.uuid, data)), |_| {
                call.reply(&())
            })
        }
        _ => Err(unknown(call, member)),
    }
}

fn read(world: &mut World, call: &Call<'_>, device: &str, uuid: Uuid) -> Result<(), Refusal> {
    operation(world, call, device, (Step::Read, Action::Read(uuid)), |world| {
        let value = world.device(device).answers.entry(uuid).or_default().take();
        // BlueZ announces what was read exactly as it announces a notification.
        let changed = Properties::from([("Value", value.clone().into())]);
        world.properties_changed(&call.path, parts::CHARACTERISTIC, changed, &[]);
        call.reply(&value)
    })
}

fn write(
    world: &mut World,
    call: &Call<'_>,
    device: &str,
    uuid: Uuid,
    flags: &[Flag],
) -> Result<(), Refusal> {
    let (data, mut options): (Vec<u8>, HashMap<String, OwnedVariant>) = call.body()?;
    let stated = options.remove("type").map(String::try_from).transpose();
    let kind =
        match stated.map_err(|error| Refusal::bluez("InvalidArguments", &error.to_string()))?.as_deref() {
            None => WriteKind::Unstated,
            Some("request") => WriteKind::WithResponse,
            Some("command") => WriteKind::WithoutResponse,
            Some(_) => return Err(Refusal::bluez("InvalidArguments", "Invalid arguments in method call")),
        };
    let allowed = match kind {
        WriteKind::WithResponse => flags.contains(&Flag::Write),
        WriteKind::WithoutResponse => flags.contains(&Flag::WriteWithoutResponse),
        WriteKind::Unstated => flags.contains(&Flag::Write) || flags.contains(&Flag::WriteWithoutResponse),
    };
    let write = Write { characteristic: uuid, data, kind };
    if !allowed {
        world.device(device).record(Action::Write(write), Outcome::Refused);
        world.changed();
        return Err(Refusal::bluez("NotSupported", "Operation is not supported"));
    }
    let mut done = false;
    operation(world, call, device, (Step::Write, Action::Write(write.clone())), |_| {
        done = true;
        call.reply(&())
    })?;
    if done && let Some(mut responder) = world.device(device).responder.take() {
        let notifications = responder(&write);
        world.device(device).responder = Some(responder);
        for (characteristic, data) in notifications {
            world.notify(device, characteristic, &data);
        }
    }
    Ok(())
}
