//! What went wrong with a command: one line for people, or JSON for scripts, and the exit status.

use std::io;
use std::process::ExitCode;

use buttplugd_client::{Error, Reason};
use serde_json::json;

/// The command was refused or failed.
const FAILED: u8 = 1;
/// The command line makes no sense; as clap has it.
const USAGE: u8 = 2;
/// The service does not run, or cannot be reached.
const NO_SERVICE: u8 = 3;

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] Error),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Refused(String),
    #[error("{doing}: {source}")]
    System { doing: &'static str, source: io::Error },
    #[error("could not write the output: {0}")]
    Output(#[from] io::Error),
    #[error("could not write the output as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(Error::Connect { .. } | Error::NoSocketPath) => ExitCode::from(NO_SERVICE),
            Self::Usage(_) => ExitCode::from(USAGE),
            _ if self.is_enough() => ExitCode::SUCCESS,
            _ => ExitCode::from(FAILED),
        }
    }

    /// Whoever read the output has enough, as with `| head`.
    pub(crate) fn is_enough(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// For scripts: the text, and class and reason where the service gave them.
    pub(crate) fn as_json(&self) -> serde_json::Value {
        let (class, reason) = match self {
            Self::Client(error) => (error.class(), error.reason()),
            _ => (None, None),
        };
        json!({"Error": {
            "Text": self.to_string(),
            "Class": class.map(|class| class.name()),
            "Reason": reason.map(|reason| reason.word()),
        }})
    }

    /// What the user can do, where the text does not say it already.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        let Self::Client(error) = self else { return None };
        match error.reason()? {
            Reason::NoTransport | Reason::TransportUnavailable | Reason::ScanFailed => {
                Some("`buttplugctl doctor` says what is missing")
            }
            Reason::Reserved => Some("`buttplugctl clients` says who has it"),
            Reason::WriteFailed | Reason::WriteTimedOut | Reason::ReadFailed | Reason::ReadTimedOut => {
                Some("look at the device's battery and how far away it is, then try again")
            }
            Reason::DeviceNotConnected | Reason::DeviceLost => {
                Some("switch the device on, then: buttplugctl scan")
            }
            Reason::ExtensionRequired => Some("the service that runs is too old for this command"),
            _ => None,
        }
    }
}
