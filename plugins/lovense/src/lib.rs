//! Lovense devices: text commands over Bluetooth LE, one service of many, each with `tx` and `rx`.
//!
//! The model is asked for, its outputs decide which of six command forms it gets (`form`), and a stroker, which only has
//! "go to", is moved in steps (`movement`). Devices behind a USB dongle or the vendor's application are not reached from here.

mod form;
mod movement;
mod reply;

use form::Form;
use movement::Movement;
use plugin_sdk::{
    Endpoint, Event, Failure, Info, InputKind, LogLevel, Model, Ops, Output, OutputKind, Protocol, Query,
    Timer, Values, Waited, Wanted, Wish,
};

plugin_sdk::export! { id: "lovense", protocols: { "lovense" => Lovense } }

const TYPE_QUERY: &[u8] = b"DeviceType;";
const BATTERY_QUERY: &[u8] = b"Battery;";
/// Time for one answer: as long as old devices need.
const ANSWER_LIMIT_MS: u32 = 500;
const TYPE_TRIES: u32 = 6;
/// Some toys take the battery query for a switch and answer late or never, so it is asked once.
const BATTERY_TRIES: u32 = 1;

const TYPE_TIMER: Timer = Timer(0);
const BATTERY_TIMER: Timer = Timer(1);
const STEP_TIMER: Timer = Timer(2);

/// One Lovense device.
#[derive(Debug)]
pub struct Lovense {
    tx: Endpoint,
    rx: Endpoint,
    name: String,
    type_query: Option<Query>,
    battery: Option<BatteryQuery>,
    form: Form,
    values: Option<Values>,
    movement: Movement,
}

#[derive(Debug)]
struct BatteryQuery {
    feature: u32,
    query: Query,
}

impl Protocol for Lovense {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self {
            tx: info.require("tx")?,
            rx: info.require("rx")?,
            name: info.name.clone(),
            type_query: None,
            battery: None,
            form: Form::Single,
            values: None,
            movement: Movement::default(),
        })
    }

    fn identify(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.subscribe(self.rx);
        let query = Query::new(self.tx, TYPE_QUERY, TYPE_TIMER, ANSWER_LIMIT_MS, TYPE_TRIES);
        self.type_query.insert(query).ask(ops);
        Ok(())
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.form = Form::of(model);
        self.values = Some(Values::new(model));
        ops.ready();
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        let values = self.values.as_mut().ok_or(Failure::Unsupported)?;
        values.apply(set);
        for output in set {
            if output.kind == OutputKind::PositionWithDuration {
                if !self.form.has_movement() {
                    return Err(Failure::Unsupported);
                }
                self.movement.go_to(*output, STEP_TIMER, ops);
            } else if output.value == 0 {
                // A device that strokes and is told to stop does not finish a movement either.
                self.movement.end(STEP_TIMER, ops);
            }
        }
        self.form.write(self.tx, set, values, ops)
    }

    fn stop(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.movement.end(STEP_TIMER, ops);
        let rest: Vec<Output> = set.iter().copied().filter(|output| !output.kind.is_position()).collect();
        if rest.is_empty() { Ok(()) } else { self.output(&rest, ops) }
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match event {
            Event::Notified { data, .. } => self.answer(data, ops),
            Event::Timer(STEP_TIMER) => self.movement.step(self.tx, STEP_TIMER, ops),
            Event::Timer(_) => self.no_answer(event, ops),
            Event::Read { .. } | Event::ReadFailed { .. } | Event::WriteFailed { .. } => {}
        }
        Ok(())
    }

    fn input(&mut self, wanted: Wanted, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match (wanted.kind, wanted.wish) {
            (InputKind::Battery, Wish::Read) => {
                // A question that is out already answers this one too.
                if self.battery.is_none() {
                    let mut query =
                        Query::new(self.tx, BATTERY_QUERY, BATTERY_TIMER, ANSWER_LIMIT_MS, BATTERY_TRIES);
                    query.ask(ops);
                    self.battery = Some(BatteryQuery { feature: wanted.feature, query });
                }
                Ok(())
            }
            (InputKind::Battery, Wish::Subscribe | Wish::Unsubscribe)
            | (
                InputKind::Rssi
                | InputKind::Button
                | InputKind::Pressure
                | InputKind::Depth
                | InputKind::Position,
                _,
            ) => Err(Failure::Unsupported),
        }
    }

    fn keep_alive(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        // The answer is not waited for: it does not read as a battery, so it is passed over when it comes.
        ops.write(self.tx, TYPE_QUERY);
        Ok(())
    }
}

impl Lovense {
    /// Answers to all questions share one stream: each is offered to the question that is out, and passed over otherwise.
    fn answer(&mut self, data: &[u8], ops: &mut Ops<'_>) {
        if let Some(identifier) = reply::identifier(data)
            && let Some(query) = self.type_query.take()
        {
            query.answered(ops);
            ops.identified(&identifier);
        } else if let Some(percent) = reply::battery(data)
            && let Some(battery) = self.battery.take()
        {
            battery.query.answered(ops);
            ops.reading(battery.feature, InputKind::Battery, percent);
        }
    }

    fn no_answer(&mut self, event: Event<'_>, ops: &mut Ops<'_>) {
        if let Some(query) = &mut self.type_query
            && query.event(&event, ops) == Waited::GaveUp
        {
            self.type_query = None;
            ops.log(LogLevel::Warn, "no answer to DeviceType, the model is taken from the name");
            ops.identified(reply::identifier_in_name(&self.name).unwrap_or_default());
        }
        if let Some(battery) = &mut self.battery
            && battery.query.event(&event, ops) == Waited::GaveUp
        {
            ops.input_failed(battery.feature, InputKind::Battery);
            self.battery = None;
        }
    }
}
