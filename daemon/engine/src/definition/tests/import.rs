//! What an import of another server's file carries over.

use super::*;

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
        assert!(
            matches!(catalogue.admit("acme", "AA:02"), Err(Refusal::NotAllowed { .. })),
            "the list of allowed devices is not opened: {features}"
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
