//! A logind of the tests' own on a private system bus: it says when the machine sleeps, and who holds that up.

use std::{io, time::Duration};

use anyhow::Context as _;
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    sync::{mpsc, watch},
    time::timeout,
};
use zbus::{Connection, OwnedFd, fdo, object_server::SignalEmitter};

use crate::{bluez::PATIENCE, bus::Bus};

const PATH: &str = "/org/freedesktop/login1";
const NAME: &str = "org.freedesktop.login1";
/// Locks that nobody has looked at.
const LOCKS: usize = 16;

/// A logind. Dropping it takes its name off the bus.
pub struct FakeLogind {
    connection: Connection,
    locks: mpsc::Receiver<Lock>,
    answers: watch::Sender<Answers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    AtOnce,
    HeldBack,
}

/// Something that is held up, until whoever does lets go of its file.
#[derive(Debug)]
pub struct Lock {
    /// What, in the words of logind: `sleep`.
    pub what: String,
    /// Whether it is held up for a while (`delay`) or for good (`block`).
    pub mode: String,
    held: pipe::Receiver,
}

impl Lock {
    /// Waits until it is let go.
    ///
    /// # Errors
    /// It is not within [`PATIENCE`].
    pub async fn released(&mut self) -> anyhow::Result<()> {
        let mut nothing = [0];
        timeout(PATIENCE, self.held.read(&mut nothing)).await.context("the lock is still held")??;
        Ok(())
    }

    /// Whether it is held.
    pub async fn is_held(&mut self) -> bool {
        timeout(Duration::ZERO, self.held.read(&mut [0])).await.is_err()
    }
}

struct Login {
    locks: mpsc::Sender<Lock>,
    answers: watch::Receiver<Answers>,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Login {
    async fn inhibit(&self, what: String, _who: &str, _why: &str, mode: String) -> fdo::Result<OwnedFd> {
        let failed = |error: io::Error| fdo::Error::Failed(error.to_string());
        let (held, holder) = io::pipe().map_err(failed)?;
        let held = pipe::Receiver::from_owned_fd(held.into()).map_err(failed)?;
        let lock = Lock { what, mode, held };
        self.locks.try_send(lock).map_err(|error| fdo::Error::LimitsExceeded(error.to_string()))?;
        let gone = |_| fdo::Error::Failed("the fake has ended".to_owned());
        self.answers.clone().wait_for(|answers| *answers == Answers::AtOnce).await.map_err(gone)?;
        Ok(std::os::fd::OwnedFd::from(holder).into())
    }

    #[zbus(signal)]
    async fn prepare_for_sleep(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;
}

impl FakeLogind {
    /// Starts one. Returns once its name is owned.
    ///
    /// # Errors
    /// The bus cannot be reached, or another owns the name.
    pub async fn start(bus: &Bus) -> anyhow::Result<Self> {
        let (tell, locks) = mpsc::channel(LOCKS);
        let connection = bus.connect().await?;
        let (answers, answering) = watch::channel(Answers::AtOnce);
        connection.object_server().at(PATH, Login { locks: tell, answers: answering }).await?;
        connection.request_name(NAME).await?;
        Ok(Self { connection, locks, answers })
    }

    /// The next lock that somebody takes.
    ///
    /// # Errors
    /// Nobody does within [`PATIENCE`].
    pub async fn lock(&mut self) -> anyhow::Result<Lock> {
        let lock = timeout(PATIENCE, self.locks.recv()).await.context("nobody holds anything up")?;
        lock.context("the fake has ended")
    }

    /// Whoever takes a lock has to wait for it.
    pub fn hold_answers_back(&self) {
        self.answers.send_replace(Answers::HeldBack);
    }

    /// Gives those who wait for a lock theirs.
    pub fn answer(&self) {
        self.answers.send_replace(Answers::AtOnce);
    }

    /// Says that the machine is about to sleep.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn fall_asleep(&self) -> anyhow::Result<()> {
        self.say(true).await
    }

    /// Says that the machine has woken up.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn wake(&self) -> anyhow::Result<()> {
        self.say(false).await
    }

    async fn say(&self, start: bool) -> anyhow::Result<()> {
        let login = self.connection.object_server().interface::<_, Login>(PATH).await?;
        Ok(Login::prepare_for_sleep(login.signal_emitter(), start).await?)
    }
}
