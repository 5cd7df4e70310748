//! `config`: what the user wants of devices. `buttplugd` changes the file, and the service that runs is told to read it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use buttplugd_client::{Connect, Error, Extension};
use serde_json::{Value, json};

use super::ANSWER_WITHIN;
use super::definitions::plugin_paths;
use super::program::{self, Said};
use crate::cli::{Config, OutputKind};
use crate::failure::Failure;
use crate::print::Printer;

/// Makes one change, or shows what was changed.
pub(crate) async fn run(
    action: &Config,
    plugins: &[PathBuf],
    socket: Option<PathBuf>,
    printer: &mut Printer,
) -> Result<ExitCode, Failure> {
    let mut arguments = plugin_paths(plugins);
    arguments.extend(order(action));
    let mut answer = program::ask(&arguments, printer.format)?;
    let changes = match action {
        Config::Show => false,
        Config::Rename { .. }
        | Config::Cap { .. }
        | Config::Deny { .. }
        | Config::Allow { .. }
        | Config::Import { .. } => true,
    };
    if !changes || !answer.is_well {
        answer.print(printer)?;
        return Ok(answer.status);
    }
    let reload = reload(socket).await;
    match &mut answer.said {
        Said::Text(text) => text.push_str(&match &reload {
            Reload::Done => "  in force now\n".to_owned(),
            Reload::NotRunning => "  in force when the service starts; it does not run\n".to_owned(),
            Reload::Failed(why) => format!("  but the service that runs did not take it: {why}\n"),
        }),
        Said::Json(Value::Object(members)) => {
            let (state, why) = match &reload {
                Reload::Done => ("reloaded", None),
                Reload::NotRunning => ("not-running", None),
                Reload::Failed(why) => ("failed", Some(why)),
            };
            members.insert("Service".to_owned(), json!({ "State": state, "Reason": why }));
        }
        Said::Json(_) => {}
    }
    answer.print(printer)?;
    Ok(match reload {
        Reload::Done | Reload::NotRunning => ExitCode::SUCCESS,
        Reload::Failed(_) => ExitCode::FAILURE,
    })
}

/// What became of the word to the service.
enum Reload {
    Done,
    /// There is none to be told.
    NotRunning,
    Failed(String),
}

async fn reload(socket: Option<PathBuf>) -> Reload {
    let mut connect = Connect::new("buttplugctl").answer_within(ANSWER_WITHIN).extension(Extension::Monitor);
    if let Some(socket) = socket {
        connect = connect.socket(socket);
    }
    let told = async { connect.connect().await?.reload().await };
    match told.await {
        Ok(()) => Reload::Done,
        Err(Error::Connect { .. } | Error::NoSocketPath) => Reload::NotRunning,
        Err(error) => Reload::Failed(error.to_string()),
    }
}

/// The change, as the program takes it.
fn order(action: &Config) -> Vec<OsString> {
    let mut order: Vec<OsString> = vec!["config".into()];
    // After `--`, no name can be taken for an option.
    match action {
        Config::Rename { device, name } => {
            order.extend(["rename".into(), "--".into(), device.into()]);
            order.extend(name.iter().map(Into::into));
        }
        Config::Cap { device, feature, kind, most } => order.extend([
            "cap".into(),
            "--".into(),
            device.into(),
            feature.to_string().into(),
            definition_name(*kind).into(),
            most.into(),
        ]),
        Config::Deny { device } => order.extend(["deny".into(), "--".into(), device.into()]),
        Config::Allow { device, only } => {
            order.push("allow".into());
            order.extend(only.then(|| "--only".into()));
            order.extend(["--".into(), device.into()]);
        }
        Config::Import { file, replace } => {
            order.push("import".into());
            order.extend(replace.then(|| "--replace".into()));
            order.extend(["--".into(), file.into()]);
        }
        Config::Show => order.push("show".into()),
    }
    order
}

/// What definition files call a kind of output.
fn definition_name(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::Vibrate => "vibrate",
        OutputKind::Rotate => "rotate",
        OutputKind::Oscillate => "oscillate",
        OutputKind::Constrict => "constrict",
        OutputKind::Temperature => "temperature",
        OutputKind::Led => "led",
        OutputKind::Spray => "spray",
        OutputKind::Position => "position",
        OutputKind::Move => "position-with-duration",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_become_an_order_that_no_name_can_bend() {
        let rename = Config::Rename { device: "-1".into(), name: Some("--json".into()) };
        assert_eq!(order(&rename), ["config", "rename", "--", "-1", "--json"]);
        let cap = Config::Cap { device: "3".into(), feature: 1, kind: OutputKind::Move, most: "50%".into() };
        assert_eq!(order(&cap), ["config", "cap", "--", "3", "1", "position-with-duration", "50%"]);
        let allow = Config::Allow { device: "3".into(), only: true };
        assert_eq!(order(&allow), ["config", "allow", "--only", "--", "3"]);
        let import = Config::Import { file: "-a.json".into(), replace: false };
        assert_eq!(order(&import), ["config", "import", "--", "-a.json"]);
    }
}
