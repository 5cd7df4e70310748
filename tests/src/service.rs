//! The real service, started as a user's session starts it: own folders, own buses, and a service manager that listens.
//!
//! A [`Home`] is what outlives a service: a test that restarts the service starts a second one in the same home.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::UnixDatagram,
    process::{Child, ChildStderr, Command},
    sync::watch,
    time::timeout,
};

use crate::{artifact, bluez::PATIENCE, bus::Bus, clock::FastClock, machine::Machine};

/// The longest datagram that a service sends to its manager.
const NOTIFICATION_MAX: usize = 4096;

/// The folders of a user: runtime, configuration, state and data.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// Makes new, empty folders, which go when the value is dropped.
    ///
    /// # Errors
    /// The folders cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("buttplugd-home-").tempdir()?;
        let home = Self { folder };
        for folder in [home.runtime(), home.config(), home.state(), home.data()] {
            fs::create_dir(&folder)?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(home)
    }

    /// Where all of it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `XDG_RUNTIME_DIR`.
    #[must_use]
    pub fn runtime(&self) -> PathBuf {
        self.path().join("run")
    }

    /// `XDG_CONFIG_HOME`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path().join("config")
    }

    /// `XDG_STATE_HOME`.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// `XDG_DATA_HOME`.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The socket of a service that was told no other place.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime().join("buttplugd").join("buttplugd.sock")
    }

    /// Writes a file below the configuration directory of the service, `buttplugd.toml` for its configuration.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_config(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.config().join("buttplugd").join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// A service that is about to be started.
#[derive(Debug)]
pub struct Launch<'h> {
    home: &'h Home,
    /// Programs, with their arguments, that become the service.
    through: Vec<OsString>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    notify: Notify,
    pings: Pings,
}

/// Whether clients must ping as the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pings {
    AsConfigured,
    /// Most tests are not about pings, and may be held up by a busy machine for longer than a client may be silent.
    Unasked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notify {
    Listen,
    /// As when it is started by hand.
    Absent,
}

impl<'h> Launch<'h> {
    /// A service in that home, without any bus.
    #[must_use]
    pub fn new(home: &'h Home) -> Self {
        // Without these addresses the libraries would find the machine's own buses.
        let nowhere = |name: &str| format!("unix:path={}", home.path().join(name).display());
        let env = vec![
            ("XDG_RUNTIME_DIR".into(), home.runtime().into()),
            ("XDG_CONFIG_HOME".into(), home.config().into()),
            ("XDG_STATE_HOME".into(), home.state().into()),
            ("XDG_DATA_HOME".into(), home.data().into()),
            ("HOME".into(), home.path().into()),
            ("DBUS_SESSION_BUS_ADDRESS".into(), nowhere("no-session-bus").into()),
            ("DBUS_SYSTEM_BUS_ADDRESS".into(), nowhere("no-system-bus").into()),
            ("PATH".into(), std::env::var_os("PATH").unwrap_or_default()),
            ("RUST_LOG".into(), "debug,zbus=info".into()),
            ("RUST_BACKTRACE".into(), "1".into()),
        ];
        Self {
            home,
            through: Vec::new(),
            args: Vec::new(),
            env,
            notify: Notify::Listen,
            pings: Pings::Unasked,
        }
    }

    /// Gives it a session bus.
    #[must_use]
    pub fn session_bus(self, bus: &Bus) -> Self {
        self.env("DBUS_SESSION_BUS_ADDRESS", bus.address())
    }

    /// Gives it a system bus.
    #[must_use]
    pub fn system_bus(self, bus: &Bus) -> Self {
        self.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
    }

    /// Adds an argument to the command line.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds a folder in which plugins are looked for.
    #[must_use]
    pub fn plugin_path(self, folder: &Path) -> Self {
        self.arg("--plugin-path").arg(folder)
    }

    /// Sets a variable of its environment, which is otherwise empty but for the folders and the buses.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Gives it another `/sys` and `/dev`.
    #[must_use]
    pub fn on(mut self, machine: &Machine) -> Self {
        self.through.push("umockdev-wrapper".into());
        self.env("UMOCKDEV_DIR", machine.path())
    }

    /// Takes away what root may do and others may not, such as to open every file. (For others there is nothing to take.)
    #[must_use]
    pub fn as_anybody(mut self) -> Self {
        if rustix::process::geteuid().is_root() {
            // In front, so that nothing but the service itself runs below what is preloaded.
            let less = ["setpriv", "--inh-caps", "-all", "--bounding-set", "-all", "--"];
            self.through.splice(0..0, less.map(OsString::from));
        }
        self
    }

    /// Lets its time pass faster than ours.
    #[must_use]
    pub fn clock(self, clock: &FastClock) -> Self {
        clock.environment().fold(self, |launch, (name, value)| launch.env(name, value))
    }

    /// Clients must ping as its configuration says. Otherwise none must that does not ask for it itself.
    #[must_use]
    pub fn with_pings(mut self) -> Self {
        self.pings = Pings::AsConfigured;
        self
    }

    /// No service manager listens, as when it is started by hand.
    #[must_use]
    pub fn by_hand(mut self) -> Self {
        self.notify = Notify::Absent;
        self
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    /// It does not build, ends, or is not ready in time; the text has its log.
    pub async fn start(self) -> anyhow::Result<Service> {
        let mut service = self.spawn()?;
        if service.notify.is_some() {
            service.wait_for_notification("READY=1").await?;
        } else {
            service.wait_for_log("ready").await?;
        }
        Ok(service)
    }

    /// Runs it to its end, for a start that is meant to fail and for commands such as `--check-config`.
    ///
    /// # Errors
    /// It does not build, or does not end in time.
    pub async fn run(self) -> anyhow::Result<(ExitStatus, String)> {
        let mut service = self.spawn()?;
        let status = service.wait().await?;
        Ok((status, service.log()))
    }

    /// Starts it and does not wait.
    ///
    /// # Errors
    /// It does not build, or cannot be started.
    pub fn spawn(self) -> anyhow::Result<Service> {
        let program = artifact::executable("buttplugd")?;
        let mut words = self.through.iter().map(OsString::as_os_str).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        if self.pings == Pings::Unasked {
            command.args(["--max-ping-time", "0"]);
        }
        command.current_dir(self.home.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let notify = match self.notify {
            Notify::Absent => None,
            Notify::Listen => {
                let path = self.home.path().join("notify");
                // Left by a service that this home had before.
                if path.exists() {
                    fs::remove_file(&path)?;
                }
                command.env("NOTIFY_SOCKET", &path);
                Some(UnixDatagram::bind(&path)?)
            }
        };
        let mut child = command.spawn().with_context(|| match self.through.first() {
            None => "starting buttplugd".to_owned(),
            Some(first) => format!("starting buttplugd through {first:?}, which `cargo xtask test` installs"),
        })?;
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, seen) = watch::channel(0);
        let stderr = child.stderr.take().context("a child without stderr")?;
        tokio::spawn(keep_log(stderr, Arc::clone(&log), lines));
        Ok(Service { child, log, seen, notify, notifications: Vec::new(), socket: self.home.socket() })
    }
}

/// Reads the log of a service until it ends.
async fn keep_log(stderr: ChildStderr, log: Arc<Mutex<String>>, lines: watch::Sender<usize>) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(read) if read > 0) {
        log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&line));
        line.clear();
        lines.send_modify(|count| *count += 1);
    }
}

/// A running service. Dropping it kills it, as SIGKILL does.
#[derive(Debug)]
pub struct Service {
    child: Child,
    log: Arc<Mutex<String>>,
    seen: watch::Receiver<usize>,
    notify: Option<UnixDatagram>,
    notifications: Vec<String>,
    socket: PathBuf,
}

impl Service {
    /// The path of its socket, unless it was told another.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its process id; `None` once its end was waited for.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    /// All that it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last lines of its log, each after two blanks.
    #[must_use]
    pub fn last_words(&self, lines: usize) -> String {
        let log = self.log();
        let skipped = log.lines().count().saturating_sub(lines);
        log.lines().skip(skipped).map(|line| format!("  {line}\n")).collect()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().context("the service has ended")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Fails the test if the service has ended.
    ///
    /// # Panics
    /// When it has. The text has its log.
    pub fn assert_alive(&mut self) {
        match self.child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => panic!("the service has ended: {status}\n{}", self.log()),
            Err(error) => panic!("cannot look after the service: {error}"),
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It does not within [`PATIENCE`]; the text has its log.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => {
                let status = status?;
                // The rest of the log is in the pipe; its end is the end of the sender.
                let mut seen = self.seen.clone();
                timeout(PATIENCE, async { while seen.changed().await.is_ok() {} }).await.ok();
                Ok(status)
            }
            Err(_) => bail!("the service did not end within {PATIENCE:?}\n{}", self.log()),
        }
    }

    /// Asks it to end, with SIGTERM, and waits until it has.
    ///
    /// # Errors
    /// As [`Service::wait`].
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait().await
    }

    /// Ends it without a chance to do anything, with SIGKILL.
    ///
    /// # Errors
    /// As [`Service::wait`].
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)?;
        let status = self.wait().await?;
        if status.signal() != Some(Signal::KILL.as_raw()) {
            bail!("the service ended before it was killed: {status}\n{}", self.log());
        }
        Ok(())
    }

    /// Waits until its log has a line with that text.
    ///
    /// # Errors
    /// There is none within [`PATIENCE`]; the text has the log.
    pub async fn wait_for_log(&self, text: &str) -> anyhow::Result<()> {
        let mut seen = self.seen.clone();
        let search = async {
            loop {
                seen.mark_unchanged();
                if self.log().contains(text) {
                    return true;
                }
                if seen.changed().await.is_err() {
                    return self.log().contains(text);
                }
            }
        };
        if !timeout(PATIENCE, search).await.unwrap_or(false) {
            bail!("the log has no `{text}` within {PATIENCE:?}\n{}", self.log());
        }
        Ok(())
    }

    /// Waits until it tells its manager something that contains that text, `READY=1` or `STATUS=`, and gives the message.
    ///
    /// # Errors
    /// It ends first, or does not within [`PATIENCE`]; the text has its log.
    pub async fn wait_for_notification(&mut self, text: &str) -> anyhow::Result<String> {
        let Some(notify) = &self.notify else { bail!("the service was started without a manager") };
        let mut buffer = [0; NOTIFICATION_MAX];
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            tokio::select! {
                // What it said before it ended comes first.
                biased;
                received = notify.recv(&mut buffer) => {
                    let message = String::from_utf8_lossy(buffer.get(..received?).unwrap_or_default()).into_owned();
                    self.notifications.push(message.clone());
                    if message.contains(text) {
                        return Ok(message);
                    }
                }
                status = self.child.wait() => {
                    let mut seen = self.seen.clone();
                    timeout(PATIENCE, async { while seen.changed().await.is_ok() {} }).await.ok();
                    bail!("the service ended before it said {text}: {}\n{}", status?, self.log());
                }
                () = tokio::time::sleep_until(deadline) => {
                    bail!("the service did not say {text} within {PATIENCE:?}\n{}", self.log());
                }
            }
        }
    }

    /// All that it has told its manager, as far as it was waited for.
    #[must_use]
    pub fn notifications(&self) -> &[String] {
        &self.notifications
    }

    /// Processor time that it has used so far.
    ///
    /// # Errors
    /// It has ended.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        let pid = self.pid().context("the service has ended")?;
        let stat = fs::read_to_string(format!("/proc/{}/schedstat", pid.as_raw_nonzero()))?;
        let nanoseconds = stat.split_whitespace().next().context("an empty schedstat")?.parse()?;
        Ok(Duration::from_nanos(nanoseconds))
    }
}
