//! A controller of the kernel that is driven by this program alone, over the kernel's user channel: the few commands and events of the
//! Bluetooth Core Specification (volume 4, part E) that a peripheral needs.

use anyhow::Context;
use rustix::{
    fd::OwnedFd,
    io::{read, write},
    net::{
        AddressFamily, Protocol, SocketFlags, SocketType,
        addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque},
        bind, socket_with,
    },
};

use super::{
    att::{NAME, SERVICE},
    pairing::End,
};

// Packet types.
const COMMAND: u8 = 1;
const DATA: u8 = 2;
const EVENT: u8 = 4;
/// The command that asks for the controller's address.
const OWN_ADDRESS: u16 = 0x1009;

/// A channel of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Attributes,
    Security,
}

/// Whether the toy advertises.
#[derive(Clone, Copy)]
pub(super) enum On {
    Yes,
    No,
}

/// What the controller says.
pub(super) enum Event {
    /// The toy's own address.
    Address([u8; 6]),
    /// The link, and who is at its other end.
    Connected(u16, End),
    Disconnected,
    Data(u16, Channel, Vec<u8>),
    /// The other end encrypts the link with the key of this name, which is empty after a pairing.
    KeyWanted(u16, Vec<u8>),
    Encrypted(u16),
    Other,
}

/// The controller.
pub(super) struct Controller(OwnedFd);

impl Controller {
    /// Takes the controller `hciN` from the kernel's own Bluetooth.
    pub(super) fn open(number: u16) -> anyhow::Result<Self> {
        let protocol = Protocol::from_raw(std::num::NonZeroU32::MIN);
        // A program that is started meanwhile would hold the controller too.
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::BLUETOOTH, SocketType::RAW, flags, Some(protocol))
            .context("the kernel has no Bluetooth")?;
        bind(&socket, &UserChannel { family: AddressFamily::BLUETOOTH.as_raw(), number, channel: 1 })
            .context("the controller is not to be had")?;
        Ok(Self(socket))
    }

    /// A second hold of it, for another thread.
    pub(super) fn share(&self) -> anyhow::Result<Self> {
        self.0.try_clone().map(Self).context("cannot share a socket")
    }

    /// Resets it and starts to advertise.
    pub(super) fn set_up(&self) -> anyhow::Result<()> {
        self.command(0x0c03, &[])?;
        self.command(OWN_ADDRESS, &[])?;
        self.command(0x0c01, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f])?;
        self.command(0x2001, &[0xff, 0xff, 0x0f, 0, 0, 0, 0, 0])?;
        // Set 0, in the old form, connectable: every 100 ms, on all channels, from the own public address, for everybody.
        let parameters =
            [0, 0x13, 0, 0xa0, 0, 0, 0xa0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 1, 0, 1, 0, 0];
        self.command(0x2036, &parameters)?;
        let mut advertisement = vec![2, 0x01, 0x06, 17, 0x07];
        advertisement.extend(SERVICE);
        advertisement.extend([9, 0x09]);
        advertisement.extend(NAME);
        self.command(0x2037, &[&[0, 3, 1, 31], &advertisement[..]].concat())?;
        self.advertise(On::Yes)
    }

    pub(super) fn advertise(&self, on: On) -> anyhow::Result<()> {
        let on = match on {
            On::Yes => 1,
            On::No => 0,
        };
        self.command(0x2039, &[on, 1, 0, 0, 0, 0])
    }

    pub(super) fn disconnect(&self, handle: u16) -> anyhow::Result<()> {
        let [low, high] = handle.to_le_bytes();
        self.command(0x0406, &[low, high, 0x13])
    }

    /// Gives the other end's controller the key that it encrypts with, or says that there is none.
    pub(super) fn key(&self, handle: u16, key: Option<[u8; 16]>) -> anyhow::Result<()> {
        let handle = handle.to_le_bytes();
        match key {
            Some(key) => self.command(0x201a, &[&handle[..], &key].concat()),
            None => self.command(0x201b, &handle),
        }
    }

    /// Sends a packet.
    pub(super) fn send(&self, handle: u16, channel: Channel, packet: &[u8]) -> anyhow::Result<()> {
        let size = u16::try_from(packet.len()).context("a packet too long")?;
        let mut bytes = vec![DATA];
        for word in [handle, size + 4, size, channel.number()] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(packet);
        write(&self.0, &bytes).map(drop).context("cannot send")
    }

    /// Waits for what the controller says next.
    pub(super) fn next(&self) -> anyhow::Result<Event> {
        let mut bytes = [0; 1024];
        let count = read(&self.0, &mut bytes).context("the controller is gone")?;
        Ok(bytes.get(..count).and_then(understood).unwrap_or(Event::Other))
    }

    fn command(&self, code: u16, parameters: &[u8]) -> anyhow::Result<()> {
        let mut bytes = vec![COMMAND];
        bytes.extend(code.to_le_bytes());
        bytes.push(u8::try_from(parameters.len()).context("a command too long")?);
        bytes.extend(parameters);
        write(&self.0, &bytes)
            .map(drop)
            .with_context(|| format!("the controller takes no command {code:04x}"))
    }
}

impl Channel {
    const fn number(self) -> u16 {
        match self {
            Self::Attributes => 4,
            Self::Security => 6,
        }
    }

    fn of(number: u16) -> Option<Self> {
        [Self::Attributes, Self::Security].into_iter().find(|channel| channel.number() == number)
    }
}

fn understood(bytes: &[u8]) -> Option<Event> {
    let word = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let address = |at: usize| bytes.get(at..)?.first_chunk::<6>().copied();
    match (bytes.first()?, bytes.get(1)?) {
        (&EVENT, 0x0e) if word(4)? == OWN_ADDRESS => Some(Event::Address(address(7)?)),
        // A link, which was made if the status is 0.
        (&EVENT, 0x3e) if matches!(bytes.get(3..5)?, [0x01 | 0x0a, 0]) => {
            Some(Event::Connected(word(5)?, End { kind: *bytes.get(8)?, address: address(9)? }))
        }
        (&EVENT, 0x3e) if bytes.get(3)? == &0x05 => {
            Some(Event::KeyWanted(word(4)?, bytes.get(6..16)?.to_vec()))
        }
        (&EVENT, 0x05) => Some(Event::Disconnected),
        (&EVENT, 0x08) if bytes.get(3)? == &0 && bytes.get(6)? != &0 => Some(Event::Encrypted(word(4)?)),
        (&DATA, _) => {
            let channel = Channel::of(word(7)?)?;
            Some(Event::Data(word(1)? & 0x0fff, channel, bytes.get(9..)?.to_vec()))
        }
        _ => None,
    }
}

/// `struct sockaddr_hci` of the kernel.
#[repr(C)]
struct UserChannel {
    family: u16,
    number: u16,
    channel: u16,
}

// SAFETY: the pointer is to a whole `sockaddr_hci`, is given with its size, and is valid for the call.
unsafe impl SocketAddrArg for UserChannel {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        f(std::ptr::from_ref(self).cast(), 6)
    }
}
