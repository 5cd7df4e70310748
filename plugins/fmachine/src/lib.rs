//! F-Machine devices: worked like their own remote control, by buttons that are held and let go.
//!
//! The machine reports nothing, so speed and on/off are remembered here. A stop presses on/off at once; the remembered speed is
//! stepped down afterwards, while the machine is off.

use plugin_sdk::{Endpoint, Event, Failure, Info, Model, Ops, Output, Protocol, Timer};

plugin_sdk::export! { id: "fmachine", protocols: { "fmachine" => Machine } }

const POWER_HELD: u8 = 0x01;
const POWER_LET_GO: u8 = 0x02;
const SPEED_LET_GO: u8 = 0x03;
const FASTER_HELD: u8 = 0x05;
const SLOWER_HELD: u8 = 0x06;

/// The button does not go below this speed.
const LOWEST: i32 = 1;
/// Presses that bring any remembered speed down to the lowest.
const HOMING_PRESSES: u32 = 55;
const HOMING_GAP_MS: u32 = 60;
/// The machine takes one step in this time.
const STEP_MS: u32 = 200;

/// Before what failed is made again.
const RETRY_MS: u32 = 50;
const QUIET_MS: u32 = 1;
/// Sooner than a write over the air can have failed, and in this order.
const SETTLED_MS: u32 = 1;
const PRESSED_MS: u32 = 2;

const HOMING: Timer = Timer(0);
const STEP: Timer = Timer(1);
const RETRY: Timer = Timer(2);
/// All that failed before the last press of on/off has been told.
const SETTLED: Timer = Timer(3);
const PRESSED_ON: Timer = Timer(4);
const PRESSED_OFF: Timer = Timer(5);
/// All that failed before has been told.
const QUIET: Timer = Timer(6);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    On,
    Off,
}

impl Power {
    const fn other(self) -> Self {
        match self {
            Self::On => Self::Off,
            Self::Off => Self::On,
        }
    }

    const fn pressed(self) -> Timer {
        match self {
            Self::On => PRESSED_ON,
            Self::Off => PRESSED_OFF,
        }
    }
}

/// A press of on/off of which it is not known yet whether it came to the machine. One that is counted although it never came would
/// have the next stop switch the machine on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Press {
    Sure,
    /// A failure is one of the writes before.
    Unsettled(Power),
    /// A failure is this one.
    Unsure(Power),
}

/// One machine.
#[derive(Debug)]
pub struct Machine {
    tx: Endpoint,
    rx: Endpoint,
    homing: u32,
    power: Power,
    press: Press,
    /// The press of on/off before, if it is not known either.
    press_before: Press,
    /// What the machine stands at, on or off.
    speed: i32,
    /// The last press of a speed button: 1 or -1, or 0 if it does not count any more.
    last_step: i32,
    wanted: i32,
    stepping: Stepping,
    calm: Calm,
    /// What was wanted before the newest set, until it is known that all of that came to the machine.
    wanted_before: Option<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calm {
    /// No failure can be on its way.
    Quiet,
    /// Something was written of which it is not known what became of it.
    Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stepping {
    Idle,
    /// The machine has not yet taken the last step.
    Busy,
}

impl Protocol for Machine {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self {
            tx: info.require("tx")?,
            rx: info.require("rx")?,
            homing: HOMING_PRESSES,
            power: Power::Off,
            press: Press::Sure,
            press_before: Press::Sure,
            speed: LOWEST,
            last_step: 0,
            wanted: 0,
            stepping: Stepping::Idle,
            calm: Calm::Quiet,
            wanted_before: None,
        })
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.subscribe(self.rx);
        self.home(ops);
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Some(output) = set.last() {
            self.wanted_before = Some(self.wanted);
            self.wanted = output.value;
            // Failures of before have been told by now: only a stop overtakes them.
            self.calm = Calm::Quiet;
            self.go(ops);
            self.listen(ops);
        }
        Ok(())
    }

    fn stop(&mut self, _: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.wanted_before = None;
        self.wanted = 0;
        // Not listened to afterwards: with a timer of its own the stop would not be over when its last write is.
        self.go(ops);
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match event {
            Event::Timer(HOMING) => self.home(ops),
            Event::Timer(STEP) => {
                self.stepping = Stepping::Idle;
                self.last_step = 0;
                self.calm = Calm::Quiet;
                self.go(ops);
                self.listen(ops);
            }
            Event::Timer(RETRY) => {
                // A button that is not let go goes on counting.
                self.press(POWER_LET_GO, ops);
                self.press(SPEED_LET_GO, ops);
                self.go(ops);
                self.listen(ops);
            }
            Event::Timer(QUIET) => {
                self.calm = Calm::Quiet;
                self.wanted_before = None;
            }
            Event::Timer(SETTLED) => {
                self.press_before = Press::Sure;
                if let Press::Unsettled(power) = self.press {
                    self.press = Press::Unsure(power);
                }
            }
            Event::Timer(PRESSED_ON) => self.pressed(Power::On),
            Event::Timer(PRESSED_OFF) => self.pressed(Power::Off),
            Event::WriteFailed { .. } => self.failed(ops),
            Event::Timer(_) | Event::Notified { .. } | Event::Read { .. } | Event::ReadFailed { .. } => {}
        }
        Ok(())
    }
}

impl Machine {
    fn home(&mut self, ops: &mut Ops<'_>) {
        if self.homing == 0 {
            // A failure would have ended the bring-up.
            self.calm = Calm::Quiet;
            ops.ready();
            return;
        }
        self.homing -= 1;
        self.press(SLOWER_HELD, ops);
        self.press(SPEED_LET_GO, ops);
        ops.timer(HOMING, HOMING_GAP_MS);
    }

    /// One turn towards what is wanted: on or off at once, the speed a step at a time.
    fn go(&mut self, ops: &mut Ops<'_>) {
        let power = if self.wanted > 0 { Power::On } else { Power::Off };
        if power != self.power {
            self.power = power;
            let press = match self.calm {
                Calm::Quiet => Press::Unsure(power),
                Calm::Waiting => Press::Unsettled(power),
            };
            self.press_before = std::mem::replace(&mut self.press, press);
            if self.calm == Calm::Waiting {
                ops.timer(SETTLED, SETTLED_MS);
            }
            self.press(POWER_HELD, ops);
            ops.timer(power.pressed(), PRESSED_MS);
            self.press(POWER_LET_GO, ops);
        }
        let speed = self.wanted.max(LOWEST);
        if self.stepping == Stepping::Busy || speed == self.speed {
            return;
        }
        let (button, step) = if speed > self.speed { (FASTER_HELD, 1) } else { (SLOWER_HELD, -1) };
        self.press(button, ops);
        self.press(SPEED_LET_GO, ops);
        self.speed += step;
        self.last_step = step;
        self.stepping = Stepping::Busy;
        ops.timer(STEP, STEP_MS);
    }

    /// Has the end of the failures told, behind all that was written. Where a set fails, this goes with the rest of it.
    fn listen(&mut self, ops: &mut Ops<'_>) {
        match self.calm {
            Calm::Quiet => self.wanted_before = None,
            Calm::Waiting => ops.timer(QUIET, QUIET_MS),
        }
    }

    /// The press that switched there came to the machine: what fails from now on is not it.
    fn pressed(&mut self, to: Power) {
        if matches!(self.press_before, Press::Unsettled(power) | Press::Unsure(power) if power == to) {
            self.press_before = Press::Sure;
        }
        if matches!(self.press, Press::Unsettled(power) | Press::Unsure(power) if power == to) {
            self.press = Press::Sure;
        }
    }

    fn failed(&mut self, ops: &mut Ops<'_>) {
        ops.timer(RETRY, RETRY_MS);
        self.calm = Calm::Waiting;
        if let Some(before) = self.wanted_before.take() {
            // The application was told that this set failed: nobody would stop what it starts.
            self.wanted = self.wanted.min(before);
        }
        if self.stepping == Stepping::Busy {
            // The timer of the step may have been left out with the packets behind the one that failed.
            ops.timer(STEP, STEP_MS);
        }
        if self.last_step < 0 {
            // Whether it was this press is not known. Who believes too high a speed presses once too often, which does no harm.
            self.speed -= self.last_step;
            self.last_step = 0;
        }
        if self.press_before != Press::Sure {
            self.press_before = Press::Sure;
        } else if let Press::Unsure(_) = self.press {
            self.press = Press::Sure;
        } else {
            return;
        }
        // It stands as it did before, and so the other way than it was believed to since.
        self.power = self.power.other();
    }

    fn press(&mut self, button: u8, ops: &mut Ops<'_>) {
        self.calm = Calm::Waiting;
        ops.write_with_response(self.tx, &packet(button));
    }
}

/// The packet of a button. Its last byte is made of the number of bits that are set in the others.
fn packet(button: u8) -> [u8; 18] {
    let mut packet = [button, 0x64, 0, 0, 0, 0, 0x31, 0x32, 0x33, 0x34, 0, 0, 0, 0, 0, 0, 0, 0];
    let bits: u32 = packet.iter().map(|byte| byte.count_ones()).sum();
    let check = match bits % 3 {
        0 => 222 - bits,
        1 => bits / 2 + 111,
        _ => bits / 3 + 177,
    };
    // At most 8 bits differ between buttons, so the check never leaves a byte.
    packet[17] = u8::try_from(check).unwrap_or(u8::MAX);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_byte_is_the_published_one() {
        for (button, check) in [(1, 0xB6), (2, 0xB6), (3, 0xCC), (5, 0xCC), (6, 0xCC), (7, 0x78)] {
            assert_eq!(packet(button)[17], check, "{button}");
        }
    }
}
