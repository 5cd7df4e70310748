//! Files of the kernel that are waited for without a thread: ports, HID nodes, sockets of the kernel.
//!
//! The one place that registers them with tokio.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// Registers an open file that does not block. It must be one that can be waited for; a plain file cannot.
///
/// # Errors
/// It cannot be waited for.
pub(super) fn waitable<F: AsFd + AsRawFd>(file: F, interest: Interest) -> io::Result<AsyncFd<F>> {
    #[expect(deprecated, reason = "what replaces it wants a promise that `OwnedFd` keeps anyway")]
    AsyncFd::with_interest(file, interest)
}
