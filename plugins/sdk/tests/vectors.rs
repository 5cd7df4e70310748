//! The runner of golden vectors accepts what is right and names what is wrong.
#![cfg(feature = "driver")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use plugin_sdk::driver::Subject;
use plugin_sdk::vectors::{Definition, Mismatch, Vector, VectorError, run};
use plugin_sdk::{
    Endpoint, Event, Failure, Info, InputKind, Model, Ops, Output, Protocol, Query, Timer, Waited, Wanted,
};

/// Asks for the model, packs nothing, answers battery reads.
struct Wave {
    tx: Endpoint,
    rx: Endpoint,
    query: Option<Query>,
}

impl Protocol for Wave {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        let tx = info.require("tx")?;
        Ok(Self { tx, rx: info.require("rx")?, query: Some(Query::new(tx, b"?", Timer(0), 500, 2)) })
    }

    fn identify(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.subscribe(self.rx);
        if let Some(query) = &mut self.query {
            query.ask(ops);
        }
        Ok(())
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.write_with_response(self.tx, &[0x01]);
        ops.ready();
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        for output in set {
            ops.write(self.tx, &[0xaa, output.byte()?]);
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Event::Notified { data, .. } = event {
            match self.query.take() {
                Some(query) => {
                    query.answered(ops);
                    ops.identified(&String::from_utf8_lossy(data));
                }
                None => {
                    let percent = data.first().ok_or(Failure::bad_reply("a battery without a value"))?;
                    ops.reading(1, InputKind::Battery, i32::from(*percent));
                }
            }
        } else if let Some(query) = &mut self.query
            && query.event(&event, ops) == Waited::GaveUp
        {
            self.query = None;
            ops.identified("silent");
        }
        Ok(())
    }

    fn input(&mut self, _: Wanted, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.write(self.tx, b"b");
        Ok(())
    }
}

plugin_sdk::export! { id: "test", protocols: { "wave" => Wave } }

const DEFINITION: &str = r#"
    maker = "Test"
    [[protocol]]
    id = "wave"
    code = true
    [[protocol.bluetooth]]
    names = ["Wave*"]
    services = { "0000ffe0-0000-1000-8000-00805f9b34fb" = { tx = "0000ffe1-0000-1000-8000-00805f9b34fb", rx = "0000ffe2-0000-1000-8000-00805f9b34fb" } }
    [protocol.default]
    name = "Wave"
    features = [
        { index = 0, output = { vibrate = [0, 20], position = [0, 100] } },
        { index = 1, input = { battery = { range = [[0, 100]], ways = ["read"] } } },
    ]
"#;

fn check(steps: &str) -> Result<(), Mismatch> {
    let vector = Vector::parse(&format!("protocol = \"wave\"\nname = \"Wave 2\"\n{steps}")).unwrap();
    run(
        &vector,
        &Definition::parse(DEFINITION).unwrap(),
        &direct as &dyn Fn(&str, &Info) -> Option<Result<Box<dyn Subject>, Failure>>,
    )
}

const BRING_UP: &str = r#"
    [[step]]
    expect = { subscribe = "rx" }
    [[step]]
    expect = { write = "tx", text = "?" }
    [[step]]
    do = { notify = "rx", text = "W2" }
    [[step]]
    expect = { write = "tx", hex = "01", response = true }
    [[step]]
    expect = { ready = "W2" }
"#;

#[test]
fn a_vector_of_everything_passes() {
    check(&format!(
        r#"{BRING_UP}
        [[step]]
        do = {{ set = [{{ feature = 0, kind = "vibrate", value = 17 }}] }}
        [[step]]
        expect = {{ write = "tx", hex = "aa 11" }}
        [[step]]
        do = {{ keep_alive = "now" }}
        [[step]]
        expect = {{ write = "tx", hex = "aa 11" }}
        [[step]]
        do = {{ stop = "all" }}
        why = "the position of the feature is not moved"
        [[step]]
        expect = {{ write = "tx", hex = "aa 00" }}
        [[step]]
        do = {{ read = {{ feature = 1, kind = "battery" }} }}
        [[step]]
        expect = {{ write = "tx", text = "b" }}
        [[step]]
        do = {{ notify = "rx", hex = "55" }}
        [[step]]
        expect = {{ reading = {{ feature = 1, kind = "battery", value = 85 }} }}
        "#
    ))
    .unwrap();
}

#[test]
fn timers_come_in_virtual_time() {
    check(
        r#"
        [[step]]
        expect = { subscribe = "rx" }
        [[step]]
        expect = { write = "tx", text = "?" }
        [[step]]
        do = { timer_ms = 499 }
        [[step]]
        do = { timer_ms = 1 }
        [[step]]
        expect = { write = "tx", text = "?" }
        [[step]]
        do = { timer_ms = 500 }
        [[step]]
        expect = { write = "tx", hex = "01", response = true }
        [[step]]
        expect = { ready = "silent" }
        "#,
    )
    .unwrap();
}

#[test]
fn a_wrong_byte_is_named_with_its_step() {
    let steps = format!(
        "{BRING_UP}\n[[step]]\ndo = {{ set = [{{ feature = 0, kind = \"vibrate\", value = 17 }}] }}\n\
         [[step]]\nexpect = {{ write = \"tx\", hex = \"aa 12\" }}"
    );
    assert_eq!(
        check(&steps),
        Err(Mismatch::Other {
            step: 7,
            expected: "write to tx without response: aa 12 (\\xaa\\x12)".to_owned(),
            got: "write to tx without response: aa 11 (\\xaa\\x11)".to_owned(),
        })
    );
}

#[test]
fn the_kind_of_a_write_matters() {
    let steps = BRING_UP.replace(", response = true", "");
    assert!(matches!(check(&steps), Err(Mismatch::Other { step: 4, .. })));
}

#[test]
fn a_missing_operation_is_named() {
    let steps = format!("{BRING_UP}\n[[step]]\nexpect = {{ subscribe = \"rx\" }}");
    let Err(Mismatch::Other { step: 6, got, .. }) = check(&steps) else { panic!("accepted") };
    assert_eq!(got, "nothing");
}

#[test]
fn an_operation_left_over_is_named() {
    let steps = BRING_UP.rsplit_once("[[step]]").unwrap().0;
    assert_eq!(check(steps), Err(Mismatch::LeftOver { step: 5, got: "ready as \"W2\"".to_owned() }));
}

#[test]
fn a_device_that_is_given_up_is_expected_or_an_error() {
    let steps = format!("{BRING_UP}\n[[step]]\ndo = {{ notify = \"rx\", hex = \"\" }}");
    assert!(matches!(check(&steps), Err(Mismatch::Failed { step: 6, failure: Failure::BadReply(_) })));
    check(&format!("{steps}\n[[step]]\nexpect = {{ gives_up = \"device\" }}")).unwrap();
    let steps = format!("{BRING_UP}\n[[step]]\nexpect = {{ gives_up = \"device\" }}");
    let Err(Mismatch::Other { step: 6, got, .. }) = check(&steps) else { panic!("accepted") };
    assert_eq!(got, "nothing");
}

#[test]
fn a_step_must_be_one_thing() {
    let parse = |step: &str| Vector::parse(&format!("protocol = \"wave\"\n[[step]]\n{step}"));
    assert!(matches!(parse("do = { hex = \"00\" }"), Err(VectorError::NotOne { step: 1, .. })));
    assert!(matches!(parse("do = { notify = \"rx\" }"), Err(VectorError::NotOne { step: 1, .. })));
    assert!(matches!(parse("do = { notify = \"rx\", hex = \"0\" }"), Err(VectorError::Hex { step: 1, .. })));
    assert!(matches!(parse("do = { stop = \"some\" }"), Err(VectorError::Form(_))));
    assert!(matches!(parse("expect = { write = \"tx\", bytes = \"00\" }"), Err(VectorError::Form(_))));
}
