//! The connections that have not finished their handshake. There is room for so many; when one more comes, the oldest goes.
//!
//! Refusing the newcomer instead would let a few silent peers lock everyone out until their time is up. A client that means
//! it is through its handshake long before it is the oldest.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// The waiting room; clones share it.
#[derive(Debug, Clone)]
pub struct HalfOpen {
    seats: Arc<Mutex<Seats>>,
}

#[derive(Debug)]
struct Seats {
    limit: usize,
    next: u64,
    taken: VecDeque<(u64, Arc<Notify>)>,
}

/// A place in the waiting room. Dropped when the handshake is done.
#[derive(Debug)]
pub struct Seat {
    number: u64,
    lost: Arc<Notify>,
    seats: Arc<Mutex<Seats>>,
}

impl HalfOpen {
    /// A waiting room with room for `limit` connections.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { seats: Arc::new(Mutex::new(Seats { limit, next: 0, taken: VecDeque::new() })) }
    }

    /// Takes a place, and with it the oldest one if all are taken.
    #[must_use]
    pub fn enter(&self) -> Seat {
        // A panic while the lock was held cannot leave the list half changed.
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.taken.len() >= seats.limit
            && let Some((_, oldest)) = seats.taken.pop_front()
        {
            oldest.notify_one();
        }
        let number = seats.next;
        seats.next += 1;
        let lost = Arc::new(Notify::new());
        seats.taken.push_back((number, Arc::clone(&lost)));
        drop(seats);
        Seat { number, lost, seats: Arc::clone(&self.seats) }
    }
}

impl Seat {
    /// Waits until the place is needed for someone else. Cancel-safe.
    pub async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.taken.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_oldest_goes_when_one_more_comes() {
        let room = HalfOpen::new(2);
        let first = room.enter();
        let second = room.enter();
        assert!(first.lost().now_or_never().is_none());
        let third = room.enter();
        assert!(first.lost().now_or_never().is_some());
        assert!(second.lost().now_or_never().is_none());
        assert!(third.lost().now_or_never().is_none());
    }

    #[test]
    fn whoever_is_done_makes_room() {
        let room = HalfOpen::new(2);
        let first = room.enter();
        let second = room.enter();
        drop(second);
        let third = room.enter();
        assert!(first.lost().now_or_never().is_none());
        drop((first, third));
        assert!(room.seats.lock().unwrap().taken.is_empty());
    }
}
