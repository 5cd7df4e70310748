//! What can go wrong for an application: the service says no, the session is over, or nothing came back in time.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ipc_schema::codec::EncodeError;
use ipc_schema::v4::{self, InputType, OutputType};
use ipc_schema::{Class, Reason};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The environment does not say where the socket is.
    #[error("could not find the socket of buttplugd: XDG_RUNTIME_DIR is not set; name the socket yourself")]
    NoSocketPath,
    /// The socket could not be reached.
    #[error("could not connect to buttplugd at {}: {}", path.display(), hint(source))]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The service refused the request, or could not do what it asks. Nothing was set.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The session has ended; all later calls fail the same way.
    #[error("the session with buttplugd is over: {0}")]
    Closed(#[from] Closed),
    /// No answer came in time. It is not known whether the request was carried out.
    #[error("buttplugd did not answer within {after:?}")]
    TimedOut {
        /// How long the call waited.
        after: Duration,
    },
    /// The value lies outside the output's range; nothing was sent.
    #[error("{value} is outside the range {least} to {greatest} of this output")]
    ValueOutOfRange {
        /// What was asked for.
        value: i64,
        /// Least value.
        least: i64,
        /// Greatest value.
        greatest: i64,
    },
    /// The fraction lies outside 0 to 1 (or -1 to 1 where the output has a direction), or is no number; nothing was sent.
    #[error("{value} is no fraction of this output's range: it must lie between {least} and 1")]
    FractionOutOfRange {
        /// What was asked for.
        value: f64,
        /// 0 or -1.
        least: i8,
    },
    /// The device has no such output; nothing was sent.
    #[error("the device has no output of kind {0:?}")]
    NoSuchOutput(OutputType),
    /// The device has no such input; nothing was sent.
    #[error("the device has no input of kind {0:?}")]
    NoSuchInput(InputType),
    /// This output takes its value with a duration, or cannot have one; nothing was sent.
    #[error("an output of kind {kind:?} {needs}")]
    WrongCommand {
        /// The output's kind.
        kind: OutputType,
        /// What it needs, for people.
        needs: &'static str,
    },
    /// The service answered with something that is no answer to the request. One side has a bug.
    #[error("buttplugd gave an answer that cannot be understood: {0}")]
    Unexpected(String),
    /// The request could not be written.
    #[error("could not write the request")]
    Encode(#[from] EncodeError),
}

impl Error {
    /// The class of the error, if it is the service that failed the call.
    pub fn class(&self) -> Option<Class> {
        self.server().map(|error| error.class)
    }

    /// The reason of the error, if it is the service that failed the call and this library knows the word.
    pub fn reason(&self) -> Option<Reason> {
        self.server().and_then(|error| error.reason)
    }

    fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) | Self::Closed(Closed::Refused(error)) => Some(error),
            _ => None,
        }
    }
}

/// What the system says, and what the user can do about it.
fn hint(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "it does not seem to run (start it with: systemctl --user start buttplugd)".into()
        }
        _ => source.to_string(),
    }
}

/// What the service says when it refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ServerError {
    /// The coarse kind.
    pub class: Class,
    /// What exactly happened; `None` from a service that is newer than this library, with a reason of its own.
    pub reason: Option<Reason>,
    /// For people.
    pub text: String,
}

impl From<v4::Error> for ServerError {
    fn from(error: v4::Error) -> Self {
        Self {
            class: Class::from_code(error.error_code),
            reason: error.error_reason.as_deref().and_then(Reason::parse),
            text: error.error_message,
        }
    }
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// The application disconnected.
    #[error("this application has disconnected")]
    ByClient,
    /// The service closed the connection, or died.
    #[error("the service has gone away")]
    ByServer,
    /// The service said why, and closed the connection.
    #[error("{0}")]
    Refused(ServerError),
    /// The connection broke, or carried what is no frame.
    #[error("the connection broke: {0}")]
    Broken(String),
}
