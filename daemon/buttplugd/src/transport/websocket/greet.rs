//! The first words of a device that dials in: who may, and what it says that it is.

use engine::{
    advertisement::Advertisement,
    greeting::{Greeting, GreetingError},
};
use futures_util::StreamExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    accept_hdr_async_with_config,
    tungstenite::{
        Error, Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::{StatusCode, header::ORIGIN},
        protocol::WebSocketConfig,
    },
};

use super::{super::Discovered, NAME, link::DialledIn};

/// The longest message of a device. What these devices say fits into some hundred bytes.
const MESSAGE_MAX: usize = 64 * 1024;

/// Why a device is turned away.
#[derive(Debug, thiserror::Error)]
pub(super) enum TurnedAway {
    #[error("{0}")]
    Connection(#[from] Error),
    #[error("it said nothing")]
    Silent,
    #[error("its first message is no text")]
    NoText,
    #[error("{0}")]
    NoGreeting(#[from] GreetingError),
}

/// Hears what a device says of itself.
///
/// # Errors
/// It says nothing that it could be known by, or is a web page.
pub(super) async fn greet(stream: TcpStream) -> Result<Discovered, TurnedAway> {
    // Packets are small, and each is waited for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off the delay of small writes");
    }
    let settings = WebSocketConfig::default()
        .read_buffer_size(MESSAGE_MAX)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let mut stream = accept_hdr_async_with_config(stream, no_page, Some(settings)).await?;
    let first = loop {
        match stream.next().await.ok_or(TurnedAway::Silent)?? {
            Message::Text(text) => break text,
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return Err(TurnedAway::Silent),
            Message::Binary(_) | Message::Frame(_) => return Err(TurnedAway::NoText),
        }
    };
    let Greeting { identifier, address } = Greeting::parse(&first)?;
    Ok(Discovered {
        transport: NAME,
        advertisement: Advertisement::WebSocket { name: identifier },
        address,
        opener: Box::new(DialledIn::new(stream)),
    })
}

/// A page in a browser could otherwise pass for a device of the person who looks at it.
#[expect(clippy::result_large_err, reason = "the library wants it so")]
fn no_page(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.headers().contains_key(ORIGIN) {
        let mut refusal = ErrorResponse::new(Some("Web pages cannot be devices.\n".to_owned()));
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        return Err(refusal);
    }
    Ok(response)
}
