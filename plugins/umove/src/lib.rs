//! Umove devices: one packet carries the vibration and the place of the stroker, and a timed movement is a row of places.

use plugin_sdk::{Endpoint, Event, Failure, Info, Model, Ops, Output, OutputKind, Protocol, Timer};

plugin_sdk::export! { id: "umove", protocols: { "umove" => Umove } }

/// Time between two places of a movement.
const STEP_MS: u32 = 50;
const STEP: Timer = Timer(0);

/// One device.
#[derive(Debug)]
pub struct Umove {
    tx: Endpoint,
    name: String,
    vibration: i32,
    place: i32,
    movement: Option<Movement>,
    count: u32,
    motion: Motion,
}

#[derive(Debug, Clone, Copy)]
struct Movement {
    goal: i32,
    steps: i32,
}

/// Whether the device has been told a place: until then a repeat would move it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Motion {
    Untold,
    Told,
}

impl Protocol for Umove {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self {
            tx: info.require("tx")?,
            name: info.name.clone(),
            vibration: 0,
            place: 0,
            movement: None,
            count: 0,
            motion: Motion::Untold,
        })
    }

    /// The model is the third and fourth character of the name.
    fn identify(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.identified(self.name.get(2..4).unwrap_or_default());
        Ok(())
    }

    /// A device that needs repeats is given something to repeat: vibration and heat at rest.
    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        if model.actuators().any(|feature| feature.has_output(OutputKind::Vibrate)) {
            self.send(ops);
        }
        if model.actuators().any(|feature| feature.has_output(OutputKind::Temperature)) {
            self.heat(0, ops);
        }
        ops.ready();
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        let mut changed = false;
        let mut degrees = None;
        for output in set {
            match output.kind {
                OutputKind::Vibrate => {
                    self.vibration = output.value;
                    changed = true;
                }
                OutputKind::Position => {
                    self.end_movement(ops);
                    self.place = output.value;
                    changed = true;
                }
                // A device that stands there already has nothing to do, unless it was never told so.
                OutputKind::PositionWithDuration if output.value == self.place => {
                    self.end_movement(ops);
                    changed |= self.motion == Motion::Untold;
                }
                OutputKind::PositionWithDuration => {
                    let steps = i32::try_from(output.duration_ms / STEP_MS).unwrap_or(i32::MAX).max(1);
                    self.movement = Some(Movement { goal: output.value, steps });
                    self.advance(ops);
                    // The packet of the first step carries the vibration too.
                    changed = false;
                }
                OutputKind::Temperature => degrees = Some(output.value),
                OutputKind::Rotate
                | OutputKind::Oscillate
                | OutputKind::Constrict
                | OutputKind::Led
                | OutputKind::Spray => return Err(Failure::Unsupported),
            }
        }
        // Before the heat, as the features come: in a stop the motor first.
        if changed {
            self.send(ops);
        }
        if let Some(degrees) = degrees {
            self.heat(degrees, ops);
        }
        Ok(())
    }

    /// A movement ends where the device is; positions are left.
    fn stop(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        if set.iter().any(|output| output.kind.is_position()) {
            self.end_movement(ops);
        }
        let rest: Vec<Output> = set.iter().copied().filter(|output| !output.kind.is_position()).collect();
        self.output(&rest, ops)
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Event::Timer(STEP) = event {
            self.advance(ops);
        }
        Ok(())
    }

    /// Always a fresh packet: an old one has an old place and would move the device back.
    fn keep_alive(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        if self.motion == Motion::Told && self.movement.is_none() {
            self.send(ops);
        }
        Ok(())
    }
}

impl Umove {
    /// The next place of the movement, if one is under way.
    fn advance(&mut self, ops: &mut Ops<'_>) {
        let Some(movement) = self.movement else { return };
        let way = movement.goal - self.place;
        if way == 0 {
            self.movement = None;
            return;
        }
        let step = way / movement.steps;
        self.place += if step == 0 { way.signum() } else { step };
        self.movement = (self.place != movement.goal)
            .then_some(Movement { goal: movement.goal, steps: (movement.steps - 1).max(1) });
        self.send(ops);
        if self.movement.is_some() {
            ops.timer(STEP, STEP_MS);
        }
    }

    fn end_movement(&mut self, ops: &mut Ops<'_>) {
        if self.movement.take().is_some() {
            ops.cancel_timer(STEP);
        }
    }

    fn send(&mut self, ops: &mut Ops<'_>) {
        let vibration = u16::try_from(self.vibration).unwrap_or(0).to_le_bytes();
        let place = u32::try_from(self.place).unwrap_or(0).to_le_bytes();
        let mut packet = vec![0x5A, 0xA5, 0x55, 0x00];
        packet.extend_from_slice(&vibration);
        packet.extend_from_slice(&[0x01, 0x00]);
        packet.extend_from_slice(&self.count.to_le_bytes());
        packet.extend_from_slice(&place);
        self.count = self.count.wrapping_add(1);
        self.motion = Motion::Told;
        ops.write(self.tx, &packet);
    }

    fn heat(&self, degrees: i32, ops: &mut Ops<'_>) {
        let degrees = u8::try_from(degrees).unwrap_or(0);
        let packet = [0x5A, 0xA5, 0x55, 0x06, 0xFF, 0xFF, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, degrees, 0xFF];
        ops.write(self.tx, &packet);
    }
}
