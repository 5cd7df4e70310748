//! A pseudo terminal as a device: the service opens one end by its path, a test is the device at the other.
//!
//! A [`SerialDevice`] is a port as the kernel makes one, for the service to set. A [`HidNode`] passes bytes on as they are; that a
//! real node also keeps the borders of reports is what a pseudo terminal cannot show.

use std::{
    fs, io,
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rustix::{
    fs::{
        Mode, OFlags, fcntl_setfl,
        inotify::{self, CreateFlags, Reader, WatchFlags},
    },
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Action, OptionalActions, ioctl_tiocexcl, ioctl_tiocnxcl, tcflow, tcgetattr, tcsetattr},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe::{Receiver, Sender},
    time::timeout,
};

use crate::bluez::PATIENCE;

/// Both ends of a pseudo terminal.
#[derive(Debug)]
struct Terminal {
    from_service: Receiver,
    to_service: Sender,
    /// The end that the service opens. Held open, so that the device is there before and after the service has it open.
    port: OwnedFd,
    node: PathBuf,
    /// The link to it.
    path: PathBuf,
    came: Vec<u8>,
}

impl Terminal {
    /// Makes one, and a link to it at that path, in the place of one that was there.
    fn at(path: &Path) -> anyhow::Result<Self> {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&device)?;
        unlockpt(&device)?;
        // Else to ask for what is not there would wait for it.
        fcntl_setfl(&device, OFlags::RDWR | OFlags::NONBLOCK)?;
        let node = PathBuf::from(ptsname(&device, Vec::new())?.into_string()?);
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let port = rustix::fs::open(&node, flags, Mode::empty())?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let to_service = Sender::from_owned_fd_unchecked(device.try_clone()?)?;
        let from_service = Receiver::from_owned_fd_unchecked(device)?;
        symlink(&node, path)?;
        Ok(Self { from_service, to_service, port, node, path: path.to_owned(), came: Vec::new() })
    }

    /// The bytes that the service sends up to an end that `end` finds in what came so far.
    async fn up_to(
        &mut self,
        what: &str,
        end: impl Fn(&[u8]) -> Option<usize> + Send,
    ) -> anyhow::Result<Vec<u8>> {
        let read = async {
            loop {
                if let Some(end) = end(&self.came) {
                    return Ok(self.came.drain(..end).collect());
                }
                if self.from_service.read_buf(&mut self.came).await? == 0 {
                    bail!("the port is closed");
                }
            }
        };
        let bytes = timeout(PATIENCE, read).await;
        bytes.with_context(|| format!("no {what} within {PATIENCE:?}, but {:02x?}", self.came))?
    }

    fn rest(&mut self) -> Vec<u8> {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = self.from_service.try_read(&mut buffer) {
            self.came.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
        std::mem::take(&mut self.came)
    }

    fn set_mode(&self, mode: u32) -> anyhow::Result<()> {
        Ok(fs::set_permissions(&self.node, fs::Permissions::from_mode(mode))?)
    }

    async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        timeout(PATIENCE, self.to_service.write_all(bytes)).await.context("the service does not read")??;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // First of all: the next pseudo terminal may get its number, and be another test's.
        if fs::read_link(&self.path).is_ok_and(|target| target == self.node) {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// A serial device. Dropping it is to pull its plug.
#[derive(Debug)]
pub struct SerialDevice {
    terminal: Terminal,
    /// Tells when the port is opened.
    opened: OwnedFd,
}

impl SerialDevice {
    /// Plugs one in at that path, in the place of one that was there.
    ///
    /// # Errors
    /// The system has no pseudo terminals, or the path cannot be made.
    pub fn plug_in(path: &Path) -> anyhow::Result<Self> {
        let terminal = Terminal::at(path)?;
        let opened = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&opened, &terminal.node, WatchFlags::OPEN)?;
        Ok(Self { terminal, opened })
    }

    /// Whether anybody has opened the port since it was plugged in.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn was_opened(&self) -> anyhow::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        match Reader::new(&self.opened, &mut buffer).next() {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The next line that the service sends, without its line feed.
    ///
    /// # Errors
    /// None comes in time.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        let end = |came: &[u8]| came.iter().position(|byte| *byte == b'\n').map(|place| place + 1);
        let line = self.terminal.up_to("line", end).await?;
        Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
    }

    /// What came and was not read as a line.
    #[must_use]
    pub fn rest(&mut self) -> Vec<u8> {
        self.terminal.rest()
    }

    /// Sends bytes to the service.
    ///
    /// # Errors
    /// The service does not take them in time.
    pub async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.terminal.send(bytes).await
    }

    /// Takes nothing more, as a device whose firmware hangs.
    ///
    /// # Errors
    /// The system refuses.
    pub fn hang(&self) -> anyhow::Result<()> {
        Ok(tcflow(&self.terminal.port, Action::OOff)?)
    }

    /// The opposite.
    ///
    /// # Errors
    /// The system refuses.
    pub fn go_on(&self) -> anyhow::Result<()> {
        Ok(tcflow(&self.terminal.port, Action::OOn)?)
    }

    /// Sets who may open the port, as [`HidNode::set_mode`].
    ///
    /// # Errors
    /// The system refuses.
    pub fn set_mode(&self, mode: u32) -> anyhow::Result<()> {
        self.terminal.set_mode(mode)
    }

    /// Has the port for another program alone. (That holds for all but root.)
    ///
    /// # Errors
    /// The system refuses.
    pub fn occupy(&self) -> anyhow::Result<()> {
        Ok(ioctl_tiocexcl(&self.terminal.port)?)
    }

    /// The opposite.
    ///
    /// # Errors
    /// The system refuses.
    pub fn vacate(&self) -> anyhow::Result<()> {
        Ok(ioctl_tiocnxcl(&self.terminal.port)?)
    }
}

/// The hidraw node of a device. Dropping it is to pull its plug.
#[derive(Debug)]
pub struct HidNode(Terminal);

impl HidNode {
    /// Plugs one in at that path.
    ///
    /// # Errors
    /// The system has no pseudo terminals, or the path cannot be made.
    pub fn plug_in(path: &Path) -> anyhow::Result<Self> {
        let terminal = Terminal::at(path)?;
        let mut modes = tcgetattr(&terminal.port)?;
        modes.make_raw();
        tcsetattr(&terminal.port, OptionalActions::Now, &modes)?;
        Ok(Self(terminal))
    }

    /// The next report that the service sends, of that length.
    ///
    /// # Errors
    /// None comes in time.
    pub async fn report(&mut self, length: usize) -> anyhow::Result<Vec<u8>> {
        let end = |came: &[u8]| (came.len() >= length).then_some(length);
        self.0.up_to(&format!("report of {length} bytes"), end).await
    }

    /// What came and was not read as a report.
    #[must_use]
    pub fn rest(&mut self) -> Vec<u8> {
        self.0.rest()
    }

    /// Sends bytes to the service.
    ///
    /// # Errors
    /// The service does not take them in time.
    pub async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.0.send(bytes).await
    }

    /// Sets who may open the node: `0o600` the owner, `0` nobody (but root).
    ///
    /// # Errors
    /// The system refuses.
    pub fn set_mode(&self, mode: u32) -> anyhow::Result<()> {
        self.0.set_mode(mode)
    }
}
