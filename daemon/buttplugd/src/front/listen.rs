//! The sockets that the fronts listen on: bound here, or passed by systemd.
//!
//! Nothing is accepted here. What is bound before the service is ready waits in the kernel's queue, so that no client is
//! refused while the service starts.

use std::{
    io,
    net::SocketAddr,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use interprocess::{
    local_socket::{GenericFilePath, ListenerOptions, ToFsName},
    os::unix::{
        local_socket::ListenerOptionsExt,
        uds_local_socket::tokio::{Listener, Stream},
    },
};
use rustix::net::{AddressFamily, SocketType, sockopt};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};

use super::{Shared, socket, websocket};
use crate::config::{Config, ConfigError, Directories, value::ListenAddress};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Sockets that systemd passed, told apart by their family: names in units are then nobody's business.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Unix sockets, for the socket front.
    pub local: Vec<OwnedFd>,
    /// TCP sockets, for the WebSocket front.
    pub tcp: Vec<OwnedFd>,
}

/// Why a socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process answers at the path.
    #[error("another process serves {}; only one can", .0.display())]
    Served(PathBuf),
    /// Something that is no socket is in the way.
    #[error("{} is no socket, and is left alone; remove it, or choose another path", .0.display())]
    InTheWay(PathBuf),
    /// The folder of the socket cannot be made.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket cannot be bound.
    #[error("cannot listen on {}: {source}", path.display())]
    Local {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The port cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Tcp {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing says where the socket shall be.
    #[error(transparent)]
    Place(#[from] ConfigError),
    /// What systemd passed is of no use.
    #[error("a socket that systemd passed cannot be used: {0}")]
    Inherited(io::Error),
}

impl Inherited {
    /// Takes the sockets that systemd passed. To be called once: there is one of each.
    ///
    /// # Errors
    /// When one is neither a Unix nor a TCP socket that takes connections.
    pub fn take() -> Result<Self, ListenError> {
        let passed = sd_listen_fds::get()
            .map_err(|error| ListenError::Inherited(io::Error::other(error.to_string())))?;
        let mut inherited = Self::default();
        for (_, socket) in passed {
            inherited.add(socket.into_std()).map_err(ListenError::Inherited)?;
        }
        Ok(inherited)
    }

    fn add(&mut self, socket: OwnedFd) -> io::Result<()> {
        if sockopt::socket_type(&socket)? != SocketType::STREAM || !sockopt::socket_acceptconn(&socket)? {
            return Err(io::Error::other("it is not a stream socket that listens; the unit needs Accept=no"));
        }
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        match sockopt::socket_domain(&socket)? {
            AddressFamily::UNIX => self.local.push(socket),
            AddressFamily::INET | AddressFamily::INET6 => self.tcp.push(socket),
            family => return Err(io::Error::other(format!("its family {family:?} is neither Unix nor IP"))),
        }
        Ok(())
    }
}

/// All that the service listens on.
pub(crate) struct Listeners {
    local: Vec<Listener>,
    tcp: Vec<TcpListener>,
}

impl Listeners {
    /// Takes over what systemd passed, and binds what is configured beside it. Must be called within the runtime.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub(crate) async fn bind(
        config: &Config,
        directories: &Directories,
        inherited: Inherited,
    ) -> Result<Self, ListenError> {
        let mut local = inherited.local.into_iter().map(local_inherited).collect::<Result<Vec<_>, _>>()?;
        // What systemd passes takes the place of what would be bound here.
        if config.socket.enabled && local.is_empty() {
            let path = match &config.socket.path {
                Some(path) => path.clone(),
                None => directories.socket()?,
            };
            local.push(self::local(&path).await?);
        }
        let mut tcp = inherited.tcp.into_iter().map(tcp_inherited).collect::<Result<Vec<_>, _>>()?;
        if config.websocket.enabled && tcp.is_empty() {
            for address in &config.websocket.listen {
                tcp.extend(self::tcp(address)?);
            }
        }
        Ok(Self { local, tcp })
    }

    /// Where the local sockets are, for the log.
    pub(crate) fn local_places(&self) -> String {
        places(self.local.iter().map(local_place))
    }

    /// Where the TCP sockets are, for the log.
    pub(crate) fn tcp_places(&self) -> String {
        places(self.tcp.iter().map(tcp_place))
    }

    /// Takes connections until the tasks are ended, which takes the socket files with it.
    pub(crate) fn serve(self, shared: &Shared) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for listener in self.local {
            tasks.spawn(socket::listen(listener, shared.clone()));
        }
        for listener in self.tcp {
            tasks.spawn(websocket::listen(listener, shared.clone()));
        }
        tasks
    }
}

fn places(places: impl Iterator<Item = String>) -> String {
    let places: Vec<String> = places.collect();
    if places.is_empty() { "off".to_owned() } else { places.join(" ") }
}

fn local_place(listener: &Listener) -> String {
    let address = listener.inner().local_addr().ok();
    let path = address.as_ref().and_then(|address| address.as_pathname());
    path.map_or_else(|| "unnamed".to_owned(), |path| path.display().to_string())
}

fn tcp_place(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| "unnamed".to_owned(), |address| address.to_string())
}

/// Binds the local socket. Must be called within the runtime.
///
/// A socket file that nobody answers at is left over from a crash, and is replaced. The folder is made for the owner alone
/// if it is missing; one that is there keeps its mode, and the mode of the socket (0600) protects it all the same.
///
/// # Errors
/// When another process serves the path, or the system refuses.
pub async fn local(path: &Path) -> Result<Listener, ListenError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| ListenError::Folder { path: folder.to_owned(), source })?;
    }
    remove_stale(path).await?;
    bind_local(path).map_err(|source| ListenError::Local { path: path.to_owned(), source })
}

fn bind_local(path: &Path) -> io::Result<Listener> {
    let name = path.to_fs_name::<GenericFilePath>()?;
    ListenerOptions::new().name(name).mode(0o600).create_tokio_as::<Listener>()
}

async fn remove_stale(path: &Path) -> Result<(), ListenError> {
    use std::os::unix::fs::FileTypeExt;

    let local = |source| ListenError::Local { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(ListenError::InTheWay(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(local(error)),
    }
    match tokio::net::UnixStream::connect(path).await {
        Ok(_) => Err(ListenError::Served(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "removing a socket that nobody serves any more");
            std::fs::remove_file(path).map_err(local)
        }
        // A full queue means that someone is there, only busy.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(ListenError::Served(path.to_owned())),
        Err(error) => Err(local(error)),
    }
}

/// Takes over a local socket that systemd passed. Must be called within the runtime.
///
/// # Errors
/// When the system refuses.
pub fn local_inherited(socket: OwnedFd) -> Result<Listener, ListenError> {
    Listener::try_from(socket).map_err(ListenError::Inherited)
}

/// Binds the ports of one configured address. Must be called within the runtime.
///
/// # Errors
/// When a port is taken, or the system refuses. A machine without IPv6 gets a bare port on 127.0.0.1 alone.
pub fn tcp(listen: &ListenAddress) -> Result<Vec<TcpListener>, ListenError> {
    let mut listeners = Vec::new();
    for address in listen.addresses() {
        match bind_tcp(address) {
            Ok(listener) => listeners.push(listener),
            Err(error)
                if matches!(listen, ListenAddress::Loopback(_)) && is_without_ipv6(address, &error) =>
            {
                tracing::debug!(%address, "this machine has no IPv6; going on without");
            }
            Err(source) => return Err(ListenError::Tcp { address, source }),
        }
    }
    Ok(listeners)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A service that was just restarted must get its port back.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn is_without_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    let missing =
        [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL].map(|e| Some(e.raw_os_error()));
    address.is_ipv6() && missing.contains(&error.raw_os_error())
}

/// Takes over a TCP socket that systemd passed. Must be called within the runtime.
///
/// # Errors
/// When the system refuses.
pub fn tcp_inherited(socket: OwnedFd) -> Result<TcpListener, ListenError> {
    let listener = std::net::TcpListener::from(socket);
    listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
        .map_err(ListenError::Inherited)
}

/// Two ends of a local connection: one for the service, one to be handed out. Must be called within the runtime.
///
/// # Errors
/// When the system refuses.
pub fn pair() -> io::Result<(Stream, OwnedFd)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((Stream::try_from(OwnedFd::from(ours))?, theirs.into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use interprocess::local_socket::traits::tokio::Listener as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn the_socket_and_its_folder_are_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/s.sock");
        let listener = local(&path).await.unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop(listener);
    }

    #[tokio::test]
    async fn a_socket_left_over_from_a_crash_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listener = local(&path).await.unwrap();
        let client = tokio::net::UnixStream::connect(&path).await.unwrap();
        listener.accept().await.unwrap();
        drop(client);
    }

    #[tokio::test]
    async fn a_socket_that_is_served_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = local(&path).await.unwrap_err();
        assert!(matches!(error, ListenError::Served(_)), "{error}");
        assert!(path.exists());
        drop(other);
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(local(&path).await, Err(ListenError::InTheWay(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = tcp(&ListenAddress::Exact(address)).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot listen on {address}: ")), "{error}");
    }

    #[tokio::test]
    async fn inherited_sockets_are_told_apart_by_family() {
        let folder = tempfile::tempdir().unwrap();
        let mut inherited = Inherited::default();
        inherited
            .add(std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap().into())
            .unwrap();
        inherited.add(std::net::TcpListener::bind("127.0.0.1:0").unwrap().into()).unwrap();
        assert_eq!((inherited.local.len(), inherited.tcp.len()), (1, 1));
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(inherited.add(one.into()).is_err(), "a connected socket is of no use");
        local_inherited(inherited.local.remove(0)).unwrap();
        tcp_inherited(inherited.tcp.remove(0)).unwrap();
    }
}
