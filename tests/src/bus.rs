//! A private message bus for one test: a `dbus-daemon` with its own configuration, socket and folder, which ends with the test.
//!
//! A test starts two when the service needs both: one stands for the session bus, one for the system bus. Neither the
//! machine's own buses nor its service files are touched, so nothing is ever activated by accident.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use tempfile::TempDir;

/// A bus is up within a few milliseconds; more than this means that it never will be.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Which of the two buses of a Linux session a private bus stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusKind {
    /// The bus of the user's session.
    Session,
    /// The bus of the machine, where BlueZ lives.
    System,
}

/// A running private bus. Dropping it ends the bus and everything on it loses its connection.
#[derive(Debug)]
pub struct Bus {
    child: Child,
    socket: PathBuf,
    services: PathBuf,
    /// Its folder, if it is for this bus alone.
    own: Option<TempDir>,
}

impl Bus {
    /// Starts a bus in a folder of its own and waits until it takes connections.
    ///
    /// # Errors
    /// `dbus-daemon` is missing (the text names the package), or does not come up within a minute.
    pub async fn start(kind: BusKind) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("buttplugd-bus-")
            .tempdir()
            .context("making a folder for a bus")?;
        let mut bus = Self::start_in(kind, folder.path()).await?;
        bus.own = Some(folder);
        Ok(bus)
    }

    /// Starts a bus in that folder, with the address that [`Bus::address_in`] says: for a test that has to know the address
    /// beforehand, or that ends a bus and starts it again.
    ///
    /// # Errors
    /// As [`Bus::start`].
    pub async fn start_in(kind: BusKind, folder: &Path) -> anyhow::Result<Self> {
        let socket = folder.join("bus");
        let services = folder.join("services");
        fs::create_dir_all(&services)?;
        // Left by a bus that was here before.
        if socket.exists() {
            fs::remove_file(&socket)?;
        }
        let config = folder.join("bus.conf");
        fs::write(&config, configuration(kind, &socket, &services))?;

        let mut command = Command::new("dbus-daemon");
        command.arg("--nofork").arg("--nopidfile").arg("--nosyslog");
        command.arg(format!("--config-file={}", config.display()));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(fs::File::create(folder.join("log")).context("making the log of a bus")?));
        // A group of its own, so that ending the bus ends what it activated too.
        command.process_group(0);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
                "`dbus-daemon` is not installed, and these tests run on a bus of their own: `sudo apt-get install dbus`"
            ),
            Err(error) => return Err(error).context("starting dbus-daemon"),
        };

        let deadline = Instant::now() + START_LIMIT;
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            let ended = child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                bail!("dbus-daemon did not come up ({ended:?}): {log}");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(Self { child, socket, services, own: None })
    }

    /// A private session bus.
    ///
    /// # Errors
    /// As [`Bus::start`].
    pub async fn session() -> anyhow::Result<Self> {
        Self::start(BusKind::Session).await
    }

    /// A private system bus.
    ///
    /// # Errors
    /// As [`Bus::start`].
    pub async fn system() -> anyhow::Result<Self> {
        Self::start(BusKind::System).await
    }

    /// The address, as `DBUS_SESSION_BUS_ADDRESS` and `DBUS_SYSTEM_BUS_ADDRESS` take it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }

    /// The address of a bus that is started in that folder.
    #[must_use]
    pub fn address_in(folder: &Path) -> String {
        format!("unix:path={}", folder.join("bus").display())
    }

    /// The folder whose `*.service` files the bus activates from. Empty at first; it is read at each [`Bus::reload`].
    #[must_use]
    pub fn services(&self) -> &Path {
        &self.services
    }

    /// Makes the bus read its folder of service files again.
    ///
    /// # Errors
    /// The bus cannot be reached.
    pub async fn reload(&self) -> anyhow::Result<()> {
        let connection = self.connect().await?;
        connection
            .call_method(
                Some("org.freedesktop.DBus"),
                "/org/freedesktop/DBus",
                Some("org.freedesktop.DBus"),
                "ReloadConfig",
                &(),
            )
            .await?;
        Ok(())
    }

    /// A new connection to the bus, for a test's own calls.
    ///
    /// # Errors
    /// The bus cannot be reached.
    pub async fn connect(&self) -> anyhow::Result<zbus::Connection> {
        Ok(zbus::connection::Builder::address(self.address().as_str()).build().await?)
    }

    /// Ends the bus now, as when a session goes down. Idempotent.
    pub fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let group = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            // An error means that it is already gone, which is what is wanted.
            rustix::process::kill_process_group(group, Signal::KILL).ok();
        }
        drop(self.child.wait());
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The configuration of a bus on which everything is allowed.
fn configuration(kind: BusKind, socket: &Path, services: &Path) -> String {
    // Both are of type `session`: a bus of type `system` would want a user to switch to and a helper for activation.
    // What the service sees of a bus is its address alone. The system bus of a real machine allows no more match rules
    // than this a connection, and running out of them is a fault worth finding.
    let match_rules = match kind {
        BusKind::Session => 50_000,
        BusKind::System => 512,
    };
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={}</listen>
  <servicedir>{}</servicedir>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_match_rules_per_connection">{match_rules}</limit>
</busconfig>
"#,
        socket.display(),
        services.display(),
    )
}
