//! A time limit that is set for one piece of work after another, at the cost of a timer now and then.
//!
//! A timer that is due before all others has the runtime wake itself, which costs a system call and a turn. For a limit that is set with
//! every packet, and never reached, that is as much as the packet. So the timer of an earlier piece of work is left as it is; when it
//! passes, it is set to what is due then. After the last piece it passes once more, for nothing.

use std::{
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// The limit. A new one has no timer yet.
#[derive(Debug, Default)]
pub struct Limit {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Limit {
    /// What the work came to, unless it takes longer than `limit`. Work that is given up is dropped.
    pub async fn within<T>(&mut self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let due = Instant::now() + limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due || timer.is_elapsed() {
            timer.as_mut().reset(due);
        }
        let mut work = pin!(work);
        loop {
            // Not fair on purpose: what is done is done, also at the last moment. Both arms go on after they were left.
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = timer.as_mut() => {
                    if timer.deadline() >= due {
                        return None;
                    }
                    timer.as_mut().reset(due);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{advance, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn work_is_given_up_at_its_own_limit_whatever_was_before() {
        let mut limit = Limit::default();
        for (before, most) in [(0, 3), (1, 3), (2, 5), (7, 1), (0, 4), (1, 2)] {
            advance(SECOND * before).await;
            let done = limit.within(SECOND * most, sleep(SECOND / 2)).await;
            assert_eq!(done, Some(()));
            let begun = Instant::now();
            assert_eq!(limit.within(SECOND * most, pending::<()>()).await, None);
            let took = begun.elapsed();
            assert!(took >= SECOND * most && took < SECOND * most + SECOND / 100, "{took:?} of {most} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_work_is_never_cut_short() {
        let mut limit = Limit::default();
        for _ in 0..100 {
            assert_eq!(limit.within(SECOND * 3, sleep(SECOND * 2)).await, Some(()));
        }
    }
}
