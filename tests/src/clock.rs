//! A clock that runs fast, for a service whose hours should pass in minutes.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, process::Command, time::Duration};

use anyhow::{Context as _, ensure};

/// A clock for a program of its own; the test's own time stays as it is.
#[derive(Debug, Clone)]
pub struct FastClock {
    /// How many seconds pass there in one of ours.
    factor: u32,
    library: OsString,
}

impl FastClock {
    /// A clock that runs so many times as fast. What a service waits for in the kernel with a deadline that the library does not know
    /// (a lock with a time limit) takes longer there, not shorter.
    ///
    /// # Errors
    /// `faketime` is not installed.
    pub fn new(factor: u32) -> anyhow::Result<Self> {
        let output = Command::new("faketime")
            .args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"])
            .output()
            .context("running faketime; its Debian package has the same name")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let library = OsString::from_vec(output.stdout.trim_ascii_end().to_vec());
        Ok(Self { factor, library })
    }

    /// What the environment of the program has to have.
    pub fn environment(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        let speed = format!("+0 x{}", self.factor).into();
        [("LD_PRELOAD", self.library.clone()), ("FAKETIME", speed)].into_iter()
    }

    /// How long it takes us until so much time has passed there.
    #[must_use]
    pub fn ours(&self, theirs: Duration) -> Duration {
        theirs / self.factor
    }
}
