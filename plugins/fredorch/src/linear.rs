//! The linear machine: frames as in Modbus RTU, one place to go to each, at a speed of twenty.

use plugin_sdk::{
    Endpoint, Event, Failure, Info, Model, Ops, Output, OutputKind, Protocol, Timer, Travel, crc16_modbus,
};

use crate::pace::Pace;

const ANSWER_TIMER: Timer = Timer(0);
const ANSWER_LIMIT_MS: u32 = 500;
/// How long a halt is taken to need, in which it can be asked for again.
const HALT_MS: u32 = 100;

/// Sent at bring-up one after the other, each when the one before has been answered.
const BRING_UP: [&[u8]; 5] = [
    // Program mode.
    &[0x01, 0x06, 0x00, 0x64, 0x00, 0x01],
    // Record.
    &[0x01, 0x06, 0x00, 0x69, 0x00, 0x00],
    // Go to 0.
    &[0x01, 0x10, 0x00, 0x6b, 0x00, 0x05, 0x0a, 0x00, 0x05, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01],
    // Run.
    &[0x01, 0x06, 0x00, 0x69, 0x00, 0x01],
    // Repeat.
    &[0x01, 0x06, 0x00, 0x6a, 0x00, 0x01],
];

/// The linear machine.
#[derive(Debug)]
pub struct Linear {
    tx: Endpoint,
    rx: Endpoint,
    step: Step,
    way: Way,
    /// The way before, on which the machine still is where the packet for this one did not get through.
    before: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The machine may say something of its own first.
    Greeting,
    /// So many of the bring-up are sent; the last one has no answer yet.
    Sent(usize),
    Ready,
}

/// Places are in tenths here.
#[derive(Debug, Clone, Copy)]
struct Way {
    travel: Travel,
    speed: u8,
}

impl Protocol for Linear {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        let (tx, rx) = (info.require("tx")?, info.require("rx")?);
        // The bring-up leaves it there.
        let way = Way { travel: Travel::new(Some(0), 0, 0, 0), speed: 0 };
        Ok(Self { tx, rx, step: Step::Greeting, way, before: way })
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.subscribe(self.rx);
        ops.timer(ANSWER_TIMER, ANSWER_LIMIT_MS);
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        for output in set {
            if output.kind != OutputKind::PositionWithDuration {
                return Err(Failure::Unsupported);
            }
            let place = output.value.saturating_mul(10);
            let way = self.way.travel.goal().abs_diff(place).div_ceil(10);
            self.go_to(place, Pace::new(way, output.duration_ms), ops)?;
        }
        Ok(())
    }

    fn stop(&mut self, _: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        // No packet is known that halts the machine. It is sent to where it is, at the speed that it has.
        let (now_ms, travel) = (ops.now_ms(), self.way.travel);
        match travel.place(now_ms) {
            Some(place) if travel.is_under_way(now_ms) => {
                self.go_to(place, Pace { speed: self.way.speed, takes_ms: HALT_MS }, ops)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match (self.step, event) {
            (Step::Greeting, Event::Notified { .. } | Event::Timer(ANSWER_TIMER)) => self.send(0, ops),
            (Step::Sent(sent), Event::Notified { .. }) => self.send(sent, ops),
            (Step::Sent(sent), Event::Timer(ANSWER_TIMER)) => {
                return Err(Failure::bad_reply(format!("no answer to packet {sent} of the bring-up")));
            }
            (Step::Ready, Event::WriteFailed { .. }) => self.way = self.before,
            (
                Step::Greeting | Step::Sent(_),
                Event::Timer(_) | Event::Read { .. } | Event::ReadFailed { .. } | Event::WriteFailed { .. },
            )
            | (
                Step::Ready,
                Event::Notified { .. } | Event::Timer(_) | Event::Read { .. } | Event::ReadFailed { .. },
            ) => {}
        }
        Ok(())
    }
}

impl Linear {
    /// Sends the packet of the bring-up at that place; ready after the last one.
    fn send(&mut self, place: usize, ops: &mut Ops<'_>) {
        match BRING_UP.get(place) {
            Some(packet) => {
                ops.write(self.tx, &framed(packet));
                ops.timer(ANSWER_TIMER, ANSWER_LIMIT_MS);
                self.step = Step::Sent(place + 1);
            }
            None => {
                ops.cancel_timer(ANSWER_TIMER);
                self.step = Step::Ready;
                ops.ready();
            }
        }
    }

    fn go_to(&mut self, place: i32, pace: Pace, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let tenths =
            u8::try_from(place).map_err(|_| Failure::failed(format!("no place is {place} tenths")))?;
        let now_ms = ops.now_ms();
        let travel = Travel::new(self.way.travel.place(now_ms), place, now_ms, pace.takes_ms);
        self.before = std::mem::replace(&mut self.way, Way { travel, speed: pace.speed });
        let (speed, tenths) = ([0x00, pace.speed], [0x00, tenths]);
        let head = [0x01, 0x10, 0x00, 0x6b, 0x00, 0x05, 0x0a];
        let packet = [&head[..], &speed, &speed, &tenths, &tenths, &[0x00, 0x01]].concat();
        ops.write(self.tx, &framed(&packet));
        Ok(())
    }
}

/// With its checksum.
fn framed(packet: &[u8]) -> Vec<u8> {
    [packet, &crc16_modbus(packet).to_le_bytes()].concat()
}
