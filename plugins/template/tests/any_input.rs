//! Whatever the host asks and the device answers, in any order: no panic, no endless answer, a stop still stops.

mod common;

use common::{Device, feature, info_for, output, sensor, stop, vibrate};
use plugin_sdk::driver::Call;
use plugin_sdk::{InputKind, Model, OutputKind, Wanted, Wish};
use proptest::prelude::*;

/// A template that uses all of the language.
const TEMPLATE: &str = r#"
    let = { sel = "m0 == m1 ? 0 : m0 ? 1 : 2" }
    tables = { effort = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }
    keep_alive = "all"
    stop = [{ bytes = "EE {m0}" }]
    start = [
        { subscribe = "rx" },
        { write = "tx", bytes = "01 {seq}", wait_for = "rx", match = "55", within_ms = 100, tries = 2, otherwise = "go-on" },
        { read = "id", otherwise = "go-on" },
        { wait_ms = 50 },
        { send = "rest" },
    ]
    packet = [
        { features = [0, 1], bytes = "A0 {sel} {effort[max(m0, m1)]} [{v}] {sum(0..)}", rest = "A0 FF" },
        { features = [2], bytes = "B0 {launch_speed(abs(v - p), d)} {v} {min(d, 65535):u16le} {seq}" },
        { features = [0], if = "v > 3", bytes = '"D{v:dec3}"', after_ms = 20 },
    ]
    input = [
        { kind = "battery", read = "id", value = "dec(0)" },
        { kind = "pressure", notify = "rx", match = "55", value = "i16be(1) / u8(3)", request = { bytes = "02" } },
    ]
    [identify]
    steps = [{ subscribe = "rx" }, { write = "tx", bytes = "00", wait_for = "rx", within_ms = 100, otherwise = "go-on" }]
    slice = [1, 3]
    after = "_"
    before = ":"
    otherwise = "name"
"#;

#[derive(Debug, Clone)]
enum Deed {
    Identify,
    Start,
    Set(u32, i32, u32),
    Stop,
    KeepAlive,
    Notify(&'static str, Vec<u8>),
    ReadGave(Vec<u8>),
    ReadFails,
    WriteFails,
    Wait(u64),
    Input(u32, InputKind, Wish),
}

fn deed() -> impl Strategy<Value = Deed> {
    let bytes = || prop::collection::vec(prop_oneof![Just(0x55_u8), any::<u8>()], 0..8);
    prop_oneof![
        1 => Just(Deed::Identify),
        1 => Just(Deed::Start),
        6 => (0_u32..4, prop_oneof![0..=9, any::<i32>()], any::<u32>()).prop_map(|(f, v, d)| Deed::Set(f, v, d)),
        2 => Just(Deed::Stop),
        2 => Just(Deed::KeepAlive),
        4 => (prop::sample::select(vec!["rx", "tx"]), bytes()).prop_map(|(endpoint, data)| Deed::Notify(endpoint, data)),
        2 => bytes().prop_map(Deed::ReadGave),
        1 => Just(Deed::ReadFails),
        1 => Just(Deed::WriteFails),
        3 => (0_u64..200).prop_map(Deed::Wait),
        3 => (
            0_u32..6,
            prop::sample::select(vec![InputKind::Battery, InputKind::Pressure, InputKind::Rssi]),
            prop::sample::select(vec![Wish::Read, Wish::Subscribe, Wish::Unsubscribe]),
        )
            .prop_map(|(feature, kind, wish)| Deed::Input(feature, kind, wish)),
    ]
}

fn model() -> Model {
    common::model(vec![
        vibrate(0, 9),
        vibrate(1, 9),
        feature(2, OutputKind::PositionWithDuration, 0, 99),
        sensor(3, InputKind::Battery),
        sensor(4, InputKind::Pressure),
    ])
}

fn device() -> Device {
    Device::direct(&info_for(TEMPLATE, "NAME", &["tx", "rx", "id"])).expect("the template is right")
}

fn kind_of(feature: u32) -> OutputKind {
    if feature == 2 { OutputKind::PositionWithDuration } else { OutputKind::Vibrate }
}

fn rest() -> [plugin_sdk::Output; 2] {
    [output(0, OutputKind::Vibrate, 0, 0), output(1, OutputKind::Vibrate, 0, 0)]
}

proptest! {
    #[test]
    fn nothing_that_is_asked_or_answered_makes_it_panic(deeds in prop::collection::vec(deed(), 0..40)) {
        let mut device = device();
        for deed in deeds {
            // Failures are fine here; what matters is that there is always an answer.
            let _answer = match deed {
                Deed::Identify => device.call(Call::Identify),
                Deed::Start => device.call(Call::Start(&model())),
                Deed::Set(feature, value, duration) => {
                    device.call(Call::Output(&[output(feature, kind_of(feature), value, duration)]))
                }
                Deed::Stop => device.call(Call::Stop(&rest())),
                Deed::KeepAlive => device.call(Call::KeepAlive),
                Deed::Notify(endpoint, data) => device.notified(endpoint, &data),
                Deed::ReadGave(data) => device.read_gave("id", &data),
                Deed::ReadFails => device.read_failed("id"),
                Deed::WriteFails => device.write_failed("tx"),
                Deed::Wait(ms) => device.advance(ms),
                Deed::Input(feature, kind, wish) => device.call(Call::Input(Wanted { feature, kind, wish })),
            };
            prop_assert!(device.waiting().count() < 1000);
        }
    }

    #[test]
    fn a_stop_sends_the_rest_packet_whatever_was_set(values in prop::collection::vec((0_u32..3, any::<i32>(), any::<u32>()), 0..20)) {
        let mut device = device();
        device.call(Call::Start(&model())).expect("the bring-up begins");
        for (feature, value, duration) in values {
            let _refused_if_out_of_range = device.call(Call::Output(&[output(feature, kind_of(feature), value, duration)]));
        }
        common::packets(&mut device);
        let sent = stop(&mut device, &rest());
        prop_assert_eq!(sent.first().map(String::as_str), Some("tx A0 FF"));
    }
}
