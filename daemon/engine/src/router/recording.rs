//! Which session records which device: one a device, since a recording begins with the device's bring-up and is told once.

use ipc_schema::error::Reason;

use super::{Effect, Router};
use crate::{
    command::{Answer, Event, Outcome},
    fault::Fault,
    monitor::{Anonymity, RecordedLines, Recording},
    vocabulary::{DeviceIndex, SessionId},
};

impl Router {
    /// Has a device recorded for a session. A second time changes nothing.
    pub(super) fn record(
        &mut self,
        session: SessionId,
        device: DeviceIndex,
        anonymity: Anonymity,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        self.device(device)?;
        match self.recorders.get(&device) {
            Some(recorder) if *recorder == session => {}
            Some(recorder) => {
                let name = self.sessions.get(recorder).map(super::sessions::Client::name).unwrap_or_default();
                let text = format!("device {device} is recorded by session {recorder} ({name}) already");
                return Err(Fault::new(Reason::Reserved, text));
            }
            None => {
                self.recorders.insert(device, session);
                effects.push(Effect::Record { device, recording: Recording::On(anonymity) });
            }
        }
        Ok(Answer::Done)
    }

    /// Ends the recording of a device, if it is this session's.
    pub(super) fn end_recording(
        &mut self,
        session: SessionId,
        device: DeviceIndex,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        if self.recorders.get(&device) == Some(&session) {
            self.recorders.remove(&device);
            effects.push(Effect::Record { device, recording: Recording::Off });
        }
        Ok(Answer::Done)
    }

    /// Ends all recordings of a session that has ended.
    pub(super) fn leave_recordings(&mut self, session: SessionId, effects: &mut Vec<Effect>) {
        self.recorders.retain(|device, recorder| {
            let stays = *recorder != session;
            if !stays {
                effects.push(Effect::Record { device: *device, recording: Recording::Off });
            }
            stays
        });
    }

    /// Hands on what was recorded. What comes after the end of a recording is dropped.
    pub(super) fn recorded(&self, device: DeviceIndex, lines: RecordedLines, effects: &mut Vec<Effect>) {
        if let Some(session) = self.recorders.get(&device) {
            effects.push(Effect::Event { session: *session, event: Event::Recorded { device, lines } });
        }
    }
}
