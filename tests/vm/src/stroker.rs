//! A TCode machine made of software: a USB device with a serial port on the kernel's software bus (`dummy_hcd`), as an Arduino is one.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader},
    os::unix::fs::{OpenOptionsExt, symlink},
    path::Path,
    thread,
};

use anyhow::Context;
use rustix::fs::OFlags;

use crate::{log::Sent, person::root, report::until};

/// Where a USB device is put together.
const GADGET: &str = "/sys/kernel/config/usb_gadget/stroker";
/// The ids that a definition names it by.
pub(crate) const VENDOR: &str = "0x1209";
pub(crate) const PRODUCT: &str = "0x0001";

/// The device.
pub(crate) struct Stroker {
    pub(crate) sent: Sent,
}

impl Stroker {
    /// Puts it together; it is not plugged in yet.
    pub(crate) fn make() -> anyhow::Result<Self> {
        root("modprobe -a dummy_hcd libcomposite usb_f_acm")?;
        let gadget = Path::new(GADGET);
        let texts = gadget.join("strings/0x409");
        let configuration = gadget.join("configs/c.1");
        let port = gadget.join("functions/acm.usb0");
        for folder in [gadget, &texts, &configuration, &port] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        for (file, value) in [("idVendor", VENDOR), ("idProduct", PRODUCT), ("bcdUSB", "0x0200")] {
            fs::write(gadget.join(file), value).with_context(|| format!("cannot write {file}"))?;
        }
        for (file, value) in [("manufacturer", "Test"), ("product", "Stroker"), ("serialnumber", "VM-1")] {
            fs::write(texts.join(file), value).with_context(|| format!("cannot write {file}"))?;
        }
        symlink(&port, configuration.join("acm.usb0")).context("cannot give it a serial port")?;
        let (sender, sent) = Sent::pair();
        // The kernel hangs up on it at every unplugging.
        thread::spawn(move || {
            while let Ok(lines) = own_end() {
                for line in lines.split(b'\n') {
                    let Ok(line) = line else { break };
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Self { sent })
    }

    /// Plugs it into the machine.
    pub(crate) fn plug_in(&self) -> anyhow::Result<()> {
        root(&format!("ls /sys/class/udc | head -n 1 > {GADGET}/UDC")).map(drop)
    }

    /// Pulls it out.
    pub(crate) fn pull_out(&self) -> anyhow::Result<()> {
        root(&format!("echo > {GADGET}/UDC")).map(drop)
    }
}

/// The device's own end of the line.
fn own_end() -> anyhow::Result<BufReader<File>> {
    // Not as the controlling terminal: the kernel would hang up on this program too.
    let flags = i32::try_from(OFlags::NOCTTY.bits()).context("a flag out of range")?;
    let open = || OpenOptions::new().read(true).custom_flags(flags).open("/dev/ttyGS0").ok();
    let port = until("the device's end of the port", open)?;
    root("stty -F /dev/ttyGS0 raw -echo")?;
    Ok(BufReader::new(port))
}
