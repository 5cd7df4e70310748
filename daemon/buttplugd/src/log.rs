//! Log lines to stderr: for people at a terminal, for the journal under systemd, plain otherwise.
//!
//! Under systemd a line begins with its priority in angle brackets and has no time, since the journal has its own. What is
//! logged stays free of the names of people and devices at level info: this is intimate data.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer},
    },
    registry::LookupSpan,
};

use crate::config::value::LogLevel;

/// Starts logging. What `asked` says comes first, then `RUST_LOG`, then `configured`.
///
/// # Errors
/// When `RUST_LOG` cannot be read, or logging was started before.
pub fn start(asked: Option<LogLevel>, configured: LogLevel) -> Result<(), LogError> {
    let filter = match (asked, std::env::var("RUST_LOG")) {
        (None, Ok(filter)) if !filter.is_empty() => EnvFilter::try_new(filter)?,
        (asked, _) => EnvFilter::try_new(asked.unwrap_or(configured).name())?,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = if is_journal() {
        builder.with_ansi(false).event_format(Prioritised(Format::default().without_time())).try_init()
    } else {
        let colours =
            io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        builder.with_ansi(colours).try_init()
    };
    started.map_err(|error| LogError::Started(error.to_string()))
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `RUST_LOG` is not a filter.
    #[error("RUST_LOG is not a filter such as `info,buttplugd=debug`: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// It was started before.
    #[error("cannot start logging: {0}")]
    Started(String),
}

/// Whether stderr goes to the journal: systemd names the stream in `JOURNAL_STREAM`, and a redirection later makes it stale.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stat| names_stream(&stream, stat.st_dev, stat.st_ino))
}

fn names_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream.split_once(':').is_some_and(|(d, i)| d.parse() == Ok(device) && i.parse() == Ok(inode))
}

/// Puts the priority that the journal understands before each line.
struct Prioritised(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Prioritised
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// The numbers of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Has a panic logged with its place, and nothing more: the task that panicked ends, the service goes on and stops what
/// that task drove.
pub fn hook_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no text");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a part of the service panicked: {text}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_journal_stream_is_not_the_journal() {
        assert!(names_stream("8:42", 8, 42));
        assert!(!names_stream("8:43", 8, 42));
        assert!(!names_stream("8", 8, 42));
        assert!(!names_stream("", 0, 0));
    }

    #[test]
    fn priorities_are_those_of_syslog() {
        let priorities = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE].map(priority);
        assert_eq!(priorities, [3, 4, 6, 7, 7]);
    }
}
