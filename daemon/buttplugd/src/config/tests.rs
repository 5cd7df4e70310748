//! The configuration: what is refused and how that is named, and that the annotated file keeps up with the types.

use engine::client::{Front, Peer, Process};

use super::{
    access::{FrontName, Rule, Verdict},
    value::Pattern,
    *,
};

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("b.toml")).map_err(|error| error.to_string())
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(parse(""), Ok(Config::default()));
    assert_eq!(parse(ANNOTATED), Ok(Config::default()), "the annotated file changes nothing as it is");
}

#[test]
fn the_annotated_file_names_every_key_with_its_default() {
    // Keys whose absence means something have an example instead of a default.
    let examples = [
        "path = \"/run/user",
        "lovense-dongle-port = ",
        "models = ",
        "[[access.rules]]",
        "action = ",
        "front = ",
        "origin = ",
    ];
    let text: String = ANNOTATED
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(' ') || examples.iter().any(|example| key.starts_with(example)) => {
                ""
            }
            Some(key) => key,
            None => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_eq!(parse(&text), Ok(Config::default()));

    // Nothing that the types know is left out: each of their names stands in the file.
    let debug = format!("{:?}", Config::default());
    let names = debug
        .split(|c: char| !c.is_ascii_lowercase() && c != '_')
        .filter(|word| debug.contains(&format!(" {word}: ")));
    for name in names.filter(|name| !name.is_empty()) {
        let key = name.replace('_', "-");
        assert!(
            ANNOTATED.contains(&format!("{key} =")) || ANNOTATED.contains(&format!("{key}]")),
            "{key} is not in the annotated file"
        );
    }
}

#[test]
fn the_examples_of_the_annotated_file_are_right() {
    let text: String = ANNOTATED
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.is_empty() && !key.starts_with(' ') => key,
            Some(_) | None => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let config = parse(&text).unwrap();
    assert_eq!(config.simulated.models.map(|models| models.len()), Some(2));
    assert_eq!(config.access.rules.len(), 1);
}

#[test]
fn a_mistake_is_named_with_line_and_key() {
    let cases = [
        ("[websocket]\nenabeld = true\n", "b.toml:2:1: unknown field `enabeld`"),
        ("\n[websockets]\n", "b.toml:2:2: unknown field `websockets`"),
        ("[limits]\nsessions = 0\n", "b.toml:2:12: sessions: 0 is not in 1 to 100000"),
        (
            "[limits]\nframe-size = 1000000000\n",
            "b.toml:2:14: frame-size: 1000000000 is not in 1024 to 67108864",
        ),
        ("[limits]\nframe-size = -1\n", "b.toml:2:14: frame-size: -1 is not in 1024 to 67108864"),
        (
            "[limits]\nframe-size = \"1\"\n",
            "b.toml:2:14: frame-size: invalid type: string \"1\", expected i64",
        ),
        ("[socket]\nenabled = 1\n", "b.toml:2:11: enabled: invalid type: integer `1`, expected a boolean"),
        ("log = \"loud\"\n", "b.toml:1:7: log: unknown variant `loud`"),
        (
            "[websocket]\nlisten = [\"example\"]\n",
            "b.toml:2:11: listen: `example` is not an address with a port",
        ),
        ("[websocket]\nlisten = [70000]\n", "b.toml:2:11: listen: 70000 is not a port"),
        (
            "[websocket]\nallowed-origins = [\"example.org\"]\n",
            "b.toml:2:19: allowed-origins: `example.org` is not an origin",
        ),
        (
            "[websocket]\nallowed-origins = [\"https://a/b\"]\n",
            "b.toml:2:19: allowed-origins: `https://a/b` is not an origin",
        ),
        ("[websocket]\nlisten = [\"0.0.0.0:1\"]\n", "0.0.0.0:1 can be reached from other machines"),
        ("[socket]\npath = \"\"\n", "b.toml:2:8: path: `` is no path that begins with `/`"),
        ("[socket]\npath = \"a.sock\"\n", "b.toml:2:8: path: `a.sock` is no path that begins with `/`"),
        (
            "[transports]\nlovense-dongle-port = \"\"\n",
            "b.toml:2:23: lovense-dongle-port: `` is no path that begins with `/`",
        ),
        ("[websocket]\nenabled = true\nlisten = []\n", "b.toml: websocket.listen: it is empty"),
        (
            "[websocket-devices]\nenabled = true\nlisten = []\n",
            "b.toml: websocket-devices.listen: it is empty",
        ),
        ("[simulated]\nmodels = [\"x\"]\n", "b.toml: simulated.models: there is no `x`"),
        ("[[access.rules]]\naction = \"allow\"\nfrom = \"x\"\n", "b.toml:3:1: unknown field `from`"),
        ("[[access.rules]]\nfront = \"dbus\"\n", "b.toml:1:1: missing field `action`"),
        ("log = \n", "b.toml:1:7:"),
        ("log = \"info\"\nlog = \"info\"\n", "b.toml:2:1: duplicate key"),
    ];
    for (text, expected) in cases {
        let error = parse(text).expect_err(text);
        assert!(error.contains(expected), "{text:?} gives {error:?}, not {expected:?}");
        assert!(!error.contains('\n'), "{error:?} is one line");
    }
}

#[test]
fn a_service_that_nobody_can_reach_is_refused() {
    let fronts = |text: &str| parse(text).unwrap().check_fronts();
    let none = "[socket]\nenabled = false\n[dbus]\nenabled = false\n";
    assert!(matches!(fronts(none), Err(ConfigError::NoFront)));
    assert!(fronts("").is_ok() && fronts(&none.replace("[dbus]\n", "[websocket]\n")).is_ok());
    assert!(fronts(&format!("{none}[websocket]\nenabled = true\n")).is_ok());
}

#[test]
fn a_missing_file_is_an_error_only_when_it_was_asked_for() {
    let path = Path::new("/nonexistent/buttplugd.toml");
    assert!(matches!(Config::load(path), Err(ConfigError::Unreadable { .. })));
    assert_eq!(Config::load_if_present(path).unwrap(), Config::default());
}

#[test]
fn a_port_alone_means_both_loopback_addresses() {
    let config = parse("[websocket]\nlisten = [1234, \"localhost:80\", \"[::1]:7\"]\n").unwrap();
    let addresses: Vec<String> =
        config.websocket.addresses().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1:1234", "[::1]:1234", "127.0.0.1:80", "[::1]:80", "[::1]:7"]);
}

#[test]
fn other_machines_are_let_in_only_when_that_is_said() {
    let config = parse("[websocket]\nlisten = [\"0.0.0.0:1\"]\nallow-remote = true\n").unwrap();
    assert_eq!(config.websocket.addresses().unwrap().len(), 1);
}

#[test]
fn a_pattern_fits_the_whole_text() {
    let cases = [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "ab", true),
        ("a*", "a", true),
        ("*b", "ab", true),
        ("*b", "abc", false),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abde", false),
        ("ab*ba", "aba", false),
        ("/usr/*/x", "/usr/bin/x", true),
        ("/usr/*/x", "/usr/a/b/x", false),
        ("/usr/*", "/usr/a/b", false),
        ("https://*.example.org", "https://evil/.example.org", false),
        ("https://*.example.org", "https://www.example.org", true),
        ("https://*.example.org", "https://example.org", false),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(Pattern::from(pattern).matches(text), expected, "{pattern} {text}");
    }
}

#[test]
fn an_origin_is_compared_as_browsers_send_it() {
    let config =
        parse("[websocket]\nallowed-origins = [\"https://Example.org\", \"http://localhost:*\", \"null\"]\n");
    let origins = config.unwrap().websocket.allowed_origins;
    let allowed = |origin: &str| origins.iter().any(|pattern| pattern.matches(origin));
    assert!(allowed("https://example.org"));
    assert!(allowed("http://localhost:8080"));
    assert!(allowed("null"));
    assert!(!allowed("http://example.org"));
    assert!(!allowed("https://example.org.evil.example"));
    assert!(!allowed("https://evil.example"));
    assert!(!allowed("http://localhost:80.evil.example"));
    assert!(!allowed("http://localhost:80@evil.example:80"));
    let all: crate::config::value::OriginPattern = "*".parse().unwrap();
    assert!(all.matches("https://anything.example"));
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rule = |action, front, executable: Option<&str>, origin: Option<&str>| Rule {
        action,
        front,
        executable: executable.map(Pattern::from),
        origin: origin.map(Pattern::from),
    };
    let policy = AccessPolicy {
        default: Verdict::Allow,
        rules: vec![
            rule(Verdict::Allow, Some(FrontName::Websocket), None, Some("https://good.example")),
            rule(Verdict::Deny, Some(FrontName::Websocket), None, Some("n*")),
            rule(Verdict::Deny, None, Some("/opt/*/bad"), None),
        ],
    };
    let allows = |front, executable: Option<&str>, origin: Option<&str>| {
        let process = executable.map(|path| Process { pid: 7, executable: Some(path.into()) });
        policy.check(&Peer { front, process, origin: origin.map(str::to_owned) }).is_ok()
    };
    assert!(allows(Front::WebSocket, None, Some("https://good.example")));
    assert!(!allows(Front::WebSocket, None, Some("null")));
    assert!(allows(Front::WebSocket, None, None));
    assert!(!allows(Front::Socket, Some("/opt/x/bad"), None));
    assert!(!allows(Front::DBus, Some("/opt/x/bad"), None));
    assert!(allows(Front::DBus, Some("/opt/x/good"), None));
    assert!(allows(Front::DBus, None, None));
}

#[test]
fn folders_come_from_the_environment() {
    let from = |pairs: &'static [(&'static str, &'static str)]| {
        Directories::new(move |name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
        })
    };
    let home =
        from(&[("HOME", "/h"), ("XDG_STATE_HOME", "relative"), ("XDG_RUNTIME_DIR", "/run/user/7")]).unwrap();
    assert_eq!(home.config_file(), Path::new("/h/.config/buttplugd/buttplugd.toml"));
    assert_eq!(home.state, Path::new("/h/.local/state/buttplugd/state"), "a relative path is ignored");
    assert_eq!(home.socket().unwrap(), Path::new("/run/user/7/buttplugd/buttplugd.sock"));
    let bare = from(&[("HOME", "/h")]).unwrap();
    assert_eq!(
        bare.socket().unwrap_err().to_string(),
        "XDG_RUNTIME_DIR is not set, and --socket was not given"
    );
    assert!(from(&[]).is_err());
}
