//! A pseudo terminal as a serial device: the service opens one end by its path, a test is the device at the other.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Action, tcflow},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe::{Receiver, Sender},
    time::timeout,
};

use crate::bluez::PATIENCE;

/// A serial device. Dropping it is to pull its plug; the path stays, and leads nowhere.
#[derive(Debug)]
pub struct SerialDevice {
    from_service: Receiver,
    to_service: Sender,
    /// The end that the service opens. Held open, so that the device is there before and after the service has it open.
    port: OwnedFd,
    came: Vec<u8>,
}

impl SerialDevice {
    /// Plugs one in at that path, in the place of one that was there.
    ///
    /// # Errors
    /// The system has no pseudo terminals, or the path cannot be made.
    pub fn plug_in(path: &Path) -> anyhow::Result<Self> {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&device)?;
        unlockpt(&device)?;
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
        Ok(Self { from_service, to_service, port, came: Vec::new() })
    }

    /// The next line that the service sends, without its line feed.
    ///
    /// # Errors
    /// None comes in time.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        let read = async {
            loop {
                if let Some(end) = self.came.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.came.drain(..=end).collect();
                    return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
                }
                if self.from_service.read_buf(&mut self.came).await? == 0 {
                    bail!("the port is closed");
                }
            }
        };
        let line = timeout(PATIENCE, read).await;
        line.with_context(|| format!("no line within {PATIENCE:?}"))?
    }

    /// What came and was not read as a line.
    #[must_use]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = self.from_service.try_read(&mut buffer) {
            self.came.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
        std::mem::take(&mut self.came)
    }

    /// Sends bytes to the service.
    ///
    /// # Errors
    /// The service does not take them in time.
    pub async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        timeout(PATIENCE, self.to_service.write_all(bytes)).await.context("the service does not read")??;
        Ok(())
    }

    /// Takes nothing more, as a device whose firmware hangs.
    ///
    /// # Errors
    /// The system refuses.
    pub fn hang(&self) -> anyhow::Result<()> {
        Ok(tcflow(&self.port, Action::OOff)?)
    }

    /// The opposite.
    ///
    /// # Errors
    /// The system refuses.
    pub fn go_on(&self) -> anyhow::Result<()> {
        Ok(tcflow(&self.port, Action::OOn)?)
    }
}
