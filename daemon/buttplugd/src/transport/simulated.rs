//! Devices that exist only in memory, so that the service can be tried without hardware.
//!
//! They have a byte language of their own, which the embedded definition [`DEFINITIONS`] speaks as a template, so that the whole way
//! of a command is used. Their state is decoded from the packets. A movement takes its time, but nothing runs while it does: where
//! the slide is, is computed when it is read. Pressure follows the motors, and is told when they change.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use engine::{
    advertisement::Advertisement,
    protocol::{Endpoint, WriteKind},
};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Access, Discovered, Discovery, Finds, FromTransport, Opened, Opener, ScanWish, Transport, TransportEvent,
    TransportFault, TransportState, TransportStatus,
};

/// The definition of the simulated devices.
pub const DEFINITIONS: &str = include_str!("../../simulated.toml");
/// The names of all of them.
pub const MODELS: [&str; 6] = [
    "Simulated Motor",
    "Simulated Twin",
    "Simulated Rotor",
    "Simulated Stroker",
    "Simulated Heater",
    "Simulated Sensor",
];

const NAME: &str = "simulated";
const COMMANDS: &str = "tx";
const PRESSURE: &str = "rx";
const BATTERY: &str = "battery";
const POSITION: &str = "position";

/// Notifications that may wait for the service. With more, the newest are lost, as on a radio.
const EVENT_QUEUE: usize = 16;
/// What the battery says.
const CHARGE_PERCENT: u8 = 85;
/// Pressure for each unit of the strongest motor.
const PRESSURE_PER_LEVEL: u16 = 10;

/// When the devices show themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appear {
    /// When a client scans, as hardware does.
    OnScan,
    /// At the start as well.
    AtOnce,
}

/// Runs the bus of the simulated devices until nobody listens any more.
pub async fn run(mut discovery: Discovery, models: Vec<String>, appear: Appear) {
    let status = TransportStatus {
        transport: NAME,
        finds: Finds::WhenAsked,
        state: TransportState::Ready,
        reason: String::new(),
        hint: String::new(),
    };
    if discovery.tell.send(FromTransport::Status(status)).await.is_err() {
        return;
    }
    let mut shows = appear == Appear::AtOnce;
    loop {
        if shows {
            for model in &models {
                if discovery.tell.send(FromTransport::Discovered(discovered(model))).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            changed = discovery.wish.changed() => if changed.is_err() { return },
            () = discovery.tell.closed() => return,
        }
        shows = *discovery.wish.borrow_and_update() == ScanWish::Scan;
    }
}

fn discovered(model: &str) -> Discovered {
    Discovered {
        transport: NAME,
        advertisement: Advertisement::Simulated { name: model.to_owned() },
        address: model.to_owned(),
        opener: Box::new(SimulatedOpener),
    }
}

/// Opens a simulated device, which always works.
struct SimulatedOpener;

#[async_trait]
impl Opener for SimulatedOpener {
    async fn open(self: Box<Self>, _: &Access) -> Result<Opened, TransportFault> {
        let (tell, events) = mpsc::channel(EVENT_QUEUE);
        Ok(Opened { transport: Box::new(SimulatedDevice::new(tell)), events })
    }
}

/// One simulated device.
#[derive(Debug)]
struct SimulatedDevice {
    levels: BTreeMap<u8, i16>,
    slides: BTreeMap<u8, Movement>,
    /// Where notifications go, and whether anybody wants them.
    tell: mpsc::Sender<TransportEvent>,
    pressure: Listeners,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listeners {
    Some,
    None,
}

/// A slide on its way.
#[derive(Debug, Clone, Copy)]
struct Movement {
    from: i16,
    to: i16,
    began: Instant,
    takes: Duration,
}

impl Movement {
    /// Where the slide is.
    fn at(&self, now: Instant) -> i16 {
        let gone = now.saturating_duration_since(self.began);
        if gone >= self.takes {
            return self.to;
        }
        // Both are at most 2^32 ms, so that the product fits.
        let (gone, takes) = (i64::try_from(gone.as_millis()), i64::try_from(self.takes.as_millis()));
        let (gone, takes) = (gone.unwrap_or(i64::MAX), takes.unwrap_or(i64::MAX).max(1));
        let way = i64::from(self.to) - i64::from(self.from);
        i16::try_from(i64::from(self.from) + way.saturating_mul(gone) / takes).unwrap_or(self.to)
    }
}

impl SimulatedDevice {
    fn new(tell: mpsc::Sender<TransportEvent>) -> Self {
        Self { levels: BTreeMap::new(), slides: BTreeMap::new(), tell, pressure: Listeners::None }
    }

    /// Takes a packet as the device's firmware would.
    fn take(&mut self, packet: &[u8], now: Instant) -> Result<(), TransportFault> {
        match *packet {
            [1, feature, low, high] => {
                self.levels.insert(feature, i16::from_le_bytes([low, high]));
                self.tell_pressure();
            }
            [2, feature, low, high, ref takes @ ..] => {
                let takes: [u8; 4] = takes.try_into().map_err(|_| nonsense(packet))?;
                let from = self.slides.get(&feature).map_or(0, |slide| slide.at(now));
                let takes = Duration::from_millis(u32::from_le_bytes(takes).into());
                let to = i16::from_le_bytes([low, high]);
                self.slides.insert(feature, Movement { from, to, began: now, takes });
            }
            _ => return Err(nonsense(packet)),
        }
        tracing::debug!(levels = ?self.levels, slides = ?self.slides, "simulated device");
        Ok(())
    }

    fn tell_pressure(&self) {
        if self.pressure == Listeners::None {
            return;
        }
        let strongest = self.levels.values().map(|level| level.unsigned_abs()).max().unwrap_or_default();
        let data = strongest.saturating_mul(PRESSURE_PER_LEVEL).to_le_bytes().to_vec();
        let event = TransportEvent::Notified { endpoint: Endpoint::from(PRESSURE), data };
        if self.tell.try_send(event).is_err() {
            tracing::debug!("a notification of a simulated device is lost");
        }
    }
}

fn nonsense(packet: &[u8]) -> TransportFault {
    TransportFault::Refused(format!("a simulated device does not know the packet {packet:02x?}"))
}

#[async_trait]
impl Transport for SimulatedDevice {
    fn endpoints(&self) -> Vec<Endpoint> {
        [COMMANDS, PRESSURE, BATTERY, POSITION].into_iter().map(Endpoint::from).collect()
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], _: WriteKind) -> Result<(), TransportFault> {
        match endpoint {
            COMMANDS => self.take(data, Instant::now()),
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn read(&mut self, endpoint: &str, _: u32) -> Result<Vec<u8>, TransportFault> {
        match endpoint {
            BATTERY => Ok(vec![CHARGE_PERCENT]),
            POSITION => {
                let place = self.slides.values().next().map_or(0, |slide| slide.at(Instant::now()));
                Ok(vec![u8::try_from(place).unwrap_or_default()])
            }
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn subscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        match endpoint {
            PRESSURE => {
                self.pressure = Listeners::Some;
                self.tell_pressure();
                Ok(())
            }
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn unsubscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        match endpoint {
            PRESSURE => {
                self.pressure = Listeners::None;
                Ok(())
            }
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn close(self: Box<Self>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slide_takes_its_time_and_a_new_movement_begins_where_it_is() {
        let (tell, _events) = mpsc::channel(1);
        let mut device = SimulatedDevice::new(tell);
        let kind = WriteKind::WithoutResponse;
        device.write("tx", &[2, 0, 100, 0, 0xe8, 3, 0, 0], kind).await.unwrap();
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(device.read("position", 1).await, Ok(vec![25]));
        device.write("tx", &[2, 0, 0, 0, 100, 0, 0, 0], kind).await.unwrap();
        tokio::time::advance(Duration::from_millis(50)).await;
        assert_eq!(device.read("position", 1).await, Ok(vec![13]));
        tokio::time::advance(Duration::from_millis(50)).await;
        assert_eq!(device.read("position", 1).await, Ok(vec![0]));
    }

    #[tokio::test]
    async fn pressure_follows_the_motor_while_somebody_listens() {
        let (tell, mut events) = mpsc::channel(4);
        let mut device = SimulatedDevice::new(tell);
        let kind = WriteKind::WithoutResponse;
        device.write("tx", &[1, 0, 7, 0], kind).await.unwrap();
        assert!(events.try_recv().is_err());
        device.subscribe("rx").await.unwrap();
        let told = TransportEvent::Notified { endpoint: Endpoint::from("rx"), data: vec![70, 0] };
        assert_eq!(events.try_recv(), Ok(told));
        device.unsubscribe("rx").await.unwrap();
        device.write("tx", &[1, 0, 0, 0], kind).await.unwrap();
        assert!(events.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_packet_that_makes_no_sense_is_refused() {
        let (tell, _events) = mpsc::channel(1);
        let mut device = SimulatedDevice::new(tell);
        for packet in [[].as_slice(), &[9], &[1, 0, 1], &[2, 0, 1, 0, 1]] {
            let result = device.write("tx", packet, WriteKind::WithResponse).await;
            assert!(matches!(result, Err(TransportFault::Refused(_))), "{packet:?}");
        }
    }
}
