//! A thread with a runtime of its own for code that may block, panic, or leave tasks behind. All of it ends together.
//!
//! It knows nothing of Bluetooth.

use std::{future::Future, thread};

use tokio::sync::oneshot;

/// Runs a future on a new thread. Its result comes when it is done, and never (the sender is dropped) when it panicked or
/// the thread could not be started.
///
/// The future is made on that thread and need not be `Send`. When it is done, every task that was spawned on the way is
/// dropped with the runtime. Dropping the receiver does not end the thread.
pub(super) fn start<T, F>(name: &str, make: impl FnOnce() -> F + Send + 'static) -> oneshot::Receiver<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (tell, result) = oneshot::channel();
    let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "cannot make a runtime"),
        };
        let done = runtime.block_on(make());
        // First the tasks, then the news: whoever hears that it ended may rely on it.
        drop(runtime);
        if tell.send(done).is_err() {
            tracing::trace!("nobody waited for the end of a thread");
        }
    });
    if let Err(error) = started {
        tracing::error!(%error, "cannot start a thread");
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn a_panic_is_no_result() {
        let ended = start("test", || async { panic!("as btleplug may") });
        assert!(ended.await.is_err());
    }

    #[tokio::test]
    async fn what_was_spawned_ends_with_it() {
        struct Told(Arc<AtomicBool>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        let told = Told(Arc::clone(&dropped));
        let ended = start("test", move || async move {
            tokio::spawn(async move {
                let _kept = told;
                std::future::pending::<()>().await;
            });
            1
        });
        assert_eq!(ended.await, Ok(1));
        assert!(dropped.load(Ordering::SeqCst));
    }
}
