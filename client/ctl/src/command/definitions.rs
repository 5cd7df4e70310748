//! `definitions`: asks the program `buttplugd` itself, since only it reads definition files. Passes its output and status through.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::cli::Definitions;
use crate::failure::Failure;

const PROGRAM: &str = "buttplugd";

/// Runs `buttplugd` for one of the actions.
pub(crate) fn run(action: &Definitions) -> Result<ExitCode, Failure> {
    let beside = env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf));
    let program = find(beside.as_deref());
    let status = Command::new(&program).args(arguments(action)).status().map_err(|source| {
        let doing = "could not run buttplugd, which knows the definitions";
        Failure::System { doing, source }
    })?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The one that was installed with this program, else whichever the shell would take.
fn find(beside: Option<&Path>) -> PathBuf {
    match beside.map(|folder| folder.join(PROGRAM)) {
        Some(path) if path.is_file() => path,
        _ => PROGRAM.into(),
    }
}

fn arguments(action: &Definitions) -> Vec<OsString> {
    match action {
        Definitions::Check { file } => vec!["--definitions-check".into(), file.into()],
        Definitions::List => vec!["--definitions-list".into()],
        Definitions::Explain { name } => vec!["--definitions-explain".into(), name.into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_beside_this_one_comes_first() {
        let folder = env::temp_dir().join(format!("buttplugctl-definitions-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(find(Some(&folder)), PathBuf::from("buttplugd"));
        std::fs::write(folder.join("buttplugd"), "").unwrap();
        assert_eq!(find(Some(&folder)), folder.join("buttplugd"));
        assert_eq!(find(None), PathBuf::from("buttplugd"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn actions_become_options_of_the_service() {
        let check = Definitions::Check { file: "a b.toml".into() };
        assert_eq!(arguments(&check), ["--definitions-check", "a b.toml"]);
        assert_eq!(arguments(&Definitions::List), ["--definitions-list"]);
        assert_eq!(
            arguments(&Definitions::Explain { name: "LVS-*".into() }),
            ["--definitions-explain", "LVS-*"]
        );
    }
}
