//! Serial machines behind USB.

use std::fs;

use anyhow::Context;

use super::{is_gone, is_there};
use crate::{
    adapter::{self, Adapter},
    person::person,
    report::Report,
    stroker::{self, Stroker},
};

/// What the machine that is a USB device itself is called in the person's definition.
const STROKER: &str = "Stroker";
/// What the one behind an adapter is called in the administrator's.
const BENCH: &str = "Bench";

/// Has each machine defined, by the ids of its USB device. The second has its name as the device that it is: all models of a protocol that
/// tells none apart are one.
pub(super) fn define() -> anyhow::Result<()> {
    let model = |identifier: &str, name: &str, vendor: &str, product: &str| {
        format!(
            "[[model]]\nprotocol = \"tcode-v03\"\nidentifiers = [\"{identifier}\"]\nname = \"{name}\"\n\n[[model.serial]]\n\
             port = \"default\"\nbaud_rate = 115200\nusb = [{{ vendor = {vendor}, product = {product} }}]\n"
        )
    };
    let bench = format!(
        "{}\n[[device]]\nwhich = {{ address = \"{}\" }}\nname = \"{BENCH}\"\n",
        model("bench", BENCH, adapter::VENDOR, adapter::PRODUCT),
        adapter::ADDRESS
    );
    for (folder, text) in [
        ("/home/tester/.config/buttplugd/devices.d", model("", STROKER, stroker::VENDOR, stroker::PRODUCT)),
        ("/etc/buttplugd/devices.d", bench),
    ] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {folder}"))?;
        fs::write(format!("{folder}/vm.toml"), text).context("cannot write a definition")?;
    }
    Ok(())
}

pub(super) fn play(report: &mut Report) -> anyhow::Result<()> {
    stroker(report)?;
    adapter(report)
}

fn stroker(report: &mut Report) -> anyhow::Result<()> {
    let machine = Stroker::make()?;
    machine.plug_in()?;
    report.check(
        "a USB serial machine is there as soon as it is plugged in, by the ids of a user's definition",
        || is_there(STROKER),
    );
    report.check("a serial machine moves, in exactly its bytes", || {
        person(&format!("buttplugctl output {STROKER} 50% --within 500ms"))?;
        machine.sent.expect("a movement", |sent| sent == b"L0500I500" || sent == b"L0499I500").map(drop)
    });
    machine.pull_out()?;
    report.check("a serial machine that is pulled out is gone", || is_gone(STROKER));
    machine.sent.forget();
    machine.plug_in()?;
    report.check("a serial machine that returns can be driven again", || {
        is_there(STROKER)?;
        person(&format!("buttplugctl output {STROKER} 100% --within 200ms"))?;
        machine.sent.expect_exactly(b"L0999I200")
    });
    machine.pull_out()
}

fn adapter(report: &mut Report) -> anyhow::Result<()> {
    let mut machine = Adapter::make()?;
    machine.plug_in()?;
    report.check(
        "a machine behind an FTDI adapter is there, by the ids of an administrator's definition",
        || {
            is_there(BENCH)?;
            person(&format!("buttplugctl output {BENCH} 50% --within 500ms"))?;
            machine.sent.expect("a movement", |sent| sent == b"L0500I500" || sent == b"L0499I500").map(drop)
        },
    );
    machine.pull_out()?;
    report.check("a machine whose adapter is pulled out is gone", || is_gone(BENCH));
    machine.sent.forget();
    machine.plug_in()?;
    report.check("a machine whose adapter returns can be driven again", || {
        is_there(BENCH)?;
        person(&format!("buttplugctl output {BENCH} 100% --within 200ms"))?;
        machine.sent.expect_exactly(b"L0999I200")
    });
    machine.pull_out()
}
