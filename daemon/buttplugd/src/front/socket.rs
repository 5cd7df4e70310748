//! The local socket: frames of a length and MessagePack; an HTTP request instead is handed to the WebSocket front.
//!
//! The peer must be of our own user. The connection may also come from D-Bus (`OpenSocket`), which has looked at the peer.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
};

use engine::{
    client::{Front, Peer, Process},
    fault::{Fault, Reason},
    session::End,
};
use interprocess::{
    local_socket::traits::tokio::Listener as _,
    os::unix::uds_local_socket::tokio::{Listener, Stream},
};
use ipc_schema::{
    codec::Encoding,
    frame::{self, FrameDecoder, FrameError},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::timeout,
};

use super::{
    Shared,
    conversation::{self, Reading, Turn, Wire},
    half_open::Seat,
    websocket,
};

/// Bytes that one read takes in. On the stack only while it lasts, so that an idle session costs nothing.
const READ_SIZE: usize = 16 * 1024;

/// Buffers above this are given back when they are empty, so that one large frame does not cost for ever.
const KEEP_SIZE: usize = 64 * 1024;

/// Takes connections until it is dropped.
pub(crate) async fn listen(listener: Listener, shared: Shared) {
    loop {
        match listener.accept().await {
            Ok(stream) => match peer_of(&stream) {
                Ok(peer) => accept(stream, &shared, peer),
                Err(error) => tracing::warn!(%error, "a connection to the socket was refused"),
            },
            Err(error) => shared.accept_failed(&error, "socket").await,
        }
    }
}

/// Serves a connection in a task of its own.
pub(super) fn accept(stream: Stream, shared: &Shared, peer: Peer) {
    let seat = shared.half_open.enter();
    let shared_too = shared.clone();
    shared.spawn(async move { begin(stream, &shared_too, peer, seat).await });
}

/// Who is at the other end.
fn peer_of(stream: &Stream) -> io::Result<Peer> {
    let credentials = stream.inner().peer_cred()?;
    let ours = rustix::process::getuid().as_raw();
    if credentials.uid() != ours {
        return Err(io::Error::other(format!(
            "its user is {}, and only {ours} is served here",
            credentials.uid()
        )));
    }
    let process = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).map(process);
    Ok(Peer { front: Front::Socket, process, origin: None })
}

/// A peer on the socket, of which the bus told the process.
pub(super) const fn peer(process: Process) -> Peer {
    Peer { front: Front::Socket, process: Some(process), origin: None }
}

/// What the system tells about a process of our own user.
pub(super) fn process(pid: u32) -> Process {
    // Fails for a process of another name space or one that is gone; it then goes without a name.
    Process { pid, executable: std::fs::read_link(format!("/proc/{pid}/exe")).ok() }
}

/// Looks at the first bytes and serves what they ask for.
async fn begin(mut stream: Stream, shared: &Shared, mut peer: Peer, seat: Seat) {
    let config = shared.config();
    let frame_limit = u32::try_from(config.limits.frame_size).unwrap_or(frame::LIMIT_MAX);
    let mut ahead = Vec::new();
    let silent = tokio::select! {
        first = timeout(config.limits.handshake_time(), first_bytes(&mut stream, &mut ahead)) => match first {
            Ok(Ok(())) => None,
            Ok(Err(error)) => return tracing::debug!(%error, "a connection ended before its first message"),
            Err(_) => Some("no handshake came in time"),
        },
        () = seat.lost() => {
            Some("too many connections wait for their handshake, and this one waited longest")
        }
    };
    if let Some(text) = silent {
        let fault = Fault::new(Reason::HandshakeTimedOut, text);
        let wire = SocketWire::new(stream, &[], frame_limit);
        return conversation::refuse(wire, shared, Front::Socket, fault).await;
    }
    if ahead.starts_with(&frame::HTTP_GET) {
        peer.front = Front::WebSocket;
        websocket::begin(stream, ahead, shared, peer, seat).await;
    } else {
        let wire = SocketWire::new(stream, &ahead, frame_limit);
        conversation::serve(wire, shared, peer, seat).await;
    }
}

/// The bytes of a frame's length, or of an HTTP request's first word, and what came with them. Cancel-safe: what came is in
/// `ahead`.
async fn first_bytes(stream: &mut Stream, ahead: &mut Vec<u8>) -> io::Result<()> {
    while ahead.len() < frame::HEADER_LEN {
        if stream.read_buf(ahead).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Frames on a stream.
pub(super) struct SocketWire<S> {
    stream: S,
    decoder: FrameDecoder,
    /// Whether the decoder has bytes that nobody has looked at.
    fresh: bool,
    out: Vec<u8>,
    /// Bytes at the front of `out` that are sent.
    out_sent: usize,
    sent: u64,
}

impl<S> SocketWire<S> {
    pub(super) fn new(stream: S, ahead: &[u8], limit: u32) -> Self {
        let mut decoder = FrameDecoder::new(limit);
        decoder.push(ahead);
        Self { stream, decoder, fresh: !ahead.is_empty(), out: Vec::new(), out_sent: 0, sent: 0 }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> SocketWire<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while let Some(rest) = self.out.get(self.out_sent..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.out_sent += written;
                    self.sent += u64::try_from(written).unwrap_or(u64::MAX);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        self.out.clear();
        self.out_sent = 0;
        if self.out.capacity() > KEEP_SIZE {
            self.out = Vec::new();
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for SocketWire<S> {
    fn encoding(&self) -> Encoding {
        Encoding::MessagePack
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, reading: Reading) -> Poll<Turn> {
        let before = self.sent;
        if let Err(error) = self.poll_write(cx) {
            tracing::debug!(%error, "cannot send to a client");
            return Poll::Ready(Turn::Gone);
        }
        if self.sent != before && self.unsent() > 0 {
            return Poll::Ready(Turn::Sent);
        }
        if reading == Reading::Paused {
            return Poll::Pending;
        }
        if self.fresh {
            return Poll::Ready(Turn::Arrived);
        }
        let mut bytes = [MaybeUninit::uninit(); READ_SIZE];
        let mut bytes = ReadBuf::uninit(&mut bytes);
        match std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut bytes)) {
            Ok(()) if bytes.filled().is_empty() => {
                if let Err(error) = self.decoder.finish() {
                    tracing::debug!(%error, "a client went amid a frame");
                }
                Poll::Ready(Turn::Gone)
            }
            Ok(()) => {
                self.decoder.push(bytes.filled());
                self.fresh = true;
                Poll::Ready(Turn::Arrived)
            }
            Err(error) => {
                tracing::debug!(%error, "cannot read from a client");
                Poll::Ready(Turn::Gone)
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<&[u8]>, Fault> {
        self.fresh = false;
        self.decoder.next_frame().map_err(|error| match error {
            FrameError::TooLarge { .. } => Fault::new(Reason::FrameTooLarge, error.to_string()),
            FrameError::Truncated { .. } => Fault::new(Reason::MalformedFrame, error.to_string()),
        })
    }

    fn queue(&mut self, payload: Vec<u8>) {
        // The limit is for what clients send. What goes out is bounded by the devices there are.
        match frame::encode(&payload, frame::LIMIT_MAX) {
            Ok(frame) if self.out.is_empty() => self.out = frame,
            Ok(frame) => self.out.extend_from_slice(&frame),
            Err(error) => tracing::error!(%error, "a reply is too large to be sent"),
        }
    }

    fn unsent(&self) -> usize {
        self.out.len() - self.out_sent
    }

    fn sent(&self) -> u64 {
        self.sent
    }

    async fn finish(mut self, _end: &End) {
        let rest = self.out.get(self.out_sent..).unwrap_or_default();
        // A client that is gone by now has no use for it.
        if let Err(error) = self.stream.write_all(rest).await {
            tracing::debug!(%error, "cannot send the end of a session");
        }
        if let Err(error) = self.stream.shutdown().await {
            tracing::debug!(%error, "cannot close a connection");
        }
    }
}
