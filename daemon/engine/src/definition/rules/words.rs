//! How a mistake is told, and the rules for single words and texts.

/// Takes a key path and what is wrong there.
pub(super) type Report<'a> = dyn FnMut(String, String) + 'a;

pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_')
}

pub(super) fn check_text(text: &str, at: &str, report: &mut Report<'_>) {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        report(at.into(), "is empty, or has a character that cannot be shown".into());
    }
}
