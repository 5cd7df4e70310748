//! What is said about a file that is wrong: file, line, key and reason.

use super::*;

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
