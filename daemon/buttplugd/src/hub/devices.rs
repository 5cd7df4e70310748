//! The hub's side of devices: their queues, and the door at which a stop waits when a queue is full.

use std::collections::{HashMap, VecDeque};

use engine::{
    device::{DeviceCommand, DeviceReport, DeviceTicket},
    fault::{Fault, Reason},
    monitor::Recording,
    vocabulary::DeviceIndex,
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{mpsc, watch};

use super::{DEVICE_QUEUE, DEVICES_MAX, DeviceLink, Generation, ToHub};

/// The hub's side of all devices.
#[derive(Default)]
pub(super) struct Devices {
    posts: HashMap<DeviceIndex, DevicePost>,
    /// Devices whose queue is full and for whom a stop waits.
    doors: FuturesUnordered<BoxFuture<'static, Door>>,
    last_generation: u64,
}

/// The hub's side of a device.
struct DevicePost {
    commands: mpsc::Sender<DeviceCommand>,
    generation: Generation,
    recording: watch::Sender<Recording>,
    /// What must not be lost, while the queue is full. Bounded by the requests that may be in flight.
    at_the_door: VecDeque<DeviceCommand>,
}

/// A full queue has room again, or has ended.
struct Door {
    device: DeviceIndex,
    generation: Generation,
    place: Option<mpsc::OwnedPermit<DeviceCommand>>,
}

impl Devices {
    pub(super) fn len(&self) -> usize {
        self.posts.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.posts.len() >= DEVICES_MAX
    }

    pub(super) fn indexes(&self) -> Vec<DeviceIndex> {
        self.posts.keys().copied().collect()
    }

    /// Takes a device in. An earlier one of this index loses its queue, and so its task.
    pub(super) fn add(
        &mut self,
        device: DeviceIndex,
        hub: mpsc::Sender<ToHub>,
        departure: mpsc::OwnedPermit<ToHub>,
    ) -> DeviceLink {
        self.last_generation += 1;
        let generation = Generation(self.last_generation);
        let (sender, commands) = mpsc::channel(DEVICE_QUEUE);
        let (is_recorded, recording) = watch::channel(Recording::Off);
        let post =
            DevicePost { commands: sender, generation, recording: is_recorded, at_the_door: VecDeque::new() };
        self.posts.insert(device, post);
        DeviceLink { device, commands, recording, generation, hub, departure: Some(departure) }
    }

    pub(super) fn remove(&mut self, device: DeviceIndex) {
        self.posts.remove(&device);
    }

    /// Whether a device of this index is there, and is the one that is meant.
    pub(super) fn is_current(&self, device: DeviceIndex, generation: Generation) -> bool {
        self.posts.get(&device).is_some_and(|post| post.generation == generation)
    }

    /// Hands a command on. What comes back is the refusal of one for which there is no room; what must not be lost waits at the
    /// door instead.
    pub(super) fn command(&mut self, device: DeviceIndex, command: DeviceCommand) -> Option<DeviceReport> {
        let post = self.posts.get_mut(&device)?;
        let unsent = if post.at_the_door.is_empty() {
            match post.commands.try_send(command) {
                Ok(()) => return None,
                // Its task has ended, and the hub is about to be told.
                Err(mpsc::error::TrySendError::Closed(_)) => return None,
                Err(mpsc::error::TrySendError::Full(command)) => command,
            }
        } else {
            command
        };
        if let Some(ticket) = refusable(&unsent) {
            let text = format!("{DEVICE_QUEUE} commands wait for device {device}, which does not take them");
            let result = Err(Fault::new(Reason::TooManyRequests, text));
            return Some(DeviceReport::Answered { ticket, result });
        }
        let first = post.at_the_door.is_empty();
        post.at_the_door.push_back(unsent);
        if first {
            self.wait_at(device);
        }
        None
    }

    pub(super) fn record(&self, device: DeviceIndex, recording: Recording) {
        if let Some(post) = self.posts.get(&device) {
            post.recording.send_replace(recording);
        }
    }

    /// Waits until a door opens, and sends what waits longest at it. For ever, if nothing waits. Cancel-safe.
    pub(super) async fn next_door(&mut self) {
        match self.doors.next().await {
            Some(door) => self.open(door),
            None => std::future::pending().await,
        }
    }

    fn open(&mut self, Door { device, generation, place }: Door) {
        let Some(post) = self.posts.get_mut(&device).filter(|post| post.generation == generation) else {
            return;
        };
        let Some(place) = place else { return };
        if let Some(command) = post.at_the_door.pop_front() {
            place.send(command);
        }
        if !post.at_the_door.is_empty() {
            self.wait_at(device);
        }
    }

    fn wait_at(&mut self, device: DeviceIndex) {
        let Some(post) = self.posts.get(&device) else { return };
        let (commands, generation) = (post.commands.clone(), post.generation);
        self.doors.push(Box::pin(async move {
            Door { device, generation, place: commands.reserve_owned().await.ok() }
        }));
    }
}

/// The ticket of a command that may be refused: all but those that bring something to rest.
fn refusable(command: &DeviceCommand) -> Option<DeviceTicket> {
    match command {
        DeviceCommand::Set { ticket, .. } => Some(*ticket),
        DeviceCommand::Input { ticket, .. } => *ticket,
        DeviceCommand::Stop { .. } | DeviceCommand::Close { .. } => None,
    }
}
