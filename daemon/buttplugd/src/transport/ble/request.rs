//! What the two halves of an open link say to each other.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{super::TransportFault, asked::PAIRING_GUESS};

/// A write or read that the device does not answer for so long is given up, since a stop may wait behind it. (The attribute protocol itself
/// ends the link after 30 s.)
pub(super) const TRANSFER_LIMIT: Duration = Duration::from_secs(3);

/// For saying good-bye. BlueZ takes two seconds for it at times.
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(3);

pub(super) type Reply<T> = oneshot::Sender<Result<T, TransportFault>>;

/// What the device's task asks of the link's thread.
pub(super) enum Request {
    /// Pairing, after a packet was refused for the want of it. The answer is what had been done for that before.
    Pair {
        reply: Reply<Pairing>,
    },
    /// Pairing, since a packet is not answered, which may be for the want of it.
    Guess {
        reply: Reply<Guess>,
    },
    /// A packet showed that the device is gone.
    Lost {
        reason: String,
    },
    Read {
        endpoint: String,
        max_len: u32,
        reply: Reply<Vec<u8>>,
    },
    Subscribe {
        endpoint: String,
        reply: Reply<()>,
    },
    Unsubscribe {
        endpoint: String,
        reply: Reply<()>,
    },
    Close {
        done: oneshot::Sender<()>,
    },
}

impl Request {
    /// Whether nobody waits for it any more.
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Self::Pair { reply } => reply.is_closed(),
            Self::Guess { reply } => reply.is_closed(),
            Self::Read { reply, .. } => reply.is_closed(),
            Self::Subscribe { reply, .. } | Self::Unsubscribe { reply, .. } => reply.is_closed(),
            Self::Lost { .. } | Self::Close { .. } => false,
        }
    }
}

/// Whether the device was asked to pair. That is done once a link: one that refuses is not pestered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairing {
    Untried,
    Tried,
}

/// What a guess came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    /// The device is paired now.
    Right,
    /// It was paired before, or it is not about pairing.
    Wrong,
}

impl Guess {
    /// How much longer to wait for what the device was asked for.
    pub(super) const fn limit(self) -> Duration {
        match self {
            Self::Right => TRANSFER_LIMIT,
            Self::Wrong => TRANSFER_LIMIT.saturating_sub(PAIRING_GUESS),
        }
    }
}
