//! Who waits for a device's answer, and for what.

use crate::vocabulary::{FeatureIndex, InputKind, SessionId, Ticket};

/// One stop, as the devices that are parts of it know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StopNumber(pub(super) u64);

/// Who waits for a device's answer, and for what.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Requests of one frame that set outputs.
    Set { session: SessionId, first: Ticket, more: Vec<Ticket> },
    /// A stop, of which this is a part.
    Stop(StopNumber),
    /// A reading.
    Read { session: SessionId, ticket: Ticket, feature: FeatureIndex, kind: InputKind },
    /// The beginning of a subscription; later subscribers may join.
    Subscribe { askers: Vec<(SessionId, Ticket)>, feature: FeatureIndex, kind: InputKind },
    /// The end of one.
    Unsubscribe { session: SessionId, ticket: Ticket },
}
