//! Random commands, failures and times: what must hold whatever happens.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    super::*,
    bench::{BATTERY, Bench, Health, endpoint, model, ms, output, value},
};
use crate::{
    fault::Reason,
    protocol::InputWish,
    vocabulary::{FeatureIndex, OutputKind},
};

const OUTPUTS: &str = "v0 v1 t2 s3";
const NAMES: [&str; 4] = ["v0", "v1", "t2", "s3"];

#[derive(Debug, Clone)]
enum Step {
    Set(Vec<(usize, u8)>),
    Stop(Vec<usize>),
    StopAll(bool),
    Input(u8),
    Done,
    Fails,
    Lost,
    Notify,
    Pass(u64),
    Break,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((0..4_usize, 0..4_u8), 1..4).prop_map(Step::Set),
        3 => prop::collection::vec(0..4_usize, 1..3).prop_map(Step::Stop),
        2 => any::<bool>().prop_map(Step::StopAll),
        2 => (0..3_u8).prop_map(Step::Input),
        16 => Just(Step::Done),
        4 => Just(Step::Fails),
        1 => Just(Step::Notify),
        6 => (0..120_u64).prop_map(Step::Pass),
    ]
}

fn rare_step() -> impl Strategy<Value = Step> {
    prop_oneof![40 => step(), 1 => Just(Step::Lost), 1 => Just(Step::Break)]
}

/// What the hardware does, and what the device has said.
struct World {
    bench: Bench,
    hardware: BTreeMap<(FeatureIndex, OutputKind), i32>,
    asked: BTreeMap<u64, u32>,
    next: u64,
    seen: usize,
}

impl World {
    fn new(model: ModelSetup) -> Self {
        let mut bench = Bench::new(model, Motion::AtRest);
        bench.handle(Input::Deadline);
        Self { bench, hardware: BTreeMap::new(), asked: BTreeMap::new(), next: 0, seen: 0 }
    }

    fn ticket(&mut self) -> DeviceTicket {
        self.next += 1;
        self.asked.insert(self.next, 0);
        DeviceTicket(self.next)
    }

    fn command(&mut self, command: DeviceCommand) {
        self.bench.handle(Input::Command(command));
        self.look();
    }

    fn finish(&mut self, succeeds: bool) {
        let Some(transfer) = self.bench.in_flight.clone() else { return };
        if !succeeds {
            self.bench.finish(Err(TransferFault::Refused("no".into())));
            return self.look();
        }
        if let Transfer::Write(packet) = &transfer {
            let text = String::from_utf8(packet.data.clone()).unwrap();
            if !text.starts_with("step") {
                let value = value(&text);
                self.hardware.insert((value.feature, value.kind), value.value);
            }
        }
        let result = match transfer {
            Transfer::Read { .. } => Transferred::Data(vec![50]),
            Transfer::Write(_) | Transfer::Subscribe(_) | Transfer::Unsubscribe(_) => Transferred::Done,
        };
        self.bench.finish(Ok(result));
        self.look();
    }

    /// Invariants after each step.
    fn look(&mut self) {
        for effect in self.bench.effects.get(self.seen..).unwrap_or_default() {
            match effect {
                Effect::Report(DeviceReport::Answered { ticket, .. }) => {
                    *self.asked.get_mut(&ticket.0).expect("only what was asked is answered") += 1;
                }
                Effect::Report(DeviceReport::Output { feature, kind, value }) => {
                    // What is confirmed is what the hardware was last told.
                    assert_eq!(self.hardware.get(&(*feature, *kind)), Some(value), "{feature} {kind:?}");
                }
                Effect::Call(_)
                | Effect::Transfer(_)
                | Effect::Journal(_)
                | Effect::Identified { .. }
                | Effect::Ready
                | Effect::Report(DeviceReport::Reading { .. } | DeviceReport::Recorded(_))
                | Effect::Gone(_)
                | Effect::Log { .. } => {}
            }
        }
        self.seen = self.bench.effects.len();
        assert!(self.asked.values().all(|count| *count <= 1), "each is answered once");
        assert!(self.bench.device.requests.len() <= 2 * NAMES.len(), "requests are bounded");
        if self.bench.device.motion() == Motion::AtRest {
            assert!(self.is_at_rest(), "the journal never forgets a device that runs: {:?}", self.hardware);
        }
    }

    fn is_at_rest(&self) -> bool {
        let runs = |((_, kind), value): (&(FeatureIndex, OutputKind), &i32)| {
            *kind == OutputKind::Vibrate && *value != 0
        };
        !self.hardware.iter().any(runs)
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Set(values) => {
                let ticket = self.ticket();
                let name = |(at, level): &(usize, u8)| value(&format!("{}={level}", NAMES[*at]));
                self.command(DeviceCommand::Set { ticket, values: values.iter().map(name).collect() });
            }
            Step::Stop(places) => {
                let ticket = Some(self.ticket());
                let scope = StopScope::Outputs(places.iter().map(|at| output(NAMES[*at])).collect());
                self.command(DeviceCommand::Stop { ticket, scope, cause: StopCause::OwnerGone });
            }
            Step::StopAll(global) => {
                let ticket = Some(self.ticket());
                let cause = if *global { StopCause::Global } else { StopCause::Addressed };
                self.command(DeviceCommand::Stop { ticket, scope: StopScope::All, cause });
            }
            Step::Input(which) => {
                let ticket = Some(self.ticket());
                let wish =
                    [InputWish::Read, InputWish::Subscribe, InputWish::Unsubscribe][usize::from(*which)];
                let (feature, kind) = BATTERY;
                self.command(DeviceCommand::Input { ticket, feature, kind, wish });
            }
            Step::Done => self.finish(true),
            Step::Fails => self.finish(false),
            Step::Lost => {
                self.bench.handle(Input::Lost("gone".into()));
                self.look();
            }
            Step::Notify => {
                self.bench.handle(Input::Notified { endpoint: endpoint("rx"), data: vec![1] });
                self.look();
            }
            Step::Pass(count) => {
                self.bench.pass_to(self.bench.now + ms(*count));
                self.look();
            }
            Step::Break => self.bench.plugin.health = Health::Rescues,
        }
    }

    /// From here on the transport works.
    fn settle(&mut self) {
        for _ in 0..2000 {
            if self.bench.in_flight.is_some() {
                self.finish(true);
                continue;
            }
            match self.bench.device.deadline() {
                Some(deadline) if deadline < self.bench.now + ms(10_000) => {
                    self.bench.pass_to(deadline);
                    self.look();
                }
                Some(_) | None => return,
            }
        }
        panic!("the device does not come to rest: {:?}", self.bench.device);
    }
}

fn models() -> impl Strategy<Value = ModelSetup> {
    let times = (
        prop::sample::select(vec![0, 20, 75]),
        prop::sample::select(vec![0, 30]),
        prop::sample::select(vec![0, 2]),
    );
    times.prop_map(|(gap, packet_gap, gather)| ModelSetup {
        gap: ms(gap),
        packet_gap: ms(packet_gap),
        gather: ms(gather),
        ..model(OUTPUTS)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_ticket_is_answered_and_a_last_stop_ends_at_rest(
        model in models(),
        steps in prop::collection::vec(rare_step(), 1..80),
    ) {
        let mut world = World::new(model);
        for step in &steps {
            world.step(step);
        }
        world.step(&Step::StopAll(false));
        world.settle();
        prop_assert!(world.asked.values().all(|count| *count == 1), "{:?}", world.asked);
        prop_assert!(world.bench.device.is_gone() || world.is_at_rest(), "{:?}", world.hardware);
        prop_assert!(world.bench.device.is_gone() || world.bench.device.deadline().is_none(), "no wake-ups at rest");
    }

    #[test]
    fn nothing_is_written_between_a_stop_and_the_next_set(
        model in models(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(model);
        for step in &steps {
            world.step(step);
        }
        world.step(&Step::StopAll(true));
        let asked = world.bench.trace.len();
        world.settle();
        let after: Vec<String> = world.bench.trace.iter().skip(asked).cloned().collect();
        let written = after.iter().filter(|word| word.contains('='));
        for word in written {
            prop_assert!(word.ends_with("=0"), "{word} after the stop: {after:?}");
        }
    }

    #[test]
    fn closing_ends_at_rest_if_the_transport_works(
        model in models(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(model);
        for step in &steps {
            world.step(step);
        }
        world.command(DeviceCommand::Close { reason: Reason::ShuttingDown });
        world.settle();
        prop_assert!(world.bench.device.is_gone());
        prop_assert!(world.is_at_rest(), "{:?}", world.hardware);
        prop_assert!(world.asked.values().all(|count| *count == 1));
    }
}
