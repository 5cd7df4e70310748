//! The checks, in the order of a person's day: install, log in, use devices, log out.

use std::{fs, path::Path};

use anyhow::{Context, ensure};

use crate::{
    joycon::JoyCon,
    pad::Pad,
    person::{Running, person, property, root, succeeds},
    report::{Report, until},
    toy::Toy,
};

mod bluetooth;
mod controller;
mod serial;

const SERVICE: &str = "buttplugd.service";
/// What the Joy-Con is called in the definitions.
const JOYCON: &str = "Nintendo";

/// Plays all scenes. An error is one that makes the rest pointless.
pub(crate) fn play(report: &mut Report) -> anyhow::Result<()> {
    install().context("the package does not install")?;
    root("systemctl start seat.service")?;
    until("the person's manager", || Path::new("/run/user/1000/bus").exists().then_some(()))?;
    activation(report)?;
    let joycon = hid(report)?;
    let pad = controller::play(report)?;
    serial::play(report)?;
    let toy = bluetooth::play(report)?;
    ends(report, &joycon, &pad, &toy)
}

/// Puts the files in their places and tells those that read them, as the scripts of a package do.
fn install() -> anyhow::Result<()> {
    root("cp -a /payload/package/. / && udevadm control --reload && systemctl daemon-reload")?;
    serial::define()?;
    fs::write("/home/tester/.config/buttplugd/buttplugd.toml", "[transports]\ngamepads = true\n")
        .context("cannot write a configuration")?;
    root("chown -R tester: /home/tester && modprobe -a uhid uinput").map(drop)
}

fn activation(report: &mut Report) -> anyhow::Result<()> {
    person("systemctl --user enable --now buttplugd.socket")?;
    report.check("the socket alone starts nothing", || {
        let state = property(SERVICE, "ActiveState");
        ensure!(state == "inactive", "the service is {state}");
        Ok(())
    });
    report.check("a client at the socket starts the service", || {
        // Where the start takes longer than the command waits, the next one finds it under way.
        until("an answer", || succeeds("buttplugctl list").then_some(()))?;
        let state = property(SERVICE, "ActiveState");
        ensure!(state == "active", "the service is {state}");
        Ok(())
    });
    report.check("a call on the session bus starts the service", || {
        person(&format!("systemctl --user stop {SERVICE}"))?;
        person(
            "busctl --user --timeout=60 call org.buttplugd.Buttplug1 /org/buttplugd/Buttplug1 org.buttplugd.Buttplug1.Server Stop",
        )?;
        let state = property(SERVICE, "ActiveState");
        ensure!(state == "active", "the service is {state}");
        Ok(())
    });
    report.check("the sandbox holds on this kernel", || {
        let pid = property(SERVICE, "MainPID");
        let inside = format!("/proc/{pid}/root/home/tester/written");
        ensure!(fs::write(&inside, "x").is_err(), "the service can write to the home folder");
        Ok(())
    });
    report.check("the machine waits for the service before it sleeps", || {
        root("systemd-inhibit --list | grep buttplugd | grep -q delay").map(drop)
    });
    Ok(())
}

fn hid(report: &mut Report) -> anyhow::Result<JoyCon> {
    let joycon = JoyCon::plug_in()?;
    report.check("a Joy-Con is there as soon as it is plugged in, by our udev rule alone", || {
        is_there(JOYCON)?;
        joycon
            .sent
            .expect("vibration on", |sent| {
                sent.first() == Some(&0x01) && sent.get(10..12) == Some(&[0x48, 0x01])
            })
            .map(drop)
    });
    report.check("a Joy-Con rumbles at the strength that was asked for", || {
        person(&format!("buttplugctl output {JOYCON} 100% --for 1s"))?;
        joycon.sent.expect("full rumble", |sent| rumble(sent) == Some(&FULL)).map(drop)
    });
    report.check("a Joy-Con rests when its time is over", || joycon.sent.expect("rest", rests).map(drop));
    drop(joycon);
    report.check("a Joy-Con that is pulled out is gone", || is_gone(JOYCON));
    let joycon = JoyCon::plug_in()?;
    report.check("a Joy-Con that returns can be driven again", || {
        is_there(JOYCON)?;
        let holder = Running::start(&format!("buttplugctl output {JOYCON} 100%"))?;
        joycon.sent.expect("full rumble", |sent| rumble(sent) == Some(&FULL))?;
        drop(holder);
        Ok(())
    });
    report.check("a client that is killed leaves nothing running", || {
        joycon.sent.expect("rest", rests).map(drop)
    });
    Ok(joycon)
}

/// One side at full strength, and at rest.
const FULL: [u8; 4] = [0xa8, 0xc8, 0xbc, 0x72];
const REST: [u8; 4] = [0x00, 0x01, 0x40, 0x40];

/// The left side's bytes of a rumble report.
fn rumble(sent: &[u8]) -> Option<&[u8]> {
    (sent.first() == Some(&0x10)).then(|| sent.get(2..6)).flatten()
}

fn rests(sent: &[u8]) -> bool {
    rumble(sent) == Some(&REST)
}

/// A sleep of the machine, and its end.
const SLEEP: &str = "systemctl suspend && until busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
                     org.freedesktop.login1.Manager PreparingForSleep | grep -q false; do sleep 0.2; done";

/// Every way in which machine or service end with a device running, for a while or for good.
fn ends(report: &mut Report, joycon: &JoyCon, pad: &Pad, toy: &Toy) -> anyhow::Result<()> {
    let of_person =
        "setpriv --reuid=1000 --regid=1000 --init-groups env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user";
    for (name, end) in [
        ("what runs is stopped before the machine sleeps", SLEEP.to_owned()),
        (
            "what runs when the service is killed is stopped by the next, which is started at once",
            format!("{of_person} kill --signal=KILL {SERVICE}"),
        ),
        ("systemctl stop stops what runs", format!("{of_person} stop {SERVICE}")),
        ("a logout stops what runs", "systemctl stop seat.service".to_owned()),
    ] {
        let holders = [
            // A client that stays, so that the toy is looked for.
            Running::start("buttplugctl watch")?,
            drives(JOYCON)?,
            drives(controller::PAD)?,
            drives(bluetooth::TOY)?,
        ];
        joycon.sent.forget();
        pad.sent.forget();
        toy.sent.forget();
        report.check(name, || {
            joycon.sent.expect("full rumble", |sent| rumble(sent) == Some(&FULL))?;
            pad.sent.expect_exactly(controller::FULL)?;
            toy.sent.expect_exactly(b"Vibrate:20;")?;
            root(&end)?;
            joycon.sent.expect("rest", rests)?;
            pad.sent.expect_exactly(controller::REST)?;
            toy.sent.expect_exactly(b"Vibrate:0;")
        });
        drop(holders);
    }
    report.check("after the logout the person's manager is gone", || {
        until("the end of the manager", || (!Path::new("/run/user/1000/bus").exists()).then_some(()))
    });
    Ok(())
}

/// Drives a device at full strength as soon as it is there.
fn drives(name: &str) -> anyhow::Result<Running> {
    Running::start(&format!(
        "sh -c 'until buttplugctl list | grep -q {name}; do sleep 0.5; done; exec buttplugctl output {name} 100%'"
    ))
}

fn is_there(name: &str) -> anyhow::Result<()> {
    until(&format!("{name} in the list"), || listed(name).then_some(()))
}

fn is_gone(name: &str) -> anyhow::Result<()> {
    until(&format!("{name} off the list"), || (!listed(name)).then_some(()))
}

fn listed(name: &str) -> bool {
    succeeds(&format!("buttplugctl list | grep -q {name}"))
}
