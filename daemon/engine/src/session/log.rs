//! What a session of v0 or v1 is told of itself after `RequestLog`: its requests that failed, devices that came and went, the end
//! of a scan, its pings. Nothing of what other clients do is in it; that is in the log of the service, which is its user's.

use super::{Effect, voice::Voice};
use crate::{command::Event, fault::Fault, request::LogLevel, vocabulary::RequestId};

/// The lines of one session: up to which level they are told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Log {
    pub(super) level: LogLevel,
}

impl Log {
    /// A request of this session failed, and its client has been told so.
    pub(super) fn failed(self, voice: Voice, id: RequestId, fault: &Fault) -> Option<Effect> {
        self.line(voice, LogLevel::Error, || {
            Some(format!("request {id} failed: {} ({})", fault.text, fault.reason))
        })
    }

    /// A ping of this session came.
    pub(super) fn pinged(self, voice: Voice) -> Option<Effect> {
        self.line(voice, LogLevel::Debug, || Some("ping".to_owned()))
    }

    /// Something happened that the session was told of.
    pub(super) fn event(self, voice: Voice, event: &Event) -> Option<Effect> {
        self.line(voice, LogLevel::Info, || match event {
            Event::DeviceAdded { device, .. } => {
                Some(format!("device {} came: {}", device.index, device.name))
            }
            Event::DeviceRemoved { device, .. } => Some(format!("device {device} went")),
            Event::ScanningFinished => Some("the scan has ended".to_owned()),
            // Versions with a log have no inputs, and nobody of them watches outputs or records.
            Event::Reading(_) | Event::OutputsChanged(_) | Event::Recorded { .. } => None,
        })
    }

    fn line(self, voice: Voice, level: LogLevel, text: impl FnOnce() -> Option<String>) -> Option<Effect> {
        if level > self.level {
            return None;
        }
        voice.log(level, &text()?)
    }
}
