//! Galaku and its other brands (Kisstoy, Adorime, Secret Lover): sealed packets over Bluetooth LE.
//!
//! The number of a model's outputs decides which packet it gets. The meaning of the seal's keys is not known here.

mod seal;

use plugin_sdk::{
    Endpoint, Event, Failure, Info, InputKind, Model, Ops, Output, OutputKind, Protocol, Query, Timer,
    Values, Waited, Wanted, Wish,
};

plugin_sdk::export! { id: "galaku", protocols: { "galaku" => Galaku, "galaku-pump" => Pump } }

/// The one device that takes packets of another kind, not sealed. It has the name of its radio's maker.
const PLAIN_NAME: &str = "AC695X_1(BLE)";
const BATTERY_REQUEST: [u8; 10] = [0x5a, 0x00, 0x00, 0x01, 0x13, 0x00, 0x00, 0x00, 0x00, 0x00];
const BATTERY_TIMER: Timer = Timer(0);
const BATTERY_LIMIT_MS: u32 = 1000;

/// Which packet sets the outputs of a model.
#[derive(Debug, Clone, Copy)]
enum Form {
    Plain,
    One,
    Two,
}

/// A device of one or two outputs.
#[derive(Debug)]
pub struct Galaku {
    tx: Endpoint,
    battery: Option<Endpoint>,
    subscribed: bool,
    name: String,
    state: Option<(Form, Values)>,
    asked: Option<(u32, Query)>,
}

impl Protocol for Galaku {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self {
            tx: info.require("tx")?,
            battery: info.endpoint("rxblebattery"),
            subscribed: false,
            name: info.name.clone(),
            state: None,
            asked: None,
        })
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let form = match model.actuators().count() {
            1 if self.name == PLAIN_NAME => Form::Plain,
            1 => Form::One,
            2 => Form::Two,
            more => return Err(Failure::failed(format!("no packet is known for {more} outputs"))),
        };
        self.state = Some((form, Values::new(model)));
        ops.ready();
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        let (form, values) = self.state.as_mut().ok_or(Failure::Unsupported)?;
        values.apply(set);
        let bytes = values.iter().map(Output::byte).collect::<Result<Vec<u8>, _>>()?;
        let packet = match (form, bytes.as_slice()) {
            (Form::Plain, [v]) => {
                let mut packet = vec![0xaa, 0x01, 0x0a, 0x03, *v, u8::from(*v != 0)];
                packet.resize(16, 0x00);
                packet
            }
            (Form::One, [v]) => seal::seal([0x5a, 0x00, 0x00, 0x01, 0x31, *v, 0x00, 0x00, 0x00, 0x00]),
            (Form::Two, [m0, m1]) => seal::seal([0x5a, 0x00, 0x00, 0x01, 0x40, 0x03, *m0, *m1, 0x00, 0x00]),
            (Form::Plain | Form::One | Form::Two, _) => {
                return Err(Failure::failed("a feature has more than one output"));
            }
        };
        ops.write(self.tx, &packet);
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Event::Notified { data, .. } = event {
            if let Some((feature, query)) = self.asked.take() {
                query.answered(ops);
                match percent(data) {
                    Some(percent) => ops.reading(feature, InputKind::Battery, i32::from(percent)),
                    None => ops.input_failed(feature, InputKind::Battery),
                }
            }
        } else if let Some((feature, query)) = &mut self.asked
            && query.event(&event, ops) == Waited::GaveUp
        {
            ops.input_failed(*feature, InputKind::Battery);
            self.asked = None;
        }
        Ok(())
    }

    fn input(&mut self, wanted: Wanted, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let battery = self.battery.ok_or(Failure::Unsupported)?;
        if (wanted.kind, wanted.wish) != (InputKind::Battery, Wish::Read) {
            return Err(Failure::Unsupported);
        }
        // A question that is out already answers this one too.
        if self.asked.is_none() {
            if !self.subscribed {
                self.subscribed = true;
                ops.subscribe(battery);
            }
            let query = Query::new(self.tx, &seal::seal(BATTERY_REQUEST), BATTERY_TIMER, BATTERY_LIMIT_MS, 1);
            let mut query = query.with_response();
            query.ask(ops);
            self.asked = Some((wanted.feature, query));
        }
        Ok(())
    }
}

/// The charge in an answer. Some devices seal it as they seal commands; others send the plain number first.
fn percent(data: &[u8]) -> Option<u8> {
    let byte = match seal::open(data) {
        // The opened packet counts from its mark, which is not in the content.
        Some([_, _, _, percent, ..]) => percent,
        None => *data.first()?,
    };
    (byte <= 100).then_some(byte)
}

/// The Nebula, which has a thrust and a vibration and wants its packets confirmed.
#[derive(Debug)]
pub struct Pump {
    tx: Endpoint,
    values: Option<Values>,
}

impl Protocol for Pump {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self { tx: info.require("tx")?, values: None })
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.values = Some(Values::new(model));
        ops.ready();
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        let values = self.values.as_mut().ok_or(Failure::Unsupported)?;
        values.apply(set);
        let of = |kind| values.iter().find(|output| output.kind == kind).map_or(Ok(0), Output::byte);
        let (thrust, vibration) = (of(OutputKind::Oscillate)?, of(OutputKind::Vibrate)?);
        let content = [0x5a, 0x00, 0x00, 0x01, 0x60, 0x03, thrust, vibration, 0x00, 0x00];
        ops.write_with_response(self.tx, &seal::seal(content));
        Ok(())
    }
}
