//! Whole files in, problems and devices out: what a definition file may say, what a catalogue makes of several, and that nothing
//! which denies or limits a device is ever lost.

use proptest::prelude::*;

use super::{
    access::Refusal,
    catalogue::{Catalogue, Source},
    import::import_intiface,
    matching::{Way, services_fit},
    model::Protocol,
    parse::{AnyTemplate, Layer, Parsed, TemplateCheck, TemplateProblem, parse},
    resolved::Resolved,
};
use crate::{
    advertisement::Advertisement,
    vocabulary::{DeviceIndex, FeatureIndex, OutputKind, Range},
};

/// A protocol `acme` in the form that the tests vary.
const ACME: &str = r#"maker = "Acme"
[[protocol]]
id = "acme"
[[protocol.bluetooth]]
names = ["Acme One", "AC-*"]
[protocol.bluetooth.services]
"0000fff0-0000-1000-8000-00805f9b34fb" = { tx = "0000fff1-0000-1000-8000-00805f9b34fb" }
[protocol.template]
[protocol.default]
name = "Acme Device"
features = [{ index = 0, output = { vibrate = [0, 20] } }]
[[protocol.model]]
identifiers = ["Acme One"]
name = "Acme One"
variant = "one"
features = [
    { index = 1, output = { position = [0, 100], position-with-duration = { range = [0, 100], duration_ms = [0, 5000] } } },
    { index = 0, output = { rotate = [-99, 99] }, input = { battery = { range = [[0, 100]], ways = ["read"] } } },
]
"#;

fn source(layer: Layer, file: &str, text: &str) -> Source {
    Source { layer, file: file.into(), text: Ok(text.into()) }
}

/// `ACME` and a file of the user.
fn build(user: &str, previous: Option<&Catalogue>) -> (Catalogue, Vec<String>) {
    let sources = [source(Layer::Plugins, "acme", ACME), source(Layer::User, "u", user)];
    let (catalogue, problems) = Catalogue::build(&sources, previous, &AnyTemplate);
    (catalogue, problems.iter().map(ToString::to_string).collect())
}

fn good(user: &str) -> Catalogue {
    let (catalogue, problems) = build(user, None);
    assert_eq!(problems, [""; 0]);
    catalogue
}

fn named(name: &str) -> Advertisement {
    Advertisement::Bluetooth { name: Some(name.into()), manufacturer_data: Vec::new(), services: Vec::new() }
}

fn found(catalogue: &Catalogue, advertisement: &Advertisement) -> Vec<String> {
    catalogue.find(advertisement).iter().map(|one| format!("{}: {}", one.protocol.id(), one.sign)).collect()
}

/// What is said about a file whose text is `ACME` with `from` replaced by `to`.
#[track_caller]
fn check(from: &str, to: &str, problem: &str) {
    assert!(ACME.contains(from), "{from:?} is not in the text");
    let text = ACME.replacen(from, to, 1);
    match parse("f.toml", &text, Layer::Plugins, &AnyTemplate) {
        Parsed::Good(_) => panic!("taken as good, wanted: {problem}"),
        Parsed::Broken { problems, .. } => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert!(problems.iter().any(|one| one == problem), "wanted {problem:?}, is {problems:#?}");
        }
    }
}

#[test]
fn a_problem_names_file_line_key_and_reason() {
    check(
        "maker",
        "makr",
        "f.toml:1: makr: unknown field `makr`, expected one of `maker`, `library`, `protocol`, `model`, `device`",
    );
    check(
        "[0, 20]",
        "[20, 0]",
        "f.toml:11: protocol[0].default.features[0].output.vibrate: the range [20, 0] is empty: its first number is above its second",
    );
    check(
        "[0, 20]",
        "[1, 20]",
        "f.toml:11: protocol[0].default.features[0].output.vibrate: 0 is not in the range [1, 20], so it could never be brought to rest",
    );
    check(
        "[-99, 99]",
        "[-9, 99]",
        "f.toml:18: protocol[0].model[0].features[1].output.rotate: the range [-9, 99] does not go as far in one direction as in the other",
    );
    check(
        "index = 1",
        "index = 0",
        "f.toml:18: protocol[0].model[0].features[1].index: two features have the index 0",
    );
    check(
        "vibrate",
        "vibrat",
        "f.toml:11: protocol[0].default.features[0].output.vibrat: unknown variant `vibrat`, expected one of `vibrate`, `rotate`, `oscillate`, `constrict`, `temperature`, `led`, `spray`, `position`, `position-with-duration`",
    );
    check(
        ", duration_ms = [0, 5000]",
        "",
        "f.toml:17: protocol[0].model[0].features[0].output.position-with-duration: needs `duration_ms`, the times that it takes",
    );
    check(
        "[\"read\"]",
        "[]",
        "f.toml:18: protocol[0].model[0].features[1].input.battery.ways: is empty: it could not be had",
    );
    check("[protocol.template]", "", "f.toml:2: protocol[0]: needs `[protocol.template]`, or `code = true`");
    check(
        "[protocol.template]\n",
        "",
        "f.toml:2: protocol[0]: needs `[protocol.template]`, or `code = true`",
    );
    check(
        "id = \"acme\"",
        "id = \"Acme\"",
        "f.toml:3: protocol[0].id: `Acme` is not an id: lower-case letters, digits, `-` and `_`",
    );
    check(
        "\"Acme One\", \"AC-*\"",
        "\"AC-1\", \"AC-*\"",
        "f.toml:5: protocol[0].bluetooth[0].names[0]: `AC-1` decides nothing: `AC-*` beside it covers it",
    );
    check("\"AC-*\"", "\"*\"", "f.toml:5: protocol[0].bluetooth[0].names[1]: `*` would take every device");
    check(
        "\"AC-*\"",
        "\"A*C\"",
        "f.toml:5: protocol[0].bluetooth[0].names[1]: `A*C` has a `*` before its end; only one at the end stands for any rest",
    );
    check(
        "\"AC-*\"",
        "\"Acme One\"",
        "f.toml:5: protocol[0].bluetooth[0].names[1]: `Acme One` is there twice",
    );
    check(
        "identifiers = [\"Acme One\"]",
        "identifiers = [\"a\", \"a\"]",
        "f.toml:13: protocol[0].model[0].identifiers[1]: the protocol has `a` already",
    );
    check(
        "[protocol.template]",
        "[[device]]\nwhich = {}\n[protocol.template]",
        "f.toml:8: device: belongs in a file of the administrator or the user, not in a plugin folder",
    );
}

#[test]
fn a_problem_of_a_uuid_names_its_line() {
    let text = ACME.replacen("0000fff1-", "0000xff1-", 1);
    let Parsed::Broken { problems, .. } = parse("f.toml", &text, Layer::Plugins, &AnyTemplate) else {
        panic!("taken as good")
    };
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.line, Some(7));
    assert!(problem.key.starts_with("protocol[0].bluetooth[0].services"), "{}", problem.key);
}

#[test]
fn code_needs_a_library_and_only_plugin_folders_have_one() {
    let code = ACME.replace("[protocol.template]\n", "").replace("id =", "code = true\nid =");
    let problem = |text: &str, layer| match parse("f", text, layer, &AnyTemplate) {
        Parsed::Good(_) => String::new(),
        Parsed::Broken { problems, .. } => problems.first().map(ToString::to_string).unwrap_or_default(),
    };
    assert_eq!(
        problem(&code, Layer::Plugins),
        "f:3: protocol[0].code: needs `library`, the code of this folder, at the top of the file"
    );
    let with = format!("library = \"buttplug_acme\"\n{code}");
    assert_eq!(problem(&with, Layer::Plugins), "");
    assert!(problem(&with, Layer::User).starts_with("f:1: library: only a plugin folder may name a library"));
}

#[test]
fn the_shell_checks_templates_and_the_problem_gets_its_line() {
    struct Refuses;
    impl TemplateCheck for Refuses {
        fn check(&self, protocol: &Protocol, template: &toml::Table) -> Vec<TemplateProblem> {
            assert_eq!((protocol.id.as_str(), template.len()), ("acme", 1));
            vec![TemplateProblem { key: "packet[0].bytes".into(), reason: "is wrong".into() }]
        }
    }
    let text = ACME.replace("[protocol.template]", "[[protocol.template.packet]]\nto = 'tx'\nbytes = '55'");
    let Parsed::Broken { problems, .. } = parse("f", &text, Layer::Plugins, &Refuses) else {
        panic!("taken as good")
    };
    assert_eq!(problems[0].to_string(), "f:10: protocol[0].template.packet[0].bytes: is wrong");
}

#[test]
fn an_exact_name_goes_before_a_longer_beginning_before_data_before_a_service() {
    let other = |id: &str, matching: &str| {
        ACME.replace("\"acme\"", &format!("\"{id}\""))
            .replace("names = [\"Acme One\", \"AC-*\"]", matching)
            .replace("fff0", id)
    };
    let sources = [
        source(
            Layer::Plugins,
            "1",
            &other(
                "aaa1",
                "names = [\"AC*\"]\nadvertised_services = [\"0000fff0-0000-1000-8000-00805f9b34fb\"]",
            )
            .replace("\"aaa1\"", "\"short\""),
        ),
        source(Layer::Plugins, "2", &other("aaa2", "names = [\"AC-12\"]").replace("\"aaa2\"", "\"exact\"")),
        source(Layer::Plugins, "3", ACME),
        source(
            Layer::Plugins,
            "4",
            &other("aaa4", "manufacturer_data = [{ company = 620, data = \"ff 21\" }]")
                .replace("\"aaa4\"", "\"data\""),
        ),
        source(
            Layer::Plugins,
            "5",
            &other("aaa5", "manufacturer_data = [{ company = 620 }]").replace("\"aaa5\"", "\"company\""),
        ),
        source(
            Layer::Plugins,
            "6",
            &other("aaa6", "advertised_services = [\"00001234-0000-1000-8000-00805f9b34fb\"]")
                .replace("\"aaa6\"", "\"service\""),
        ),
    ];
    let (catalogue, problems) = Catalogue::build(&sources, None, &AnyTemplate);
    assert_eq!(problems, []);
    let advertisement = Advertisement::Bluetooth {
        name: Some("AC-12".into()),
        manufacturer_data: vec![(620, vec![0, 0xff, 0x21])],
        services: vec!["00001234-0000-1000-8000-00805f9b34fb".parse().unwrap()],
    };
    let wanted = [
        "exact: the name is `AC-12`",
        "acme: the name matches `AC-*`",
        "short: the name matches `AC*`",
        "data: the manufacturer data of company 620 matches ff 21",
        "company: there is manufacturer data of company 620",
        "service: the service 00001234-0000-1000-8000-00805f9b34fb is advertised",
    ];
    assert_eq!(found(&catalogue, &advertisement), wanted);
}

#[test]
fn a_later_layer_goes_first_and_replaces_a_protocol_of_the_same_id() {
    let mine = ACME.replace("\"acme\"", "\"mine\"").replace("\"Acme One\", \"AC-*\"", "\"AC*\"");
    assert_eq!(
        found(&good(&mine), &named("AC-1")),
        ["mine: the name matches `AC*`", "acme: the name matches `AC-*`"]
    );
    let same = good(&ACME.replace("Acme Device", "Replaced"));
    assert_eq!(same.resolve("acme", "AC-1", "a").unwrap().name, "Replaced");
    assert_eq!(found(&same, &named("AC-1")).len(), 1);
}

#[test]
fn two_protocols_of_one_layer_that_cannot_be_told_apart_are_a_problem_of_both_files() {
    let twin = ACME.replace("\"acme\"", "\"twin\"").replace("\"Acme One\", \"AC-*\"", "\"AC-*\"");
    let sources = [source(Layer::Plugins, "a", ACME), source(Layer::Plugins, "b", &twin)];
    let (_, problems) = Catalogue::build(&sources, None, &AnyTemplate);
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let wanted = [
        "a: `acme` and `twin` (b) cannot be told apart: for both, the name matches `AC-*`",
        "b: `twin` and `acme` (a) cannot be told apart: for both, the name matches `AC-*`",
    ];
    assert_eq!(said, wanted);
    let apart = [
        source(Layer::Plugins, "a", ACME),
        source(Layer::Plugins, "b", &twin.replace("0000fff0", "0000ffe0")),
    ];
    assert_eq!(Catalogue::build(&apart, None, &AnyTemplate).1, []);
    let same = [source(Layer::Plugins, "a", ACME), source(Layer::Plugins, "b", ACME)];
    let said = Catalogue::build(&same, None, &AnyTemplate).1[0].to_string();
    assert_eq!(said, "b:3: protocol[0].id: the protocol `acme` is defined by a already");
}

#[test]
fn check_tells_of_a_new_file_what_the_others_make_of_it() {
    let new = "[[model]]\nprotocol = \"acne\"\nidentifiers = [\"x\"]\n";
    let problems = good("").check(&source(Layer::User, "new.toml", new), &AnyTemplate);
    assert_eq!(
        problems[0].to_string(),
        "new.toml:2: model[0].protocol: no definition has the protocol `acne`"
    );
    assert_eq!(
        good("").check(&source(Layer::User, "new.toml", &new.replace("acne", "acme")), &AnyTemplate),
        []
    );
}

#[test]
fn a_model_of_the_user_is_recognised_and_resolved() {
    let catalogue = good(
        "[[model]]\nprotocol = 'acme'\nidentifiers = ['Own']\nname = 'My Own'\nbluetooth = [{ names = ['Own'] }]\nserial = [{ port = '/dev/ttyUSB7', baud_rate = 9600 }]\n",
    );
    let candidates = catalogue.find(&named("Own"));
    let Some(Way::Bluetooth(services)) = candidates.first().map(|one| &one.way) else {
        panic!("{candidates:?}")
    };
    assert_eq!(services.len(), 1, "the services of the protocol");
    let resolved = catalogue.resolve("acme", "Own", "a").unwrap();
    assert_eq!((resolved.name.as_str(), resolved.features.len()), ("My Own", 1));
    let port = Advertisement::Serial { port: "/dev/ttyUSB7".into(), usb: None };
    assert_eq!(found(&catalogue, &port), ["acme: the port is `/dev/ttyUSB7`"]);
}

#[test]
fn a_service_that_every_device_has_tells_nothing() {
    let [battery, own, other] = [0x180f_u128, 0xfff0, 0xffe0]
        .map(|short| uuid::Uuid::from_u128((short << 96) | 0x1000_8000_0080_5f9b_34fb));
    assert!(services_fit(&[battery, own], &[battery, own]));
    assert!(!services_fit(&[battery, own], &[battery, other]));
    assert!(services_fit(&[battery], &[battery]));
}

fn device(rule: &str) -> String {
    format!("[[device]]\nwhich = {{ address = 'AA:01' }}\n{rule}\n")
}

fn resolve(user: &str) -> Result<Resolved, Refusal> {
    good(user).resolve("acme", "Acme One", "aa:01")
}

#[test]
fn rules_rename_limit_disable_and_number() {
    let resolved = resolve(&device(
        "name = 'Mine'\nindex = 7\nmessage_gap_ms = 200\noutputs = [\n{ feature = 0, kind = 'rotate', range = [0, 40] },\n{ feature = 1, kind = 'position', disabled = true },\n{ feature = 1, kind = 'position-with-duration', range = [30, 70], duration_ms = [200, 9000] }]",
    ))
    .unwrap();
    assert_eq!(resolved.index, Some(7));
    let view = resolved.view(DeviceIndex(7), 75);
    assert_eq!(
        (view.name.as_str(), view.display_name.as_deref(), view.message_gap_ms),
        ("Acme One", Some("Mine"), 200)
    );
    let shown: Vec<_> = view
        .features
        .iter()
        .flat_map(|feature| &feature.outputs)
        .map(|one| (one.kind, one.range, one.duration_ms))
        .collect();
    assert_eq!(
        shown,
        [
            (OutputKind::Rotate, Range::new(-40, 40), None),
            (OutputKind::PositionWithDuration, Range::new(0, 40), Some((200, 5000))),
        ]
    );
    let position = resolved.output(FeatureIndex(1), OutputKind::Position).unwrap();
    assert_eq!(
        (position.hardware, position.scale),
        (Range::new(0, 100), None),
        "the plugin still knows of it"
    );
}

#[test]
fn the_later_layer_then_the_more_exact_rule_wins() {
    let admin = "[[device]]\nwhich = { protocol = 'acme' }\nname = 'admin'\noutputs = [{ feature = 0, kind = 'rotate', range = [0, 10] }]";
    let user = "[[device]]\nwhich = { address = 'AA:01' }\nname = 'exact'\n[[device]]\nwhich = { protocol = 'acme' }\nname = 'wide'\noutputs = [{ feature = 0, kind = 'rotate', invert = true }]";
    let sources = [
        source(Layer::User, "u", user),
        source(Layer::Administrator, "a", admin),
        source(Layer::Plugins, "p", ACME),
    ];
    let (catalogue, problems) = Catalogue::build(&sources, None, &AnyTemplate);
    assert_eq!(problems, []);
    let resolved = catalogue.resolve("acme", "Acme One", "AA:01").unwrap();
    assert_eq!(resolved.display_name.as_deref(), Some("exact"));
    let scale = resolved.output(FeatureIndex(0), OutputKind::Rotate).unwrap().scale.unwrap();
    assert_eq!(
        (scale.shown(), scale.to_hardware(3)),
        (Range::new(-10, 10), Ok(-3)),
        "one sets the limit, the other inverts"
    );
}

#[test]
fn deny_always_wins_and_allow_shuts_out_the_others() {
    let denied = "[[device]]\nwhich = { protocol = 'acme' }\ndeny = true\n[[device]]\nwhich = { address = 'AA:01' }\nallow = true\n";
    assert_eq!(good(denied).admit("acme", "AA:01"), Err(Refusal::Denied { file: "u".into() }));
    let allowed = good(&device("allow = true"));
    assert_eq!(allowed.admit("acme", "aa:01"), Ok(()));
    assert_eq!(allowed.admit("acme", "AA:02"), Err(Refusal::NotAllowed { file: "u".into() }));
    let by_model = good("[[device]]\nwhich = { identifier = 'Acme One' }\ndeny = true");
    assert_eq!(by_model.admit("acme", "a"), Ok(()), "not known before it is asked");
    assert_eq!(by_model.resolve("acme", "Acme One", "a").unwrap_err(), Refusal::Denied { file: "u".into() });
}

#[test]
fn a_limit_that_does_not_fit_the_device_holds_it_back() {
    let limit = |kind: &str, range: &str| {
        resolve(&device(&format!("outputs = [{{ feature = 0, kind = '{kind}', range = {range} }}]")))
            .map(|_| ())
    };
    let reason = |text: &str| Err(Refusal::Quarantined { reason: text.into() });
    assert_eq!(
        limit("vibrate", "[0, 5]"),
        reason("u: the limit of feature 0, vibrate: the device has no such output")
    );
    assert_eq!(
        limit("rotate", "[100, 120]"),
        reason(
            "u: the limit of feature 0, rotate: the limit [100, 120] has no value that the device takes, [-99, 99]"
        )
    );
    let wide = good(
        "[[device]]\nwhich = { protocol = 'acme' }\noutputs = [{ feature = 0, kind = 'vibrate', range = [0, 5] }]",
    );
    assert!(
        wide.resolve("acme", "Acme One", "a").is_ok(),
        "a rule for a whole protocol holds where the output is"
    );
    let scale = wide
        .resolve("acme", "AC-1", "a")
        .unwrap()
        .output(FeatureIndex(0), OutputKind::Vibrate)
        .unwrap()
        .scale
        .unwrap();
    assert_eq!(scale.shown(), Range::new(0, 5));
}

#[test]
fn a_file_that_breaks_leaves_what_was_last_good_in_force() {
    let before = good(&device("deny = true"));
    for broken in ["[[device", "[[device]]\nwhich = { adress = 'x' }", "[[device]]\nwhich = {}"] {
        let (after, problems) = build(broken, Some(&before));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(after.admit("acme", "AA:01"), Err(Refusal::Denied { file: "u".into() }));
        assert_eq!(after.admit("acme", "AA:02"), Ok(()));
        let (still, _) = build(broken, Some(&after));
        assert_eq!(still.admit("acme", "AA:01"), Err(Refusal::Denied { file: "u".into() }));
    }
}

#[test]
fn a_file_that_was_never_good_holds_back_whom_it_may_be_about() {
    let held = |user: &str, address: &str| {
        matches!(build(user, None).0.admit("acme", address), Err(Refusal::Quarantined { .. }))
    };
    for everyone in [
        "[[device",
        "[[device]]\nwhich = { adress = 'x' }\ndeny = true",
        "[[devices]]\nwhich = { address = 'x' }",
        "device = 3",
    ] {
        assert!(held(everyone, "AA:01") && held(everyone, "AA:02"), "{everyone}");
    }
    let one = device("deny = 'yes'") + "[[device]]\nwhich = { address = 'AA:03' }\ndeny = true\n";
    assert!(held(&one, "AA:01") && !held(&one, "AA:02"));
    let (catalogue, _) = build(&one, None);
    assert_eq!(
        catalogue.admit("acme", "AA:03"),
        Err(Refusal::Denied { file: "u".into() }),
        "what could be read holds"
    );
    assert!(!held("[[model]]\nprotocol = 4", "AA:01"), "a broken model limits nobody");
    let unreadable = Source { layer: Layer::User, file: "u".into(), text: Err("no permission".into()) };
    let (catalogue, problems) =
        Catalogue::build(&[source(Layer::Plugins, "p", ACME), unreadable], None, &AnyTemplate);
    assert_eq!(problems[0].to_string(), "u: cannot be read: no permission");
    assert!(matches!(catalogue.admit("acme", "a"), Err(Refusal::Quarantined { .. })));
}

#[test]
fn a_slip_in_the_protocol_of_a_rule_does_not_free_its_device() {
    let (catalogue, problems) =
        build("[[device]]\nwhich = { protocol = 'acne', address = 'AA:01' }\ndeny = true", None);
    assert_eq!(problems, ["u:2: device[0].which.protocol: no definition has the protocol `acne`"]);
    assert!(matches!(catalogue.admit("acme", "AA:01"), Err(Refusal::Quarantined { .. })));
    assert_eq!(catalogue.admit("acme", "AA:02"), Ok(()));
}

#[test]
fn explain_says_what_matches_and_why() {
    let catalogue = good(&device("deny = true"));
    let lines = catalogue.explain(&named("Acme One"), Some("AA:01"));
    assert_eq!(
        lines,
        [
            "1. acme (Acme Device), plugin folder acme: the name is `Acme One`",
            "  it must have the service 0000fff0-0000-1000-8000-00805f9b34fb",
            "  run by its template",
            "  not offered: denied by u",
        ]
    );
    assert_eq!(catalogue.explain(&named("Acme One"), None)[3], "  listed as `Acme One`: Acme One");
    let near = catalogue.explain(&named("acme one "), None);
    assert_eq!(
        near,
        [
            "nothing matches",
            "  `Acme One` of acme is close: upper and lower case, and blanks at the ends, count"
        ]
    );
}

/// An old file with one device, of which `user` and `features` are given.
fn intiface(user: &str, features: &str) -> String {
    format!(
        r#"{{"version": {{"major": 4, "minor": 0}}, "user_configs": {{"devices": [{{
            "identifier": {{"protocol": "acme", "identifier": "Acme One", "address": "DeviceId(\"/org/bluez/hci0/dev_AA_00_00_00_00_0f\")"}},
            "config": {{"id": "x", "features": {features}, "user_config": {user}}}}}]}}}}"#
    )
}

#[track_caller]
fn imported(user: &str, features: &str) -> (Catalogue, Vec<String>) {
    let imported = import_intiface(&intiface(user, features), &good("")).unwrap();
    (good(&imported.text), imported.report.iter().map(ToString::to_string).collect())
}

#[test]
fn an_import_carries_names_limits_and_denies_over() {
    let features = r#"[{"id": "a", "output": {"rotate": {"value": [10, 40], "disabled": false}}},
        {"id": "b", "output": {"hw_position_with_duration": {"value": [20, 80], "reverse": true}, "position": {"value": [0, 100]}}}]"#;
    let (catalogue, report) =
        imported(r#"{"display_name": "Mine", "allow": false, "deny": false, "index": 4}"#, features);
    assert_eq!(report, [""; 0]);
    let resolved = catalogue.resolve("acme", "Acme One", "AA:00:00:00:00:0F").unwrap();
    assert_eq!((resolved.display_name.as_deref(), resolved.index), (Some("Mine"), Some(4)));
    let hardware =
        |feature, kind| resolved.output(FeatureIndex(feature), kind).unwrap().scale.unwrap().to_hardware(1);
    assert_eq!(hardware(0, OutputKind::Rotate), Ok(11));
    assert_eq!(hardware(1, OutputKind::PositionWithDuration), Ok(79));
    assert_eq!(hardware(1, OutputKind::Position), Ok(1));
    let (denied, _) = imported(r#"{"deny": true}"#, "[]");
    assert!(matches!(denied.admit("acme", "AA:00:00:00:00:0F"), Err(Refusal::Denied { .. })));
}

#[test]
fn an_import_denies_what_it_cannot_limit() {
    for features in [
        r#"[{"output": {"constrict": {"value": [0, 3]}}}]"#,
        r#"[{"output": {"rotate": {"value": [200, 300]}}}]"#,
        r#"[{"output": {"rotate": {"value": "half"}}}]"#,
        r#"[{"output": {"rotate": {"ceiling": 3}}}]"#,
        r#"[{"output": 3}]"#,
        "{}",
    ] {
        let (catalogue, report) = imported(r#"{"allow": true}"#, features);
        assert_eq!(report.len(), 1, "{features}: {report:?}");
        assert!(
            report[0].contains("the device is denied in the new file until you have looked at it"),
            "{report:?}"
        );
        assert!(
            matches!(catalogue.admit("acme", "AA:00:00:00:00:0F"), Err(Refusal::Denied { .. })),
            "{features}"
        );
    }
}

#[test]
fn an_import_carries_models_and_reports_what_has_no_place() {
    let old = r#"{"version": {"major": 5, "minor": 1}, "user_configs": {"protocols": {
        "acme": {"communication": [{"btle": {"names": ["Own"], "services": {}}}, {"xinput": {"exists": true}}],
                 "configurations": [{"identifier": ["Own"], "name": "My Own", "id": "x", "features": [
                    {"index": 3, "id": "y", "output": {"vibrate": {"value": [0, 9]}}, "input": {"battery": {"value": [[0, 100]], "command": ["Read"]}}}]}]},
        "other": {"configurations": []}}}}"#;
    let imported = import_intiface(old, &good("")).unwrap();
    let report: Vec<String> = imported.report.iter().map(ToString::to_string).collect();
    assert_eq!(
        report,
        [
            "user_configs.protocols.acme.communication[1]: was left out: there is no bus `xinput` here",
            "user_configs.protocols.other: no definition here has this protocol, so what was added to it was left out",
        ]
    );
    let catalogue = good(&imported.text);
    assert_eq!(found(&catalogue, &named("Own")), ["acme: the name is `Own`"]);
    let resolved = catalogue.resolve("acme", "Own", "a").unwrap();
    assert_eq!((resolved.name.as_str(), resolved.features[0].index), ("My Own", FeatureIndex(3)));
}

#[test]
fn what_is_no_file_of_intiface_is_refused() {
    for (text, error) in [
        ("", "the file is not JSON: EOF while parsing a value at line 1 column 0"),
        ("{}", "the file is no user configuration of Intiface: it has no `version.major`"),
        (r#"{"version": {"major": 3}}"#, "the file has version 3, and only 4 and 5 are known"),
        (
            r#"{"version": {"major": 5}}"#,
            "the file is no user configuration of Intiface: it has no `user_configs`",
        ),
    ] {
        assert_eq!(import_intiface(text, &good("")).unwrap_err().to_string(), error);
    }
}

proptest! {
    /// Whatever a file says, reading it ends in a result, and a problem has a line that the file has.
    #[test]
    fn any_text_is_read_without_a_panic(cut in 0_usize..ACME.len(), insert in "[\\[\\]{}=\"',.#a-z0-9\\n -]{0,12}", drop in 0_usize..20) {
        let start: String = ACME.chars().take(cut).collect();
        let rest: String = ACME.chars().skip(cut + drop).collect();
        let text = start + &insert + &rest;
        if let Parsed::Broken { problems, .. } = parse("f", &text, Layer::User, &AnyTemplate) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.line.is_none_or(|line| line >= 1 && line <= text.lines().count() + 1));
            }
        }
    }

    /// However a file with a deny is damaged, the device stays out, unless the damage is to be read as another rule.
    #[test]
    fn damage_to_a_deny_does_not_free_the_device(cut in 0_usize..60, byte in "[\\[\\]{}=\"'x#]") {
        let rule = "[[device]]\nwhich = { address = 'AA:01' }\ndeny = true\n";
        prop_assume!(cut < rule.len());
        let text: String = rule.char_indices().map(|(place, c)| if place == cut { byte.clone() } else { c.to_string() }).collect();
        let (catalogue, problems) = build(&text, None);
        if !problems.is_empty() {
            prop_assert!(catalogue.admit("acme", "AA:01").is_err(), "{text}");
        }
    }
}
