//! `definitions`: what `buttplugd` makes of definition files.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::program;
use crate::cli::Definitions;
use crate::failure::Failure;
use crate::print::Printer;

/// Answers one of the questions.
pub(crate) fn run(
    action: &Definitions,
    plugins: &[PathBuf],
    printer: &mut Printer,
) -> Result<ExitCode, Failure> {
    let mut arguments = plugin_paths(plugins);
    arguments.extend(question(action));
    let answer = program::ask(&arguments, printer.format)?;
    answer.print(printer)?;
    Ok(answer.status)
}

/// Where plugins are looked for too, as the program takes it.
pub(super) fn plugin_paths(plugins: &[PathBuf]) -> Vec<OsString> {
    plugins.iter().flat_map(|path| ["--plugin-path".into(), path.into()]).collect()
}

fn question(action: &Definitions) -> Vec<OsString> {
    // With `=`, no name or file can be taken for an option.
    let option = |name: &str, value: &std::ffi::OsStr| {
        let mut option = OsString::from(name);
        option.push("=");
        option.push(value);
        vec![option]
    };
    match action {
        Definitions::Check { file: Some(file) } => option("--definitions-check", file.as_os_str()),
        Definitions::Check { file: None } => vec!["--definitions-check".into()],
        Definitions::List => vec!["--definitions-list".into()],
        Definitions::Explain { name } => option("--definitions-explain", name.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_become_options_of_the_service() {
        let check = |file: Option<&str>| question(&Definitions::Check { file: file.map(Into::into) });
        assert_eq!(check(Some("a b.toml")), ["--definitions-check=a b.toml"]);
        assert_eq!(check(None), ["--definitions-check"]);
        assert_eq!(question(&Definitions::List), ["--definitions-list"]);
        let explain = Definitions::Explain { name: "--LVS-*".into() };
        assert_eq!(question(&explain), ["--definitions-explain=--LVS-*"]);
        assert_eq!(plugin_paths(&["/a".into(), "/b".into()]), ["--plugin-path", "/a", "--plugin-path", "/b"]);
    }
}
