//! What each construct of the pattern language sends, one row a construct.
//!
//! The expected bytes were written by hand from the README's rules, never taken from a run.

mod common;

use common::{feature, output, ready, set, set_outputs, started, stop, vibrate};
use plugin_sdk::OutputKind;
use plugin_sdk::driver::Call;

/// A packet's keys, the values of the vibrators 0, 1, ..., and what goes out.
struct Row(&'static str, &'static [i32], &'static [&'static str]);

const ROWS: &[Row] = &[
    // Single byte, and a different packet at rest.
    Row(r#"bytes = "55 04 03 00 {on} {v}""#, &[19], &["tx 55 04 03 00 01 13"]),
    Row(r#"bytes = "55 04 03 00 {on} {v}""#, &[0], &["tx 55 04 03 00 00 00"]),
    Row(r#"bytes = "12 01 {on:04} {v}""#, &[7], &["tx 12 01 04 07"]),
    Row("bytes = \"B2 {v-1}\"\nrest = \"80 03\"\nresponse = true", &[0], &["tx! 80 03"]),
    Row("bytes = \"B2 {v-1}\"\nrest = \"80 03\"\nresponse = true", &[3], &["tx! B2 02"]),
    Row("bytes = \"A0 {v}\"\nrest = \"\"", &[0], &[]),
    // Arithmetic: rounding down and up, remainder, precedence, comparison, bits, shifts.
    Row(r#"bytes = "{7/2} {-7/2+4} {ceil(7,2)} {-7%4} {1+2*3} {(1+2)*3}""#, &[1], &["tx 03 00 04 01 07 09"]),
    Row(r#"bytes = "{ceil(v,10)} {(v-1)%10+1}""#, &[11], &["tx 02 01"]),
    Row(r#"bytes = "{v>3} {v>=3} {v<3} {v<=3} {v==3} {v!=3}""#, &[3], &["tx 00 01 00 01 01 00"]),
    Row(r#"bytes = "{0x0F|0x30} {0x3F&0x11} {0xFF^0x0F} {1<<4} {0x80>>3}""#, &[1], &["tx 3F 11 F0 10 10"]),
    Row(r#"bytes = "{!v} {!!v} {v && 2} {0 || v}""#, &[5], &["tx 00 01 01 01"]),
    Row(r#"bytes = "{v == 0 || 10/v > 1}""#, &[0], &["tx 01"]),
    Row(r#"bytes = "{(2-v)&0xFF}""#, &[5], &["tx FD"]),
    // Choice, also nested and with a format behind it.
    Row(r#"bytes = "{v ? 1 : 0:u16be} {v > 2 ? v > 4 ? 3 : 2 : 1}""#, &[5], &["tx 00 01 03"]),
    // Functions.
    Row(
        r#"bytes = "{min(v,3)} {max(v,3,9)} {abs(0-v)} {sign(v)} {clamp(v,6,8)} {nib(1,v)}""#,
        &[5],
        &["tx 03 09 05 01 06 15"],
    ),
    // Formats.
    Row(
        r#"bytes = "{v+256:u16le} {v+256:u16be} {0-v:i16le} {0-v:i16be} {0-v:i8} {v:u32le} {v:u32be}""#,
        &[5],
        &["tx 05 01 01 05 FB FF FF FB FB 05 00 00 00 00 00 00 05"],
    ),
    // Text.
    Row(r#"bytes = '"Vibrate:{v};"'"#, &[20], &["tx 56 69 62 72 61 74 65 3A 32 30 3B"]),
    Row(
        r#"bytes = '"M{v:dec2}\r\n" {v:dec3} "{v:u8}\{\\\""'"#,
        &[7],
        &["tx 4D 30 37 0D 0A 30 30 37 07 7B 5C 22"],
    ),
    // Repeating, and fixed pads.
    Row(r#"bytes = "FF ({v} 14)*3 00*4""#, &[9], &["tx FF 09 14 09 14 09 14 00 00 00 00"]),
    // Checksums over places, counted from 0, both ends included; open at the end.
    Row(r#"bytes = "AA 04 {v} {sum(1..2)}""#, &[100], &["tx AA 04 64 68"]),
    Row(r#"bytes = "AA 55 06 01 01 01 {v} FA {xor(0..7)}""#, &[0], &["tx AA 55 06 01 01 01 00 FA 02"]),
    Row(r#"bytes = "23 07 03 81 03 {v} {xor(0..)}""#, &[128], &["tx 23 07 03 81 03 80 25"]),
    Row(r#"bytes = "AA 02 07 {v} {(2 - sum(1..3)) & 0xFF}""#, &[5], &["tx AA 02 07 05 F4"]),
    Row(r#"bytes = "01 06 00 64 00 01 {crc16_modbus(0..):u16le}""#, &[1], &["tx 01 06 00 64 00 01 09 D5"]),
    // Two motors in one packet, one missing motor, nibbles.
    Row(r#"bytes = "0F {m0} {m1} {m2}""#, &[3, 4], &["tx 0F 03 04 00"]),
    Row(r#"bytes = "{nib(m0, m1)}""#, &[8, 4], &["tx 84"]),
    Row(r#"bytes = "{on} {max(m0,m1)}""#, &[0, 4], &["tx 01 04"]),
    // Once for each output.
    Row(r#"bytes = "[{v} {v}]""#, &[1, 2, 3], &["tx 01 01 02 02 03 03"]),
    Row(
        r#"bytes = "23 07 {n*3} [{0x81+i} {is(vibrate) ? 3 : 4} {v}] {xor(0..)}""#,
        &[192, 128],
        &["tx 23 07 06 81 03 C0 82 03 80 61"],
    ),
    Row(r#"bytes = '"Mply" [":{v}"] ";"'"#, &[5, 20], &["tx 4D 70 6C 79 3A 35 3A 32 30 3B"]),
];

#[test]
fn every_construct_sends_what_the_manual_says() {
    for Row(packet, values, wanted) in ROWS {
        let features = (0..).zip(values.iter()).map(|(index, _)| vibrate(index, 300)).collect();
        let mut device = ready(&format!("[[packet]]\n{packet}\n"), features);
        let changes: Vec<(u32, i32)> = (0..).zip(values.iter().copied()).collect();
        assert_eq!(set(&mut device, &changes), *wanted, "{packet} with {values:?}");
    }
}

#[test]
fn a_packet_with_one_value_is_made_for_each_output_that_changed() {
    let mut device = ready("packet = [{ bytes = 'A1 {i} {v}' }]", vec![vibrate(0, 9), vibrate(3, 9)]);
    assert_eq!(set(&mut device, &[(3, 5), (0, 1)]), ["tx A1 03 05", "tx A1 00 01"]);
    assert_eq!(set(&mut device, &[(3, 6)]), ["tx A1 03 06"]);
}

#[test]
fn a_packet_with_several_values_goes_out_once_with_the_current_ones() {
    let mut device = ready("packet = [{ bytes = 'A1 {m0} {m1}' }]", vec![vibrate(0, 9), vibrate(1, 9)]);
    assert_eq!(set(&mut device, &[(0, 5), (1, 1)]), ["tx A1 05 01"]);
    assert_eq!(set(&mut device, &[(1, 0)]), ["tx A1 05 00"]);
}

#[test]
fn packets_go_out_in_the_order_of_the_file() {
    let template = "packet = [{ to = 'txmode', bytes = '03 FF' }, { bytes = '{m0} {m1}' }]";
    let mut device = started(template, &["tx", "txmode"], vec![vibrate(0, 255), vibrate(1, 255)]);
    assert_eq!(common::packets(&mut device), [""; 0]);
    assert_eq!(set(&mut device, &[(0, 1), (1, 2)]), ["txmode 03 FF", "tx 01 02"]);
}

#[test]
fn a_condition_leaves_a_packet_out() {
    let template = r#"packet = [
        { if = "m0 == m1", bytes = "F3 00 {m0}" },
        { if = "m0 != m1", bytes = "F3 01 {m0}" },
        { if = "m0 != m1", bytes = "F3 02 {m1}" },
    ]"#;
    let mut device = ready(template, vec![vibrate(0, 127), vibrate(1, 127)]);
    assert_eq!(set(&mut device, &[(0, 64), (1, 64)]), ["tx F3 00 40"]);
    assert_eq!(set(&mut device, &[(1, 1)]), ["tx F3 01 40", "tx F3 02 01"]);
}

#[test]
fn features_and_kinds_say_what_a_packet_carries() {
    let template = r#"packet = [
        { features = [0], bytes = "03 {v}" },
        { kinds = ["rotate"], bytes = "09 {v >= 0 ? 0x80 + v : abs(v)}" },
    ]"#;
    let mut device = ready(template, vec![vibrate(0, 9), feature(1, OutputKind::Rotate, -99, 99)]);
    let both = [output(0, OutputKind::Vibrate, 1, 0), output(1, OutputKind::Rotate, -99, 0)];
    assert_eq!(set_outputs(&mut device, &both), ["tx 03 01", "tx 09 63"]);
    assert_eq!(set_outputs(&mut device, &[output(1, OutputKind::Rotate, 0, 0)]), ["tx 09 80"]);
}

#[test]
fn tables_and_names_stand_for_numbers_and_expressions() {
    let template = r#"
        let = { sel = "m0 == m1 || m0 && m1 ? 0 : m0 ? 1 : 2", loud = "power[max(m0, m1)]" }
        tables = { power = [0, 0x10, 0x20] }
        packet = [{ bytes = "55 {sel} {loud}" }]"#;
    let mut device = ready(template, vec![vibrate(0, 2), vibrate(1, 2)]);
    assert_eq!(set(&mut device, &[(1, 2)]), ["tx 55 02 20"]);
    assert_eq!(set(&mut device, &[(0, 1)]), ["tx 55 00 20"]);
    assert_eq!(set(&mut device, &[(1, 0)]), ["tx 55 01 10"]);
}

#[test]
fn the_counter_counts_packets_that_show_it_and_wraps() {
    let template = "packet = [{ bytes = '{seq} {v} {seq}' }]";
    let mut device = ready(template, vec![vibrate(0, 9)]);
    assert_eq!(set(&mut device, &[(0, 1)]), ["tx 00 01 00"]);
    assert_eq!(set(&mut device, &[(0, 2)]), ["tx 01 02 01"]);
    for _ in 2..256 {
        set(&mut device, &[(0, 3)]);
    }
    assert_eq!(set(&mut device, &[(0, 4)]), ["tx 00 04 00"]);
}

#[test]
fn a_position_knows_the_one_before_it_and_its_time() {
    let template = "packet = [{ bytes = '03 00 {launch_speed(abs(v - p), d)} {v} {min(d, 65535):u16be}' }]";
    let mut device = ready(template, vec![feature(0, OutputKind::PositionWithDuration, 0, 99)]);
    let to = |place, time| [output(0, OutputKind::PositionWithDuration, place, time)];
    assert_eq!(set_outputs(&mut device, &to(99, 500)), ["tx 03 00 28 63 01 F4"]);
    assert_eq!(set_outputs(&mut device, &to(49, 500)), ["tx 03 00 13 31 01 F4"]);
    assert_eq!(set_outputs(&mut device, &to(49, 100_000)), ["tx 03 00 00 31 FF FF"]);
}

#[test]
fn a_stop_leaves_positions_and_sends_the_stop_packets_when_nothing_runs() {
    let template = r#"
        packet = [{ kinds = ["vibrate"], bytes = "01 {v}" }, { kinds = ["position"], bytes = "02 {v}" }]
        stop = [{ bytes = '"DSTOP\n"' }]"#;
    let features = vec![vibrate(0, 9), vibrate(1, 9), feature(2, OutputKind::Position, 0, 99)];
    let mut device = ready(template, features);
    set(&mut device, &[(0, 5), (1, 5)]);
    let rest = |index| output(index, OutputKind::Vibrate, 0, 0);
    assert_eq!(stop(&mut device, &[rest(0)]), ["tx 01 00"]);
    let all = [rest(0), rest(1), output(2, OutputKind::Position, 0, 0)];
    assert_eq!(stop(&mut device, &all), ["tx 01 00", "tx 01 00", "tx 44 53 54 4F 50 0A"]);
}

#[test]
fn an_output_whose_range_is_above_zero_rests_at_its_lowest() {
    let template = "packet = [{ bytes = 'A1 {v}', rest = 'A0' }]";
    let mut device = ready(template, vec![feature(0, OutputKind::Temperature, 37, 42)]);
    assert_eq!(set_outputs(&mut device, &[output(0, OutputKind::Temperature, 40, 0)]), ["tx A1 28"]);
    assert_eq!(stop(&mut device, &[output(0, OutputKind::Temperature, 37, 0)]), ["tx A0"]);
}

#[test]
fn a_value_that_does_not_fit_sets_nothing_and_sends_nothing() {
    let template = "packet = [{ bytes = 'AA {m0}' }, { bytes = 'BB {m0 + 250}' }]";
    let mut device = ready(template, vec![vibrate(0, 9)]);
    let refused = device.call(Call::Output(&[output(0, OutputKind::Vibrate, 9, 0)]));
    assert_eq!(refused, Err(plugin_sdk::Failure::Unsupported));
    assert_eq!(common::packets(&mut device), [""; 0]);
    assert_eq!(set(&mut device, &[(0, 5)]), ["tx AA 05", "tx BB FF"]);
}

#[test]
fn a_stop_sends_what_it_can_even_if_one_packet_cannot_be_made() {
    let template = "packet = [{ features = [0], bytes = '{v - 1}' }, { features = [1], bytes = 'B0 {v}' }]";
    let mut device = ready(template, vec![vibrate(0, 9), vibrate(1, 9)]);
    let all = [output(0, OutputKind::Vibrate, 0, 0), output(1, OutputKind::Vibrate, 0, 0)];
    assert_eq!(stop(&mut device, &all), ["tx B0 00"]);
    assert_eq!(device.log(), ["packet[0]: -1 does not fit u8"]);
}

#[test]
fn a_delayed_packet_has_the_values_of_the_moment_it_is_sent() {
    let template = r#"packet = [
        { bytes = "A0 24 {v} 00" },
        { bytes = "A0 25 {v}", after_ms = 1000 },
    ]"#;
    let mut device = ready(template, vec![vibrate(7, 9)]);
    assert_eq!(set(&mut device, &[(7, 4)]), ["tx A0 24 04 00"]);
    device.advance(999).unwrap();
    assert_eq!(set(&mut device, &[(7, 0)]), ["tx A0 24 00 00"]);
    device.advance(999).unwrap();
    assert_eq!(common::packets(&mut device), [""; 0]);
    device.advance(1).unwrap();
    assert_eq!(common::packets(&mut device), ["tx A0 25 00"]);
    assert!(!device.has_timers());
}

#[test]
fn keep_alive_repeats_the_last_packet_all_packets_or_its_own() {
    let features = || vec![vibrate(0, 9), vibrate(1, 9), vibrate(2, 9)];
    for (keep_alive, wanted) in [
        ("", &["tx A1 01 04"][..]),
        ("keep_alive = 'last'", &["tx A1 01 04"]),
        ("keep_alive = 'all'", &["tx A1 00 03", "tx A1 01 04"]),
        ("keep_alive = [{ bytes = '99 {m0}', response = true }]", &["tx! 99 03"]),
    ] {
        let mut device =
            ready(&format!("{keep_alive}\npacket = [{{ bytes = 'A1 {{i}} {{v}}' }}]"), features());
        set(&mut device, &[(0, 3), (1, 4)]);
        device.call(Call::KeepAlive).unwrap();
        assert_eq!(common::packets(&mut device), wanted, "{keep_alive}");
    }
}
