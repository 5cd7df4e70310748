//! The object of the service: handshake, scanning, the list of devices, the stop that everyone may call, and how things are.

use std::{collections::HashMap, sync::Arc, time::Duration};

use engine::{
    command::{Answer, Command, StopTarget, StopWhat},
    fault::Reason,
    monitor::{MonitorRequest, ScanWish, Status},
    request::{Hello, Request},
    vocabulary::SessionId,
};
use ipc_schema::{Extension, SpecVersion, error::Class};
use tokio::sync::watch;
use zbus::{
    Connection, OwnedFd, fdo::DBusProxy, interface, message::Header, names::BusName,
    object_server::SignalEmitter,
};

use super::{
    super::{listen, socket},
    peers::Peers,
    refusal::Refusal,
    words::{self, Dict, Options},
};

/// The object.
pub(super) struct Server {
    peers: Arc<Peers>,
    status: watch::Receiver<Arc<Status>>,
}

impl Server {
    pub(super) fn new(peers: Arc<Peers>, status: watch::Receiver<Arc<Status>>) -> Self {
        Self { peers, status }
    }

    fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    /// Asks the session of the caller, without waiting before it has it.
    async fn ask(&self, header: &Header<'_>, request: Request) -> Result<Answer, Refusal> {
        let waiting = self.peers.ask(super::sender(header)?, request)?;
        Ok(waiting.outcome().await?)
    }

    async fn done(&self, header: &Header<'_>, command: Command) -> Result<(), Refusal> {
        self.ask(header, Request::Command(command)).await.map(drop)
    }
}

#[interface(name = "org.buttplugd.Buttplug1.Server")]
impl Server {
    /// Opens the session of the caller, which lasts until Disconnect, a missed ping, or the caller leaving the bus.
    /// `options`: `ping-time` (u), the longest time between two pings in milliseconds, if it shall be shorter than ours.
    #[zbus(out_args("info"))]
    async fn request_server_info(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
        client_name: String,
        options: Dict,
    ) -> Result<Dict, Refusal> {
        let ping_time = Options(options).get::<u32>("ping-time")?;
        let hello = Hello {
            client_name,
            version: SpecVersion::NEWEST,
            // The bus has a method for each of them, so that there is nothing to ask for.
            extensions: Extension::ALL.iter().map(|extension| extension.name().to_owned()).collect(),
            ping_time: ping_time.map(|ms| Duration::from_millis(u64::from(ms))),
        };
        let waiting = self.peers.greet(connection, super::sender(&header)?, hello)?;
        Ok(words::welcome(&waiting.welcome().await?))
    }

    /// Moves the ping deadline of the caller.
    async fn ping(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        self.ask(&header, Request::Ping).await.map(drop)
    }

    /// Ends the session of the caller, which stops what it drove.
    async fn disconnect(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        self.ask(&header, Request::Disconnect).await.map(drop)
    }

    /// Looks for devices until the caller no longer wants it.
    async fn start_scanning(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        self.done(&header, Command::StartScanning).await
    }

    /// The caller no longer wants to look for devices.
    async fn stop_scanning(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        self.done(&header, Command::StopScanning).await
    }

    /// The connected devices, by index. They are objects too, with the same content as properties.
    #[zbus(out_args("devices"))]
    async fn request_device_list(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<HashMap<u32, Dict>, Refusal> {
        match self.ask(&header, Request::Command(Command::ListDevices)).await? {
            Answer::Devices(list) => {
                Ok(list.values().map(|view| (view.index.0, words::device(view))).collect())
            }
            Answer::Done | Answer::Reading(_) | Answer::Monitor(_) => {
                Err(Refusal::new(Reason::Internal, "a list was answered without devices"))
            }
        }
    }

    /// Brings every output of every device to rest, whoever drives it. Needs no session. Ends the caller's subscriptions.
    async fn stop(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        let everything = Command::Stop { target: StopTarget::Everything, what: StopWhat::Both };
        match self.ask(&header, Request::Command(everything)).await.map_err(Refusal::into_fault) {
            Ok(_) => Ok(()),
            // It was done as far as the devices let it be.
            Err(fault) if fault.reason.class() == Class::Device => Err(fault.into()),
            // Without a session, with one that has no room for another call, or with one that has ended before it took this one, it
            // must work all the same.
            Err(_) => Ok(self.peers.shared.hub.stop_everything().await?),
        }
    }

    /// Stops a part of everything. `options`: `inputs` (b) and `outputs` (b), both true if absent.
    async fn stop_with(&self, #[zbus(header)] header: Header<'_>, options: Dict) -> Result<(), Refusal> {
        let what = super::stop_what(&Options(options))?;
        self.done(&header, Command::Stop { target: StopTarget::Everything, what }).await
    }

    /// A connected socket that speaks frames of MessagePack, and every spec version. Needs no session.
    #[zbus(out_args("socket"))]
    async fn open_socket(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<OwnedFd, Refusal> {
        let sender = BusName::from(super::sender(&header)?.to_owned());
        let failed = |error: &dyn std::fmt::Display| {
            Refusal::new(Reason::Internal, format!("cannot hand out a socket: {error}"))
        };
        let bus = DBusProxy::new(connection).await.map_err(|error| failed(&error))?;
        let pid = bus.get_connection_unix_process_id(sender).await.map_err(|error| failed(&error))?;
        let (ours, theirs) = listen::pair().map_err(|error| failed(&error))?;
        socket::accept(ours, &self.peers.shared, socket::peer(socket::process(pid)));
        Ok(theirs.into())
    }

    /// Has configuration, definitions and plugin folders read again.
    async fn reload(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        self.done(&header, Command::Monitor(MonitorRequest::Reload)).await
    }

    /// Has changes of outputs sent to the caller, as `OutputChanged` of the devices.
    async fn watch_outputs(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        self.done(&header, Command::Monitor(MonitorRequest::WatchOutputs)).await
    }

    /// The opposite.
    async fn unwatch_outputs(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        self.done(&header, Command::Monitor(MonitorRequest::UnwatchOutputs)).await
    }

    /// Ends another session, by its Id in `Clients`.
    async fn disconnect_client(&self, #[zbus(header)] header: Header<'_>, id: u64) -> Result<(), Refusal> {
        self.done(&header, Command::Monitor(MonitorRequest::Disconnect(SessionId(id)))).await
    }

    /// The version of the service.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The buses on which devices are found, how they are, and what would mend them.
    #[zbus(property)]
    fn transports(&self) -> Vec<Dict> {
        self.status().transports.iter().map(words::transport).collect()
    }

    /// How many devices are connected.
    #[zbus(property)]
    fn device_count(&self) -> u32 {
        u32::try_from(self.status().list.len()).unwrap_or(u32::MAX)
    }

    /// Whether devices are looked for.
    #[zbus(property)]
    fn scanning(&self) -> bool {
        match self.status().scan {
            ScanWish::Scan => true,
            ScanWish::Rest => false,
        }
    }

    /// Who is connected. What they drive changes too often to be told: ask for it.
    #[zbus(property(emits_changed_signal = "invalidates"))]
    async fn clients(&self) -> Vec<Dict> {
        let outputs = self.peers.shared.hub.outputs().await;
        self.status().clients.iter().map(|client| words::client(client, &outputs)).collect()
    }

    /// A device came. Sent to open sessions alone; the signals of ObjectManager go to everyone.
    #[zbus(signal)]
    pub(super) async fn device_added(
        emitter: &SignalEmitter<'_>,
        index: u32,
        device: Dict,
    ) -> zbus::Result<()>;

    /// A device went. Sent to open sessions alone.
    #[zbus(signal)]
    pub(super) async fn device_removed(emitter: &SignalEmitter<'_>, index: u32) -> zbus::Result<()>;

    /// The caller's wish to scan ended, or the scan did. Sent to the session that asked alone.
    #[zbus(signal)]
    pub(super) async fn scanning_finished(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    /// The session ended, and why: a missed ping, the end of the service, the user. Sent to its peer alone. `name` is that of
    /// an error.
    #[zbus(signal)]
    pub(super) async fn error(emitter: &SignalEmitter<'_>, name: &str, text: &str) -> zbus::Result<()>;
}

#[cfg(test)]
mod tests {
    use zbus::{Message, names::UniqueName};

    use super::{
        super::{super::tests, tests::bus},
        *,
    };
    use crate::config::Config;

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_a_session_in_its_end_does_not_take_is_done_without_it() {
        let shared = tests::shared(Config::default());
        let status = shared.hub.status();
        // A session that takes its calls and ends without an answer to them.
        let peers = Peers::new(shared, |_, _, _, mut calls| {
            tokio::spawn(async move { while calls.recv().await.is_some() {} });
        });
        let (connection, _taken) = bus(8).await;
        let caller = UniqueName::try_from(":1.7").unwrap();
        let hello = Hello::without_extensions("test".to_owned(), SpecVersion::NEWEST);
        peers.greet(&connection, &caller, hello).unwrap();
        let server = Server::new(peers, status);
        let call = Message::method_call("/", "Stop").sender(caller).build(&()).unwrap();
        server.stop(call.header()).await.unwrap();
    }
}
