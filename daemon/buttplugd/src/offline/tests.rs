//! The tasks of [`super`] on folders of their own.

use std::{fs, path::Path};

use super::*;

/// A user with one plugin, one device that was met, and no file yet.
struct User {
    root: tempfile::TempDir,
    config: Config,
    directories: Directories,
}

const ADDRESS: &str = "AA:00:00:00:00:01";

const PLUGIN: &str = r#"maker = "Acme"
[[protocol]]
id = "acme"
[protocol.default]
name = "Acme Toy"
features = [{ index = 0, output = { vibrate = [0, 20] } }, { index = 1, output = { position = [10, 110] } }]
[[protocol.model]]
identifiers = ["W"]
name = "Acme Wave"
[[protocol.bluetooth]]
names = ["ACME-*"]
[protocol.bluetooth.services]
"00001000-0000-1000-8000-00805f9b34fb" = { tx = "00001001-0000-1000-8000-00805f9b34fb" }
[[protocol.template.packet]]
bytes = "01 {v}"
"#;

impl User {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |folder: &str| root.path().join(folder);
        let directories =
            Directories { config: at("config"), state: at("state"), data: at("data"), runtime: None };
        let mut config = Config::default();
        config.plugins.path = vec![at("plugins")];
        let user = Self { config, directories, root };
        user.write("plugins/acme/plugin.toml", PLUGIN);
        user.write(
            "state/devices.toml",
            &format!("version = 1\n[[device]]\nindex = 3\nprotocol = \"acme\"\nidentifier = \"W\"\naddress = \"{ADDRESS}\"\n"),
        );
        user
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    fn run(&self, task: Task) -> Result<Outcome, OfflineError> {
        task.run(&self.config, &self.directories)
    }

    fn config(&self, task: ConfigTask) -> Result<Outcome, OfflineError> {
        self.run(Task::Config(task))
    }

    fn rename(&self, device: &str, name: &str) -> Result<Outcome, OfflineError> {
        self.config(ConfigTask::Rename { device: device.into(), name: Some(name.into()) })
    }

    fn cap(&self, feature: u32, kind: &str, most: &str) -> Result<Outcome, OfflineError> {
        let most = most.parse().unwrap();
        self.config(ConfigTask::Cap { device: "3".into(), feature, kind: kind.into(), most })
    }

    fn shown(&self) -> Value {
        self.config(ConfigTask::Show).unwrap().json["Devices"][0].clone()
    }
}

const FILE: &str = "config/devices.d/devices.toml";
const IMPORTED: &str = "config/devices.d/00-imported.toml";

#[track_caller]
fn refused(outcome: Result<Outcome, OfflineError>, part: &str) {
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

#[test]
fn a_device_is_found_by_number_address_and_name() {
    let user = User::new();
    for (device, name) in [("3", "a"), (&ADDRESS.to_lowercase(), "b"), ("wave", "c"), ("c", "d")] {
        user.rename(device, name).unwrap();
        assert_eq!(
            user.text(FILE),
            format!("[[device]]\nwhich = {{ address = \"{ADDRESS}\" }}\nname = \"{name}\"\n")
        );
        assert_eq!(user.shown()["DeviceDisplayName"], name);
    }
    refused(user.rename("7", "x"), "no known device is called `7`");
    let unnamed = user.config(ConfigTask::Rename { device: "3".into(), name: None }).unwrap();
    assert!(unnamed.text.starts_with("device 3 (d) has the name of its model again\n"), "{}", unnamed.text);
    assert_eq!(user.shown()["DeviceName"], "Acme Wave");
}

#[test]
fn a_name_that_two_have_is_asked_about() {
    let user = User::new();
    let more =
        "[[device]]\nindex = 4\nprotocol = \"acme\"\nidentifier = \"\"\naddress = \"AA:00:00:00:00:02\"\n";
    user.write("state/devices.toml", &(user.text("state/devices.toml") + more));
    refused(
        user.rename("acme", "x"),
        "`acme` may be device 3 (Acme Wave) or device 4 (Acme Toy); give the number",
    );
}

#[test]
fn a_cap_is_a_step_or_a_percentage_and_keeps_the_lower_end() {
    let user = User::new();
    for (most, range) in [("10", "[0, 10]"), ("50%", "[0, 10]"), ("1%", "[0, 1]"), ("99%", "[0, 19]")] {
        user.cap(0, "vibrate", most).unwrap();
        assert!(user.text(FILE).contains(&format!("range = {range}")), "{most}: {}", user.text(FILE));
    }
    assert_eq!(user.shown()["Outputs"][0]["Range"], json!([0, 19]));
    user.write(FILE, &user.text(FILE).replace("[0, 19]", "[4, 19]"));
    user.cap(0, "vibrate", "10").unwrap();
    assert!(user.text(FILE).contains("range = [4, 10]"), "{}", user.text(FILE));
    user.cap(1, "position", "50%").unwrap();
    assert!(user.text(FILE).contains("range = [10, 60]"), "{}", user.text(FILE));
    user.cap(0, "vibrate", "none").unwrap();
    assert!(!user.text(FILE).contains("10] }, {"), "{}", user.text(FILE));
    assert_eq!(user.shown()["Outputs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_cap_that_is_none_or_meets_nothing_is_refused() {
    let user = User::new();
    refused(user.cap(0, "vibrate", "21"), "goes from 0 to 20, so a limit of it may be 1 to 20 and not 21");
    refused(user.cap(0, "vibrate", "0"), "may be 1 to 20 and not 0");
    refused(user.cap(0, "rotate", "1"), "no output rotate at feature 0; it has 0 vibrate, 1 position");
    for bad in ["0%", "101%", "fast", "", "-1%"] {
        assert!(bad.parse::<Cap>().is_err(), "{bad}");
    }
    let most = Cap::Step(1);
    let stranger = "AA:00:00:00:00:09".to_owned();
    let cap = ConfigTask::Cap { device: stranger, feature: 0, kind: "vibrate".into(), most };
    refused(user.config(cap), "was never connected");
    assert_eq!(user.text(FILE), "");
}

#[test]
fn a_device_that_was_never_met_is_denied_by_its_address() {
    let user = User::new();
    let stranger = "aa:00:00:00:00:09";
    user.config(ConfigTask::Deny { device: stranger.into() }).unwrap();
    assert_eq!(user.text(FILE), "[[device]]\nwhich = { address = \"AA:00:00:00:00:09\" }\ndeny = true\n");
}

#[test]
fn a_denial_is_taken_back_wherever_the_user_wrote_it() {
    let user = User::new();
    let denied = format!(
        "# mine\n[[device]]\nwhich = {{ protocol = \"acme\", address = \"{ADDRESS}\" }}\ndeny = true\n"
    );
    user.write("config/other.toml", &denied);
    user.config(ConfigTask::Deny { device: "3".into() }).unwrap();
    assert_eq!(user.text(FILE), "", "one denial is enough");
    user.write(FILE, &format!("[[device]]\nwhich = {{ address = \"{ADDRESS}\" }}\ndeny = true\n"));
    assert!(user.shown()["NotOffered"].as_str().unwrap().contains("denied by"));
    let allow = ConfigTask::Allow { device: "wave".into(), only: false };
    user.config(allow.clone()).unwrap();
    assert_eq!(user.shown()["NotOffered"], Value::Null);
    assert_eq!(user.text("config/other.toml"), denied.replace("deny = true\n", ""));
    let nothing = user.config(allow).unwrap();
    assert_eq!(nothing.text, "no file of yours denies device 3 (Acme Wave)\n");
}

#[test]
fn a_denial_of_a_whole_protocol_stays_and_is_told() {
    let user = User::new();
    user.write("config/all.toml", "[[device]]\nwhich = { protocol = \"acme\" }\ndeny = true\n");
    let outcome = user.config(ConfigTask::Allow { device: "3".into(), only: true }).unwrap();
    assert!(outcome.text.contains("but it is not offered: denied by"), "{}", outcome.text);
    assert!(user.text(FILE).contains("allow = true"));
}

#[test]
fn a_list_of_allowed_devices_is_not_opened_by_a_denial_and_lifted_only_with_a_word() {
    let user = User::new();
    let allow = |only| user.config(ConfigTask::Allow { device: "3".into(), only }).unwrap().text;
    let deny = || user.config(ConfigTask::Deny { device: "3".into() }).unwrap().text;
    let lifted = "no list of allowed devices any more: all others may be used";
    let other = || {
        let devices = known::Devices::read(&user.config, &user.directories).unwrap();
        devices.catalogue.admit("acme", "AA:00:00:00:00:02").is_ok()
    };
    assert!(other());
    assert!(!allow(true).contains(lifted));
    assert!(!other());
    let told = deny();
    assert!(told.contains("the list of allowed devices stays"), "{told}");
    assert!(!other(), "{}", user.text(FILE));
    assert_eq!((&user.shown()["Deny"], &user.shown()["Allow"]), (&json!(true), &json!(true)));
    assert!(user.shown()["NotOffered"].as_str().unwrap().contains("denied by"));

    let told = allow(false);
    assert!(told.contains("may be used again") && !told.contains(lifted), "{told}");
    assert_eq!(user.shown()["NotOffered"], Value::Null);
    assert!(!other(), "the denial is taken back, and nothing else");
    let told = allow(false);
    assert!(
        told.contains("is not on the list of allowed devices any more") && told.contains(lifted),
        "{told}"
    );
    assert!(other());
}

#[test]
fn an_import_that_lifts_the_list_of_allowed_devices_says_so() {
    let user = User::new();
    let device = |allow: bool| {
        let identifier = json!({ "address": ADDRESS, "protocol": "acme", "identifier": "W" });
        let settings = json!({ "allow": allow, "deny": false, "display_name": "Old" });
        intiface(&json!({ "identifier": identifier, "config": { "user_config": settings, "features": [] } }))
    };
    let lifted = "no list of allowed devices any more";
    user.write("old.json", &device(true));
    assert!(!import(&user, false).unwrap().text.contains(lifted));
    user.write("old.json", &device(false));
    assert!(import(&user, true).unwrap().text.contains(lifted));
}

#[test]
fn what_is_wanted_of_devices_that_were_never_connected_is_shown() {
    let user = User::new();
    let stranger = "AA:00:00:00:00:09";
    user.rename(stranger, "Someone's").unwrap();
    user.config(ConfigTask::Deny { device: stranger.into() }).unwrap();
    user.write(
        "config/mine.toml",
        "[[device]]\nwhich = { protocol = \"acme\" }\noutputs = [{ feature = 0, kind = \"vibrate\", range = [0, 7] }]\n",
    );
    user.rename("3", "known").unwrap();
    let shown = user.config(ConfigTask::Show).unwrap();
    let expected = [
        format!(
            "     address {stranger}\n       called Someone's\n       denied\n       in {}",
            user.path(FILE).display()
        ),
        "     protocol acme\n       feature 0, vibrate: 0 to 7\n       in ".to_owned(),
    ];
    for part in expected {
        assert!(shown.text.contains(&part), "{}", shown.text);
    }
    let others = shown.json["Others"].as_array().unwrap();
    assert_eq!(others.len(), 2, "what is about a known device is shown with it");
    let denied = others.iter().find(|one| one["Address"] == stranger).unwrap();
    assert_eq!((&denied["Deny"], &denied["DeviceDisplayName"]), (&json!(true), &json!("Someone's")));
    assert_eq!(shown.json["AllowList"], false);
}

#[test]
fn what_is_broken_is_not_written_to() {
    let user = User::new();
    user.write(FILE, "[[device]]\nwhich = { adress = \"x\" }\n");
    refused(user.rename("3", "x"), "devices.toml:2: device[0].which");
    assert_eq!(user.text(FILE), "[[device]]\nwhich = { adress = \"x\" }\n");
    user.write("state/devices.toml", "nonsense");
    refused(user.rename("3", "x"), "indexes of known devices");
}

#[test]
fn a_link_stays_a_link_and_nothing_is_left_beside() {
    let user = User::new();
    user.write("dotfiles/toys.toml", "# kept elsewhere\n");
    fs::create_dir_all(user.path("config/devices.d")).unwrap();
    std::os::unix::fs::symlink(user.path("dotfiles/toys.toml"), user.path(FILE)).unwrap();
    user.rename("3", "x").unwrap();
    assert!(user.path(FILE).is_symlink());
    assert!(user.text("dotfiles/toys.toml").starts_with("# kept elsewhere\n"));
    for folder in ["config/devices.d", "dotfiles"] {
        assert_eq!(fs::read_dir(user.path(folder)).unwrap().count(), 1, "{folder}");
    }
}

fn intiface(device: &Value) -> String {
    json!({ "version": { "major": 4, "minor": 0 }, "user_configs": { "devices": [device] } }).to_string()
}

fn import(user: &User, replace: bool) -> Result<Outcome, OfflineError> {
    user.config(ConfigTask::Import { file: user.path("old.json"), replace })
}

#[test]
fn an_import_is_in_force_and_can_be_edited() {
    let user = User::new();
    let identifier = json!({ "address": ADDRESS, "protocol": "acme", "identifier": "W" });
    let settings = json!({ "allow": false, "deny": false, "display_name": "Old", "index": 9 });
    let features = json!([{ "output": { "vibrate": { "value": [0, 7] } } }, { "output": { "position": { "value": [10, 110] } } }]);
    user.write(
        "old.json",
        &intiface(
            &json!({ "identifier": identifier, "config": { "user_config": settings, "features": features } }),
        ),
    );
    let outcome = import(&user, false).unwrap();
    assert_eq!(outcome.json["Notes"], json!([]), "{}", outcome.text);
    let shown = user.shown();
    assert_eq!((&shown["DeviceDisplayName"], &shown["Outputs"][0]["Range"]), (&json!("Old"), &json!([0, 7])));
    import(&user, false).unwrap();

    user.rename("old", "New").unwrap();
    assert_eq!(
        user.shown()["DeviceDisplayName"],
        "New",
        "the import says more about the device than a new entry would"
    );
    refused(import(&user, false), "--replace");
    import(&user, true).unwrap();
    assert_eq!(user.shown()["DeviceDisplayName"], "Old");
    assert!(user.text(&format!("{IMPORTED}.old")).contains("New"));
}

#[test]
fn an_import_denies_what_it_cannot_carry_over_and_says_so() {
    let user = User::new();
    let identifier = json!({ "address": ADDRESS, "protocol": "acme", "identifier": "W" });
    let features = json!([{ "output": { "oscillate": { "value": [0, 3] } } }]);
    let settings = json!({ "allow": false, "deny": false });
    user.write(
        "old.json",
        &intiface(
            &json!({ "identifier": identifier, "config": { "user_config": settings, "features": features } }),
        ),
    );
    let outcome = import(&user, false).unwrap();
    assert_eq!(outcome.json["Denied"], 1);
    assert!(outcome.text.contains("user_configs.devices[0]: the limit"), "{}", outcome.text);
    assert!(user.shown()["NotOffered"].as_str().unwrap().contains("denied by"));
    user.config(ConfigTask::Allow { device: "3".into(), only: false }).unwrap();
    assert_eq!(user.shown()["NotOffered"], Value::Null);
}

#[test]
fn what_is_no_such_file_is_not_imported() {
    let user = User::new();
    for (text, why) in [("{", "not JSON"), ("{}", "version"), (r#"{"version":{"major":3}}"#, "version 3")] {
        user.write("old.json", text);
        refused(import(&user, false), why);
    }
    assert!(!user.path(IMPORTED).exists());
}

#[test]
fn a_file_is_checked_where_it_lies() {
    let user = User::new();
    let check = |file: &str| user.run(Task::Check(Some(user.path(file)))).unwrap();
    let all = || user.run(Task::Check(None)).unwrap();
    assert_eq!((all().text.as_str(), all().verdict), ("ok\n", Verdict::Good));
    assert_eq!(check("plugins/acme/plugin.toml").text, "ok\n");

    // The source of a plugin that is installed: its newer version, no second one.
    user.write("tree/acme/plugin.toml", &PLUGIN.replace("[0, 20]", "[0, 300]"));
    let newer = check("tree/acme/plugin.toml");
    assert_eq!(newer.verdict, Verdict::Bad);
    assert!(newer.text.contains("tree/acme/plugin.toml"), "{}", newer.text);
    assert!(!newer.text.contains("already"), "{}", newer.text);

    user.write("config/mine.toml", "[[device]]\nwhich = { protocol = \"acmee\" }\ndeny = true\n");
    let mine = check("config/mine.toml");
    let problem = &mine.json["Problems"][0];
    assert_eq!((&problem["Line"], &problem["Key"]), (&json!(2), &json!("device[0].which.protocol")));
    assert_eq!(all().json["Problems"].as_array().unwrap().len(), 1);
    assert!(check("nowhere.toml").text.contains("cannot be read"));
}

#[test]
fn a_library_that_is_missing_is_a_problem() {
    let user = User::new();
    let template = PLUGIN.find("[[protocol.template").unwrap();
    let code = PLUGIN[..template].replace("id = \"acme\"", "id = \"acme\"\ncode = true");
    user.write("plugins/acme/plugin.toml", &format!("library = \"acme_code\"\n{code}"));
    let outcome = user.run(Task::Check(None)).unwrap();
    assert!(
        outcome.text.contains("libacme_code.so is not there, so `acme` cannot be driven"),
        "{}",
        outcome.text
    );
    assert_eq!(outcome.verdict, Verdict::Bad);
    assert!(Path::new(outcome.json["Problems"][0]["File"].as_str().unwrap()).ends_with("acme/plugin.toml"));
}

#[test]
fn models_are_listed_and_names_explained() {
    let user = User::new();
    let listed = user.run(Task::List).unwrap();
    assert!(listed.text.starts_with("Acme\n"), "{}", listed.text);
    assert!(listed.json.as_array().unwrap().iter().any(|model| model["Name"] == "Acme Wave"));
    let explain = |name: &str| user.run(Task::Explain(name.into())).unwrap().text;
    for (name, verdict) in [("ACME-1", Verdict::Good), ("acme wave", Verdict::Good), ("acme-1", Verdict::Bad)]
    {
        assert_eq!(user.run(Task::Explain(name.into())).unwrap().verdict, verdict, "{name}");
    }
    assert!(explain("ACME-1").starts_with("Bluetooth:\n  1. acme (Acme Toy)"), "{}", explain("ACME-1"));
    let by_model = explain("acme wave");
    assert!(by_model.contains("plugin.toml\n  announces itself as ACME-*\n"), "{by_model}");
    for printed in ["Acme Wave (W)", "  acme                         Acme Wave (W)"] {
        assert!(explain(printed).contains("Acme Wave (W) is in"), "{}", explain(printed));
    }
    user.write(
        "config/mine.toml",
        "[[model]]\nprotocol = \"acme\"\nidentifiers = [\"X\"]\nname = \"My toy\"\nbluetooth = [{ names = [\"MINE-*\"] }]\n",
    );
    let mine = explain("my toy");
    assert!(mine.contains("mine.toml\n  announces itself as MINE-*\n") && !mine.contains("ACME"), "{mine}");
    assert!(explain("acme-1").contains("nothing matches"), "{}", explain("acme-1"));
    assert!(explain("0483:5750").starts_with("HID:"), "{}", explain("0483:5750"));
    assert!(explain("/dev/ttyUSB7").contains("/dev/ttyUSB7"), "{}", explain("/dev/ttyUSB7"));
}
