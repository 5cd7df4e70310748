//! The hub's side of devices: their queues, and the door at which a stop waits when a queue is full.

use std::collections::VecDeque;

use engine::{
    device::{DeviceCommand, DeviceReport, DeviceTicket},
    fault::{Fault, Reason},
    monitor::Recording,
    router::{self, DeviceEntry},
    vocabulary::DeviceIndex,
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    DEVICE_QUEUE, DEVICES_MAX, DeviceLink, Generation, ToHub,
    task::{Phase, Task},
};

/// The hub's side of a device.
pub(super) struct DevicePost {
    commands: mpsc::Sender<DeviceCommand>,
    generation: Generation,
    recording: watch::Sender<Recording>,
    /// What must not be lost, while the queue is full. Bounded by the requests that may be in flight.
    at_the_door: VecDeque<DeviceCommand>,
}

/// A full queue has room again, or has ended.
pub(super) struct Door {
    device: DeviceIndex,
    generation: Generation,
    place: Option<mpsc::OwnedPermit<DeviceCommand>>,
}

impl Task {
    pub(super) fn device_ready(
        &mut self,
        entry: DeviceEntry,
        departure: mpsc::OwnedPermit<ToHub>,
        reply: oneshot::Sender<DeviceLink>,
    ) {
        let serving = matches!(self.phase, Phase::Serving);
        let Some(hub) = self.hub.upgrade().filter(|_| serving && self.devices.len() < DEVICES_MAX) else {
            return;
        };
        let device = entry.view.index;
        self.last_generation += 1;
        let generation = Generation(self.last_generation);
        let (sender, commands) = mpsc::channel(DEVICE_QUEUE);
        let (recording, is_recorded) = watch::channel(Recording::Off);
        // An earlier device of this index loses its queue, and so its task.
        self.devices.insert(
            device,
            DevicePost { commands: sender, generation, recording, at_the_door: VecDeque::new() },
        );
        let link = DeviceLink {
            device,
            commands,
            recording: is_recorded,
            generation,
            hub,
            departure: Some(departure),
        };
        self.route(router::Input::DeviceReady(entry));
        // A task that no longer waits drops the link, and so the device.
        drop(reply.send(link));
    }

    pub(super) fn is_current(&self, device: DeviceIndex, generation: Generation) -> bool {
        self.devices.get(&device).is_some_and(|post| post.generation == generation)
    }

    pub(super) fn command(&mut self, device: DeviceIndex, command: DeviceCommand) {
        let Some(post) = self.devices.get_mut(&device) else { return };
        let unsent = if post.at_the_door.is_empty() {
            match post.commands.try_send(command) {
                Ok(()) => return,
                // Its task has ended, and the hub is about to be told.
                Err(mpsc::error::TrySendError::Closed(_)) => return,
                Err(mpsc::error::TrySendError::Full(command)) => command,
            }
        } else {
            command
        };
        match refusable(&unsent) {
            Some(ticket) => {
                let text =
                    format!("{DEVICE_QUEUE} commands wait for device {device}, which does not take them");
                let result = Err(Fault::new(Reason::TooManyRequests, text));
                let report = DeviceReport::Answered { ticket, result };
                self.route(router::Input::Report { device, report });
            }
            None => {
                let first = post.at_the_door.is_empty();
                post.at_the_door.push_back(unsent);
                if first {
                    self.wait_at(device);
                }
            }
        }
    }

    pub(super) fn record(&self, device: DeviceIndex, recording: Recording) {
        if let Some(post) = self.devices.get(&device) {
            post.recording.send_replace(recording);
        }
    }

    pub(super) fn wait_at(&mut self, device: DeviceIndex) {
        let Some(post) = self.devices.get(&device) else { return };
        let (commands, generation) = (post.commands.clone(), post.generation);
        self.doors.push(Box::pin(async move {
            Door { device, generation, place: commands.reserve_owned().await.ok() }
        }));
    }

    pub(super) fn open_door(&mut self, Door { device, generation, place }: Door) {
        let Some(post) = self.devices.get_mut(&device).filter(|post| post.generation == generation) else {
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
}

/// The ticket of a command that may be refused: all but those that bring something to rest.
fn refusable(command: &DeviceCommand) -> Option<DeviceTicket> {
    match command {
        DeviceCommand::Set { ticket, .. } => Some(*ticket),
        DeviceCommand::Input { ticket, .. } => *ticket,
        DeviceCommand::Stop { .. } | DeviceCommand::Close { .. } => None,
    }
}
