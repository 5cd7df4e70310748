//! The rotary machine: it has no speed to set, it is told "faster" and "slower", one of twenty steps each time.

use plugin_sdk::{Endpoint, Event, Failure, Info, Model, Ops, Output, OutputKind, Protocol, Timer, sum8};

const ANSWER_TIMER: Timer = Timer(0);
const ANSWER_LIMIT_MS: u32 = 100;

const FASTER: u8 = 0x01;
const SLOWER: u8 = 0x02;
const STOP: u8 = 0x24;
const FASTEST: u8 = 20;
/// Sent at bring-up one after the other: log in, password 000000, power, stop.
const BRING_UP: [&[u8]; 4] = [&[0x99], &[0x21, 0, 0, 0, 0, 0, 0], &[0x1f], &[STOP]];

/// The rotary machine.
#[derive(Debug)]
pub struct Rotary {
    tx: Endpoint,
    rx: Endpoint,
    /// How many packets of the bring-up are sent; `None` when it is over.
    sent: Option<usize>,
    /// The step at which it runs; `None` when a packet was lost, which may or may not have reached it.
    speed: Option<u8>,
}

impl Protocol for Rotary {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self { tx: info.require("tx")?, rx: info.require("rx")?, sent: Some(0), speed: Some(0) })
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.subscribe(self.rx);
        self.go_on(ops);
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        for output in set {
            if output.kind != OutputKind::Oscillate {
                return Err(Failure::Unsupported);
            }
            let wanted = output.byte()?;
            if wanted > FASTEST {
                return Err(Failure::failed(format!("no speed is {wanted}")));
            }
            let speed = self.speed.filter(|_| wanted > 0).unwrap_or_else(|| {
                ops.write(self.tx, &framed(&[STOP]));
                0
            });
            for _ in speed..wanted {
                ops.write(self.tx, &framed(&[FASTER]));
            }
            for _ in wanted..speed {
                ops.write(self.tx, &framed(&[SLOWER]));
            }
            self.speed = Some(wanted);
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match event {
            // No answer is as good as any: there is none to the password.
            Event::Notified { .. } | Event::Timer(ANSWER_TIMER) => self.go_on(ops),
            Event::WriteFailed { .. } => self.speed = None,
            Event::Timer(_) | Event::Read { .. } | Event::ReadFailed { .. } => {}
        }
        Ok(())
    }
}

impl Rotary {
    /// Takes the next step of the bring-up, if it is not over.
    fn go_on(&mut self, ops: &mut Ops<'_>) {
        let Some(sent) = self.sent else { return };
        match BRING_UP.get(sent) {
            Some(data) => {
                ops.write(self.tx, &framed(data));
                ops.timer(ANSWER_TIMER, ANSWER_LIMIT_MS);
                self.sent = Some(sent + 1);
            }
            None => {
                ops.cancel_timer(ANSWER_TIMER);
                self.sent = None;
                ops.ready();
            }
        }
    }
}

/// With its marks, length and sum.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len() + 2).unwrap_or(u8::MAX);
    let inside = [&[length], data].concat();
    [&[0x55], inside.as_slice(), &[sum8(&inside), 0xaa]].concat()
}
