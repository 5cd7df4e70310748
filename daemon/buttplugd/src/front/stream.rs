//! A stream that gives back bytes that were read ahead, and counts what it has sent.
//!
//! The socket must look at the first bytes to tell an HTTP request from a frame; whoever serves the connection then must see
//! them again.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream.
#[derive(Debug)]
pub(super) struct Counted<S> {
    inner: S,
    /// What was read ahead and not given back yet.
    ahead: Vec<u8>,
    sent: u64,
}

impl<S> Counted<S> {
    /// A stream that begins with `ahead` and goes on with `inner`.
    pub(super) const fn new(inner: S, ahead: Vec<u8>) -> Self {
        Self { inner, ahead, sent: 0 }
    }

    /// Bytes that were sent.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let fitting = self.ahead.len().min(buf.remaining());
        let given: Vec<u8> = self.ahead.drain(..fitting).collect();
        buf.put_slice(&given);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.sent += u64::try_from(written).unwrap_or(u64::MAX);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn bytes_read_ahead_come_first() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut stream = Counted::new(server, b"GET ".to_vec());
        client.write_all(b"/ HTTP").await.unwrap();
        let mut read = [0; 10];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"GET / HTTP");
        stream.write_all(b"answer").await.unwrap();
        assert_eq!(stream.sent(), 6);
    }
}
