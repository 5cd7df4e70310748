//! What is wrong with a template, and where: every row is a text and the error it must give.

use plugin_template::{Input, InputKind, Model, Output, OutputKind, Program};
use proptest::prelude::*;

const ROWS: &[(&str, &str)] = &[
    // The shape.
    ("packet = [{ byte = '00' }]", "packet[0].byte: unknown field `byte`"),
    ("packet = [{ to = 'tx' }]", "packet[0]: missing field `bytes`"),
    ("start = [{ wait_ms = 'x' }]", "start[0].wait_ms: invalid type"),
    ("keep_alive = 'none'", "keep_alive: wanted \"all\", \"last\" or a list of packets"),
    // Patterns.
    ("packet = [{ bytes = '' }]", "packet[0].bytes: must not be empty"),
    ("packet = [{ bytes = '5' }]", "packet[0].bytes, column 1: `5` is not a number that fits"),
    ("packet = [{ bytes = '55 0x10' }]", "packet[0].bytes, column 4: `0x10` is not a number that fits"),
    ("packet = [{ bytes = '55 xy' }]", "packet[0].bytes, column 4: `x` stands where a byte, text"),
    ("packet = [{ bytes = '55 {v' }]", "packet[0].bytes, column 6: the end stands where"),
    ("packet = [{ bytes = '55 {w}' }]", "packet[0].bytes, column 5: nothing is called `w`"),
    ("packet = [{ bytes = '55 {v:u64}' }]", "packet[0].bytes, column 7: nothing is called `u64`"),
    ("packet = [{ bytes = '\"abc' }]", "packet[0].bytes, column 5: the end stands where a closing `\"`"),
    ("packet = [{ bytes = '\"\\q\"' }]", "packet[0].bytes, column 3: `q` stands where one of"),
    ("packet = [{ bytes = '(00' }]", "packet[0].bytes, column 4: the end stands where a closing bracket"),
    ("packet = [{ bytes = '00*9999' }]", "packet[0].bytes, column 4: longer than 512"),
    ("packet = [{ bytes = '(((((00)))))' }]", "packet[0].bytes, column 6: nested too deeply"),
    ("packet = [{ bytes = '00 ( )' }]", "packet[0].bytes, column 6: must not be empty"),
    ("packet = [{ bytes = '{v', rest = '00' }]", "packet[0].bytes"),
    ("packet = [{ bytes = '00', rest = '{' }]", "packet[0].rest, column 2"),
    // Expressions.
    ("packet = [{ bytes = '{v +}' }]", "packet[0].bytes, column 5: `}` stands where a number, a word"),
    ("packet = [{ bytes = '{v ? 1}' }]", "packet[0].bytes, column 7: `}` stands where :"),
    ("packet = [{ bytes = '{abs(v, 1)}' }]", "packet[0].bytes, column 2: `abs` takes 1 values, not 2"),
    ("packet = [{ bytes = '{is(rotates)}' }]", "packet[0].bytes, column 5: nothing is called `rotates`"),
    ("packet = [{ bytes = '{99999999999999999999}' }]", "packet[0].bytes, column 2: `99999999999999999999`"),
    ("packet = [{ if = 'sum(0..1)', bytes = '00' }]", "packet[0].if, column 1: `sum` has no meaning here"),
    ("packet = [{ if = '1 2', bytes = '00' }]", "packet[0].if, column 3: `2` stands where an operator"),
    ("packet = [{ bytes = '{u8(0)}' }]", "packet[0].bytes, column 2: `u8` has no meaning here"),
    ("packet = [{ bytes = '00', after_ms = 700000 }]", "packet[0].after_ms: 700000 ms is longer"),
    // Names and tables.
    ("let = { v = '1' }", "let.v: `v` cannot be a name"),
    ("let = { m12 = '1' }", "let.m12: `m12` cannot be a name"),
    ("let = { Sel = '1' }", "let.Sel: `Sel` cannot be a name"),
    ("let = { a = '1 +' }", "let.a, column 4: the end stands where"),
    ("let = { a = 'a + 1' }", "let.a, column 1: nested too deeply"),
    ("let = { a = 'b', b = 'a' }", "let.a, column 1: nested too deeply"),
    ("let = { a = '1' }\ntables = { a = [1] }", "let.a: `a` cannot be a name"),
    ("tables = { t = [] }", "tables.t: must not be empty"),
    (
        "let = { a = 'u8(0)' }\npacket = [{ bytes = '{a}' }]",
        "packet[0].bytes, column 2: in let.a, column 1: `u8` has no meaning here",
    ),
    // Steps.
    ("start = [{ }]", "start[0]: nothing to do"),
    ("start = [{ write = 'tx' }]", "start[0]: `write` needs `bytes`"),
    ("start = [{ write = 'tx', bytes = '{v}' }]", "start[0].bytes, column 2: `v` has no meaning here"),
    ("start = [{ write = 'tx', bytes = '[00]' }]", "start[0].bytes, column 1: `[` has no meaning here"),
    ("start = [{ subscribe = 'rx', read = 'rx' }]", "start[0]: a step does one thing"),
    ("start = [{ subscribe = 'rx', wait_for = 'rx' }]", "start[0]: a step does one thing"),
    ("start = [{ subscribe = 'rx', tries = 3 }]", "start[0]: `tries` has no meaning here"),
    (
        "start = [{ write = 'tx', bytes = '00', tries = 3 }]",
        "start[0]: `tries` needs `wait_for` and `within_ms`",
    ),
    ("start = [{ wait_for = 'rx', match = '0' }]", "start[0].match, column 1: `0` is not a number"),
    ("start = [{ when = { }, subscribe = 'rx' }]", "start[0].when: must not be empty"),
    // Identification.
    ("identify = { steps = [{ subscribe = 'rx' }] }", "identify.steps: no `read` and no `wait_for`"),
    ("identify = { slice = [4, 1] }", "identify.slice: the last byte is before the first"),
    ("identify = { before = '' }", "identify.before: must not be empty"),
    ("identify = { after = '' }", "identify.after: must not be empty"),
    (
        "identify = { steps = [{ read = 'rx', when = { outputs = 1 } }] }",
        "identify.steps[0]: the model is not known yet",
    ),
    // Inputs, keep-alive, stop.
    ("input = [{ kind = 'battery' }]", "input[0]: neither `read` nor `notify`"),
    (
        "input = [{ kind = 'battery', read = 'rx', value = 'v' }]",
        "input[0].value, column 1: `v` has no meaning here",
    ),
    (
        "input = [{ kind = 'battery', read = 'rx', within_ms = 5 }]",
        "input[0]: `request` and `within_ms` need `notify`",
    ),
    ("keep_alive = [{ bytes = '{v}' }]", "keep_alive[0].bytes: `v, p, d, i or is()` has no meaning here"),
    ("stop = [{ bytes = '{i}' }]", "stop[0].bytes: `v, p, d, i or is()` has no meaning here"),
];

fn program(text: &str) -> Result<Program, String> {
    let table: toml::Table = toml::from_str(text).expect("the rows are TOML");
    let json = serde_json::to_string(&table).expect("and JSON");
    Program::from_json(&json).map_err(|error| error.to_string())
}

#[test]
fn every_error_names_the_key_the_column_and_the_reason() {
    for (text, wanted) in ROWS {
        let error = program(text).err().unwrap_or_else(|| panic!("nothing wrong with {text}"));
        assert!(error.starts_with(wanted), "{text}\n  gives  {error}\n  wanted {wanted}");
    }
}

#[test]
fn a_name_that_doubles_itself_is_too_long_rather_than_slow() {
    let names: Vec<String> = (1..20).map(|n| format!("a{n} = 'a{0} + a{0}'", n - 1)).collect();
    let error = program(&format!("let = {{ a0 = '1', {} }}", names.join(", "))).unwrap_err();
    assert!(error.contains("longer than 512"), "{error}");
}

fn model(kind: OutputKind, ranges: &[(i32, i32)]) -> Model {
    let outputs = (0..).zip(ranges).map(|(feature, (min, max))| {
        let duration_ms = if kind == OutputKind::PositionWithDuration { (0, 100_000) } else { (0, 0) };
        Output { feature, kind, min: *min, max: *max, duration_ms }
    });
    Model { outputs: outputs.collect(), ..Model::default() }
}

/// A packet, the kind and ranges of the outputs, and what the check must say.
type Check = (&'static str, OutputKind, &'static [(i32, i32)], &'static str);

const CHECKS: &[Check] = &[
    (
        "bytes = '{v}'",
        OutputKind::Vibrate,
        &[(0, 256)],
        "packet[0]: with vibrate of feature 0 at 256: 256 does not fit u8",
    ),
    (
        "bytes = '{v}'",
        OutputKind::Rotate,
        &[(-9, 9)],
        "packet[0]: with rotate of feature 0 at -9: -9 does not fit u8",
    ),
    (
        "bytes = '{v-1}'",
        OutputKind::Vibrate,
        &[(0, 9)],
        "packet[0]: with vibrate of feature 0 at 0: -1 does not fit u8",
    ),
    (
        "bytes = '{10/v}'",
        OutputKind::Vibrate,
        &[(0, 9)],
        "packet[0]: with vibrate of feature 0 at 0: division by zero",
    ),
    (
        "bytes = '{nib(m0,m1)}'",
        OutputKind::Vibrate,
        &[(0, 9), (0, 16)],
        "packet[0]: with vibrate of feature 0 at 0, vibrate of feature 1 at 16: 16 does not fit nib",
    ),
    (
        "bytes = '{m0+m1}'",
        OutputKind::Vibrate,
        &[(0, 200), (0, 100)],
        "packet[0]: with vibrate of feature 0 at 156, vibrate of feature 1 at 100: 256 does not fit u8",
    ),
    (
        "bytes = '{d:u16be}'",
        OutputKind::PositionWithDuration,
        &[(0, 9)],
        "packet[0]: with position-with-duration of feature 0 at 0 in 100000 ms from 0: 100000 does not fit u16be",
    ),
    (
        "bytes = '{t[v]}'",
        OutputKind::Vibrate,
        &[(0, 2)],
        "packet[0]: with vibrate of feature 0 at 2: no entry 2 in the table",
    ),
    (
        "bytes = '{sum(0..3)}'",
        OutputKind::Vibrate,
        &[(0, 2)],
        "packet[0]: with vibrate of feature 0 at 0: a checksum over byte 3",
    ),
    ("features = [1]\nbytes = '{v}'", OutputKind::Vibrate, &[(0, 2)], "no packet for vibrate of feature 0"),
    (
        "bytes = '{v}'\nwhen = { outputs = 2 }",
        OutputKind::Vibrate,
        &[(0, 2)],
        "no packet for vibrate of feature 0",
    ),
];

#[test]
fn the_check_names_the_packet_the_values_and_the_reason() {
    for (packet, kind, ranges, wanted) in CHECKS {
        let program = program(&format!("tables = {{ t = [1, 2] }}\n[[packet]]\n{packet}")).unwrap();
        let errors = program.check(&model(*kind, ranges)).expect_err(packet);
        assert!(errors.iter().any(|error| error.to_string().starts_with(wanted)), "{packet}: {errors:?}");
    }
}

#[test]
fn the_check_wants_an_input_for_every_input_and_knows_the_endpoints() {
    let program = program("input = [{ kind = 'battery', features = [1], read = 'bat' }]").unwrap();
    let with =
        |feature| Model { inputs: vec![Input { feature, kind: InputKind::Battery }], ..Model::default() };
    assert_eq!(program.check(&with(1)), Ok(()));
    assert_eq!(program.check(&with(2)).unwrap_err()[0].to_string(), "no input for battery of feature 2");
    assert_eq!(program.check_endpoints(&["bat"]), Ok(()));
    let unknown = program.check_endpoints(&["tx"]).unwrap_err();
    assert_eq!(unknown[0].to_string(), "input[0]: no endpoint `bat` in this protocol");
}

/// Editors complete from this; the schema of definition files includes it.
#[test]
fn the_schema_has_every_key_and_refuses_others() {
    let schema = serde_json::to_value(schemars::schema_for!(plugin_template::Template)).expect("it is JSON");
    assert_eq!(schema["additionalProperties"], false);
    for key in ["identify", "start", "let", "tables", "packet", "input", "keep_alive", "stop"] {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
    for table in ["Packet", "Write", "Step", "When", "Identify", "Manufacturer", "HandOver", "Input"] {
        assert_eq!(schema["$defs"][format!("Template{table}")]["additionalProperties"], false, "{table}");
    }
}

/// Texts that are nearly patterns: made of the language's own pieces.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "55",
        "A",
        "{",
        "}",
        "v",
        "m0",
        "on",
        ":",
        "?",
        "(",
        ")",
        "[",
        "]",
        "*",
        "7",
        "\"",
        "\\",
        "n",
        "..",
        "sum(",
        "0",
        ",",
        "-",
        "%",
        "/",
        "<<",
        "63",
        "0x",
        "a",
        "t[",
        "u16le",
        "{v}",
        "{on:FF}",
        "dec3",
        "é",
        "&&",
        "!",
        "p",
        "{t[v]}",
        "{seq}",
        "99999999999",
        "nib(",
        "ceil(v,m1)",
        "is(rotate)",
        " ",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_or_the_check_panic(bytes in pieces(), condition in pieces(), any in ".{0,40}") {
        let model = model(OutputKind::Vibrate, &[(i32::MIN, i32::MAX), (0, 9)]);
        for (bytes, condition) in [(&bytes, "1"), (&bytes, condition.as_str()), (&any, "1"), (&any, any.as_str())] {
            let value = serde_json::json!({
                "let": { "a": condition },
                "tables": { "t": [1, i64::MAX, i64::MIN] },
                "packet": [{ "bytes": bytes, "if": condition, "rest": bytes }],
                "input": [{ "kind": "battery", "read": "rx", "value": bytes, "match": bytes }],
                "stop": [{ "bytes": bytes }],
            });
            for keys in [&["packet"][..], &["input"], &["stop"], &["let", "tables", "packet"], &["tables", "packet"]] {
                let part: serde_json::Map<_, _> = value
                    .as_object()
                    .expect("it is one")
                    .iter()
                    .filter(|(key, _)| keys.contains(&key.as_str()))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                if let Ok(program) = Program::from_value(&part.into()) {
                    let _checked: Result<(), _> = program.check(&model);
                }
            }
        }
    }
}
