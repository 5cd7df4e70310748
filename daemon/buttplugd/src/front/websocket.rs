//! WebSocket with JSON, over TCP and over the local socket: what every existing application speaks.
//!
//! Web pages must be named in the configuration; programs, which send no `Origin`, need not. Each handshake has a task and a
//! time limit of its own, so that a silent peer keeps nobody out.

mod wire;

use std::{sync::Arc, time::Duration};

use engine::client::{Front, Peer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        handshake::server::{ErrorResponse, Request, Response},
        http::{StatusCode, header::ORIGIN},
        protocol::WebSocketConfig,
    },
};

use self::wire::WebSocketWire;
use super::{Shared, conversation, half_open::Seat, stream::Counted};
use crate::config::{Config, value::OriginPattern};

/// Room for what one read takes in. The library's own 128 KiB would be most of what an idle session costs.
const READ_SIZE: usize = 8 * 1024;

/// Bytes that may gather before they are sent without being asked to.
const WRITE_SIZE: usize = 64 * 1024;

/// Takes connections until it is dropped.
pub(crate) async fn listen(listener: TcpListener, shared: Shared) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                // Without it two replies sent together wait for the client's delayed acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, %from, "cannot switch off the delay of small writes");
                }
                let seat = shared.half_open.enter();
                let shared_too = shared.clone();
                shared.spawn(async move {
                    begin(stream, Vec::new(), &shared_too, Peer::of(Front::WebSocket), seat).await;
                });
            }
            Err(error) => shared.accept_failed(&error, "websocket").await,
        }
    }
}

/// Does the handshake and serves the connection. `ahead` was read from the stream already.
pub(super) async fn begin<S>(stream: S, ahead: Vec<u8>, shared: &Shared, mut peer: Peer, seat: Seat)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let config = shared.config();
    let stream = Counted::new(stream, ahead);
    let upgraded = tokio::select! {
        upgraded = tokio::time::timeout(config.limits.handshake_time(), upgrade(stream, &config)) => upgraded,
        () = seat.lost() => return tracing::debug!("an unfinished WebSocket handshake made room for another"),
    };
    match upgraded {
        Ok(Ok((stream, origin))) => {
            peer.origin = origin;
            let idle = config.websocket.idle_ping_ms;
            let idle = (idle > 0).then(|| Duration::from_millis(idle));
            conversation::serve(WebSocketWire::new(stream, idle), shared, peer, seat).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "a WebSocket handshake failed"),
        Err(_) => tracing::debug!("a WebSocket handshake took too long"),
    }
}

type Upgraded<S> = (WebSocketStream<Counted<S>>, Option<String>);

async fn upgrade<S>(
    stream: Counted<S>,
    config: &Arc<Config>,
) -> Result<Upgraded<S>, tokio_tungstenite::tungstenite::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let size = config.limits.frame_size;
    let settings = WebSocketConfig::default()
        .read_buffer_size(READ_SIZE)
        .write_buffer_size(WRITE_SIZE)
        .max_message_size(Some(size))
        .max_frame_size(Some(size));
    let mut origin = None;
    #[expect(clippy::result_large_err, reason = "the library wants it so")]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        match checked_origin(request, &config.websocket.allowed_origins) {
            Ok(found) => {
                origin = found;
                Ok(response)
            }
            Err(refusal) => Err(refusal),
        }
    };
    let stream = accept_hdr_async_with_config(stream, look, Some(settings)).await?;
    Ok((stream, origin))
}

/// The origin of the page that asks, if a page does.
#[expect(clippy::result_large_err, reason = "the library wants it so")]
fn checked_origin(request: &Request, allowed: &[OriginPattern]) -> Result<Option<String>, ErrorResponse> {
    let mut origins = request.headers().get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(None) };
    let text = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    let is_allowed = origins.next().is_none() && allowed.iter().any(|pattern| pattern.matches(&text));
    if is_allowed {
        return Ok(Some(text));
    }
    tracing::warn!(
        origin = text,
        "a web page was refused; to allow it, put its origin into websocket.allowed-origins of the configuration, \
         such as allowed-origins = [{text:?}], and reload"
    );
    let body =
        "This web page may not connect. Its origin is not in websocket.allowed-origins of buttplugd.\n";
    let mut refusal = ErrorResponse::new(Some(body.to_owned()));
    *refusal.status_mut() = StatusCode::FORBIDDEN;
    Err(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origins: &[&str], allowed: &[&str]) -> Result<Option<String>, u16> {
        let mut request = Request::new(());
        for origin in origins {
            request.headers_mut().append(ORIGIN, origin.parse().unwrap());
        }
        let allowed: Vec<OriginPattern> = allowed.iter().map(|text| text.parse().unwrap()).collect();
        checked_origin(&request, &allowed).map_err(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn programs_may_and_pages_must_be_named() {
        assert_eq!(check(&[], &[]), Ok(None));
        assert_eq!(check(&["https://evil.example"], &[]), Err(403));
        assert_eq!(check(&["https://evil.example"], &["https://good.example"]), Err(403));
        assert_eq!(
            check(&["https://good.example"], &["https://good.example"]),
            Ok(Some("https://good.example".to_owned()))
        );
        assert_eq!(check(&["null"], &[]), Err(403));
    }

    #[test]
    fn a_second_origin_hides_nothing() {
        assert_eq!(
            check(&["https://good.example", "https://evil.example"], &["https://good.example"]),
            Err(403)
        );
    }
}
