//! The Handy with firmware before 4: one timed movement a packet, nothing asked, nothing answered that is of use.

use plugin_sdk::{Endpoint, Event, Failure, Info, Model, Ops, Output, OutputKind, Protocol, Travel};
use prost::Message;

use crate::message::{HandyplugMessage, Linear, Payload, Ping, Vector};

/// Nobody looks at the answer, so all commands have the same.
const COMMAND_ID: u32 = 2;
const KEEP_ALIVE_ID: u32 = 999;
/// How long the device takes to come to a halt: long enough not to jerk if the place was reckoned wrong by a little.
const HALT_MS: u32 = 100;

/// The Handy with its first firmware.
#[derive(Debug)]
pub struct Handy {
    tx: Endpoint,
    travel: Option<Travel>,
    /// The movement before, which goes on where the packet of this one did not get through.
    before: Option<Travel>,
}

impl Protocol for Handy {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self { tx: info.require("tx")?, travel: None, before: None })
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.ready();
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        for output in set {
            if output.kind != OutputKind::PositionWithDuration {
                return Err(Failure::Unsupported);
            }
            self.go_to(output.value, output.duration_ms, ops);
        }
        Ok(())
    }

    fn stop(&mut self, _: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        // There is no packet to halt. The device is sent to where it is, if that is known.
        let now_ms = ops.now_ms();
        if let Some(travel) = self.travel
            && travel.is_under_way(now_ms)
            && let Some(place) = travel.place(now_ms)
        {
            self.go_to(place, HALT_MS, ops);
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, _: &mut Ops<'_>) -> Result<(), Failure> {
        if let Event::WriteFailed { .. } = event {
            self.travel = self.before;
        }
        Ok(())
    }

    fn keep_alive(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let ping = HandyplugMessage { ping: Some(Ping { id: KEEP_ALIVE_ID }), linear: None };
        ops.write_with_response(self.tx, &Payload { messages: vec![ping] }.encode_to_vec());
        Ok(())
    }
}

impl Handy {
    fn go_to(&mut self, place: i32, duration_ms: u32, ops: &mut Ops<'_>) {
        let now_ms = ops.now_ms();
        let from = self.travel.and_then(|travel| travel.place(now_ms));
        self.before = self.travel.replace(Travel::new(from, place, now_ms, duration_ms));
        let vector = Vector { index: 0, duration_ms, position: f64::from(place) / 100.0 };
        let linear = Linear { id: COMMAND_ID, device_index: 0, vectors: vec![vector] };
        let message = HandyplugMessage { ping: None, linear: Some(linear) };
        ops.write_with_response(self.tx, &Payload { messages: vec![message] }.encode_to_vec());
    }
}
