//! What the user wants of a device: names, limits, denies, and which of several rules wins.

use super::{super::model::OnStop, *};

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
    let nobody = good(&device("allow = true\ndeny = true"));
    assert_eq!(nobody.admit("acme", "AA:01"), Err(Refusal::Denied { file: "u".into() }));
    assert_eq!(nobody.admit("acme", "AA:02"), Err(Refusal::NotAllowed { file: "u".into() }));
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
fn a_stop_leaves_positions_and_sprays_unless_the_definition_says_otherwise() {
    let on_stop = |kind: &str, table: &str| {
        let added = format!(
            "[[model]]\nprotocol = 'acme'\nidentifiers = ['New']\nfeatures = [{{ index = 0, output = {{ {kind} = {table} }} }}]"
        );
        let resolved = good(&added).resolve("acme", "New", "a").unwrap();
        resolved.features[0].outputs[0].on_stop
    };
    assert_eq!(on_stop("spray", "[0, 1]"), OnStop::Leave);
    assert_eq!(on_stop("spray", "{ range = [0, 1], on_stop = 'rest' }"), OnStop::Rest);
    assert_eq!(on_stop("position", "[0, 9]"), OnStop::Leave);
    assert_eq!(on_stop("vibrate", "[0, 9]"), OnStop::Rest);
    assert_eq!(on_stop("led", "{ range = [0, 1], on_stop = 'leave' }"), OnStop::Leave);
}
