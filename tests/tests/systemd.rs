//! The units: that systemd understands them, and that a real user manager with them keeps what they promise.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use system_tests::artifact;
use xtask::packages::{Needed, ensure};

const NEEDED: [Needed; 4] = [
    Needed { program: "systemd-analyze", package: "systemd" },
    Needed { program: "systemctl", package: "systemd" },
    Needed { program: "unshare", package: "util-linux" },
    Needed { program: "dbus-daemon", package: "dbus-user-session" },
];

/// Where namespaces are not allowed, this says that they need not be.
const NO_NAMESPACES: &str = "CI_NO_NAMESPACES";
/// The exit status of `user-manager.sh` where namespaces are not allowed.
const NOT_ALLOWED: i32 = 77;

/// What keeps a fault in the service, or in a plugin, from reaching further.
const HARDENING: [&str; 20] = [
    // Without it, user units of systemd 252 silently ignore everything that touches the file system.
    "PrivateUsers=yes",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "UMask=0077",
    "StateDirectoryMode=0700",
];

fn units() -> PathBuf {
    artifact::source_tree().join("systemd")
}

#[test]
fn systemd_understands_every_unit() {
    ensure(&NEEDED).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = artifact::executable("buttplugd").unwrap();
    let mut copies = Vec::new();
    for entry in fs::read_dir(units()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if path.extension().is_none_or(|extension| extension == "rules") || text.starts_with("[D-BUS") {
            continue;
        }
        let copy = folder.path().join(path.file_name().unwrap());
        // It is not installed, and systemd looks whether it is there.
        fs::write(&copy, text.replace("/usr/bin/buttplugd", &program.display().to_string())).unwrap();
        copies.push(copy);
    }
    assert_eq!(copies.len(), 3);
    let checked = Command::new("systemd-analyze")
        .args(["--user", "--man=no", "verify"])
        .args(&copies)
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()))
        .output()
        .unwrap();
    let ours = |line: &&str| line.contains("buttplugd");
    let said = String::from_utf8_lossy(&checked.stderr);
    let said: Vec<&str> = said.lines().filter(ours).collect();
    // A value that it cannot take is only a warning to it.
    assert_eq!(said, [""; 0]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_service_is_locked_in() {
    let text = fs::read_to_string(units().join("buttplugd.service")).unwrap();
    for directive in HARDENING {
        assert!(text.lines().any(|line| line == directive), "{directive} is missing");
    }
}

#[test]
fn a_user_manager_keeps_what_the_units_promise() {
    ensure(&NEEDED).unwrap();
    artifact::up_to_date().unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let output = Command::new("bash")
        .arg(scripts.join("user-manager.sh"))
        .arg(artifact::folder().unwrap())
        .arg(units())
        .arg("bash")
        .arg(scripts.join("session.sh"))
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(NOT_ALLOWED) {
        assert!(
            std::env::var_os(NO_NAMESPACES).is_some(),
            "this machine does not allow namespaces, which a user manager of its own needs: run the tests as root, or set {NO_NAMESPACES}=1 to go without this one"
        );
        return;
    }
    assert!(output.status.success(), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("kept: ")).count(), 8, "{said}");
}
