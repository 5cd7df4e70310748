//! Frames on a WebSocket: a message is a frame, text or binary, JSON in both. The library answers the other side's pings.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use engine::{
    fault::{Fault, Reason},
    session::End,
};
use futures_util::{Sink, SinkExt, StreamExt};
use ipc_schema::codec::Encoding;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep, sleep},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error, Message,
        error::{CapacityError, ProtocolError},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::super::{
    conversation::{Reading, Turn, Wire},
    stream::Counted,
};

/// Frames that one turn takes in, so that a client that floods does not keep its session from anything else.
const TURN_MAX: usize = 64;

/// The time that the other side has to say goodbye too.
const GOODBYE: Duration = Duration::from_secs(1);

/// Frames on a WebSocket.
pub(super) struct WebSocketWire<S> {
    stream: WebSocketStream<Counted<S>>,
    arrived: VecDeque<Bytes>,
    /// The one that was given out last.
    current: Bytes,
    unsent: usize,
    /// How the connection ended, while frames that came before are still to be looked at.
    end: Option<Turn>,
    /// How a breach of the protocol is named in the goodbye.
    close_code: Option<CloseCode>,
    idle: Option<Idle>,
}

/// The watch over a connection on which nothing happens.
struct Idle {
    interval: Duration,
    timer: Pin<Box<Sleep>>,
    heard: Instant,
    /// Whether the other side was asked, and has not been heard since.
    asked: bool,
}

impl<S> WebSocketWire<S> {
    /// `idle` is the time without traffic after which the other side is asked whether it is there.
    pub(super) fn new(stream: WebSocketStream<Counted<S>>, idle: Option<Duration>) -> Self {
        let idle = idle.map(|interval| Idle {
            interval,
            timer: Box::pin(sleep(interval)),
            heard: Instant::now(),
            asked: false,
        });
        Self {
            stream,
            arrived: VecDeque::new(),
            current: Bytes::new(),
            unsent: 0,
            end: None,
            close_code: None,
            idle,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> WebSocketWire<S> {
    fn send(&mut self, message: Message) {
        self.unsent += message.len().max(1);
        if let Err(error) = Pin::new(&mut self.stream).start_send(message) {
            // The next turn finds the connection closed, and says so.
            tracing::debug!(%error, "cannot send to a client");
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if self.unsent > 0
            && let Poll::Ready(sent) = self.stream.poll_flush_unpin(cx)
        {
            sent?;
            self.unsent = 0;
        }
        Ok(())
    }

    /// Takes in what came. `Some` ends the connection.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Option<Turn> {
        if let Some(end) = self.end.take() {
            return Some(end);
        }
        while self.arrived.len() < TURN_MAX {
            match self.stream.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    if let Some(idle) = &mut self.idle {
                        idle.heard = Instant::now();
                        idle.asked = false;
                    }
                    match message {
                        Message::Text(text) => self.arrived.push_back(text.into()),
                        Message::Binary(bytes) => self.arrived.push_back(bytes),
                        // The next read sends the library's answer to a ping or a goodbye.
                        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let (turn, code) = broken(error);
                    self.close_code = code;
                    return Some(turn);
                }
                Poll::Ready(None) => return Some(Turn::Gone),
                Poll::Pending => return None,
            }
        }
        None
    }

    /// Asks the other side whether it is there, if it is time. `Some` when it did not answer the last time.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Option<Turn> {
        loop {
            let idle = self.idle.as_mut()?;
            if idle.timer.as_mut().poll(cx).is_pending() {
                return None;
            }
            let now = Instant::now();
            let due = idle.heard + idle.interval;
            if due > now {
                idle.timer.as_mut().reset(due);
            } else if idle.asked {
                tracing::debug!("a client does not answer WebSocket pings");
                return Some(Turn::Gone);
            } else {
                idle.asked = true;
                idle.timer.as_mut().reset(now + idle.interval);
                self.send(Message::Ping(Bytes::new()));
                if let Err(error) = self.poll_send(cx) {
                    return Some(broken(error).0);
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for WebSocketWire<S> {
    fn encoding(&self) -> Encoding {
        Encoding::Json
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, reading: Reading) -> Poll<Turn> {
        let before = self.sent();
        if let Err(error) = self.poll_send(cx) {
            return Poll::Ready(broken(error).0);
        }
        if self.sent() != before && self.unsent > 0 {
            return Poll::Ready(Turn::Sent);
        }
        if reading == Reading::Paused {
            return Poll::Pending;
        }
        // What came before the end still counts: the end shows again at the next turn.
        let end = self.poll_receive(cx);
        if !self.arrived.is_empty() {
            self.end = end;
            return Poll::Ready(Turn::Arrived);
        }
        match end.or_else(|| self.poll_idle(cx)) {
            Some(end) => Poll::Ready(end),
            None => Poll::Pending,
        }
    }

    fn next_frame(&mut self) -> Result<Option<&[u8]>, Fault> {
        let Some(payload) = self.arrived.pop_front() else { return Ok(None) };
        self.current = payload;
        Ok(Some(&self.current))
    }

    fn queue(&mut self, payload: Vec<u8>) {
        match String::from_utf8(payload) {
            Ok(text) => self.send(Message::text(text)),
            Err(error) => tracing::error!(%error, "a reply in JSON is not UTF-8"),
        }
    }

    fn unsent(&self) -> usize {
        self.unsent
    }

    fn sent(&self) -> u64 {
        self.stream.get_ref().sent()
    }

    async fn finish(mut self, end: &End) {
        let code = self.close_code.unwrap_or_else(|| close_code(end));
        let reason = match end {
            End::Disconnected | End::Gone => "",
            End::Fault(fault) => fault.reason.word(),
        };
        if let Err(error) = self.stream.close(Some(CloseFrame { code, reason: reason.into() })).await {
            return tracing::debug!(%error, "cannot say goodbye to a client");
        }
        // The other side closes first, so that nothing that it still reads is lost.
        let goodbye = async { while let Some(Ok(_)) = self.stream.next().await {} };
        if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
            tracing::debug!("a client did not say goodbye");
        }
    }
}

fn close_code(end: &End) -> CloseCode {
    match end {
        End::Disconnected | End::Gone => CloseCode::Normal,
        End::Fault(fault) => match fault.reason {
            Reason::ShuttingDown => CloseCode::Away,
            Reason::FrameTooLarge => CloseCode::Size,
            Reason::Internal => CloseCode::Error,
            // The reason itself is in the frame.
            _ => CloseCode::Policy,
        },
    }
}

/// What a failed read or write means for the session, and how the other side is told.
fn broken(error: Error) -> (Turn, Option<CloseCode>) {
    let broken = |reason, code, error: Error| {
        (Turn::Broken(Fault::new(reason, format!("the WebSocket is broken: {error}"))), Some(code))
    };
    match error {
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            let text = format!("a message of {size} bytes is over the limit of {max_size}");
            (Turn::Broken(Fault::new(Reason::FrameTooLarge, text)), Some(CloseCode::Size))
        }
        Error::Utf8(_) => broken(Reason::MalformedFrame, CloseCode::Invalid, error),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => (Turn::Gone, None),
        Error::Protocol(_) => broken(Reason::MalformedFrame, CloseCode::Protocol, error),
        error => {
            tracing::debug!(%error, "a WebSocket failed");
            (Turn::Gone, None)
        }
    }
}
