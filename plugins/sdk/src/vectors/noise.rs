//! Golden vectors with noise in them: answers are cut, changed or made longer, transfers fail, time jumps.
//!
//! Nothing is expected of the packets but this: a device may be given up, but a protocol never panics, never asks for more than
//! a call may, and never answers a stop of something that runs without a packet.

use plugin_abi::MAX_OPERATIONS;

use super::definition::Definition;
use super::run::{Make, Mismatch, Run};
use super::step::{Do, Step, Stop, Vector};
use crate::Operation;

/// How often each vector is played, each time with other noise.
const ROUNDS: u64 = 100;

/// Plays a vector with noise, over and over.
pub(super) fn survive(vector: &Vector, definition: &Definition, make: Make<'_>) -> Result<(), Mismatch> {
    for round in 0..ROUNDS {
        match play(vector, definition, make, &mut Noise(round)) {
            Ok(()) | Err(Fault::GivenUp) => {}
            Err(Fault::Vector(mismatch)) => return Err(mismatch),
            Err(Fault::Wrong(fault)) => return Err(Mismatch::Noise { round, fault }),
        }
    }
    Ok(())
}

enum Fault {
    /// The protocol has ended the device, which is its right.
    GivenUp,
    /// The vector cannot be played at all.
    Vector(Mismatch),
    /// It did what it may not do.
    Wrong(String),
}

fn play(vector: &Vector, definition: &Definition, make: Make<'_>, noise: &mut Noise) -> Result<(), Fault> {
    let mut run = Run::begin(vector, definition, make).map_err(Fault::Vector)?;
    let mut ready = drain(&mut run)?.ready;
    for step in &vector.steps {
        let Step::Do(action) = step else { continue };
        for action in noise.around(action.clone(), run.endpoints()) {
            // What is asked of a device before it is ready comes from no service.
            if ready || !action.needs_a_ready_device() {
                run.act(0, &action).map_err(Fault::Vector)?;
                ready |= drain(&mut run)?.ready;
            }
        }
    }
    if !ready {
        return Ok(());
    }
    let set = run.full_speed();
    if set.is_empty() {
        return Ok(());
    }
    run.act(0, &Do::Set(set)).map_err(Fault::Vector)?;
    drain(&mut run)?;
    run.act(0, &Do::Stop(Stop::Features(run.running()))).map_err(Fault::Vector)?;
    match drain(&mut run)?.writes {
        0 => Err(Fault::Wrong("a stop of a running device wrote nothing".to_owned())),
        _ => Ok(()),
    }
}

struct Drained {
    ready: bool,
    writes: usize,
}

/// Takes what a call asked for, and starts a model that has become known.
fn drain(run: &mut Run<'_>) -> Result<Drained, Fault> {
    let mut drained = Drained { ready: false, writes: 0 };
    let mut count = 0_usize;
    loop {
        run.settle(0).map_err(Fault::Vector)?;
        match run.take_next() {
            Some(Operation::Ready) => drained.ready = true,
            Some(Operation::Write { .. }) => drained.writes += 1,
            Some(_) => {}
            None => break,
        }
        count += 1;
    }
    if count > MAX_OPERATIONS {
        return Err(Fault::Wrong(format!("{count} operations in one call")));
    }
    if run.is_given_up() { Err(Fault::GivenUp) } else { Ok(drained) }
}

/// A source of numbers that is the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        usize::try_from((mixed ^ (mixed >> 27)) >> 33).unwrap_or_default() % below.max(1)
    }

    /// An action, changed or not, and what happens beside it.
    fn around(&mut self, action: Do, endpoints: Vec<String>) -> Vec<Do> {
        let mut all = Vec::new();
        let named = endpoints.get(self.next(endpoints.len())).cloned();
        if let Some(endpoint) = named {
            match self.next(12) {
                0 => all.push(Do::Notify(endpoint, self.bytes())),
                1 => all.push(Do::ReadResult(endpoint, self.bytes())),
                2 => all.push(Do::ReadFails(endpoint)),
                3 => all.push(Do::WriteFails(endpoint)),
                4 => all.push(Do::Wait(u64::try_from(self.next(3000)).unwrap_or_default())),
                _ => {}
            }
        }
        all.push(match action {
            Do::Notify(endpoint, data) => Do::Notify(endpoint, self.changed(data)),
            Do::ReadResult(endpoint, data) => Do::ReadResult(endpoint, self.changed(data)),
            other => other,
        });
        all
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.next(40);
        (0..length).map(|_| u8::try_from(self.next(256)).unwrap_or_default()).collect()
    }

    /// Mostly the same bytes, so that bring-ups come to their later steps.
    fn changed(&mut self, mut data: Vec<u8>) -> Vec<u8> {
        let place = self.next(data.len());
        match self.next(10) {
            0 => data.truncate(place),
            1 => data.extend(self.bytes()),
            2 => {
                if let Some(byte) = data.get_mut(place) {
                    *byte ^= 0x11;
                }
            }
            _ => {}
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{Direct, Subject};
    use crate::{Endpoint, Event, Failure, Info, Ops, Output, Protocol};

    const DEFINITION: &str = r#"
        maker = "Test"
        [[protocol]]
        id = "odd"
        [protocol.default]
        name = "Odd"
        features = [{ index = 0, output = { vibrate = [0, 9] } }]
    "#;
    const VECTOR: &str = r#"
        protocol = "odd"
        [[step]]
        do = { notify = "rx", hex = "01 02 03" }
        [[step]]
        do = { set = [{ feature = 0, kind = "vibrate", value = 1 }] }
    "#;

    /// Writes nothing at rest once it has been notified of a byte of `DEAF` or more.
    struct Odd<const DEAF: u8>(Endpoint, bool);

    impl<const DEAF: u8> Protocol for Odd<DEAF> {
        fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
            Ok(Self(info.require("tx")?, false))
        }

        fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            let value = set.first().map_or(0, |output| output.value);
            if value != 0 || !self.1 {
                ops.write(self.0, &[1]);
            }
            Ok(())
        }

        fn event(&mut self, event: Event<'_>, _: &mut Ops<'_>) -> Result<(), Failure> {
            match event {
                Event::Notified { data: [], .. } => Err(Failure::bad_reply("nothing")),
                Event::Notified { data, .. } => {
                    self.1 |= data.iter().any(|byte| *byte >= DEAF);
                    Ok(())
                }
                _ => Ok(()),
            }
        }
    }

    fn survive_as<P: Protocol>() -> Result<(), Mismatch> {
        let make = |_: &str, info: &Info| {
            Some(Direct::<P>::create(info).map(|one| Box::new(one) as Box<dyn Subject>))
        };
        let (vector, definition) = (Vector::parse(VECTOR), Definition::parse(DEFINITION));
        survive(&vector.expect("it is one"), &definition.expect("it is one"), &make)
    }

    #[test]
    fn a_stop_that_gets_lost_after_an_odd_answer_is_found() {
        let found = survive_as::<Odd<4>>();
        assert!(matches!(&found, Err(Mismatch::Noise { fault, .. }) if fault.contains("stop")), "{found:?}");
    }

    #[test]
    fn giving_the_device_up_is_no_fault() {
        assert_eq!(survive_as::<Never>(), Ok(()));
    }

    /// Gives every device up as soon as it says something.
    struct Never(Endpoint);

    impl Protocol for Never {
        fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
            Ok(Self(info.require("tx")?))
        }

        fn output(&mut self, _: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            ops.write(self.0, &[1]);
            Ok(())
        }

        fn event(&mut self, _: Event<'_>, _: &mut Ops<'_>) -> Result<(), Failure> {
            Err(Failure::bad_reply("anything"))
        }
    }
}
