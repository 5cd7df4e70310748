//! Game controllers that rumble, through the force feedback of the kernel's input devices.
//!
//! A packet is the strength of two motors, the slow heavy one first: `{low:u16le} {high:u16le}`. Only the motors are used; what the
//! person does with sticks and buttons is not read. Off unless configured, since games drive the same motors.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use engine::{
    advertisement::Advertisement,
    definition::catalogue::Catalogue,
    protocol::{Endpoint, WriteKind},
};
use evdev::{FFEffect, FFEffectCode, FFEffectData, FFEffectKind, FFReplay, FFTrigger, raw_stream::RawDevice};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    Access, Discovered, Discovery, Opened, Opener, Transport, TransportEvent, TransportFault,
    nodes::{self, Nodes, Plugged},
    ready::waitable,
    thread::{self, Worker},
    visits::{Visit, Visits},
};

/// The name of this bus, as in [`super::Discovered::transport`].
pub const NAME: &str = "gamepads";

const COMMANDS: &str = "tx";
/// Read, not subscribed to.
const BATTERY: &str = "rx";

/// Where the kernel lists input devices.
const INPUTS: &str = "/sys/class/input";
/// How long the motors run unless they are told again: should the service hang, they end by themselves. The definition has its
/// keep-alive well within this.
const RUNS_FOR_MS: u16 = 5_000;
/// The time that the kernel has to open a controller, and to take a change of its motors.
const LIMIT: Duration = Duration::from_secs(2);

/// Runs the bus until nobody listens any more.
pub async fn run(discovery: Discovery, catalogue: watch::Receiver<Arc<Catalogue>>) {
    nodes::run(Controllers { inputs: PathBuf::from(INPUTS) }, discovery, catalogue).await;
}

struct Controllers {
    inputs: PathBuf,
}

/// A controller as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    /// `event7`.
    event: String,
    name: String,
    ids: (u16, u16),
    /// What tells it from others of its kind: over Bluetooth, its address.
    number: Option<String>,
    /// The file with the charge of its battery.
    battery: Option<PathBuf>,
}

impl Controllers {
    fn list(&self) -> io::Result<Vec<Listed>> {
        let mut controllers = Vec::new();
        for entry in fs::read_dir(&self.inputs)? {
            let entry = entry?;
            let event = entry.file_name().to_string_lossy().into_owned();
            if !event.starts_with("event") {
                continue;
            }
            // One that goes while it is looked at is not there.
            controllers.extend(listed(event, &entry.path().join("device")));
        }
        controllers.sort_by(|a, b| (a.event.len(), &a.event).cmp(&(b.event.len(), &b.event)));
        Ok(controllers)
    }
}

/// What the kernel says of an input device, if it rumbles.
fn listed(event: String, device: &Path) -> Option<Listed> {
    let text = |name: &str| fs::read_to_string(device.join(name)).ok().map(|text| text.trim().to_owned());
    let id = |name: &str| u16::from_str_radix(&text(name)?, 16).ok();
    if !rumbles(&text("capabilities/ff")?) {
        return None;
    }
    Some(Listed {
        event,
        name: text("name")?,
        ids: (id("id/vendor")?, id("id/product")?),
        number: text("uniq").filter(|number| !number.is_empty()),
        battery: battery(&device.join("device")),
    })
}

/// Whether a bit field of the kernel, hexadecimal words of its own size with the highest first, has the bit of rumbling.
fn rumbles(field: &str) -> bool {
    let bit = u32::from(FFEffectCode::FF_RUMBLE.0);
    let word =
        usize::try_from(bit / usize::BITS).ok().and_then(|place| field.split_whitespace().rev().nth(place));
    let word = word.and_then(|word| u64::from_str_radix(word, 16).ok()).unwrap_or_default();
    word.checked_shr(bit % usize::BITS).is_some_and(|rest| rest & 1 == 1)
}

fn battery(device: &Path) -> Option<PathBuf> {
    let supplies = fs::read_dir(device.join("power_supply")).ok()?;
    supplies.flatten().map(|supply| supply.path().join("capacity")).find(|capacity| capacity.is_file())
}

impl Nodes for Controllers {
    fn bus(&self) -> &'static str {
        NAME
    }

    fn subsystem(&self) -> &'static str {
        "input"
    }

    fn look(&mut self, catalogue: &Catalogue, visits: &Visits) -> io::Result<Vec<Plugged>> {
        let mut found = Vec::new();
        for controller in self.list()? {
            let (vendor, product) = controller.ids;
            let as_hid = Advertisement::Hid { vendor, product, name: None };
            if !catalogue.find(&as_hid).is_empty() {
                // Its reports are spoken directly; two masters would undo what the other did.
                continue;
            }
            let address = match &controller.number {
                Some(number) => format!("{vendor:04x}:{product:04x}:{number}"),
                None => format!("{vendor:04x}:{product:04x}"),
            };
            let node = format!("/dev/input/{}", controller.event);
            found.push(Plugged {
                key: node.clone(),
                discovered: Discovered {
                    transport: NAME,
                    advertisement: Advertisement::Gamepad { name: controller.name },
                    address,
                    opener: Box::new(ControllerOpener {
                        node,
                        battery: controller.battery,
                        visits: visits.clone(),
                    }),
                },
            });
        }
        Ok(found)
    }

    fn mend(&self, _: &str) -> String {
        mend()
    }
}

fn mend() -> String {
    "udev gives it to whoever sits at the machine: log in there, or put yourself into the group `input` and log in again: \
     `sudo usermod -aG input $USER`"
        .to_owned()
}

/// The way to a controller.
struct ControllerOpener {
    node: String,
    battery: Option<PathBuf>,
    visits: Visits,
}

#[async_trait]
impl Opener for ControllerOpener {
    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        match access {
            Access::Gamepad => {}
            Access::Bluetooth { .. }
            | Access::Serial(_)
            | Access::Hid(_)
            | Access::WebSocket
            | Access::Simulated => {
                return Err(TransportFault::Refused(
                    "a game controller is opened as nothing else".to_owned(),
                ));
            }
        }
        let Self { node, battery, visits } = *self;
        let visit = visits.begin(&node);
        let path = node.clone();
        let (device, watched) = match thread::once("gamepad-open", LIMIT, move || open(&path)).await? {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                visit.denied();
                return Err(TransportFault::NotAllowed(format!("{node} may not be opened; {}", mend())));
            }
            Err(error) => return Err(TransportFault::Refused(format!("{node} cannot be opened: {error}"))),
        };
        // Only its end is waited for. What the person does with it would wake the service a thousand times a second.
        let watched =
            waitable(watched, Interest::ERROR).map_err(|error| TransportFault::Refused(error.to_string()))?;
        visit.opened();
        let motors = Worker::start("gamepad", Motors { effect: None, device })?;
        let (tell, events) = mpsc::channel(1);
        let mut watcher = JoinSet::new();
        watcher.spawn(watch_end(watched, tell));
        Ok(Opened {
            transport: Box::new(Controller { motors, battery, _watcher: watcher, _visit: visit }),
            events,
        })
    }
}

fn open(node: &str) -> io::Result<(RawDevice, OwnedFd)> {
    let file = rustix::fs::open(node, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let watched = file.try_clone()?;
    Ok((RawDevice::from_fd(file)?, watched))
}

async fn watch_end(device: AsyncFd<OwnedFd>, tell: mpsc::Sender<TransportEvent>) {
    let why = match device.ready(Interest::ERROR).await {
        Ok(_) => "the controller is gone".to_owned(),
        Err(error) => error.to_string(),
    };
    // Nobody may be there to hear it any more.
    tell.send(TransportEvent::Lost(TransportFault::Disconnected(why))).await.ok();
}

/// The motors of a controller. When this is dropped, the kernel stops them.
#[derive(Debug)]
struct Motors {
    /// The one effect that is ever used, once there was something to play.
    effect: Option<FFEffect>,
    device: RawDevice,
}

impl Motors {
    fn run(&mut self, strength: Strength) -> io::Result<()> {
        match (&mut self.effect, strength) {
            (None, Strength { low: 0, high: 0 }) => Ok(()),
            (Some(effect), Strength { low: 0, high: 0 }) => effect.stop(),
            (Some(effect), strength) => {
                effect.update(strength.effect())?;
                effect.play(1)
            }
            (none @ None, strength) => none.insert(self.device.upload_ff_effect(strength.effect())?).play(1),
        }
    }
}

/// How strong the two motors run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Strength {
    low: u16,
    high: u16,
}

impl Strength {
    fn of(packet: &[u8]) -> Option<Self> {
        let [a, b, c, d] = *packet else { return None };
        Some(Self { low: u16::from_le_bytes([a, b]), high: u16::from_le_bytes([c, d]) })
    }

    fn effect(self) -> FFEffectData {
        FFEffectData {
            direction: 0,
            trigger: FFTrigger { button: 0, interval: 0 },
            replay: FFReplay { length: RUNS_FOR_MS, delay: 0 },
            kind: FFEffectKind::Rumble { strong_magnitude: self.low, weak_magnitude: self.high },
        }
    }
}

/// An open controller.
struct Controller {
    motors: Worker<Motors>,
    battery: Option<PathBuf>,
    _watcher: JoinSet<()>,
    /// Last: the bus looks again when the controller is closed.
    _visit: Visit,
}

#[async_trait]
impl Transport for Controller {
    fn endpoints(&self) -> Vec<Endpoint> {
        let battery = self.battery.as_ref().map(|_| BATTERY);
        [COMMANDS].into_iter().chain(battery).map(Endpoint::from).collect()
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], _: WriteKind) -> Result<(), TransportFault> {
        if endpoint != COMMANDS {
            return Err(TransportFault::NoEndpoint(endpoint.to_owned()));
        }
        let strength = Strength::of(data).ok_or_else(|| {
            TransportFault::Refused(format!("the strength of two motors has 4 bytes, not {}", data.len()))
        })?;
        let result = self.motors.run(LIMIT, move |motors| motors.run(strength)).await?;
        result.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NODEV) => TransportFault::Disconnected("the controller is gone".to_owned()),
            Some(_) | None => TransportFault::Refused(format!("the controller does not rumble: {error}")),
        })
    }

    async fn read(&mut self, endpoint: &str, _: u32) -> Result<Vec<u8>, TransportFault> {
        match (endpoint, &self.battery) {
            (BATTERY, Some(file)) => charge(file).map(|charge| vec![charge]),
            (other, _) => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn subscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        Err(TransportFault::NoEndpoint(endpoint.to_owned()))
    }

    async fn unsubscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        Err(TransportFault::NoEndpoint(endpoint.to_owned()))
    }

    async fn close(self: Box<Self>) {}
}

/// Percent.
fn charge(file: &Path) -> Result<u8, TransportFault> {
    let refused =
        |why: String| TransportFault::Refused(format!("the battery does not say its charge: {why}"));
    let text = fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    text.trim().parse().map_err(|_| refused(format!("`{}`", text.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(inputs: &Path, event: &str, ff: &str) -> PathBuf {
        let device = inputs.join(event).join("device");
        fs::create_dir_all(device.join("capabilities")).unwrap();
        fs::create_dir_all(device.join("id")).unwrap();
        for (file, text) in
            [("capabilities/ff", ff), ("name", "Pad 3000"), ("id/vendor", "045e"), ("id/product", "02fd")]
        {
            fs::write(device.join(file), format!("{text}\n")).unwrap();
        }
        device
    }

    #[test]
    fn only_what_rumbles_is_a_controller() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = folder.path();
        input(inputs, "event0", "0");
        input(inputs, "event10", "107030000 0");
        let pad = input(inputs, "event9", "107030000 0");
        fs::write(pad.join("uniq"), "aa:bb\n").unwrap();
        let battery = pad.join("device/power_supply/pad-battery");
        fs::create_dir_all(&battery).unwrap();
        fs::write(battery.join("capacity"), "63\n").unwrap();
        fs::create_dir(inputs.join("mouse0")).unwrap();

        let found = Controllers { inputs: inputs.to_owned() }.list().unwrap();

        let events: Vec<_> = found.iter().map(|one| one.event.as_str()).collect();
        assert_eq!(events, ["event9", "event10"]);
        assert_eq!((found[0].name.as_str(), found[0].ids), ("Pad 3000", (0x045e, 0x02fd)));
        assert_eq!(found[0].number.as_deref(), Some("aa:bb"));
        assert_eq!(charge(found[0].battery.as_ref().unwrap()), Ok(63));
        assert_eq!((&found[1].number, &found[1].battery), (&None, &None));
    }

    #[test]
    fn bit_80_of_the_field_is_rumbling() {
        assert!(rumbles("10000 0"));
        assert!(!rumbles("20000 0"));
        assert!(!rumbles("10000"));
        assert!(!rumbles(""));
        assert!(!rumbles("nonsense 0"));
    }

    #[test]
    fn a_packet_is_the_heavy_motor_and_then_the_light_one() {
        assert_eq!(Strength::of(&[0x34, 0x12, 0xFF, 0xFF]), Some(Strength { low: 0x1234, high: 0xFFFF }));
        assert_eq!(Strength::of(&[1, 2, 3]), None);
        let effect = Strength { low: 1, high: 2 }.effect();
        assert_eq!(effect.kind, FFEffectKind::Rumble { strong_magnitude: 1, weak_magnitude: 2 });
        assert_ne!(effect.replay.length, 0, "0 would be for ever");
    }
}
