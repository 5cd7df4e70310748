//! Reads what devices answer. Nothing is taken for granted: what does not read as an answer is `None`.

/// The identifier in an answer to `DeviceType;`: `"P:02:0082059AD3BD;"` is `P`.
pub(crate) fn identifier(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok()?.trim_end();
    let mut fields = text.trim_end_matches(';').split(':');
    let kind = fields.next().filter(|kind| !kind.is_empty())?;
    let version = fields.next()?.parse::<u32>().unwrap_or(0);
    // The same letters stand for two machines: from this version on the Flexer has its finger.
    if kind == "EI" && version >= 3 { Some("EI-FW3".to_owned()) } else { Some(kind.to_owned()) }
}

/// The identifier in an advertised name: `"LVS-Domi37"` has none, `"LVS-P36"` has `P`.
pub(crate) fn identifier_in_name(name: &str) -> Option<&str> {
    let (_, rest) = name.split_once("LVS-")?;
    let end = rest.find(|letter: char| !letter.is_ascii_uppercase())?;
    let (letters, after) = rest.split_at(end);
    let digit_follows = after.starts_with(|letter: char| letter.is_ascii_digit());
    (digit_follows && !letters.is_empty()).then_some(letters)
}

/// The percent in an answer to `Battery;`: `"85;"`, or `"s85;"` while the device runs.
pub(crate) fn battery(data: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(data).ok()?.trim_end();
    let text = text.strip_suffix(';').unwrap_or(text);
    let digits = if text.contains('s') { text.get(1..)? } else { text };
    digits.parse().ok().filter(|percent| (0..=100).contains(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read() {
        assert_eq!(identifier(b"P:02:0082059AD3BD;").as_deref(), Some("P"));
        assert_eq!(identifier(b"EI:2:0082059AD3BD;").as_deref(), Some("EI"));
        assert_eq!(identifier(b"EI:03:0082059AD3BD;").as_deref(), Some("EI-FW3"));
        assert_eq!(identifier(b"EI:x:0082059AD3BD;").as_deref(), Some("EI"));
    }

    #[test]
    fn what_is_no_type_is_passed_over() {
        for noise in [&b"OK;"[..], b"85;", b"", b":1;", b"\xff\xfe:1;"] {
            assert_eq!(identifier(noise), None, "{}", noise.escape_ascii());
        }
    }

    #[test]
    fn names_have_letters_before_a_digit() {
        assert_eq!(identifier_in_name("LVS-P36"), Some("P"));
        assert_eq!(identifier_in_name("LVS-ED052"), Some("ED"));
        assert_eq!(identifier_in_name("LVS-Domi37"), None);
        assert_eq!(identifier_in_name("LVS-36"), None);
        assert_eq!(identifier_in_name("LVS-P"), None);
        assert_eq!(identifier_in_name("LOVE-P36"), None);
    }

    #[test]
    fn batteries_are_read() {
        assert_eq!(battery(b"100;"), Some(100));
        assert_eq!(battery(b"s89;"), Some(89));
        for noise in [&b"OK;"[..], b"101;", b"-1;", b"s;", b"", b"P:02:0082059AD3BD;", b"\xff;"] {
            assert_eq!(battery(noise), None, "{}", noise.escape_ascii());
        }
    }
}
