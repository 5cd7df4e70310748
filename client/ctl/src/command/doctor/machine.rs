//! What the files of the machine say: groups, ports, udev rules, HID nodes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::Finding;

const RULES_FOLDERS: [&str; 5] = [
    "etc/udev/rules.d",
    "run/udev/rules.d",
    "usr/local/lib/udev/rules.d",
    "usr/lib/udev/rules.d",
    "lib/udev/rules.d",
];
/// The rules of systemd that give nodes to the person at the seat; ours must come before them.
const SEAT_RULES: &str = "73-";

/// Whether the service could not open a port that a definition names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    No,
    /// It does not run.
    Unknown,
}

/// A machine, by the root of its files.
pub(super) struct Machine {
    pub(super) root: PathBuf,
}

impl Machine {
    /// Serial ports of USB adapters. One that may not be opened is a fault only where the service wanted it (`wanted`).
    pub(super) fn serial(&self, wanted: Wanted) -> Vec<Finding> {
        const CHECK: &str = "serial";
        let is_port = |name: &str| name.starts_with("ttyUSB") || name.starts_with("ttyACM");
        let ports: Vec<PathBuf> =
            listed(&self.root.join("dev")).into_iter().filter(|path| is_port(&name(path))).collect();
        if ports.is_empty() {
            return vec![Finding::well(CHECK, "no serial device is plugged in")];
        }
        let Some(port) = ports.iter().find(|port| !can_open(port)) else {
            return vec![Finding::well(CHECK, "all serial ports can be opened")];
        };
        let group = fs::metadata(port).ok().and_then(|facts| self.group(facts.gid()));
        let group = group.unwrap_or_else(|| "dialout".to_owned());
        let mend = format!("sudo usermod --append --groups {group} $USER, then log in again");
        let text = format!("{} may not be opened by you", port.display());
        vec![match wanted {
            Wanted::Yes => Finding::broken(CHECK, text, mend),
            Wanted::No => {
                let text = format!("{text}; no definition names it, so that is well");
                Finding { mend: None, ..Finding::note(CHECK, text, "") }
            }
            Wanted::Unknown => {
                Finding::note(CHECK, format!("{text}, which matters if it is a device of yours"), &mend)
            }
        }]
    }

    fn group(&self, id: u32) -> Option<String> {
        let groups = fs::read_to_string(self.root.join("etc/group")).ok()?;
        let of_line = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            (fields.nth(1)?.parse() == Ok(id)).then_some(name)
        };
        groups.lines().find_map(of_line)
    }

    /// The udev rules, and the nodes that they are for.
    pub(super) fn hid(&self) -> Vec<Finding> {
        const CHECK: &str = "udev rules";
        let rules = RULES_FOLDERS.iter().flat_map(|folder| listed(&self.root.join(folder)));
        let rules: Vec<PathBuf> =
            rules.filter(|path| name(path).contains("buttplugd") && name(path).ends_with(".rules")).collect();
        let nodes = self.nodes();
        let Some(first) = rules.first() else {
            let text = "they are not installed, so HID devices cannot be opened";
            let mend = "install buttplugd again, whose package brings /usr/lib/udev/rules.d/60-buttplugd.rules (in a source tree it is systemd/60-buttplugd.rules), then: sudo udevadm control --reload && sudo udevadm trigger";
            return vec![if nodes.is_empty() {
                Finding::note(CHECK, text, mend)
            } else {
                Finding::broken(CHECK, text, mend)
            }];
        };
        if name(first).as_str() >= SEAT_RULES {
            let text = format!(
                "{} comes after the rules that give nodes to the person at the seat",
                first.display()
            );
            let to = first.with_file_name("60-buttplugd.rules");
            return vec![Finding::broken(
                CHECK,
                text,
                format!("sudo mv {} {}", first.display(), to.display()),
            )];
        }
        let mut findings = vec![Finding::well(CHECK, format!("{} is in force", first.display()))];
        let known = ids(&fs::read_to_string(first).unwrap_or_default());
        let ours = nodes.iter().filter(|(_, id)| known.contains(id));
        findings.extend(ours.filter(|(node, _)| !can_open(node)).map(|(node, _)| {
            Finding::broken(
                "hid",
                format!("{} is a device of ours, and may not be opened by you", node.display()),
                "sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=hidraw, then plug it in again",
            )
        }));
        findings
    }

    /// Every HID node with its vendor and product.
    fn nodes(&self) -> Vec<(PathBuf, (u16, u16))> {
        let node = |class: PathBuf| {
            let facts = fs::read_to_string(class.join("device/uevent")).ok()?;
            let id = facts.lines().find_map(|line| line.strip_prefix("HID_ID="))?;
            let mut parts = id.split(':').skip(1).map(|part| u32::from_str_radix(part, 16).ok());
            let mut next = || u16::try_from(parts.next()??).ok();
            Some((self.root.join("dev").join(name(&class)), (next()?, next()?)))
        };
        listed(&self.root.join("sys/class/hidraw")).into_iter().filter_map(node).collect()
    }
}

/// The vendors and products that rules name: `ATTRS{idVendor}=="057e", ATTRS{idProduct}=="2006|2007"`.
fn ids(rules: &str) -> BTreeSet<(u16, u16)> {
    let mut ids = BTreeSet::new();
    for line in rules.lines().filter(|line| !line.starts_with('#')) {
        let said = |key: &str| {
            Some(line.split_once(key)?.1.trim_start_matches("==\"").split('"').next()?.to_owned())
        };
        let number = |text: &str| u16::from_str_radix(text, 16).ok();
        let (Some(vendor), Some(products)) = (said("{idVendor}"), said("{idProduct}")) else { continue };
        let Some(vendor) = number(&vendor) else { continue };
        ids.extend(products.split('|').filter_map(number).map(|product| (vendor, product)));
    }
    ids
}

fn can_open(path: &Path) -> bool {
    rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK).is_ok()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What lies in a folder, in order; nothing if it cannot be read.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn machine(test: &str, files: &[(&str, &str)]) -> Machine {
        let root = std::env::temp_dir().join(format!("buttplugctl-doctor-{test}-{}", std::process::id()));
        for (file, text) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Machine { root }
    }

    const NODE: (&str, &str) = ("sys/class/hidraw/hidraw0/device/uevent", "HID_ID=0003:0000057E:00002006\n");
    const RULES: &str = include_str!("../../../../../systemd/60-buttplugd.rules");

    #[test]
    fn our_rules_name_the_ids_that_are_looked_for() {
        let ids = ids(RULES);
        assert!(ids.contains(&(0x057e, 0x2006)) && ids.contains(&(0x057e, 0x200e)), "{ids:x?}");
        assert!(ids.contains(&(0x0483, 0x5750)), "{ids:x?}");
    }

    #[test]
    fn rules_must_be_there_and_come_in_time() {
        let states =
            |machine: &Machine| machine.hid().iter().map(|finding| finding.state).collect::<Vec<_>>();
        let none = machine("none", &[("etc/group", "")]);
        assert_eq!(states(&none), [State::Note]);
        let missing = machine("missing", &[NODE]);
        assert_eq!(states(&missing), [State::Broken]);
        let mend = missing.hid().remove(0).mend.unwrap();
        assert!(mend.contains("/usr/lib/udev/rules.d/60-buttplugd.rules") && !mend.contains("cp "), "{mend}");
        let late = machine("late", &[NODE, ("etc/udev/rules.d/99-buttplugd.rules", RULES)]);
        assert_eq!(states(&late), [State::Broken]);
        let good = [NODE, ("usr/lib/udev/rules.d/60-buttplugd.rules", RULES), ("dev/hidraw0", "")];
        let good = machine("good", &good);
        assert_eq!(states(&good), [State::Well]);
        let closed = machine("closed", &[NODE, ("lib/udev/rules.d/60-buttplugd.rules", RULES)]);
        assert_eq!(states(&closed), [State::Well, State::Broken]);
        for machine in [none, missing, late, good, closed] {
            fs::remove_dir_all(machine.root).unwrap();
        }
    }

    #[test]
    fn a_port_and_its_group_are_named() {
        let machine =
            machine("serial", &[("etc/group", "root:x:0:\ndialout:x:20:me\n"), ("dev/ttyUSB0", "")]);
        assert_eq!(machine.group(20).as_deref(), Some("dialout"));
        assert_eq!(machine.serial(Wanted::Yes), [Finding::well("serial", "all serial ports can be opened")]);
        // A link to nothing may be opened by nobody, not even by root.
        std::os::unix::fs::symlink("nowhere", machine.root.join("dev/ttyACM0")).unwrap();
        for (wanted, state) in
            [(Wanted::Yes, State::Broken), (Wanted::No, State::Note), (Wanted::Unknown, State::Note)]
        {
            let found = machine.serial(wanted);
            assert_eq!(found[0].state, state, "{found:?}");
            assert_eq!(found[0].mend.is_some(), wanted != Wanted::No, "{found:?}");
        }
        fs::remove_dir_all(machine.root).unwrap();
    }
}
