//! A USB serial adapter as shops sell it (an FTDI chip), which qemu makes, with a TCode machine behind it. It is plugged in and pulled out by
//! qemu's monitor, which this machine has as a port of its own; what the machine is sent comes back in by another port.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    sync::mpsc::Sender,
    thread,
};

use anyhow::{Context, bail};

use crate::{log::Sent, report::until};

/// The port behind which qemu's monitor listens, and the one at which the adapter's other end is.
const MONITOR: &str = "/dev/virtio-ports/monitor";
const MACHINE: &str = "/dev/virtio-ports/machine";
/// The ids that a definition names it by.
pub(crate) const VENDOR: &str = "0x0403";
pub(crate) const PRODUCT: &str = "0x6001";
/// What the service calls its place: the ids, and its serial number.
pub(crate) const ADDRESS: &str = "0403:6001:VM-2";

/// The adapter.
pub(crate) struct Adapter {
    monitor: File,
    said: Sent,
    pub(crate) sent: Sent,
}

impl Adapter {
    /// Takes hold of both ports; it is not plugged in yet.
    pub(crate) fn make() -> anyhow::Result<Self> {
        let monitor = until("qemu's monitor", || open(MONITOR).ok())?;
        let (sender, said) = Sent::pair();
        pass_on(monitor.try_clone().context("cannot share the monitor")?, sender);
        let (sender, sent) = Sent::pair();
        pass_on(open(MACHINE)?, sender);
        let mut adapter = Self { monitor, said, sent };
        adapter.tell("{\"execute\": \"qmp_capabilities\"}")?;
        Ok(adapter)
    }

    /// Plugs it into the machine.
    pub(crate) fn plug_in(&mut self) -> anyhow::Result<()> {
        self.tell(
            "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"usb-serial\", \"id\": \"adapter\", \"chardev\": \"machine\", \
             \"serial\": \"VM-2\", \"always-plugged\": true}}",
        )
    }

    /// Pulls it out.
    pub(crate) fn pull_out(&mut self) -> anyhow::Result<()> {
        self.tell("{\"execute\": \"device_del\", \"arguments\": {\"id\": \"adapter\"}}")
    }

    fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        writeln!(self.monitor, "{line}").context("the monitor does not listen")?;
        let answers = |said: &[u8]| said.starts_with(b"{\"return\"") || said.starts_with(b"{\"error\"");
        let said = self.said.expect("the monitor's answer", answers)?;
        if said.starts_with(b"{\"error\"") {
            bail!("the monitor says: {}", said.escape_ascii());
        }
        Ok(())
    }
}

fn open(port: &str) -> anyhow::Result<File> {
    OpenOptions::new().read(true).write(true).open(port).with_context(|| format!("cannot open {port}"))
}

/// Hands over what comes in at a port, line by line.
fn pass_on(port: File, sender: Sender<Vec<u8>>) {
    thread::spawn(move || {
        for line in BufReader::new(port).split(b'\n') {
            let Ok(line) = line else { return };
            if sender.send(line.trim_ascii_end().to_vec()).is_err() {
                return;
            }
        }
    });
}
