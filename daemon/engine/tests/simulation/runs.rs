//! Random operations, and some that once went wrong.

use super::*;

fn run(ops: Vec<Op>) {
    let mut world = World::new();
    for op in ops {
        world.run(op);
    }
    world.settle();
    // Whatever happened: when nobody is left, nothing runs.
    for id in world.clients.keys().copied().collect::<Vec<_>>() {
        world.session(id, session::Input::Gone);
    }
    world.settle();
    world.pass(world.now + Duration::from_secs(5));
    world.settle();
    for (index, machine) in &world.machines {
        assert!(!machine.runs(), "device {index} runs for nobody: {:?}", machine.hardware);
    }
    world.check();
}

proptest! {
    #[test]
    fn nothing_runs_for_nobody(ops in prop::collection::vec(op(), 1..120)) {
        run(ops);
    }
}

#[test]
fn a_killed_session_leaves_nothing_running_even_if_its_stop_fails_first() {
    let mut world = World::new();
    world.run(Op::Arrive(0));
    world.settle();
    for op in [Op::Connect, Op::Hello(0), Op::Ask(0, Ask::Set(0, 0, 5))] {
        world.run(op);
    }
    world.settle();
    assert!(world.machines[&DeviceIndex(0)].runs());
    world.run(Op::Die(0));
    for _ in 0..3 {
        assert!(world.machines[&DeviceIndex(0)].transfer.is_some(), "it tries again");
        world.run(Op::Fails(0, false));
        world.run(Op::Pass(1000));
    }
    assert!(world.machines[&DeviceIndex(0)].runs());
    world.run(Op::Done(0));
    assert!(!world.machines[&DeviceIndex(0)].runs());
}

#[test]
fn a_value_that_a_failed_write_did_not_replace_ends_with_the_session_that_set_it() {
    let mut world = World::new();
    world.run(Op::Arrive(0));
    world.settle();
    for op in [Op::Connect, Op::Hello(0), Op::Connect, Op::Hello(1), Op::Ask(0, Ask::Set(0, 0, 1))] {
        world.run(op);
    }
    world.settle();
    world.run(Op::Ask(1, Ask::Set(0, 0, 1)));
    world.run(Op::Pass(GAP.as_millis().try_into().unwrap()));
    world.run(Op::Fails(0, false));
    let running = &world.machines[&DeviceIndex(0)].hardware[&OUTPUTS[0]];
    assert_eq!(*running, value_of(SessionId(1)), "the newer value did not get there");
    world.run(Op::Die(0));
    world.settle();
    assert!(!world.machines[&DeviceIndex(0)].runs());
}
