//! `doctor`: what keeps devices from being reached, each with the one command that mends it. Works when the service does not.
//!
//! It looks and changes nothing. What is on this machine is in [`machine`], what the buses say in [`buses`], and what the service says of
//! its devices in [`devices`].

mod buses;
mod devices;
mod machine;

use std::path::PathBuf;
use std::process::ExitCode;

use buttplugd_client::{Connect, Error, Status, TransportState};
use serde::Serialize;
use serde_json::{Value, json};

use self::machine::{Machine, Wanted};
use super::program::{self, Said};
use crate::failure::Failure;
use crate::print::{Format, Printer};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Finding {
    check: &'static str,
    state: State,
    text: String,
    /// The command, or the deed, that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// In order.
    Well,
    /// Worth knowing; keeps nothing from working that is here now.
    Note,
    /// Some devices cannot be reached because of it.
    Broken,
}

impl Finding {
    fn well(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, state: State::Well, text: text.into(), mend: None }
    }

    fn note(check: &'static str, text: impl Into<String>, mend: &str) -> Self {
        Self { check, state: State::Note, text: text.into(), mend: Some(mend.to_owned()) }
    }

    fn broken(check: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, state: State::Broken, text: text.into(), mend: Some(mend.into()) }
    }
}

/// Looks at everything. The exit status is 1 when something is broken.
pub(super) async fn run(connect: Connect, printer: &mut Printer) -> Result<ExitCode, Failure> {
    let status = async { connect.connect().await?.status().await }.await;
    let running = status.as_ref().ok();
    let mut findings = vec![service(&status)];
    findings.extend(buses::session(running.is_some()));
    findings.extend(bluetooth(running));
    let machine = Machine { root: PathBuf::from("/") };
    findings.extend(machine.serial(ports_wanted(running)));
    findings.extend(machine.hid());
    findings.extend(running.map(|status| devices::known(&status.devices)).unwrap_or_default());
    findings.push(definitions());
    let is_well = findings.iter().all(|finding| finding.state != State::Broken);
    let (transports, warnings) = match running {
        Some(status) => (json!(status.transports), json!(status.warnings)),
        None => (Value::Null, Value::Null),
    };
    let all =
        json!({ "Well": is_well, "Findings": findings, "Transports": transports, "Warnings": warnings });
    printer.print(&all, || text(&findings))?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.state {
            State::Well => "ok",
            State::Note => "--",
            State::Broken => "!!",
        };
        text.push_str(&format!("{mark}  {:<12} {}\n", finding.check, finding.text));
        if let Some(mend) = &finding.mend {
            text.push_str(&format!("                 mend it: {mend}\n"));
        }
    }
    text
}

fn service(status: &Result<Status, Error>) -> Finding {
    const CHECK: &str = "service";
    let enabled = buses::said("systemctl", &["--user", "is-enabled", "buttplugd.socket"]);
    let is_enabled = enabled.as_deref().is_some_and(|said| said.trim() == "enabled");
    match status {
        Ok(status) if is_enabled => Finding::well(CHECK, format!("buttplugd {} runs", status.server_version)),
        Ok(status) => Finding::note(
            CHECK,
            format!("buttplugd {} runs, but does not start by itself", status.server_version),
            "systemctl --user enable --now buttplugd.socket",
        ),
        Err(error) if is_enabled => Finding::broken(
            CHECK,
            error.to_string(),
            "systemctl --user restart buttplugd.socket buttplugd.service",
        ),
        Err(error) => {
            Finding::broken(CHECK, error.to_string(), "systemctl --user enable --now buttplugd.socket")
        }
    }
}

/// What the service says if it runs, since it is what matters; else what BlueZ says.
fn bluetooth(status: Option<&Status>) -> Vec<Finding> {
    let own = status.and_then(|status| status.transports.iter().find(|one| one.name == "bluetooth"));
    match own.map(|one| one.state) {
        Some(TransportState::Ready) => {
            vec![Finding::well("bluetooth", "the service has an adapter, or waits for one at BlueZ")]
        }
        Some(TransportState::Off | TransportState::Unavailable) | None => buses::bluetooth(),
    }
}

/// Whether the service says that it could not open a serial port.
fn ports_wanted(status: Option<&Status>) -> Wanted {
    let Some(status) = status else { return Wanted::Unknown };
    let own = status.transports.iter().find(|one| one.name == "serial");
    match own.map(|one| one.state) {
        Some(TransportState::Unavailable) => Wanted::Yes,
        Some(TransportState::Ready | TransportState::Off) | None => Wanted::No,
    }
}

fn definitions() -> Finding {
    const CHECK: &str = "definitions";
    let answer = match program::ask(&["--definitions-check".into()], Format::Json) {
        Ok(answer) => answer,
        Err(failure) => {
            return Finding::broken(CHECK, failure.to_string(), "install buttplugd beside buttplugctl");
        }
    };
    match &answer.said {
        Said::Json(Value::Object(said)) => {
            let problems = said.get("Problems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            match problems {
                [] => Finding::well(CHECK, "all definitions and plugins are in order"),
                [first, ..] => {
                    let word = |key: &str| first.get(key).and_then(Value::as_str).unwrap_or_default();
                    let text = format!(
                        "{} mistakes, the first: {}: {}",
                        problems.len(),
                        word("File"),
                        word("Reason")
                    );
                    Finding::broken(CHECK, text, "buttplugctl definitions check, which lists them all")
                }
            }
        }
        Said::Json(_) | Said::Text(_) => Finding::broken(
            "configuration",
            "the configuration has a mistake",
            "buttplugd --check-config, which says where",
        ),
    }
}
