//! The answers of the fake to calls on its objects, as BlueZ 5.66 gives them.
//!
//! Only what a central (a client that connects to devices) uses is there. Anything else is an unknown method.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;
use zbus::{Message, OwnedVariant, message};

use super::{
    fault::{Failure, Step},
    operation::{Action, Outcome, Write, WriteKind},
    spec::{Flag, Presence},
    world::{self, Filter, Interfaces, Link, NodeKind, Object, Pairing, Power, Properties, World},
};

const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// An error answer: the full name and the text.
struct Refusal(String, String);

impl Refusal {
    fn bluez(name: &str, text: &str) -> Self {
        Self(format!("org.bluez.Error.{name}"), text.into())
    }

    fn not_connected() -> Self {
        Self::bluez("Failed", "Not connected")
    }

    fn standard(name: &str, text: String) -> Self {
        Self(format!("org.freedesktop.DBus.Error.{name}"), text)
    }

    fn unreadable(error: &zbus::Error) -> Self {
        Self::standard("InvalidArgs", error.to_string())
    }
}

/// A call that is to be answered.
struct Call<'m> {
    message: &'m Message,
    header: message::Header<'m>,
    path: String,
    sender: String,
}

impl Call<'_> {
    fn body<T>(&self) -> Result<T, Refusal>
    where
        T: serde::de::DeserializeOwned + zbus::Type,
    {
        self.message.body().deserialize().map_err(|error| Refusal::unreadable(&error))
    }

    fn reply<B>(&self, body: &B) -> Message
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        Message::method_return(&self.header).build(body).expect("the fake builds only valid messages")
    }

    fn answer<B>(&self, world: &World, body: &B)
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        world.send(Ok(self.reply(body)));
    }
}

/// Answers a message, if it is a call.
pub(super) fn answer(world: &mut World, message: &Message) {
    let header = message.header();
    if header.message_type() != message::Type::MethodCall {
        return;
    }
    let call = Call {
        message,
        path: header.path().map(ToString::to_string).unwrap_or_default(),
        sender: header.sender().map(ToString::to_string).unwrap_or_default(),
        header,
    };
    if let Err(Refusal(name, text)) = dispatch(world, &call) {
        world.send(Message::error(&call.header, name).build(&text.as_str()));
    }
}

fn dispatch(world: &mut World, call: &Call<'_>) -> Result<(), Refusal> {
    let interface = call.header.interface().map(|name| name.as_str().to_owned()).unwrap_or_default();
    let member = call.header.member().map(|name| name.as_str().to_owned()).unwrap_or_default();
    match interface.as_str() {
        "org.freedesktop.DBus.Peer" => call.answer(world, &()),
        INTROSPECTABLE => call.answer(world, &introspection(world, &call.path)),
        OBJECT_MANAGER if call.path == "/" && member == "GetManagedObjects" => {
            let objects: HashMap<_, _> = objects(world)
                .into_iter()
                .map(|(path, interfaces)| (world::object_path(&path), interfaces))
                .collect();
            call.answer(world, &objects);
        }
        PROPERTIES => return properties(world, call, &member),
        world::ADAPTER
            if world.adapters.get(&call.path).is_some_and(|adapter| adapter.presence == Presence::Near) =>
        {
            return adapter(world, call, &member);
        }
        world::DEVICE
            if world.devices.get(&call.path).is_some_and(|device| device.object == Object::Shown) =>
        {
            return device(world, call, &member);
        }
        world::CHARACTERISTIC | world::DESCRIPTOR => return attribute(world, call, &member),
        _ => return Err(unknown(call, &member)),
    }
    Ok(())
}

fn unknown(call: &Call<'_>, member: &str) -> Refusal {
    Refusal::standard("UnknownMethod", format!("no method `{member}` at {}", call.path))
}

/// Every object that BlueZ shows at the moment.
fn objects(world: &World) -> BTreeMap<String, Interfaces> {
    let mut objects = BTreeMap::new();
    for (path, adapter) in &world.adapters {
        if adapter.presence == Presence::Near {
            objects.insert(path.clone(), Interfaces::from([(world::ADAPTER, adapter.properties())]));
        }
    }
    for (path, device) in &world.devices {
        let adapter = world.adapters.get(&device.adapter);
        if device.object == Object::Unknown
            || adapter.is_none_or(|adapter| adapter.presence == Presence::Away)
        {
            continue;
        }
        objects.insert(path.clone(), Interfaces::from([(world::DEVICE, device.properties())]));
        for node in &device.gatt {
            objects.insert(node.path.clone(), device.node_interfaces(node));
        }
    }
    objects
}

/// The interfaces of an object and the names below it. BlueZ says more; nobody here asks for more.
fn introspection(world: &World, path: &str) -> String {
    let objects = objects(world);
    let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
    let mut xml = String::from("<node>");
    for interface in objects.get(path).into_iter().flat_map(Interfaces::keys) {
        xml.push_str(&format!("<interface name=\"{interface}\"></interface>"));
    }
    let mut children: Vec<&str> = objects
        .keys()
        .filter_map(|other| other.strip_prefix(&prefix))
        .filter_map(|rest| rest.split('/').next())
        .collect();
    children.dedup();
    for child in children {
        xml.push_str(&format!("<node name=\"{child}\"></node>"));
    }
    xml.push_str("</node>");
    xml
}

fn properties(world: &mut World, call: &Call<'_>, member: &str) -> Result<(), Refusal> {
    let object = objects(world)
        .remove(&call.path)
        .ok_or_else(|| Refusal::standard("UnknownObject", format!("no object {}", call.path)))?;
    let of = |interface: &str| -> Result<Properties, Refusal> {
        object.get(interface).cloned().ok_or_else(|| {
            Refusal::standard("UnknownInterface", format!("no interface {interface} at {}", call.path))
        })
    };
    match member {
        "GetAll" => {
            let interface: String = call.body()?;
            call.answer(world, &of(&interface)?);
            Ok(())
        }
        "Get" => {
            let (interface, name): (String, String) = call.body()?;
            let properties = of(&interface)?;
            let value = properties
                .get(name.as_str())
                .ok_or_else(|| Refusal::standard("InvalidArgs", format!("no property {name}")))?;
            call.answer(world, value);
            Ok(())
        }
        "Set" => {
            let (interface, name, value): (String, String, OwnedVariant) = call.body()?;
            of(&interface)?;
            if interface != world::ADAPTER || name != "Powered" {
                return Err(Refusal::standard("PropertyReadOnly", format!("{name} cannot be set")));
            }
            let on =
                bool::try_from(value).map_err(|error| Refusal::standard("InvalidArgs", error.to_string()))?;
            set_power(world, call, if on { Power::On } else { Power::Off })
        }
        _ => Err(unknown(call, member)),
    }
}

fn set_power(world: &mut World, call: &Call<'_>, power: Power) -> Result<(), Refusal> {
    let adapter = world.adapter(&call.path);
    let action = if power == Power::On { Action::PowerOn } else { Action::PowerOff };
    if adapter.power == Power::Blocked {
        adapter.record.push(action, Outcome::Refused);
        world.changed();
        return Err(Refusal::bluez("Failed", "Failed"));
    }
    adapter.record.push(action, Outcome::Done);
    world.set_power(&call.path, power);
    call.answer(world, &());
    Ok(())
}

fn adapter(world: &mut World, call: &Call<'_>, member: &str) -> Result<(), Refusal> {
    let adapter = world.adapter(&call.path);
    match member {
        "SetDiscoveryFilter" => {
            let options: HashMap<String, OwnedVariant> = call.body()?;
            adapter.filters.insert(call.sender.clone(), filter(options)?);
        }
        "StartDiscovery" => {
            let refusal = if adapter.power != Power::On {
                Some(Refusal::bluez("NotReady", "Resource Not Ready"))
            } else if adapter.discovering.contains(&call.sender) {
                Some(Refusal::bluez("InProgress", "Operation already in progress"))
            } else {
                None
            };
            adapter.record.push(Action::StartDiscovery, outcome(&refusal));
            world.changed();
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            world.start_discovery(&call.path, &call.sender);
            call.answer(world, &());
            for device in world.devices_of(&call.path) {
                world.heard(&device);
            }
            return Ok(());
        }
        "StopDiscovery" => {
            let refusal = (!adapter.discovering.contains(&call.sender))
                .then(|| Refusal::bluez("Failed", "No discovery started"));
            adapter.record.push(Action::StopDiscovery, outcome(&refusal));
            world.changed();
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            world.end_discovery(&call.path, &call.sender);
        }
        "RemoveDevice" => {
            let path: zbus::OwnedObjectPath = call.body()?;
            if world.devices.get(path.as_str()).is_none_or(|device| device.object == Object::Unknown) {
                return Err(Refusal::bluez("DoesNotExist", "Does Not Exist"));
            }
            world.forget(path.as_str());
        }
        _ => return Err(unknown(call, member)),
    }
    call.answer(world, &());
    Ok(())
}

fn outcome(refusal: &Option<Refusal>) -> Outcome {
    if refusal.is_some() { Outcome::Refused } else { Outcome::Done }
}

fn filter(mut options: HashMap<String, OwnedVariant>) -> Result<Filter, Refusal> {
    let invalid = |error: &dyn std::fmt::Display| Refusal::bluez("InvalidArguments", &error.to_string());
    let mut text = |name: &str| -> Result<Option<String>, Refusal> {
        options.remove(name).map(String::try_from).transpose().map_err(|error| invalid(&error))
    };
    let transport = text("Transport")?.unwrap_or_else(|| "auto".into());
    let pattern = text("Pattern")?;
    let services: Vec<String> = options
        .remove("UUIDs")
        .map(Vec::try_from)
        .transpose()
        .map_err(|error| invalid(&error))?
        .unwrap_or_default();
    let services = services
        .iter()
        .map(|uuid| Uuid::parse_str(uuid))
        .collect::<Result<_, _>>()
        .map_err(|error| invalid(&error))?;
    Ok(Filter { services, transport, pattern })
}

/// What is to become of a step after its fault, if it has one, was looked up.
enum Course {
    /// Do it and answer.
    Do,
    /// Do it and keep the answer.
    Hold,
    /// Do it, then lose the link.
    DoThenDrop,
    /// Lose the link.
    Drop,
    /// Do nothing, answer nothing.
    Ignore,
    /// Answer with that error.
    Refuse(Refusal),
}

impl Course {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Do | Self::Hold | Self::DoThenDrop => Outcome::Done,
            Self::Drop | Self::Refuse(_) => Outcome::Refused,
            Self::Ignore => Outcome::Unanswered,
        }
    }
}

fn course(world: &mut World, device: &str, step: Step) -> Course {
    match world.device(device).faults.take(step) {
        None => Course::Do,
        Some(Failure::Held) => Course::Hold,
        Some(Failure::Silent) => Course::Ignore,
        Some(Failure::Drop) => Course::Drop,
        Some(Failure::DoneThenDrop) => Course::DoThenDrop,
        Some(Failure::Refuse { name, text }) => Course::Refuse(Refusal::bluez(name, text)),
    }
}

/// Records an operation and takes its course: `act` does it and gives the answer.
fn operation(
    world: &mut World,
    call: &Call<'_>,
    device: &str,
    (step, action): (Step, Action),
    act: impl FnOnce(&mut World) -> Message,
) -> Result<(), Refusal> {
    let course = course(world, device, step);
    world.device(device).record(action, course.outcome());
    world.changed();
    match course {
        Course::Do => {
            let reply = act(world);
            world.send(Ok(reply));
        }
        Course::Hold => {
            let reply = act(world);
            world.device(device).held.push(reply);
        }
        Course::DoThenDrop => {
            act(world);
            world.disconnect(device);
            return Err(Refusal::not_connected());
        }
        Course::Drop => {
            world.disconnect(device);
            return Err(Refusal::not_connected());
        }
        Course::Ignore => tracing::debug!(device, path = call.path, "left without an answer"),
        Course::Refuse(refusal) => return Err(refusal),
    }
    Ok(())
}

fn device(world: &mut World, call: &Call<'_>, member: &str) -> Result<(), Refusal> {
    let path = call.path.clone();
    match member {
        "Connect" => connect(world, call, &path),
        "Disconnect" => operation(world, call, &path, (Step::Disconnect, Action::Disconnect), |world| {
            world.disconnect(&path);
            call.reply(&())
        }),
        "Pair" => operation(world, call, &path, (Step::Pair, Action::Pair), |world| {
            world.device(&path).pairing = Pairing::Paired;
            let paired = Properties::from([("Paired", true.into())]);
            world.properties_changed(&path, world::DEVICE, paired, &[]);
            call.reply(&())
        }),
        "CancelPairing" => Err(Refusal::bluez("DoesNotExist", "Does Not Exist")),
        _ => Err(unknown(call, member)),
    }
}

fn connect(world: &mut World, call: &Call<'_>, path: &str) -> Result<(), Refusal> {
    let adapter = world.device(path).adapter.clone();
    let ready = world.adapter(&adapter).power == Power::On;
    let device = world.device(path);
    if !ready || device.spec.presence == Presence::Away {
        device.record(Action::Connect, Outcome::Refused);
        world.changed();
        let (name, text) = if ready {
            ("Failed", "le-connection-abort-by-local")
        } else {
            ("NotReady", "Resource Not Ready")
        };
        return Err(Refusal::bluez(name, text));
    }
    operation(world, call, path, (Step::Connect, Action::Connect), |world| {
        if world.device(path).link == Link::Down {
            world.connect(path);
        }
        call.reply(&())
    })?;
    // As BlueZ does it: first the answer, then the services.
    if world.device(path).link == Link::Connected {
        match course(world, path, Step::ResolveServices) {
            Course::Do => world.resolve(path),
            Course::DoThenDrop => {
                world.resolve(path);
                world.disconnect(path);
            }
            Course::Drop | Course::Refuse(_) => world.disconnect(path),
            Course::Hold | Course::Ignore => {}
        }
    }
    Ok(())
}

fn attribute(world: &mut World, call: &Call<'_>, member: &str) -> Result<(), Refusal> {
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
                world.properties_changed(&call.path, world::CHARACTERISTIC, notifying, &[]);
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
        // The last answer stays, as a device's value does.
        let answers = world.device(device).answers.entry(uuid).or_default();
        let value = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
            .unwrap_or_default();
        // BlueZ announces what was read exactly as it announces a notification.
        let changed = Properties::from([("Value", value.clone().into())]);
        world.properties_changed(&call.path, world::CHARACTERISTIC, changed, &[]);
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
