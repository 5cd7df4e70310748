//! Recordings as files, and what the results in them mean on a bus. The format is the engine's.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use engine::recording::{Head, Recording, Shown, Step, Unplayable};

use super::{TransportFault, dongle};

/// The longest file that is read, in bytes: hours of a busy device.
const FILE_MAX: u64 = 64 * 1024 * 1024;
/// The result of a transfer that went well.
const OK: &str = "ok";

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read.
    #[error("cannot read the recording {path}: {why}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        why: io::Error,
    },
    /// It does not have what it should.
    #[error("{path}: {why}")]
    Unplayable {
        /// The file.
        path: String,
        /// What is wrong.
        why: Unplayable,
    },
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, is no recording, or is a newer one.
pub fn load(path: &Path) -> Result<Recording, RecordingError> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|why| RecordingError::Read { path: name.clone(), why })?;
    let is_short = u64::try_from(bytes.len()).is_ok_and(|length| length <= FILE_MAX);
    let parsed = match String::from_utf8(bytes) {
        Ok(text) if is_short => Recording::parse(&text),
        Ok(_) | Err(_) => Err(Unplayable::Other),
    };
    parsed.map_err(|why| RecordingError::Unplayable { path: name, why })
}

/// The name of the bus on which devices show themselves like this.
pub const fn bus(shown: &Shown) -> &'static str {
    match shown {
        Shown::Bluetooth { .. } => "bluetooth",
        Shown::Serial { .. } => "serial",
        Shown::Hid { .. } => "hid",
        Shown::Websocket { .. } => super::websocket::NAME,
        Shown::Gamepad { .. } => super::gamepad::NAME,
        Shown::Simulated { .. } => "simulated",
    }
}

/// The name of the bus that a recorded device was on.
pub(super) fn recorded_bus(head: &Head) -> &'static str {
    match head.bus.as_deref() {
        Some(dongle::NAME) => dongle::NAME,
        Some(_) | None => bus(&head.shown),
    }
}

/// The outcome of a transfer; one without a result went well.
///
/// # Errors
/// What the transport said, as far as the file has it.
pub(super) fn outcome(step: &Step) -> Result<(), TransportFault> {
    let result = step.result.as_deref().unwrap_or(OK);
    let (word, text) = result.split_once(": ").unwrap_or((result, result));
    let text = text.to_owned();
    match word {
        OK => Ok(()),
        "disconnected" => Err(TransportFault::Disconnected(text)),
        "timed-out" => Err(TransportFault::TimedOut(text.parse().unwrap_or_default())),
        "no-endpoint" => Err(TransportFault::NoEndpoint(text)),
        "not-allowed" => Err(TransportFault::NotAllowed(text)),
        "not-paired" => Err(TransportFault::NotPaired(text)),
        _ => Err(TransportFault::Refused(text)),
    }
}

/// The words of a result.
pub(super) fn result<T>(result: &Result<T, TransportFault>) -> String {
    match result {
        Ok(_) => OK.to_owned(),
        Err(TransportFault::Disconnected(text)) => format!("disconnected: {text}"),
        Err(TransportFault::TimedOut(ms)) => format!("timed-out: {ms}"),
        Err(TransportFault::NoEndpoint(name)) => format!("no-endpoint: {name}"),
        Err(TransportFault::NotAllowed(text)) => format!("not-allowed: {text}"),
        Err(TransportFault::NotPaired(text)) => format!("not-paired: {text}"),
        Err(TransportFault::Refused(text)) => format!("refused: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_as_it_was_written() {
        let faults = [
            TransportFault::Disconnected("gone".into()),
            TransportFault::TimedOut(500),
            TransportFault::NoEndpoint("tx".into()),
            TransportFault::NotAllowed("no: never".into()),
            TransportFault::NotPaired("pair it".into()),
            TransportFault::Refused("no".into()),
        ];
        for outcome in faults.into_iter().map(Err).chain([Ok(())]) {
            let what = engine::recording::What::Missed { steps: 1 };
            let step = Step { at_ms: 0, what, result: Some(result(&outcome)) };
            assert_eq!(super::outcome(&step), outcome);
        }
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let said = |path: &str| load(Path::new(path)).unwrap_err().to_string();
        assert!(said("/nonexistent").contains("/nonexistent"));
        assert!(said("/dev/zero").contains("is no recording"));
    }
}
