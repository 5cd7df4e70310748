//! Lelo devices that are locked until someone taps their power button: F1s V2, Tiani Harmony and the models after it.
//!
//! The first F1s and Picobong have no lock and are templates in `plugin.toml`.

mod lock;

use lock::{Lock, Step};
use plugin_sdk::{Endpoint, Event, Failure, Info, Model, Ops, Output, Protocol, Values};

plugin_sdk::export! { id: "lelo", protocols: { "lelo-f1sv2" => F1sV2, "lelo-harmony" => Harmony } }

/// One motor a packet: motor, pattern (8 is constant), two times, speed, second speed.
fn write_motor(endpoint: Endpoint, output: &Output, ops: &mut Ops<'_>) -> Result<(), Failure> {
    let motor = u8::try_from(output.feature).ok().and_then(|feature| feature.checked_add(1));
    let motor = motor.ok_or(Failure::Unsupported)?;
    ops.write(endpoint, &[0x0a, 0x12, motor, 0x08, 0x00, 0x00, 0x00, 0x00, output.byte()?, 0x00]);
    Ok(())
}

/// What all locked devices do until they are open, and after.
#[derive(Debug)]
struct Door {
    lock: Lock,
    values: Option<Values>,
    step: Step,
}

impl Door {
    fn new(security: Endpoint) -> Self {
        Self { lock: Lock { endpoint: security }, values: None, step: Step::Waiting }
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) {
        self.values = Some(Values::new(model));
        self.lock.listen(ops);
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) {
        if let Event::Notified { endpoint, data } = event
            && endpoint == self.lock.endpoint
            && self.step == Step::Waiting
        {
            self.step = self.lock.notified(data, ops);
            if self.step == Step::Opened {
                ops.ready();
            }
        }
    }
}

/// The second generation of the F1s.
#[derive(Debug)]
pub struct F1sV2 {
    door: Door,
    motors: Motors,
}

/// Which packets it takes; the security characteristic that it has tells.
#[derive(Debug, Clone, Copy)]
enum Motors {
    /// Both motors in one packet.
    Together(Endpoint),
    /// As the Tiani Harmony.
    Apart(Endpoint),
}

impl Protocol for F1sV2 {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        let (security, motors) = match info.endpoint("whitelist") {
            Some(whitelist) => (whitelist, Motors::Together(info.require("tx")?)),
            None => {
                // At `tx` these devices have settings, which move nothing.
                let motors = info.endpoint("txvibrate").map_or_else(|| info.require("tx"), Ok)?;
                (info.require("generic0")?, Motors::Apart(motors))
            }
        };
        Ok(Self { door: Door::new(security), motors })
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.door.start(model, ops);
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        match self.motors {
            Motors::Together(tx) => {
                let values = self.door.values.as_mut().ok_or(Failure::Unsupported)?;
                values.apply(set);
                let speeds = values.iter().map(Output::byte).collect::<Result<Vec<u8>, _>>()?;
                ops.write_with_response(tx, &[&[0x01], speeds.as_slice()].concat());
                Ok(())
            }
            Motors::Apart(tx) => set.iter().try_for_each(|output| write_motor(tx, output, ops)),
        }
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.door.event(event, ops);
        Ok(())
    }
}

/// The Tiani Harmony and the models after it.
#[derive(Debug)]
pub struct Harmony {
    tx: Endpoint,
    door: Door,
}

impl Protocol for Harmony {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self { tx: info.require("tx")?, door: Door::new(info.require("whitelist")?) })
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.door.start(model, ops);
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        set.iter().try_for_each(|output| write_motor(self.tx, output, ops))
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.door.event(event, ops);
        Ok(())
    }
}
