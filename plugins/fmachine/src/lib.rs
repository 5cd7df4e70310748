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

const HOMING: Timer = Timer(0);
const STEP: Timer = Timer(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    On,
    Off,
}

/// One machine.
#[derive(Debug)]
pub struct Machine {
    tx: Endpoint,
    rx: Endpoint,
    homing: u32,
    power: Power,
    /// What the machine stands at, on or off.
    speed: i32,
    wanted: i32,
    stepping: Stepping,
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
            speed: LOWEST,
            wanted: 0,
            stepping: Stepping::Idle,
        })
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.subscribe(self.rx);
        self.home(ops);
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Some(output) = set.last() {
            self.wanted = output.value;
            self.go(ops);
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match event {
            Event::Timer(HOMING) => self.home(ops),
            Event::Timer(STEP) => {
                self.stepping = Stepping::Idle;
                self.go(ops);
            }
            // A button that is not let go goes on counting.
            Event::WriteFailed { .. } => self.press(SPEED_LET_GO, ops),
            Event::Timer(_) | Event::Notified { .. } | Event::Read { .. } | Event::ReadFailed { .. } => {}
        }
        Ok(())
    }
}

impl Machine {
    fn home(&mut self, ops: &mut Ops<'_>) {
        if self.homing == 0 {
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
            self.press(POWER_HELD, ops);
            self.press(POWER_LET_GO, ops);
            self.power = power;
        }
        let speed = self.wanted.max(LOWEST);
        if self.stepping == Stepping::Busy || speed == self.speed {
            return;
        }
        let (button, step) = if speed > self.speed { (FASTER_HELD, 1) } else { (SLOWER_HELD, -1) };
        self.press(button, ops);
        self.press(SPEED_LET_GO, ops);
        self.speed += step;
        self.stepping = Stepping::Busy;
        ops.timer(STEP, STEP_MS);
    }

    fn press(&self, button: u8, ops: &mut Ops<'_>) {
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
