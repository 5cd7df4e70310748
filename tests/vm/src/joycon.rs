//! A Joy-Con made of software: the kernel's `uhid` offers it as a real HID device on the Bluetooth bus.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    thread,
};

use anyhow::Context;

use crate::log::Sent;

/// The left one.
const VENDOR: u32 = 0x057e;
const PRODUCT: u32 = 0x2006;
const BUS_BLUETOOTH: u16 = 5;

/// Vendor page; input report 0x30, output reports 0x01 and 0x10, 63 bytes each.
const DESCRIPTOR: [u8; 43] = [
    0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95,
    0x3f, // page, sizes
    0x85, 0x30, 0x09, 0x01, 0x81, 0x02, // input
    0x85, 0x01, 0x09, 0x02, 0x91, 0x02, // output: subcommands
    0x85, 0x10, 0x09, 0x03, 0x91, 0x02, // output: rumble
    0x85, 0x11, 0x09, 0x04, 0x91, 0x02, 0xc0, 0x00, 0x00, // output; end
];
/// How much of it counts.
const DESCRIPTOR_SIZE: u16 = 41;

// Event numbers of include/uapi/linux/uhid.h.
const DESTROY: u32 = 1;
const OUTPUT: u32 = 6;
const CREATE: u32 = 11;
/// The union of all events is this long, with its number before it.
const EVENT_SIZE: usize = 4 + 4372;
/// The longest report, and with it where an output event has the size.
const REPORT_MAX: usize = 4096;

/// The device; pulled out with this.
pub(crate) struct JoyCon {
    file: File,
    pub(crate) sent: Sent,
}

impl JoyCon {
    /// Plugs it in.
    pub(crate) fn plug_in() -> anyhow::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).write(true).open("/dev/uhid").context("cannot open /dev/uhid")?;
        let mut event = Vec::with_capacity(EVENT_SIZE);
        event.extend(CREATE.to_le_bytes());
        event.extend(padded(b"Joy-Con (L)", 128));
        event.extend(padded(b"vm/joycon", 64));
        event.extend(padded(b"F0:F1:F2:F3:F4:02", 64));
        event.extend(DESCRIPTOR_SIZE.to_le_bytes());
        event.extend(BUS_BLUETOOTH.to_le_bytes());
        for word in [VENDOR, PRODUCT, 0x0100, 0] {
            event.extend(word.to_le_bytes());
        }
        event.extend(padded(&DESCRIPTOR, REPORT_MAX));
        file.write_all(&event).context("the kernel takes no such HID device")?;
        let (sender, sent) = Sent::pair();
        let mut reader = file.try_clone().context("cannot share /dev/uhid")?;
        thread::spawn(move || {
            let mut event = [0; EVENT_SIZE];
            while let Ok(count) = reader.read(&mut event) {
                let Some(report) = event.get(..count).and_then(output_report) else { continue };
                if sender.send(report.to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { file, sent })
    }
}

impl Drop for JoyCon {
    fn drop(&mut self) {
        if let Err(error) = self.file.write_all(&DESTROY.to_le_bytes()) {
            crate::report::show(&format!("cannot pull out the Joy-Con: {error}"));
        }
    }
}

/// The report of an output event. Anything else is no business of the checks.
fn output_report(event: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = event.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*kind) != OUTPUT {
        return None;
    }
    let size = rest.get(REPORT_MAX..)?.first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_le_bytes(*size)))
}

fn padded(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(size, 0);
    padded
}
