//! Files that break: what denies or limits a device is never lost.

use super::*;

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
