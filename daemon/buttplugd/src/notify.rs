//! Words to the service manager: ready, status, reloading, stopping, and the signs of life that it may have asked for.
//!
//! Without a service manager each of them does nothing. Failing to say one is logged and never stops the service.

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use sd_notify::NotifyState;

/// The time that a manager has to take a word that must reach it. What need not is dropped when it does not take it at once: a
/// manager that hangs must not hang the service, which has devices to stop.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether a word must reach the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Must,
    May,
}

/// Whether a word reached the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It did, or there is no manager.
    Heard,
    /// It did not.
    Lost,
}

/// The service can be used.
pub fn ready(status: &str) {
    say(Weight::Must, &[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What `systemctl status` shows beside the service.
#[must_use]
pub fn status(status: &str) -> Said {
    say(Weight::May, &[NotifyState::Status(status)])
}

/// The configuration is being read again; [`ready`] ends it.
pub fn reloading() {
    // The time lets the manager tell this reload from one asked for later.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => {
            say(Weight::Must, &[NotifyState::Reloading, now]);
        }
        Err(error) => tracing::warn!(%error, "cannot read the clock for the service manager"),
    }
}

/// The service is on its way out.
pub fn stopping(status: &str) {
    say(Weight::Must, &[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// The service is alive.
pub fn alive() {
    say(Weight::May, &[NotifyState::Watchdog]);
}

/// How often [`alive`] must be said; `None` when nobody asked for it.
#[must_use]
pub fn alive_interval() -> Option<Duration> {
    // Half of the limit, as sd_watchdog_enabled(3) advises. A limit of 0 means none.
    sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|interval| !interval.is_zero())
}

/// Whether anyone listens to what is said here.
#[must_use]
pub fn is_heard() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

fn say(weight: Weight, states: &[NotifyState<'_>]) -> Said {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return Said::Heard };
    let text: String = states.iter().flat_map(|state| [state.to_string(), "\n".to_owned()]).collect();
    match send(&address, text.as_bytes(), weight) {
        Ok(()) => Said::Heard,
        Err(error) => {
            match weight {
                Weight::Must => tracing::warn!(%error, "cannot tell the service manager"),
                Weight::May => tracing::debug!(%error, "the service manager did not take a word"),
            }
            Said::Lost
        }
    }
}

fn send(address: &OsStr, text: &[u8], weight: Weight) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match weight {
        Weight::Must => socket.set_write_timeout(Some(PATIENCE))?,
        Weight::May => socket.set_nonblocking(true)?,
    }
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    socket.send_to_addr(text, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_that_hangs_hangs_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let lost = (0..10_000).find(|_| send(path.as_os_str(), b"STATUS=x\n", Weight::May).is_err());
        assert!(lost.is_some(), "the queue of the manager is full at last");
        let begin = std::time::Instant::now();
        assert!(send(path.as_os_str(), b"READY=1\n", Weight::Must).is_err());
        assert!(begin.elapsed() < PATIENCE * 5);
        let mut word = [0; 64];
        let read = manager.recv(&mut word).unwrap();
        assert_eq!(&word[..read], b"STATUS=x\n");
        send(path.as_os_str(), b"READY=1\n", Weight::Must).unwrap();
    }

    #[test]
    fn a_manager_without_a_path_is_told() {
        let name = format!("buttplugd-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), b"READY=1\n", Weight::Must).unwrap();
        let mut word = [0; 64];
        let read = manager.recv(&mut word).unwrap();
        assert_eq!(&word[..read], b"READY=1\n");
    }
}
