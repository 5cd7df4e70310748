//! A question to the device that is asked again when no answer comes: write, wait, write again, give up.

use crate::{Endpoint, Event, Ops, Timer, WriteKind};

/// A question with its answer's time limit. Which notification is the answer is for the protocol to say.
#[derive(Debug, Clone)]
pub struct Query {
    endpoint: Endpoint,
    packet: Vec<u8>,
    kind: WriteKind,
    timer: Timer,
    limit_ms: u32,
    tries_left: u32,
}

/// What an event meant to a [`Query`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It was not the query's timer.
    NotMine,
    /// The time was up and the question has been asked again.
    AskedAgain,
    /// The time was up for the last time.
    GaveUp,
}

impl Query {
    /// A question that is asked at most `tries` times, each `limit_ms` after the one before, with `timer` for its own.
    #[must_use]
    pub fn new(endpoint: Endpoint, packet: &[u8], timer: Timer, limit_ms: u32, tries: u32) -> Self {
        Self {
            endpoint,
            packet: packet.to_vec(),
            kind: WriteKind::WithoutResponse,
            timer,
            limit_ms,
            tries_left: tries,
        }
    }

    /// The same with packets that the device confirms.
    #[must_use]
    pub fn with_response(mut self) -> Self {
        self.kind = WriteKind::WithResponse;
        self
    }

    /// Asks.
    pub fn ask(&mut self, ops: &mut Ops<'_>) {
        self.tries_left = self.tries_left.saturating_sub(1);
        ops.write_as(self.endpoint, &self.packet, self.kind);
        ops.timer(self.timer, self.limit_ms);
    }

    /// To be called with every event while the answer is out.
    pub fn event(&mut self, event: &Event<'_>, ops: &mut Ops<'_>) -> Waited {
        if *event != Event::Timer(self.timer) {
            return Waited::NotMine;
        }
        if self.tries_left == 0 {
            return Waited::GaveUp;
        }
        self.ask(ops);
        Waited::AskedAgain
    }

    /// The answer is there: no more waiting.
    pub fn answered(self, ops: &mut Ops<'_>) {
        ops.cancel_timer(self.timer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operation;

    const TX: Endpoint = Endpoint::from_id(0);

    fn asked() -> Vec<Operation> {
        vec![
            Operation::Write { endpoint: TX, data: b"?".to_vec(), kind: WriteKind::WithoutResponse },
            Operation::Timer { timer: Timer(4), after_ms: 500 },
        ]
    }

    #[test]
    fn asks_as_often_as_it_may_and_then_gives_up() {
        let mut list = Vec::new();
        let mut query = Query::new(TX, b"?", Timer(4), 500, 2);
        query.ask(&mut Ops::recording(0, &mut list));
        assert_eq!(list, asked());
        list.clear();
        assert_eq!(query.event(&Event::Timer(Timer(1)), &mut Ops::recording(9, &mut list)), Waited::NotMine);
        assert_eq!(list, []);
        assert_eq!(
            query.event(&Event::Timer(Timer(4)), &mut Ops::recording(500, &mut list)),
            Waited::AskedAgain
        );
        assert_eq!(list, asked());
        list.clear();
        assert_eq!(
            query.event(&Event::Timer(Timer(4)), &mut Ops::recording(1000, &mut list)),
            Waited::GaveUp
        );
        assert_eq!(list, []);
    }

    #[test]
    fn an_answer_cancels_the_timer() {
        let mut list = Vec::new();
        Query::new(TX, b"?", Timer(4), 500, 2).answered(&mut Ops::recording(0, &mut list));
        assert_eq!(list, [Operation::Timer { timer: Timer(4), after_ms: 0 }]);
    }
}
