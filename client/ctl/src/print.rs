//! Standard output: text for people or JSON for scripts, flushed line by line so that pipes see it at once.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
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
            Format::Text => write!(self.out, "{}", text())?,
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
            eprintln!("{text}");
        }
    }
}
