//! What was sent to a device and may not have been read by it yet.
//!
//! The system takes packets long before the device reads them: minutes of them fit between a quick application and a slow device, and a stop
//! would wait behind them all. So each device is pinged between its packets; its answer shows that it has read what came before.

/// After so many packets a ping goes out, and so many may follow it until it is answered: a stop waits for no more than twice as many.
const BETWEEN_PINGS: u32 = 4;

/// The packets of one device. Pure: whoever sends them tells.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    ping: Ping,
    /// Packets since the ping that was sent last.
    packets: u32,
    answers: Answers,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Ping {
    #[default]
    Answered,
    Out,
}

/// Whether a device has ever answered a ping. One that never does, against the rules of WebSocket, is not waited for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Yes,
    #[default]
    NotYet,
}

impl Backlog {
    /// Whether a ping may be sent: none is on its way.
    pub(super) fn takes_ping(&self) -> bool {
        self.ping == Ping::Answered
    }

    /// Whether one is to be sent now: enough is not known to be read.
    pub(super) fn wants_ping(&self) -> bool {
        self.takes_ping() && self.packets >= BETWEEN_PINGS
    }

    /// Whether the device has to read something before it is sent more.
    pub(super) fn is_full(&self) -> bool {
        self.answers == Answers::Yes && self.ping == Ping::Out && self.packets >= BETWEEN_PINGS
    }

    /// A packet was sent.
    pub(super) fn packet(&mut self) {
        self.packets = self.packets.saturating_add(1);
    }

    /// A ping was sent.
    pub(super) fn pinged(&mut self) {
        self.ping = Ping::Out;
        self.packets = 0;
    }

    /// The device answered a ping.
    pub(super) fn answered(&mut self) {
        self.ping = Ping::Answered;
        self.answers = Answers::Yes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(backlog: &mut Backlog) {
        assert!(!backlog.is_full());
        backlog.packet();
        if backlog.wants_ping() {
            backlog.pinged();
        }
    }

    #[test]
    fn a_device_that_answers_is_sent_no_more_than_it_reads() {
        let mut backlog = Backlog::default();
        backlog.answered();
        for _ in 0..2 * BETWEEN_PINGS {
            send(&mut backlog);
        }
        assert!(backlog.is_full());
        // What came after the ping is asked for by the next.
        backlog.answered();
        assert!(!backlog.is_full() && backlog.wants_ping());
        backlog.pinged();
        backlog.answered();
        assert!(!backlog.wants_ping(), "all of it is read");
    }

    #[test]
    fn a_device_that_never_answers_is_not_waited_for() {
        let mut backlog = Backlog::default();
        (0..1000).for_each(|_| send(&mut backlog));
    }
}
