//! What may happen, in any order.

use super::*;

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Connect,
    Hello(usize),
    Ask(usize, Ask),
    Ping(usize),
    Die(usize),
    Arrive(u32),
    Leave(u32),
    /// The transfer under way ends well.
    Done(u32),
    /// It fails; the hardware may have taken the packet all the same.
    Fails(u32, bool),
    Pass(u64),
    Outside,
    Bus(bool),
    FoundAll,
    Settle,
}

#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Set(u32, usize, i32),
    StopAll,
    StopDevice(u32),
    StopFeature(u32, usize),
    Scan,
    StopScan,
    List,
    Input(u32, u8),
    Reserve(u32),
    Disconnect,
}

fn ask() -> impl Strategy<Value = Ask> {
    let device = 0..3_u32;
    prop_oneof![
        12 => (device.clone(), 0..3_usize, -1..22_i32).prop_map(|(d, o, v)| Ask::Set(d, o, v)),
        2 => Just(Ask::StopAll),
        2 => device.clone().prop_map(Ask::StopDevice),
        2 => (device.clone(), 0..4_usize).prop_map(|(d, o)| Ask::StopFeature(d, o)),
        2 => Just(Ask::Scan),
        2 => Just(Ask::StopScan),
        1 => Just(Ask::List),
        3 => (device.clone(), 0..3_u8).prop_map(|(d, w)| Ask::Input(d, w)),
        1 => device.prop_map(Ask::Reserve),
        1 => Just(Ask::Disconnect),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let who = 0..3_usize;
    let device = 0..2_u32;
    prop_oneof![
        3 => Just(Op::Connect),
        4 => who.clone().prop_map(Op::Hello),
        20 => (who.clone(), ask()).prop_map(|(s, a)| Op::Ask(s, a)),
        6 => who.clone().prop_map(Op::Ping),
        2 => who.prop_map(Op::Die),
        3 => device.clone().prop_map(Op::Arrive),
        1 => device.clone().prop_map(Op::Leave),
        20 => device.clone().prop_map(Op::Done),
        8 => (device, any::<bool>()).prop_map(|(d, taken)| Op::Fails(d, taken)),
        8 => (0..150_u64).prop_map(Op::Pass),
        1 => Just(Op::Outside),
        1 => any::<bool>().prop_map(Op::Bus),
        1 => Just(Op::FoundAll),
        5 => Just(Op::Settle),
    ]
}
