//! The machine's sleep. A device would go on with what it does while nobody is awake to stop it, so everything is stopped before.
//!
//! logind says when sleep is near, and waits for whoever holds a delay lock, five seconds unless its configuration says otherwise.
//! Where there is no logind nothing is known of sleep, and the service goes on without.

use std::time::Duration;

use futures_util::{StreamExt as _, future::OptionFuture};
use tokio::time::{sleep, timeout};
use zbus::{Connection, OwnedFd, proxy};

use crate::hub::Hub;

/// The time that all outputs have to be stopped in, within what logind waits.
const STOP_LIMIT: Duration = Duration::from_secs(4);
/// The pause before what could not be stopped is stopped again.
const STOP_AGAIN: Duration = Duration::from_millis(100);
/// logind answers at once or not at all.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// The pause before a system bus that was there and is gone is looked for again.
const RETURN: Duration = Duration::from_secs(60);

#[proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Login {
    /// Holds something up as long as the file is open.
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;

    /// Sleep is near, or is over.
    #[zbus(signal)]
    fn prepare_for_sleep(&self, start: bool) -> zbus::Result<()>;
}

/// Has everything stopped before the machine sleeps, for as long as this runs.
pub(crate) async fn watch(hub: Hub) {
    loop {
        let end = listen(&hub).await;
        // Whatever was said last, nobody will say that sleep is over.
        hub.wake().await;
        match end {
            Ok(()) => tracing::warn!("the system bus is gone; nothing is known of the machine's sleep"),
            Err(error) => return tracing::info!(%error, "nothing is known of the machine's sleep"),
        }
        sleep(RETURN).await;
    }
}

/// Listens until the bus is gone.
async fn listen(hub: &Hub) -> zbus::Result<()> {
    let connection = Connection::system().await?;
    let login = LoginProxy::new(&connection).await?;
    let mut sleeps = login.receive_prepare_for_sleep().await?;
    let mut owners = login.inner().receive_owner_changed().await?;
    // Asked for beside all else: sleep may be near before there is an answer.
    let mut asked = Some(Box::pin(lock(&login)));
    let mut held = None;
    // All arms are cancel-safe.
    loop {
        tokio::select! {
            Some(lock) = OptionFuture::from(asked.as_mut()) => (held, asked) = (lock, None),
            sleep = sleeps.next() => {
                let Some(sleep) = sleep else { return Ok(()) };
                if sleep.args()?.start {
                    fall_asleep(hub).await;
                    // Now it may, also where the lock has come and nobody has taken it yet.
                    (held, asked) = (None, None);
                } else {
                    tracing::info!("the machine is awake");
                    hub.wake().await;
                    asked = Some(Box::pin(lock(&login)));
                }
            }
            owner = owners.next() => match owner {
                // It has the locks of the one before, which lie in files; one that was not there has none.
                Some(Some(_)) if held.is_none() && asked.is_none() => asked = Some(Box::pin(lock(&login))),
                Some(Some(_)) => {}
                // It will not say that sleep is over.
                Some(None) => hub.wake().await,
                None => return Ok(()),
            },
        }
    }
}

async fn fall_asleep(hub: &Hub) {
    tracing::info!("the machine is about to sleep; stopping all outputs");
    let stopped = async {
        while let Err(fault) = hub.sleep().await {
            tracing::warn!(%fault, "not every output could be stopped; trying again");
            sleep(STOP_AGAIN).await;
        }
    };
    if timeout(STOP_LIMIT, stopped).await.is_err() {
        tracing::error!(limit = ?STOP_LIMIT, "not every output could be stopped before the machine sleeps");
    }
}

/// The lock that has logind wait. Without it there is less time, and the stop is sent all the same.
async fn lock(login: &LoginProxy<'_>) -> Option<OwnedFd> {
    let asked = login.inhibit("sleep", "buttplugd", "Stops all devices before the machine sleeps", "delay");
    match timeout(CALL_LIMIT, asked).await {
        Ok(Ok(lock)) => Some(lock),
        Ok(Err(error)) => {
            tracing::info!(%error, "the machine will not wait with its sleep until all devices are stopped");
            None
        }
        Err(_) => {
            tracing::warn!("logind does not answer; the machine will not wait with its sleep");
            None
        }
    }
}
