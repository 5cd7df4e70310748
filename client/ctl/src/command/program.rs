//! Asks the program `buttplugd` what only it knows, since only it reads definitions: its answer, and whether all is well.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

use crate::failure::Failure;
use crate::print::{Format, Printer};

const PROGRAM: &str = "buttplugd";

/// What the program answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) said: Said,
    pub(crate) status: ExitCode,
    pub(crate) is_well: bool,
}

/// An answer, in the format that was asked for.
#[derive(Debug)]
pub(crate) enum Said {
    Text(String),
    Json(Value),
}

/// Asks the program. Why it refused is told as if it were this one, since nobody ran the other.
pub(crate) fn ask(arguments: &[OsString], format: Format) -> Result<Answer, Failure> {
    let beside = env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf));
    let mut command = Command::new(find(beside.as_deref()));
    if format == Format::Json {
        command.arg("--json");
    }
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|source| {
        let doing = "could not run buttplugd, which knows the definitions";
        Failure::System { doing, source }
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    match complaint.strip_prefix(PROGRAM).and_then(|rest| rest.strip_prefix(": ")) {
        Some(why) if text.trim().is_empty() && output.status.code() == Some(1) => {
            return Err(Failure::Refused(why.trim_end().to_owned()));
        }
        Some(_) | None => io::stderr().write_all(&output.stderr)?,
    }
    let said = match format {
        // Without an answer, the program has said on standard error why.
        Format::Json if text.trim().is_empty() => Said::Json(Value::Null),
        Format::Json => Said::Json(serde_json::from_str(&text)?),
        Format::Text => Said::Text(text),
    };
    let code = output.status.code().and_then(|code| u8::try_from(code).ok());
    let status = code.map_or(ExitCode::FAILURE, ExitCode::from);
    Ok(Answer { said, status, is_well: output.status.success() })
}

impl Answer {
    /// Prints it.
    pub(crate) fn print(&self, printer: &mut Printer) -> Result<(), Failure> {
        match &self.said {
            Said::Json(Value::Null) => Ok(()),
            Said::Json(value) => printer.print(value, String::new),
            Said::Text(text) => printer.print(&(), || text.clone()),
        }
    }
}

/// The one that was installed with this program, else whichever the shell would take.
fn find(beside: Option<&Path>) -> PathBuf {
    match beside.map(|folder| folder.join(PROGRAM)) {
        Some(path) if path.is_file() => path,
        _ => PROGRAM.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_beside_this_one_comes_first() {
        let folder = env::temp_dir().join(format!("buttplugctl-program-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(find(Some(&folder)), PathBuf::from("buttplugd"));
        std::fs::write(folder.join("buttplugd"), "").unwrap();
        assert_eq!(find(Some(&folder)), folder.join("buttplugd"));
        assert_eq!(find(None), PathBuf::from("buttplugd"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
