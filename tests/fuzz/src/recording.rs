//! The file of a recording, as somebody attaches it to a report.

use engine::recording::{Recording, Redaction, line};

const ADDRESS: &str = "C4:4F:33:A1:B2:D3";

/// Any text: what can be read can be written, and reads the same again; and nothing of an address is left where it is hidden.
pub fn recording(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let recording = match Recording::parse(text) {
        Ok(recording) => recording,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let written = |redaction: &Redaction| {
        let head = line(&recording.head).expect("what was read can be written");
        let steps = recording.steps.iter().map(|step| step.line(redaction).expect("and each step too"));
        std::iter::once(head).chain(steps).collect::<Vec<_>>().join("\n")
    };
    let again = Recording::parse(&written(&Redaction::waived())).expect("what was written can be read");
    assert_eq!(again, recording);
    let hidden = Recording::parse(&written(&Redaction::of(ADDRESS))).expect("so can what is hidden");
    assert_eq!(hidden.steps.len(), recording.steps.len());
    for step in &hidden.steps {
        let line = line(step).expect("what was read can be written");
        assert!(!line.to_ascii_uppercase().contains(ADDRESS), "{line}");
    }
}
