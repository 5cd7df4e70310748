//! Standard output: text for people or JSON for scripts, flushed line by line so that pipes see it at once.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Text that cannot steer a terminal: names of devices and applications come from anywhere, and may hold escape sequences.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    const SHOWN_INSTEAD: char = '\u{fffd}';

    let steers = |letter: char| letter.is_control() && letter != '\n';
    if text.contains(steers) {
        let shown = text.chars().map(|letter| if steers(letter) { SHOWN_INSTEAD } else { letter });
        Cow::Owned(shown.collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Says on standard error what went wrong.
pub(crate) fn report(failure: &Failure, format: Format) {
    if failure.is_enough() {
        return;
    }
    match format {
        Format::Text => {
            eprintln!("buttplugctl: {}", plain(&failure.to_string()));
            if let Some(hint) = failure.hint() {
                eprintln!("  {hint}");
            }
        }
        Format::Json => eprintln!("{}", failure.as_json()),
    }
}

/// Prints in one format.
pub(crate) struct Printer {
    pub(crate) format: Format,
    out: io::Stdout,
}

impl Printer {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, out: io::stdout() }
    }

    /// Prints `value` as one line of JSON, or `text` as it is.
    pub(crate) fn print(
        &mut self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => {
                let line = serde_json::to_string(value)?;
                writeln!(self.out, "{line}")?;
            }
            Format::Text => write!(self.out, "{}", plain(&text()))?,
        }
        self.out.flush()?;
        Ok(())
    }

    /// Writes what is no answer but, say, a picture.
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()?;
        Ok(())
    }

    /// Says something beside the answer; scripts do not get it.
    pub(crate) fn remark(&self, text: &str) {
        if self.format == Format::Text {
            eprintln!("{}", plain(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_steer_the_terminal() {
        assert_eq!(plain("Täpper 🎛\nnext"), "Täpper 🎛\nnext");
        assert_eq!(plain("evil\u{1b}[2J\r\u{9b}x"), "evil\u{fffd}[2J\u{fffd}\u{fffd}x");
    }
}
