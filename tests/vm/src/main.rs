//! Runs inside the virtual machine, as root: installs the service as a package would, lets a person log in, plugs in devices made of
//! software, and checks what they are sent. One line a check.
//!
//! `cargo xtask vm-test` makes the machine and starts this; it is of no use elsewhere.

mod report;

mod log;
mod person;

mod adapter;
mod joycon;
mod pad;
mod stroker;
mod toy;

mod scenes;

use report::{Report, show};

fn main() {
    let mut report = Report::new();
    if let Err(error) = scenes::play(&mut report) {
        report.check("the scenes are played to their end", || Err(error));
    }
    if report.has_failed() {
        let look = "journalctl --no-pager -o short-monotonic -n 120 | grep -v audit; ls -l /dev/hidraw* /dev/tty[AU]*; loginctl --no-pager";
        for seen in [person::root(look), person::person("buttplugctl list; buttplugctl doctor")] {
            show(&seen.unwrap_or_else(|error| format!("{error:#}")));
        }
    }
    report.close();
}
