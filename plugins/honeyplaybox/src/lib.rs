//! Honey Play Box devices: framed and signed packets over Bluetooth LE, and a handshake that gives the token for signing.
//!
//! What the device answers after the handshake is not looked at.

mod frame;

use frame::Inbox;
use md5::{Digest, Md5};
use plugin_sdk::{
    Endpoint, Event, Failure, Info, InputKind, Model, Ops, Output, OutputKind, Protocol, Timer, Values,
    Wanted, Wish,
};

plugin_sdk::export! { id: "honeyplaybox", protocols: { "honeyplaybox" => HoneyPlayBox } }

const HANDSHAKE: u8 = 0x01;
const SET: u8 = 0x03;
/// The code of a handshake that went well.
const ACCEPTED: u16 = 0x9000;
const SECRET: [u8; 16] =
    [0x8b, 0xe3, 0xfd, 0x04, 0x68, 0x35, 0x09, 0x86, 0x12, 0x1a, 0xbf, 0x03, 0x30, 0xe9, 0xe3, 0xc5];

const ANSWER_TIMER: Timer = Timer(0);
/// The first wait; each that was in vain makes the next one longer by as much.
const ANSWER_LIMIT_MS: u32 = 1000;
const WAITS: u32 = 4;
/// Waits and pieces of answers after which the handshake is sent again.
const EVENTS_PER_TRY: u32 = 3;

/// One device.
#[derive(Debug)]
pub struct HoneyPlayBox {
    tx: Endpoint,
    rx: Endpoint,
    battery: Option<Endpoint>,
    counter: u8,
    handshake: Option<Handshake>,
    token: Vec<u8>,
    values: Option<Values>,
    asked: Option<u32>,
}

#[derive(Debug, Default)]
struct Handshake {
    inbox: Inbox,
    events: u32,
    waits: u32,
}

impl Protocol for HoneyPlayBox {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self {
            tx: info.require("tx")?,
            rx: info.require("rx")?,
            battery: info.endpoint("rxblebattery"),
            counter: 0,
            handshake: None,
            token: Vec::new(),
            values: None,
            asked: None,
        })
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.values = Some(Values::new(model));
        self.handshake = Some(Handshake::default());
        ops.subscribe(self.rx);
        self.shake_hands(ops);
        ops.timer(ANSWER_TIMER, ANSWER_LIMIT_MS);
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.values.as_mut().ok_or(Failure::Unsupported)?.apply(set);
        self.write_values(ops)
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match event {
            Event::Notified { endpoint, data } if endpoint == self.rx => self.answer(data, ops),
            Event::Timer(ANSWER_TIMER) => self.no_answer(ops),
            Event::Read { data, .. } => {
                if let Some(feature) = self.asked.take() {
                    match data.first() {
                        Some(percent) => ops.reading(feature, InputKind::Battery, i32::from(*percent)),
                        None => ops.input_failed(feature, InputKind::Battery),
                    }
                }
                Ok(())
            }
            Event::ReadFailed { .. } => {
                if let Some(feature) = self.asked.take() {
                    ops.input_failed(feature, InputKind::Battery);
                }
                Ok(())
            }
            Event::Notified { .. } | Event::Timer(_) | Event::WriteFailed { .. } => Ok(()),
        }
    }

    fn input(&mut self, wanted: Wanted, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let battery = self.battery.ok_or(Failure::Unsupported)?;
        if (wanted.kind, wanted.wish) != (InputKind::Battery, Wish::Read) {
            return Err(Failure::Unsupported);
        }
        if self.asked.replace(wanted.feature).is_none() {
            ops.read(battery, 1);
        }
        Ok(())
    }

    fn keep_alive(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        // Not the last packet again: the counter has to rise.
        self.write_values(ops)
    }
}

impl HoneyPlayBox {
    fn shake_hands(&mut self, ops: &mut Ops<'_>) {
        ops.write_with_response(self.tx, &frame::frame(self.counter, HANDSHAKE, &[0x00, 0x10]));
        self.counter = self.counter.wrapping_add(1);
    }

    fn answer(&mut self, piece: &[u8], ops: &mut Ops<'_>) -> Result<(), Failure> {
        let Some(handshake) = &mut self.handshake else {
            return Ok(());
        };
        let data = handshake.inbox.add(piece);
        let Some((code, token)) = data.as_deref().and_then(<[u8]>::split_first_chunk) else {
            return self.event_in_vain(ops);
        };
        let code = u16::from_be_bytes(*code);
        if code != ACCEPTED {
            return Err(Failure::bad_reply(format!("the handshake was refused with code {code:04x}")));
        }
        let Some(token) = token.get(..16) else {
            return self.event_in_vain(ops);
        };
        self.token = token.to_vec();
        self.handshake = None;
        ops.cancel_timer(ANSWER_TIMER);
        ops.ready();
        Ok(())
    }

    fn no_answer(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let Some(handshake) = &mut self.handshake else {
            return Ok(());
        };
        handshake.waits += 1;
        if handshake.waits == WAITS {
            return Err(Failure::bad_reply("no answer to the handshake"));
        }
        self.event_in_vain(ops)
    }

    /// Something came, or nothing in time, and the token is not there yet.
    fn event_in_vain(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Some(handshake) = &mut self.handshake {
            handshake.events = handshake.events.wrapping_add(1);
            let limit_ms = (handshake.waits + 1) * ANSWER_LIMIT_MS;
            if handshake.events.is_multiple_of(EVENTS_PER_TRY) {
                self.shake_hands(ops);
            }
            ops.timer(ANSWER_TIMER, limit_ms);
        }
        Ok(())
    }

    fn write_values(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let values = self.values.as_ref().ok_or(Failure::Unsupported)?;
        let mut data = Vec::new();
        for (output, motor) in values.iter().zip(0_u8..16) {
            // Motor and work mode 1, for 60 times 100 ms, without a frequency.
            let group = [motor << 4 | 0x01, 0x00, 0x05, 0x00, 0x3c, 0x00, 0x00, strength(output)?];
            data.extend_from_slice(&group);
        }
        let signature = Md5::new()
            .chain_update(frame::head(SET, data.len() + 8))
            .chain_update(&data)
            .chain_update(SECRET)
            .chain_update(&self.token)
            .finalize();
        data.extend(signature.iter().take(8));
        self.counter = self.counter.wrapping_add(1);
        ops.write_with_response(self.tx, &frame::frame(self.counter, SET, &data));
        Ok(())
    }
}

/// The strength as the device counts it: a pump has four levels, above those of motors.
fn strength(output: &Output) -> Result<u8, Failure> {
    match output.kind {
        OutputKind::Constrict => {
            let level = output.byte()?;
            Ok(if level == 0 { 0 } else { level.saturating_add(100) })
        }
        OutputKind::Rotate => Output { value: output.value.saturating_abs(), ..*output }.byte(),
        OutputKind::Vibrate
        | OutputKind::Oscillate
        | OutputKind::Temperature
        | OutputKind::Led
        | OutputKind::Spray
        | OutputKind::Position
        | OutputKind::PositionWithDuration => output.byte(),
    }
}
