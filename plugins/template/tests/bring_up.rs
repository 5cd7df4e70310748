//! Steps of a bring-up and of identification: what is done in which order, and what follows when no answer comes.

mod common;

use common::{Device, info_for, model, sensor, vibrate};
use plugin_sdk::driver::Call;
use plugin_sdk::{Failure, InputKind, ManufacturerData, Operation};

/// What is waiting, in words.
fn taken(device: &mut Device) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(operation) = device.take_next() {
        words.push(match operation {
            Operation::Write { endpoint, data, .. } => {
                let hex: Vec<String> = data.iter().map(|byte| format!("{byte:02X}")).collect();
                format!("write {} {}", device.endpoint_name(endpoint), hex.join(" "))
            }
            Operation::Read { endpoint, .. } => format!("read {}", device.endpoint_name(endpoint)),
            Operation::Subscribe(endpoint) => format!("subscribe {}", device.endpoint_name(endpoint)),
            Operation::Unsubscribe(endpoint) => format!("unsubscribe {}", device.endpoint_name(endpoint)),
            Operation::Identified { protocol, model } => format!("identified {protocol}/{model}"),
            Operation::Ready => String::from("ready"),
            Operation::Reading { feature, value, .. } => format!("reading {feature} {value}"),
            Operation::InputFailed { feature, .. } => format!("failed {feature}"),
            Operation::Timer { .. } | Operation::Log { .. } => continue,
        });
    }
    words
}

const ENDPOINTS: [&str; 3] = ["tx", "rx", "rxblemodel"];

fn starting(steps: &str) -> Device {
    let template = format!("start = [{steps}]\npacket = [{{ bytes = 'A0 {{v}}' }}]");
    common::started(&template, &ENDPOINTS, vec![vibrate(0, 9)])
}

#[test]
fn steps_are_taken_in_order() {
    let mut device =
        starting("{ subscribe = 'rx' }, { write = 'tx', bytes = '03 {sum(0..)}' }, { send = 'rest' }");
    assert_eq!(taken(&mut device), ["subscribe rx", "write tx 03 03", "write tx A0 00", "ready"]);
}

#[test]
fn a_pause_holds_the_next_step_back() {
    let mut device =
        starting("{ write = 'tx', bytes = 'AA' }, { wait_ms = 3000 }, { write = 'tx', bytes = 'BB' }");
    assert_eq!(taken(&mut device), ["write tx AA"]);
    device.advance(2999).unwrap();
    assert_eq!(taken(&mut device), [""; 0]);
    device.advance(1).unwrap();
    assert_eq!(taken(&mut device), ["write tx BB", "ready"]);
}

#[test]
fn an_answer_is_waited_for_and_other_notifications_are_passed_over() {
    let mut device =
        starting("{ write = 'tx', bytes = '01', wait_for = 'rx', match = '55 .. 01', within_ms = 500 }");
    device.notified("rx", &[0x55, 9]).unwrap();
    device.notified("tx", &[0x55, 9, 1]).unwrap();
    assert_eq!(taken(&mut device), ["write tx 01"]);
    device.notified("rx", &[0x55, 9, 1, 2]).unwrap();
    assert_eq!(taken(&mut device), ["ready"]);
    assert!(!device.has_timers());
}

#[test]
fn a_question_is_written_so_often_and_then_fails() {
    let mut device = starting("{ write = 'tx', bytes = '01', wait_for = 'rx', within_ms = 500, tries = 3 }");
    device.advance(1000).unwrap();
    assert_eq!(taken(&mut device), ["write tx 01", "write tx 01", "write tx 01"]);
    let failed = device.advance(500);
    assert_eq!(failed, Err(Failure::bad_reply("start[0]: the device does not answer")));
}

#[test]
fn a_step_without_answer_may_go_on() {
    let mut device = starting("{ wait_for = 'rx', within_ms = 500, otherwise = 'go-on' }");
    device.advance(500).unwrap();
    assert_eq!(taken(&mut device), ["ready"]);
    let mut device = starting("{ read = 'rxblemodel', otherwise = 'go-on' }");
    device.read_failed("rxblemodel").unwrap();
    assert_eq!(taken(&mut device), ["read rxblemodel", "ready"]);
}

#[test]
fn a_read_that_says_something_else_fails() {
    let mut device = starting("{ read = 'rxblemodel', match = '01 A6' }");
    let failed = device.read_gave("rxblemodel", &[1]);
    assert_eq!(failed, Err(Failure::bad_reply("start[0]: the device reads something else")));
}

#[test]
fn steps_and_packets_are_chosen_by_endpoint_variant_identifier_and_outputs() {
    let template = r#"
        start = [
            { when = { endpoint = ["rx"] }, subscribe = "rx" },
            { unless = { endpoint = ["rx"] }, write = "tx", bytes = "00" },
            { when = { outputs = 2 }, write = "tx", bytes = "02" },
            { when = { identifier = ["MO*"] }, write = "tx", bytes = "03" },
            { when = { variant = ["other"] }, write = "tx", bytes = "04" },
        ]
        packet = [{ bytes = "A0 {v}" }]"#;
    let mut device = common::started(template, &["tx", "rx"], vec![vibrate(0, 9)]);
    assert_eq!(taken(&mut device), ["subscribe rx", "write tx 03", "ready"]);
    let mut device = common::started(template, &["tx"], vec![vibrate(0, 9), vibrate(1, 9)]);
    assert_eq!(taken(&mut device), ["write tx 00", "write tx 02", "write tx 03", "ready"]);
}

#[test]
fn a_missing_endpoint_or_packet_fails_the_start_with_its_name() {
    let info = info_for("packet = [{ to = 'txmode', features = [0], bytes = '{v}' }]", "X", &["tx"]);
    let mut device = Device::direct(&info).unwrap();
    let failed = device.call(Call::Start(&model(vec![vibrate(0, 9)])));
    assert_eq!(failed, Err(Failure::failed("the device has no endpoint txmode")));
    let failed = device.call(Call::Start(&model(vec![vibrate(1, 9)])));
    assert_eq!(failed, Err(Failure::failed("no packet for vibrate of feature 1")));
}

fn identifying(identify: &str, name: &str, manufacturer: &[u8]) -> Device {
    let mut info = info_for(&format!("identify = {{ {identify} }}"), name, &ENDPOINTS);
    if !manufacturer.is_empty() {
        info.manufacturer_data = vec![ManufacturerData { company: 93, data: manufacturer.to_vec() }];
    }
    let mut device = Device::direct(&info).expect("the template is right");
    device.call(Call::Identify).expect("identification begins");
    device
}

#[test]
fn the_identifier_comes_from_the_name() {
    let mut device = identifying("before = '0123456789'", "PTVEA2601", &[]);
    assert_eq!(taken(&mut device), ["identified /PTVEA"]);
    let mut device = identifying("after = '_'", "FUNCODE_AABB_3", &[]);
    assert_eq!(taken(&mut device), ["identified /3"]);
    let mut device = identifying("after = '_', before = '-'", "Plain-1-2", &[]);
    assert_eq!(taken(&mut device), ["identified /Plain"]);
    let mut device = identifying("after = '_', otherwise = 'default'", "FUNCODE_", &[]);
    assert_eq!(taken(&mut device), ["identified /"]);
    let mut device = identifying("slice = [2, 3]", "UMMiB7", &[]);
    assert_eq!(taken(&mut device), ["identified /Mi"]);
}

#[test]
fn the_identifier_comes_from_a_read_or_a_notification() {
    let mut device = identifying("steps = [{ read = 'rxblemodel' }], as = 'hex'", "X", &[]);
    device.read_gave("rxblemodel", &[0x10, 0x01]).unwrap();
    assert_eq!(taken(&mut device), ["read rxblemodel", "identified /1001"]);
    let ask = "steps = [{ subscribe = 'rx' }, { write = 'tx', bytes = '01', wait_for = 'rx' }], before = ':'";
    let mut device = identifying(ask, "X", &[]);
    device.notified("rx", b"P:02:0082059AD3BD;").unwrap();
    assert_eq!(taken(&mut device), ["subscribe rx", "write tx 01", "identified /P"]);
}

#[test]
fn the_advertisement_comes_first_where_it_has_the_data() {
    let identify =
        "manufacturer = { company = 93, length = 4 }, steps = [{ read = 'rxblemodel' }], as = 'decimal'";
    let mut device = identifying(identify, "SF X", &[0, 0, 0x27, 0xB0]);
    assert_eq!(taken(&mut device), ["identified /10160"]);
    let mut device = identifying(identify, "SF X", &[0, 0, 0x27]);
    assert_eq!(taken(&mut device), ["read rxblemodel"]);
}

#[test]
fn no_identifier_fails_or_falls_back() {
    for (otherwise, wanted) in [("name", "identified /X"), ("default", "identified /")] {
        let steps = "steps = [{ read = 'rxblemodel', otherwise = 'go-on' }]";
        let mut device = identifying(&format!("{steps}, otherwise = '{otherwise}'"), "X", &[]);
        device.read_failed("rxblemodel").unwrap();
        assert_eq!(taken(&mut device), ["read rxblemodel", wanted]);
    }
    let mut device = identifying("steps = [{ read = 'rxblemodel' }]", "X", &[]);
    assert!(matches!(device.read_gave("rxblemodel", &[0xFF, 0xFE]), Err(Failure::BadReply(_))));
}

#[test]
fn another_protocol_takes_over_what_is_not_listed() {
    let identify =
        "steps = [{ read = 'rxblemodel' }], as = 'hex', hand_over = { to = 'mini', unless = ['1001'] }";
    for (bytes, wanted) in [([0x10, 0x01], "identified /1001"), ([0x40, 0x01], "identified mini/4001")] {
        let mut device = identifying(identify, "X", &[]);
        device.read_gave("rxblemodel", &bytes).unwrap();
        assert_eq!(taken(&mut device), ["read rxblemodel", wanted]);
    }
}

fn wanted(feature: u32, kind: InputKind, wish: plugin_sdk::Wish) -> Call<'static> {
    Call::Input(plugin_sdk::Wanted { feature, kind, wish })
}

#[test]
fn a_reading_is_read_and_nonsense_fails() {
    let template = "input = [{ kind = 'battery', read = 'rx', length = 2, value = 'u8(1)' }]";
    let mut device = common::started(template, &ENDPOINTS, vec![sensor(0, InputKind::Battery)]);
    let ask = || wanted(0, InputKind::Battery, plugin_sdk::Wish::Read);
    device.call(ask()).unwrap();
    device.read_gave("rx", &[0, 85]).unwrap();
    assert_eq!(taken(&mut device), ["ready", "read rx", "reading 0 85"]);
    device.call(ask()).unwrap();
    device.read_gave("rx", &[85]).unwrap();
    assert_eq!(taken(&mut device), ["read rx", "failed 0"]);
    device.call(ask()).unwrap();
    device.read_failed("rx").unwrap();
    assert_eq!(taken(&mut device), ["read rx", "failed 0"]);
    let refused = device.call(wanted(0, InputKind::Battery, plugin_sdk::Wish::Subscribe));
    assert_eq!(refused, Err(Failure::Unsupported));
}

#[test]
fn a_single_reading_by_notification_asks_waits_and_unsubscribes() {
    let template = "input = [{ kind = 'battery', notify = 'rx', request = { bytes = '13' }, match = '35', value = 'u8(3)' }]";
    let mut device = common::started(template, &ENDPOINTS, vec![sensor(3, InputKind::Battery)]);
    device.call(wanted(3, InputKind::Battery, plugin_sdk::Wish::Read)).unwrap();
    device.notified("rx", &[0x34, 0, 0, 9]).unwrap();
    device.notified("rx", &[0x35, 0, 0, 77]).unwrap();
    assert_eq!(
        taken(&mut device),
        ["ready", "subscribe rx", "write tx 13", "reading 3 77", "unsubscribe rx"]
    );
    assert!(!device.has_timers());
    device.call(wanted(3, InputKind::Battery, plugin_sdk::Wish::Read)).unwrap();
    device.advance(1000).unwrap();
    assert_eq!(taken(&mut device), ["subscribe rx", "write tx 13", "failed 3", "unsubscribe rx"]);
}

#[test]
fn inputs_share_an_endpoint() {
    let template = r#"input = [
        { kind = "pressure", features = [0], notify = "rx", value = "u16be(3)" },
        { kind = "pressure", features = [1], notify = "rx", value = "u16be(5)" },
    ]"#;
    let sensors = vec![sensor(0, InputKind::Pressure), sensor(1, InputKind::Pressure)];
    let mut device = common::started(template, &ENDPOINTS, sensors);
    for (feature, wish) in [(0, plugin_sdk::Wish::Subscribe), (1, plugin_sdk::Wish::Subscribe)] {
        device.call(wanted(feature, InputKind::Pressure, wish)).unwrap();
    }
    device.notified("rx", &[0, 1, 4, 0, 0, 5, 0xD3]).unwrap();
    assert_eq!(taken(&mut device), ["ready", "subscribe rx", "reading 0 0", "reading 1 1491"]);
    device.call(wanted(0, InputKind::Pressure, plugin_sdk::Wish::Unsubscribe)).unwrap();
    device.notified("rx", &[0, 1, 4, 0, 0, 5]).unwrap();
    assert_eq!(taken(&mut device), [""; 0]);
    device.call(wanted(1, InputKind::Pressure, plugin_sdk::Wish::Unsubscribe)).unwrap();
    assert_eq!(taken(&mut device), ["unsubscribe rx"]);
}

#[test]
fn decimal_text_is_a_value() {
    let template = "input = [{ kind = 'battery', notify = 'rx', value = 'dec(1) * 10' }]";
    let mut device = common::started(template, &ENDPOINTS, vec![sensor(0, InputKind::Battery)]);
    device.call(wanted(0, InputKind::Battery, plugin_sdk::Wish::Subscribe)).unwrap();
    device.notified("rx", b"s89;").unwrap();
    device.notified("rx", b"sOK;").unwrap();
    assert_eq!(taken(&mut device), ["ready", "subscribe rx", "reading 0 890"]);
}

#[test]
fn an_input_leaves_the_subscription_of_the_bring_up_alone() {
    let template = "start = [{ subscribe = 'rx' }]\ninput = [{ kind = 'battery', notify = 'rx' }]";
    let mut device = common::started(template, &ENDPOINTS, vec![sensor(0, InputKind::Battery)]);
    device.call(wanted(0, InputKind::Battery, plugin_sdk::Wish::Read)).unwrap();
    device.notified("rx", &[42]).unwrap();
    assert_eq!(taken(&mut device), ["subscribe rx", "ready", "reading 0 42"]);
}
