//! Words to the service manager: ready, status, reloading, stopping, and the signs of life that it may have asked for.
//!
//! Without a service manager each of them does nothing. Failing to say one is logged and never stops the service.

use std::time::Duration;

use sd_notify::NotifyState;

/// The service can be used.
pub fn ready(status: &str) {
    say(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What `systemctl status` shows beside the service.
pub fn status(status: &str) {
    say(&[NotifyState::Status(status)]);
}

/// The configuration is being read again; [`ready`] ends it.
pub fn reloading() {
    // The time lets the manager tell this reload from one asked for later.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the clock for the service manager"),
    }
}

/// The service is on its way out.
pub fn stopping(status: &str) {
    say(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// The service is alive.
pub fn alive() {
    say(&[NotifyState::Watchdog]);
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

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
