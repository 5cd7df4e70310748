//! The conversation with a Lovense dongle as a value: reports in, lines out, no I/O.
//!
//! The dongle speaks one JSON object a line, which ends with CR LF. For one that is a HID device a line is cut into reports of 65 bytes:
//! a report number of 0, up to 63 bytes of text filled up with zeros, and a zero.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// Bytes of text in one report.
const TEXT: usize = 63;
/// A whole report to the dongle.
const REPORT: usize = 65;
/// The longest line. A dongle that sends more without an end sends nonsense.
const LINE_MAX: usize = 4096;
/// The time that the dongle is given to say what it has; asked for more before, it locks up.
const STATUS_LIMIT: Duration = Duration::from_millis(250);
/// The time that the dongle has to end its search.
const STOP_LIMIT: Duration = Duration::from_secs(2);

const ASK_STATUS: &str = r#"{"type":"toy","func":"statuss"}"#;
const SEARCH: &str = r#"{"type":"toy","func":"search"}"#;
/// Ends a search.
pub(super) const STOP_SEARCH: &str = r#"{"type":"usb","func":"stopSearch"}"#;

/// `result` of `search`: it ended.
const SEARCH_ENDED: u64 = 206;
/// `data.status` of `status`: a toy is connected.
const CONNECTED: u64 = 202;
/// `data.status` of `status`: the toy is gone.
const DISCONNECTED: u64 = 403;

/// A line as reports.
pub(super) fn reports(line: &str) -> Vec<[u8; REPORT]> {
    let text = format!("{line}\r\n");
    let report = |piece: &[u8]| {
        let mut report = [0; REPORT];
        for (place, byte) in report.iter_mut().skip(1).zip(piece) {
            *place = *byte;
        }
        report
    };
    text.as_bytes().chunks(TEXT).map(report).collect()
}

/// The text in a report of the dongle.
pub(super) fn text_of(report: &[u8]) -> Vec<u8> {
    let text = report.split_last().map_or(report, |(_, text)| text);
    text.iter().copied().filter(|byte| *byte != 0).collect()
}

/// A command to a toy. The order of the members is that of the maker's own program.
pub(super) fn command(toy: &str, text: &str) -> String {
    let (toy, text) = (json!(toy), json!(text));
    format!(r#"{{"type":"toy","func":"command","id":{toy},"cmd":{text}}}"#)
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Send this line.
    Send(String),
    /// This toy can be spoken to.
    Found(String),
    /// The toy said this.
    Notified(Vec<u8>),
    /// The toy is gone.
    Lost,
}

/// How often the dongle was asked. The first question is lost if the line before it was cut: the dongle takes it for the rest of that. (An
/// empty line would end that too, but nobody knows what a dongle makes of one.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    First,
    Second,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// The dongle was asked what it has.
    Asking {
        until: Instant,
        time: Time,
    },
    Searching,
    /// A toy was found; the search has to end before it can be spoken to.
    Ending {
        toy: String,
        until: Instant,
    },
    Connected {
        toy: String,
    },
}

/// The conversation.
#[derive(Debug)]
pub(super) struct Talk {
    state: State,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
}

impl Talk {
    pub(super) fn new(now: Instant) -> Self {
        Self { state: State::Asking { until: now + STATUS_LIMIT, time: Time::First }, line: Vec::new() }
    }

    /// Asks what the dongle has.
    pub(super) fn begin(&self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Send(ASK_STATUS.to_owned()));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Asking { until, .. } | State::Ending { until, .. } => Some(*until),
            State::Searching | State::Connected { .. } => None,
        }
    }

    pub(super) fn deadline_passed(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        match &self.state {
            State::Asking { until, time: Time::First } if *until <= now => {
                self.state = State::Asking { until: now + STATUS_LIMIT, time: Time::Second };
                self.begin(effects);
            }
            State::Asking { until, time: Time::Second } if *until <= now => self.search(effects),
            // It does not say so, but it has had its time.
            State::Ending { toy, until } if *until <= now => self.connected(toy.clone(), effects),
            State::Asking { .. } | State::Ending { .. } | State::Searching | State::Connected { .. } => {}
        }
    }

    /// Takes some text, whole lines or not. What is no line of the dongle is passed over.
    pub(super) fn heard(&mut self, now: Instant, text: &[u8], effects: &mut Vec<Effect>) {
        for byte in text {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > LINE_MAX {
                    tracing::debug!("the dongle sends a line without an end");
                    self.line.clear();
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            match serde_json::from_slice::<Value>(&line) {
                Ok(said) => self.said(now, &said, effects),
                Err(error) => tracing::debug!(%error, "the dongle sends a line that is no JSON"),
            }
        }
    }

    fn said(&mut self, now: Instant, said: &Value, effects: &mut Vec<Effect>) {
        let data = said.get("data").unwrap_or(&Value::Null);
        let toy = data.get("id").and_then(Value::as_str);
        match (said.get("func").and_then(Value::as_str), &self.state) {
            (Some("status"), State::Asking { .. } | State::Searching) => {
                if number(data.get("status")) == Some(CONNECTED)
                    && let Some(toy) = toy
                {
                    if self.state == State::Searching {
                        self.end_search(now, toy, effects);
                    } else {
                        self.connected(toy.to_owned(), effects);
                    }
                }
            }
            (Some("status"), State::Connected { toy: ours }) => {
                let is_ours = toy.is_none_or(|toy| toy == ours);
                if number(data.get("status")) == Some(DISCONNECTED) && is_ours {
                    effects.push(Effect::Lost);
                }
            }
            (Some("search"), State::Searching) => {
                if number(said.get("result")) == Some(SEARCH_ENDED) {
                    self.search(effects);
                }
            }
            (Some("search"), State::Ending { toy, .. }) => {
                if number(said.get("result")) == Some(SEARCH_ENDED) {
                    self.connected(toy.clone(), effects);
                }
            }
            (Some("toyData"), State::Searching) => {
                if let Some(toy) = toy {
                    self.end_search(now, toy, effects);
                }
            }
            (Some("toyData"), State::Connected { toy: ours }) => {
                let text = data.get("data").and_then(Value::as_str);
                if let Some(text) = text.filter(|_| toy.is_none_or(|toy| toy == ours)) {
                    effects.push(Effect::Notified(text.as_bytes().to_vec()));
                }
            }
            (Some(_) | None, _) => {}
        }
    }

    fn search(&mut self, effects: &mut Vec<Effect>) {
        self.state = State::Searching;
        effects.push(Effect::Send(SEARCH.to_owned()));
    }

    fn end_search(&mut self, now: Instant, toy: &str, effects: &mut Vec<Effect>) {
        self.state = State::Ending { toy: toy.to_owned(), until: now + STOP_LIMIT };
        effects.push(Effect::Send(STOP_SEARCH.to_owned()));
    }

    fn connected(&mut self, toy: String, effects: &mut Vec<Effect>) {
        self.state = State::Connected { toy: toy.clone() };
        effects.push(Effect::Found(toy));
    }
}

/// A number, which some firmwares put in quotes.
fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
