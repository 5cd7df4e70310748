//! Whose an output is: the session that set it last, and whoever set it before as long as that is not replaced for certain.
//!
//! A set whose write failed may or may not have reached the device. So the session whose value may still be running stays
//! an owner beside the newer one until a write of the newer one has succeeded, and the output is stopped when either ends.

use crate::vocabulary::SessionId;

/// The owners of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    owner: SessionId,
    /// The number of the owner's last set.
    latest: u64,
    progress: Progress,
    /// Sessions whose value may still be running.
    former: Vec<SessionId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The device has not answered the last set.
    InFlight,
    /// As `InFlight`; and a former owner has ended, so that a failure leaves a dead session's value running.
    InFlightOverDead,
    /// The device has answered it.
    Settled,
}

/// What to do with an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Stop,
}

impl Claim {
    pub(super) const fn new(owner: SessionId, set: u64) -> Self {
        Self { owner, latest: set, progress: Progress::InFlight, former: Vec::new() }
    }

    pub(super) const fn owner(&self) -> SessionId {
        self.owner
    }

    /// A session sets the output; `set` is greater than all before.
    pub(super) fn set_by(&mut self, session: SessionId, set: u64) {
        if self.owner != session {
            self.former.retain(|former| *former != session);
            self.former.push(self.owner);
            self.owner = session;
        }
        self.latest = set;
        self.progress = match self.progress {
            Progress::InFlightOverDead => Progress::InFlightOverDead,
            Progress::InFlight | Progress::Settled => Progress::InFlight,
        };
    }

    /// The device has taken a set, or a newer one in its place.
    pub(super) fn succeeded(&mut self, set: u64) {
        if set == self.latest {
            self.progress = Progress::Settled;
            self.former.clear();
        }
    }

    /// The device has not taken a set.
    pub(super) fn failed(&mut self, set: u64) -> Verdict {
        if set != self.latest {
            return Verdict::Keep;
        }
        let verdict = match self.progress {
            Progress::InFlightOverDead => Verdict::Stop,
            Progress::InFlight | Progress::Settled => Verdict::Keep,
        };
        self.progress = Progress::Settled;
        verdict
    }

    /// A session has ended.
    pub(super) fn ended(&mut self, session: SessionId) -> Verdict {
        if self.owner == session {
            return Verdict::Stop;
        }
        let before = self.former.len();
        self.former.retain(|former| *former != session);
        if self.former.len() == before {
            return Verdict::Keep;
        }
        match self.progress {
            Progress::Settled => Verdict::Stop,
            Progress::InFlight | Progress::InFlightOverDead => {
                self.progress = Progress::InFlightOverDead;
                Verdict::Keep
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: SessionId = SessionId(1);
    const BOB: SessionId = SessionId(2);

    #[test]
    fn the_last_to_set_an_output_owns_it() {
        let mut claim = Claim::new(ANN, 1);
        claim.succeeded(1);
        claim.set_by(BOB, 2);
        claim.succeeded(2);
        assert_eq!(claim.ended(ANN), Verdict::Keep);
        assert_eq!(claim.ended(BOB), Verdict::Stop);
    }

    #[test]
    fn a_failed_set_leaves_the_one_before_an_owner() {
        let mut claim = Claim::new(ANN, 1);
        claim.succeeded(1);
        claim.set_by(BOB, 2);
        assert_eq!(claim.failed(2), Verdict::Keep);
        assert_eq!(claim.ended(ANN), Verdict::Stop);
    }

    #[test]
    fn an_owner_that_ends_while_a_newer_set_is_on_its_way_waits_for_its_fate() {
        let mut failed = Claim::new(ANN, 1);
        failed.set_by(BOB, 2);
        let mut succeeded = failed.clone();
        assert_eq!(failed.ended(ANN), Verdict::Keep);
        assert_eq!(failed.failed(2), Verdict::Stop);
        assert_eq!(succeeded.ended(ANN), Verdict::Keep);
        succeeded.succeeded(2);
        assert_eq!(succeeded.failed(3), Verdict::Keep);
    }

    #[test]
    fn only_the_fate_of_the_newest_set_counts() {
        let mut claim = Claim::new(ANN, 1);
        claim.set_by(BOB, 2);
        claim.set_by(BOB, 3);
        assert_eq!(claim.ended(ANN), Verdict::Keep);
        assert_eq!(claim.failed(2), Verdict::Keep);
        claim.succeeded(2);
        assert_eq!(claim.failed(3), Verdict::Stop);
    }
}
