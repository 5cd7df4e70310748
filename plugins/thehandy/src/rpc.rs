//! The Handy and The Oh! with firmware from 4 on: numbered requests, answers that are awaited at bring-up only.

use plugin_sdk::{
    Endpoint, Event, Failure, Info, LogLevel, Model, Ops, Output, OutputKind, Protocol, Timer, WriteKind,
};
use prost::Message;

use crate::message::{Asked, Move, Nothing, REQUEST, Request, RpcMessage, Vibration};

const ANSWER_TIMER: Timer = Timer(0);
/// The reference server waits for ever here. This is a multiple of what a device under load needs.
const ANSWER_LIMIT_MS: u32 = 5000;
/// The frequency at which The Oh! is driven.
const FREQUENCY_HZ: u32 = 100;

/// A device with firmware from 4 on.
#[derive(Debug)]
pub struct HandyV3 {
    tx: Endpoint,
    rx: Endpoint,
    identifier: String,
    last_id: u32,
    bring_up: BringUp,
    /// When the longest movement that was asked for is over.
    moving_until_ms: u64,
}

/// Which answer is awaited.
#[derive(Debug, Clone, Copy)]
enum BringUp {
    Battery,
    Capabilities,
    Over,
}

impl Protocol for HandyV3 {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self {
            tx: info.require("tx")?,
            rx: info.require("rx")?,
            identifier: identifier(&info.name).to_owned(),
            last_id: 0,
            bring_up: BringUp::Over,
            moving_until_ms: 0,
        })
    }

    fn identify(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.identified(&self.identifier);
        Ok(())
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.subscribe(self.rx);
        self.bring_up = BringUp::Battery;
        self.ask(Asked::Battery(Nothing {}), WriteKind::WithoutResponse, ops);
        ops.timer(ANSWER_TIMER, ANSWER_LIMIT_MS);
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        for output in set {
            match output.kind {
                OutputKind::PositionWithDuration => {
                    let (place, duration_ms) = (share(output)?, output.duration_ms);
                    let end_ms = ops.now_ms().saturating_add(u64::from(duration_ms));
                    self.moving_until_ms = self.moving_until_ms.max(end_ms);
                    let to = Move { place, duration_ms, stop_on_target: false };
                    self.ask(Asked::Move(to), WriteKind::WithResponse, ops);
                }
                OutputKind::Vibrate if output.value == 0 => {
                    self.ask(Asked::VibrateStop(Nothing {}), WriteKind::WithResponse, ops);
                }
                OutputKind::Vibrate => {
                    let amplitude = share(output)?;
                    let vibration = Vibration { amplitude, frequency_hz: FREQUENCY_HZ, position_mm: 0.0 };
                    self.ask(Asked::Vibrate(vibration), WriteKind::WithResponse, ops);
                }
                OutputKind::Rotate
                | OutputKind::Oscillate
                | OutputKind::Constrict
                | OutputKind::Temperature
                | OutputKind::Led
                | OutputKind::Spray
                | OutputKind::Position => return Err(Failure::Unsupported),
            }
        }
        Ok(())
    }

    fn stop(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        for output in set {
            if !output.kind.is_position() {
                self.output(std::slice::from_ref(output), ops)?;
            } else if ops.now_ms() < self.moving_until_ms {
                self.ask(Asked::Halt(Nothing {}), WriteKind::WithResponse, ops);
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match event {
            Event::Notified { data, .. } => {
                report_error(data, ops);
                match self.bring_up {
                    BringUp::Battery => {
                        self.bring_up = BringUp::Capabilities;
                        self.ask(Asked::Capabilities(Nothing {}), WriteKind::WithoutResponse, ops);
                        ops.timer(ANSWER_TIMER, ANSWER_LIMIT_MS);
                    }
                    BringUp::Capabilities => {
                        self.bring_up = BringUp::Over;
                        ops.cancel_timer(ANSWER_TIMER);
                        ops.ready();
                    }
                    BringUp::Over => {}
                }
                Ok(())
            }
            Event::Timer(ANSWER_TIMER) => match self.bring_up {
                BringUp::Battery => Err(Failure::bad_reply("no answer to the request for the battery")),
                BringUp::Capabilities => {
                    Err(Failure::bad_reply("no answer to the request for the capabilities"))
                }
                BringUp::Over => Ok(()),
            },
            Event::Timer(_) | Event::Read { .. } | Event::ReadFailed { .. } | Event::WriteFailed { .. } => {
                Ok(())
            }
        }
    }

    fn keep_alive(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.ask(Asked::Capabilities(Nothing {}), WriteKind::WithResponse, ops);
        Ok(())
    }
}

impl HandyV3 {
    fn ask(&mut self, asked: Asked, kind: WriteKind, ops: &mut Ops<'_>) {
        self.last_id = self.last_id.wrapping_add(1);
        let request = Request { id: self.last_id, asked: Some(asked) };
        let message = RpcMessage { kind: REQUEST, request: Some(request), response: None };
        ops.write_as(self.tx, &message.encode_to_vec(), kind);
    }
}

/// The value as a share of 1.
fn share(output: &Output) -> Result<f32, Failure> {
    Ok(f32::from(output.byte()?) / 100.0)
}

/// The hardware in a name: `OHD_hw1_0123` has `hw1`.
fn identifier(name: &str) -> &str {
    let mut parts = name.split('_');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(hardware), Some(_)) => hardware,
        _ => "unknown",
    }
}

/// Writes what the device complains of to the log. What it answers beside that is of no use here.
fn report_error(data: &[u8], ops: &mut Ops<'_>) {
    let error = RpcMessage::decode(data).map(|message| message.response.and_then(|response| response.error));
    match error {
        Ok(Some(error)) => {
            ops.log(LogLevel::Warn, &format!("the device answers with error {}: {}", error.code, error.text));
        }
        Ok(None) => {}
        Err(error) => ops.log(LogLevel::Debug, &format!("an answer that cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_hardware_in_the_middle() {
        for (name, hardware) in [
            ("OHD_hw1_0123", "hw1"),
            ("OHD_hw4_0123_x", "hw4"),
            ("OHD_hw0_", "hw0"),
            ("OHD_hw1", "unknown"),
            ("OHD", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(identifier(name), hardware, "{name}");
        }
    }
}
