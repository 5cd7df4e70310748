//! The answers of the fake to calls on its objects, as BlueZ 5.66 gives them.
//!
//! Only what a central (a client that connects to devices) uses is there. Anything else is an unknown method.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;
use zbus::{Message, OwnedVariant, message};

use super::{
    call::{Call, Course, Refusal, course, operation, unknown},
    fault::Step,
    gatt,
    operation::{Action, Outcome},
    parts::{self, Filter, Interfaces, Link, Object, Pairing, Power, Properties},
    spec::Presence,
    world::World,
};

const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

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
                .map(|(path, interfaces)| (parts::object_path(&path), interfaces))
                .collect();
            call.answer(world, &objects);
        }
        PROPERTIES => return properties(world, call, &member),
        parts::ADAPTER
            if world.adapters.get(&call.path).is_some_and(|adapter| adapter.presence == Presence::Near) =>
        {
            return adapter(world, call, &member);
        }
        parts::DEVICE
            if world.devices.get(&call.path).is_some_and(|device| device.object == Object::Shown) =>
        {
            return device(world, call, &member);
        }
        parts::CHARACTERISTIC | parts::DESCRIPTOR => return gatt::attribute(world, call, &member),
        _ => return Err(unknown(call, &member)),
    }
    Ok(())
}

/// Every object that BlueZ shows at the moment.
fn objects(world: &World) -> BTreeMap<String, Interfaces> {
    let mut objects = BTreeMap::new();
    for (path, adapter) in &world.adapters {
        if adapter.presence == Presence::Near {
            objects.insert(path.clone(), Interfaces::from([(parts::ADAPTER, adapter.properties())]));
        }
    }
    for (path, device) in &world.devices {
        let adapter = world.adapters.get(&device.adapter);
        if device.object == Object::Unknown
            || adapter.is_none_or(|adapter| adapter.presence == Presence::Away)
        {
            continue;
        }
        objects.insert(path.clone(), Interfaces::from([(parts::DEVICE, device.properties())]));
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
            if interface != parts::ADAPTER || name != "Powered" {
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

fn device(world: &mut World, call: &Call<'_>, member: &str) -> Result<(), Refusal> {
    let path = call.path.clone();
    match member {
        "Connect" => connect(world, call, &path),
        "Disconnect" => operation(world, call, &path, (Step::Disconnect, Action::Disconnect), |world| {
            world.disconnect(&path);
            call.reply(&())
        }),
        "Pair" if world.device(&path).pairing == Pairing::Paired => {
            Err(Refusal::bluez("AlreadyExists", "Already Exists"))
        }
        "Pair" => operation(world, call, &path, (Step::Pair, Action::Pair), |world| {
            world.device(&path).pairing = Pairing::Paired;
            let paired = Properties::from([("Paired", true.into())]);
            world.properties_changed(&path, parts::DEVICE, paired, &[]);
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
