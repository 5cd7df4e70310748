//! A toy over Bluetooth LE, behind the real BlueZ.

use anyhow::ensure;

use super::{is_gone, is_there, listed};
use crate::{
    person::{Running, person, root, succeeds},
    report::{Report, until},
    toy::{ADDRESS, Demand, PAIRED, Toy},
};

/// What the toy is called in the definitions.
pub(super) const TOY: &str = "Hush";

pub(super) fn play(report: &mut Report) -> anyhow::Result<Toy> {
    root("modprobe hci_vhci")?;
    let toy = Toy::make()?;
    root("systemctl start bluetooth")?;
    report.check("a scan over BlueZ finds a toy, connects and asks for its model", || {
        until("a scan that finds it", || {
            (succeeds("buttplugctl scan --for 3s") && listed(TOY)).then_some(())
        })?;
        toy.sent.expect_exactly(b"DeviceType;")
    });
    report.check("a toy is driven in exactly its bytes, and rests when its time is over", || {
        person(&format!("buttplugctl output {TOY} 100% --for 1s"))?;
        toy.sent.expect_exactly(b"Vibrate:20;")?;
        toy.sent.expect_exactly(b"Vibrate:0;")
    });
    report.check("a toy's battery is read", || {
        let said = person(&format!("buttplugctl read {TOY} --kind battery"))?;
        ensure!(said.contains("85"), "it says: {said}");
        Ok(())
    });
    // A client that stays, so that the toy is looked for.
    let watcher = Running::start("buttplugctl watch")?;
    away(report, &toy)?;
    pairing(report, &toy)?;
    drop(watcher);
    bluez_restarts(report, &toy)?;
    adapter_off(report, &toy)?;
    adapter_pulled(report, toy)
}

/// A client that drives the toy, which it is seen to do.
fn driven(toy: &Toy) -> anyhow::Result<Running> {
    toy.sent.forget();
    let holder = Running::start(&format!("buttplugctl output {TOY} 100%"))?;
    toy.sent.expect_exactly(b"Vibrate:20;")?;
    toy.sent.forget();
    Ok(holder)
}

/// The toy is back: it is stopped, then it obeys again.
fn returned(toy: &Toy) -> anyhow::Result<()> {
    toy.sent.expect_exactly(b"Vibrate:0;")?;
    is_there(TOY)?;
    person(&format!("buttplugctl output {TOY} 50% --for 500ms"))?;
    toy.sent.expect_exactly(b"Vibrate:10;")?;
    toy.sent.expect_exactly(b"Vibrate:0;")
}

/// Waits until the status of the service says this.
fn status_says(words: &str) -> anyhow::Result<()> {
    let mut last = String::new();
    until(words, || {
        last = person("buttplugctl status").unwrap_or_default();
        last.contains(words).then_some(())
    })
    .map_err(|error| error.context(last))
}

fn away(report: &mut Report, toy: &Toy) -> anyhow::Result<()> {
    let holder = driven(toy)?;
    report.check(
        "a toy that is carried away while it runs is gone, and is stopped first when it returns",
        || {
            toy.leave()?;
            is_gone(TOY)?;
            toy.come_back()?;
            returned(toy)
        },
    );
    drop(holder);
    Ok(())
}

fn pairing(report: &mut Report, toy: &Toy) -> anyhow::Result<()> {
    toy.leave()?;
    is_gone(TOY)?;
    toy.demand(Demand::Pairing);
    toy.sent.forget();
    toy.come_back()?;
    report.check("a toy that wants to be paired is paired, without a question", || {
        toy.sent.expect_exactly(PAIRED)?;
        is_there(TOY)?;
        person(&format!("buttplugctl output {TOY} 50% --for 500ms"))?;
        toy.sent.expect_exactly(b"Vibrate:10;")
    });
    toy.leave()?;
    is_gone(TOY)?;
    toy.sent.forget();
    toy.come_back()?;
    report.check("a toy that is paired is not paired again when it returns", || {
        let mut pairings = 0;
        toy.sent.expect("its model", |sent| {
            pairings += u32::from(sent == PAIRED);
            sent == b"DeviceType;"
        })?;
        is_there(TOY)?;
        ensure!(pairings == 0, "it was paired again");
        Ok(())
    });
    toy.leave()?;
    is_gone(TOY)?;
    toy.demand(Demand::Strangers);
    root(&format!("bluetoothctl remove {ADDRESS}"))?;
    toy.come_back()?;
    report.check(
        "a toy that wants to be paired and refuses it says so in the status, with the command",
        || status_says(&format!("`bluetoothctl pair {ADDRESS}`")),
    );
    toy.demand(Demand::Pairing);
    toy.sent.forget();
    report.check("a toy that refused to be paired is asked again when a client looks for devices", || {
        person("buttplugctl scan --for 3s")?;
        toy.sent.expect_exactly(PAIRED)?;
        is_there(TOY)
    });
    toy.leave()?;
    is_gone(TOY)?;
    root(&format!("bluetoothctl remove {ADDRESS}"))?;
    toy.demand(Demand::Nothing);
    toy.come_back()?;
    is_there(TOY)?;
    Ok(())
}

fn bluez_restarts(report: &mut Report, toy: &Toy) -> anyhow::Result<()> {
    let holder = driven(toy)?;
    report.check("a BlueZ that is killed while a toy runs is named in the status", || {
        root("systemctl kill --signal=KILL bluetooth")?;
        status_says("BlueZ, the Bluetooth service of Linux, is not running")?;
        is_gone(TOY)
    });
    root("systemctl start bluetooth")?;
    report.check("when BlueZ is back, the toy is stopped first and obeys again", || returned(toy));
    drop(holder);
    Ok(())
}

fn adapter_off(report: &mut Report, toy: &Toy) -> anyhow::Result<()> {
    let holder = driven(toy)?;
    report.check("an adapter that is switched off while a toy runs is named in the status", || {
        root("bluetoothctl power off")?;
        status_says("the Bluetooth adapter hci0 is switched off")?;
        is_gone(TOY)
    });
    root("bluetoothctl power on")?;
    report.check("when the adapter is on again, the toy is stopped first and obeys again", || returned(toy));
    drop(holder);
    Ok(())
}

/// Both controllers go and come back, the adapter's and the toy's: a toy that has run on meanwhile would not be another.
fn adapter_pulled(report: &mut Report, toy: Toy) -> anyhow::Result<Toy> {
    let holder = driven(&toy)?;
    drop(toy);
    report.check("an adapter that is pulled out while a toy runs is named in the status", || {
        status_says("there is no Bluetooth adapter")?;
        is_gone(TOY)
    });
    let toy = Toy::make()?;
    report.check("when an adapter is back, the toy is stopped first and obeys again", || returned(&toy));
    drop(holder);
    Ok(toy)
}
