//! Word from the kernel, and from udev, that a device came, went or changed, so that no bus has to ask again and again.
//!
//! An event only means "look again": what is there is read from `/sys` and `/dev`. So nothing is believed of a message but the
//! subsystem that it names, and whoever could forge one gains a look.

use std::{io, os::fd::OwnedFd};

use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink, netlink::SocketAddrNetlink, recv,
    socket_with,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::ready::waitable;

/// The multicast group in which the kernel speaks, at once.
const KERNEL: u32 = 1;
/// That in which udev speaks, after its rules have set who may open the device.
const UDEV: u32 = 2;
/// The longest message; the kernel's own limit is 2 KiB, udev's messages have more properties.
const MESSAGE_MAX: usize = 16_384;

/// The events of one subsystem.
#[derive(Debug)]
pub(super) struct Uevents {
    socket: AsyncFd<OwnedFd>,
    subsystem: &'static str,
}

impl Uevents {
    /// Begins to listen; `subsystem` as the kernel names it: `tty`, `hidraw`, `input`.
    ///
    /// # Errors
    /// The system does not let a program listen, as in some sandboxes.
    pub(super) fn open(subsystem: &'static str) -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            Some(netlink::KOBJECT_UEVENT),
        )?;
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL | UDEV))?;
        Ok(Self { socket: waitable(socket, Interest::READABLE)?, subsystem })
    }

    /// Waits for the next event of the subsystem. Cancel-safe.
    ///
    /// # Errors
    /// The socket is broken.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        let mut message = [0; MESSAGE_MAX];
        loop {
            let mut ready = self.socket.readable().await?;
            let received = ready.try_io(|socket| {
                let (length, _) = recv(socket.get_ref(), &mut message, RecvFlags::empty())?;
                Ok(length)
            });
            match received {
                Ok(Ok(length)) => {
                    if concerns(message.get(..length).unwrap_or_default(), self.subsystem) {
                        return Ok(());
                    }
                }
                // Events came faster than they were read: any of them may have been ours.
                Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                    return Ok(());
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

/// Whether a message of the kernel or of udev is about the subsystem. In both, properties end with a zero.
fn concerns(message: &[u8], subsystem: &str) -> bool {
    message
        .split(|byte| *byte == 0)
        .filter_map(|property| property.strip_prefix(b"SUBSYSTEM="))
        .any(|value| value == subsystem.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_kernel_and_of_udev_are_told_apart_by_subsystem() {
        let kernel = b"add@/devices/pci0/usb1/ttyUSB0\0ACTION=add\0SUBSYSTEM=tty\0SEQNUM=4711\0";
        assert!(concerns(kernel, "tty"));
        assert!(!concerns(kernel, "hidraw"));
        let udev =
            b"libudev\0\xfe\xed\xca\xfe\0\0\0\x28UDEV_DATABASE_VERSION=1\0ACTION=add\0SUBSYSTEM=hidraw\0";
        assert!(concerns(udev, "hidraw"));
        assert!(!concerns(udev, "raw"));
        assert!(!concerns(b"SUBSYSTEM=ttyX", "tty"));
        assert!(!concerns(b"", "tty"));
    }
}
