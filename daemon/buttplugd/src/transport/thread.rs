//! Work that may block in the kernel for longer than the service can wait, each on a thread of its own.
//!
//! Not tokio's threads for blocking work: the end of the runtime waits for those, and a driver that hangs would keep the service
//! from ending.

use std::{io, sync::mpsc, thread, time::Duration};

use tokio::{sync::oneshot, time::timeout};

use super::TransportFault;

/// What may wait for a worker that is busy: a job that came while the one before ran out of time.
const JOBS: usize = 1;

/// Does one thing on a thread of its own. When it takes longer than the limit, the thread is left to itself.
pub(super) async fn once<T: Send + 'static>(
    name: &'static str,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TransportFault> {
    let (reply, result) = oneshot::channel();
    start(name, move || {
        // Nobody waits any more after the limit.
        reply.send(work()).ok();
    })?;
    in_time(limit, result).await
}

/// Does one thing on a thread of its own that nobody waits for.
pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), TransportFault> {
    let started: io::Result<_> = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|error| TransportFault::Refused(format!("no thread can be started: {error}")))
}

async fn in_time<T>(limit: Duration, result: oneshot::Receiver<T>) -> Result<T, TransportFault> {
    match timeout(limit, result).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(TransportFault::Refused("the thread of the device failed".to_owned())),
        Err(_) => Err(timed_out(limit)),
    }
}

pub(super) fn timed_out(limit: Duration) -> TransportFault {
    TransportFault::TimedOut(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))
}

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A thread that owns something which is used by one job after the other.
#[derive(Debug)]
pub(super) struct Worker<S> {
    jobs: mpsc::SyncSender<Job<S>>,
}

impl<S: Send + 'static> Worker<S> {
    /// Starts the thread. It ends, and `state` with it, when the worker is dropped and the last job is done.
    pub(super) fn start(name: &'static str, mut state: S) -> Result<Self, TransportFault> {
        let (jobs, waiting) = mpsc::sync_channel::<Job<S>>(JOBS);
        start(name, move || {
            while let Ok(job) = waiting.recv() {
                job(&mut state);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Has one job done. After a job that ran out of time the next may wait for it; the one after that is refused.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, TransportFault> {
        let (reply, result) = oneshot::channel();
        let job: Job<S> = Box::new(move |state| {
            // A job that nobody waits for any more is not begun: it would come after what was decided since.
            if !reply.is_closed() {
                reply.send(work(state)).ok();
            }
        });
        match self.jobs.try_send(job) {
            Ok(()) => in_time(limit, result).await,
            Err(mpsc::TrySendError::Full(_)) => Err(timed_out(limit)),
            Err(mpsc::TrySendError::Disconnected(_)) => {
                Err(TransportFault::Refused("the thread of the device failed".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_hangs_holds_up_nobody_and_what_was_given_up_is_not_done_later() {
        let worker = Worker::start("test", Vec::new()).unwrap();
        let limit = Duration::from_millis(20);
        let (go, wait) = mpsc::channel::<()>();
        let hangs = worker.run(limit, move |_: &mut Vec<u8>| wait.recv().is_ok()).await;
        assert_eq!(hangs, Err(TransportFault::TimedOut(20)));
        assert_eq!(worker.run(limit, |done| done.push(1)).await, Err(TransportFault::TimedOut(20)));
        assert_eq!(worker.run(limit, |done| done.push(2)).await, Err(TransportFault::TimedOut(20)));
        go.send(()).unwrap();
        let long = Duration::from_secs(10);
        // The queue may still hold the job that was given up.
        let done = loop {
            if let Ok(done) = worker.run(long, |done| done.clone()).await {
                break done;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(done, Vec::<u8>::new());
    }
}
