//! What a device made of software was sent, in order, as the checks look at it.

use std::{
    fmt::Write as _,
    sync::mpsc::{Receiver, Sender, channel},
    time::Instant,
};

use anyhow::{Context, bail};

use crate::report::LIMIT;

/// The packets that a device was sent.
pub(crate) struct Sent(Receiver<Vec<u8>>);

impl Sent {
    /// The end that the device writes to, and the one that the checks read.
    pub(crate) fn pair() -> (Sender<Vec<u8>>, Self) {
        let (sender, receiver) = channel();
        (sender, Self(receiver))
    }

    /// Waits for a packet that begins with these bytes; others before it are passed over.
    pub(crate) fn expect(&self, what: &str, mut is_it: impl FnMut(&[u8]) -> bool) -> anyhow::Result<Vec<u8>> {
        let end = Instant::now() + LIMIT;
        let mut others = String::new();
        loop {
            let Ok(packet) = self.0.recv_timeout(end.saturating_duration_since(Instant::now())) else {
                bail!("{what} did not come within {} s; others came: {others}", LIMIT.as_secs());
            };
            if is_it(&packet) {
                return Ok(packet);
            }
            write!(others, "[{}] ", packet.escape_ascii()).context("cannot note a packet")?;
            let too_long = others.len().saturating_sub(2000);
            others.drain(..too_long);
        }
    }

    /// Waits for exactly this packet.
    pub(crate) fn expect_exactly(&self, packet: &[u8]) -> anyhow::Result<()> {
        self.expect(&format!("[{}]", packet.escape_ascii()), |sent| sent == packet).map(drop)
    }

    /// Forgets what was sent so far.
    pub(crate) fn forget(&self) {
        self.0.try_iter().for_each(drop);
    }
}
