//! The session bus: one object for the service, one for each device, a session for each caller.
//!
//! The introspection data of both interfaces is committed in `ipc-schema/dbus`; a test compares it with what is served.

mod device;
mod objects;
mod ordered;
mod peers;
mod refusal;
mod server;
mod session;
mod signals;
mod words;

use engine::{
    command::StopWhat,
    fault::{Fault, Reason},
};
use ipc_schema::dbus::{BUS_NAME, SERVER_PATH};
use tokio::task::JoinSet;
use zbus::{
    Connection,
    connection::Builder,
    fdo::{ObjectManager, RequestNameFlags, RequestNameReply},
    message::Header,
    names::UniqueName,
};

use self::{ordered::Ordered, peers::Peers, refusal::Refusal, server::Server, words::Options};
use super::Shared;

/// Why the bus cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DbusError {
    /// There is no bus, or it refuses. The socket goes on alone.
    #[error("there is no session bus: {0}")]
    NoBus(zbus::Error),
    /// Another process has the name.
    #[error("another process serves {BUS_NAME} on the session bus; only one can")]
    NameTaken,
    /// The bus failed after the connection was there.
    #[error("cannot serve on the session bus: {0}")]
    Failed(#[from] zbus::Error),
}

/// The front on its connection.
pub(crate) struct Front {
    connection: Connection,
    /// Ends with this, and so does the connection of a front that could not start in time.
    _objects: JoinSet<()>,
}

impl Front {
    /// Connects, serves the objects, and takes the well-known name: from there on callers come.
    ///
    /// # Errors
    /// When there is no bus, it refuses, or another process has the name.
    pub(crate) async fn start(shared: Shared) -> Result<Self, DbusError> {
        let connection = Builder::session().build().await.map_err(DbusError::NoBus)?;
        let status = shared.hub.status();
        let peers = Peers::new(shared, session::begin);
        let server = Ordered(std::sync::Arc::new(Server::new(std::sync::Arc::clone(&peers), status.clone())));
        connection.object_server().at(SERVER_PATH, ObjectManager).await?;
        connection.object_server().at(SERVER_PATH, server).await?;
        let objects = objects::show(&connection, &peers, status).await?;
        let front = Self { connection, _objects: objects };
        front.take_name().await?;
        Ok(front)
    }

    async fn take_name(&self) -> Result<(), DbusError> {
        let flags = RequestNameFlags::DO_NOT_QUEUE;
        match self.connection.request_name_with_flags(BUS_NAME, flags).await {
            Ok(RequestNameReply::PrimaryOwner | RequestNameReply::AlreadyOwner) => Ok(()),
            Ok(RequestNameReply::Exists | RequestNameReply::InQueue) => Err(DbusError::NameTaken),
            Err(zbus::Error::NameTaken) => Err(DbusError::NameTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the bus is gone.
    pub(crate) async fn gone(&self) {
        self.connection.closed().await;
    }

    /// Gives the name back, so that nobody new comes while the service ends.
    pub(crate) async fn give_name_back(&self) {
        if let Err(error) = self.connection.release_name(BUS_NAME).await {
            tracing::debug!(%error, "cannot give the name on the bus back");
        }
    }
}

/// Who calls. Every call that comes over a bus has it.
fn sender<'h>(header: &'h Header<'_>) -> Result<&'h UniqueName<'h>, Fault> {
    header.sender().ok_or_else(|| Fault::new(Reason::Internal, "the call has no sender"))
}

/// What the options `inputs` and `outputs` ask to be stopped.
fn stop_what(options: &Options) -> Result<StopWhat, Refusal> {
    let wanted = |name| Ok::<bool, Refusal>(options.get(name)?.unwrap_or(true));
    Ok(match (wanted("outputs")?, wanted("inputs")?) {
        (true, true) => StopWhat::Both,
        (true, false) => StopWhat::Outputs,
        (false, true) => StopWhat::Inputs,
        (false, false) => StopWhat::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;
    use zbus::{
        Message,
        connection::socket::{ReadHalf, Split, WriteHalf},
        object_server::Interface,
    };

    use super::{
        super::tests,
        device::{Device, Shown},
        *,
    };
    use crate::config::Config;

    /// The way to a bus, which takes what there is room for.
    #[derive(Debug)]
    struct Taking(Option<mpsc::Sender<Message>>);

    /// The way from a bus that says nothing.
    #[derive(Debug)]
    struct Silent;

    #[async_trait::async_trait]
    impl WriteHalf for Taking {
        async fn send_message(&mut self, message: &Message) -> zbus::Result<()> {
            match &self.0 {
                Some(taken) => taken.send(message.clone()).await.unwrap(),
                None => std::future::pending().await,
            }
            Ok(())
        }

        async fn close(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[async_trait::async_trait]
    impl ReadHalf for Silent {
        async fn receive_message(
            &mut self,
            _seq: u64,
            _bytes: &mut Vec<u8>,
            _fds: &mut Vec<std::os::fd::OwnedFd>,
        ) -> zbus::Result<Message> {
            std::future::pending().await
        }
    }

    /// A connection to a bus that takes no more than so many messages, and those messages.
    pub(super) async fn bus(room: usize) -> (Connection, mpsc::Receiver<Message>) {
        let (taken, messages) = mpsc::channel(room.max(1));
        let write: Box<dyn WriteHalf> = Box::new(Taking((room > 0).then_some(taken)));
        let read: Box<dyn ReadHalf> = Box::new(Silent);
        let guid = "0123456789abcdef0123456789abcdef";
        let connection = Builder::authenticated_socket(Split::new(read, write), guid).build().await.unwrap();
        (connection, messages)
    }

    /// The introspection data of one interface as a file of its own.
    fn file(interface: &impl Interface) -> String {
        let mut text = String::from(
            "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \
             \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n<node>\n",
        );
        interface.introspect_to_writer(&mut text, 2);
        text.push_str("</node>\n");
        text
    }

    #[tokio::test]
    async fn the_committed_introspection_is_what_is_served() {
        let shared = tests::shared(Config::default());
        let status = shared.hub.status();
        let peers = Peers::new(shared, session::begin);
        let shown = Shown { view: tests::device_view(), battery: None, connected: true };
        let served = [
            ("Server", file(&Server::new(Arc::clone(&peers), status)), ipc_schema::dbus::SERVER_XML),
            ("Device", file(&Device::new(peers, shown)), ipc_schema::dbus::DEVICE_XML),
        ];
        for (name, served, committed) in served {
            // Change the interface and run this with UPDATE_INTROSPECTION=1, then look at what git shows.
            if std::env::var_os("UPDATE_INTROSPECTION").is_some() {
                let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ipc-schema/dbus");
                std::fs::write(format!("{folder}/org.buttplugd.Buttplug1.{name}.xml"), &served).unwrap();
            } else {
                assert_eq!(served, committed, "{name}");
            }
        }
    }
}
