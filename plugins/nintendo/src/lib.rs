//! Nintendo Joy-Con and Pro Controller over HID: rumble reports that have to be repeated while the motor runs.

use plugin_sdk::{Endpoint, Event, Failure, Info, Model, Ops, Output, Protocol, Timer};

plugin_sdk::export! { id: "nintendo", protocols: { "nintendo-joycon" => JoyCon } }

/// The rumble of one report ends by itself soon after this.
const REPEAT_MS: u32 = 15;
const REPEAT: Timer = Timer(0);

const REPORT_LEN: usize = 64;
/// A sub-command with rumble data in front.
const SUB_COMMAND_REPORT: u8 = 0x01;
/// Rumble data alone.
const RUMBLE_REPORT: u8 = 0x10;
const ENABLE_VIBRATION: u8 = 0x48;
/// Neither motor moves.
const NEUTRAL: [u8; 4] = [0x00, 0x01, 0x40, 0x40];

/// One controller.
#[derive(Debug)]
pub struct JoyCon {
    tx: Endpoint,
    value: i32,
    count: u8,
}

impl Protocol for JoyCon {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self { tx: info.require("tx")?, value: 0, count: 0 })
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let mut report = [0; REPORT_LEN];
        report[0] = SUB_COMMAND_REPORT;
        report[10] = ENABLE_VIBRATION;
        report[11] = 0x01;
        ops.write(self.tx, &report);
        ops.ready();
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Some(output) = set.last() {
            self.value = output.value;
            self.rumble(ops);
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Event::Timer(REPEAT) = event
            && self.value > 0
        {
            self.rumble(ops);
        }
        Ok(())
    }
}

impl JoyCon {
    fn rumble(&mut self, ops: &mut Ops<'_>) {
        let rumble = rumble(self.value);
        // The hardware looks at four bits of the count.
        self.count = (self.count + 1) & 0x0F;
        let mut report = vec![RUMBLE_REPORT, self.count];
        report.extend_from_slice(&rumble);
        report.extend_from_slice(&rumble);
        report.resize(REPORT_LEN, 0);
        ops.write(self.tx, &report);
        if self.value > 0 {
            ops.timer(REPEAT, REPEAT_MS);
        } else {
            ops.cancel_timer(REPEAT);
        }
    }
}

/// The rumble of one side at 200 Hz, for a value of 0 to 1000.
fn rumble(value: i32) -> [u8; 4] {
    if value < 2 {
        return NEUTRAL;
    }
    let effort = effort(value);
    let low = 0x40 + effort / 2;
    [0xA8, effort * 2, 0x4A + low, low]
}

/// The amplitude as the hardware counts it, 0 to 100: logarithmic, with a coarser lower part.
fn effort(value: i32) -> u8 {
    let amplitude = f64::from(value) / 1000.0;
    let effort = if amplitude > 0.23 {
        (amplitude * 8.7).log2() * 32.0
    } else if amplitude > 0.12 {
        (amplitude * 17.0).log2() * 16.0
    } else {
        0.0
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "limited to 0..=100 just before"
    )]
    let effort = effort.round().clamp(0.0, 100.0) as u8;
    effort
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amplitudes_are_the_published_ones() {
        for (value, bytes) in [
            (0, NEUTRAL),
            (121, [0xA8, 0x22, 0x92, 0x48]),
            (250, [0xA8, 0x48, 0x9C, 0x52]),
            (500, [0xA8, 0x88, 0xAC, 0x62]),
            (750, [0xA8, 0xAE, 0xB5, 0x6B]),
            (1000, [0xA8, 0xC8, 0xBC, 0x72]),
        ] {
            assert_eq!(rumble(value), bytes, "{value}");
        }
        assert_eq!(effort(250), 36);
        assert_eq!(effort(500), 68);
        assert_eq!(effort(750), 87);
    }
}
