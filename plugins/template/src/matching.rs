//! How received bytes must begin: `35 13 .. ..`, `"OK"`.
//!
//! Bytes behind the pattern are not looked at.

use crate::error::Fault;
use crate::text::{At, Text};

/// The longest pattern for received bytes.
const MAX_LENGTH: usize = 256;

/// A pattern for received bytes; `None` is any byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Matching {
    bytes: Vec<Option<u8>>,
}

impl Matching {
    /// Reads a pattern; the fault comes with the byte where it is.
    pub(crate) fn read(whole: &str) -> Result<Self, At> {
        let mut text = Text::new(whole);
        let mut bytes = Vec::new();
        loop {
            text.skip_blanks();
            let at = text.at();
            match text.peek() {
                None if bytes.is_empty() => return Err((at, Fault::Empty)),
                None => return Ok(Self { bytes }),
                Some('.') => {
                    text.expect("..")?;
                    bytes.push(None);
                }
                Some('"') => {
                    text.next();
                    bytes.extend(text.take_while(|next| next != '"').bytes().map(Some));
                    text.expect("\"")?;
                }
                Some(_) => {
                    let digits = text.take_while(|next| next.is_ascii_hexdigit());
                    match (digits.len(), u8::from_str_radix(digits, 16)) {
                        (2, Ok(byte)) => bytes.push(Some(byte)),
                        (0, _) => return Err(text.unexpected("a byte, `..` or text")),
                        _ => return Err((at, Fault::BadNumber(String::from(digits)))),
                    }
                }
            }
            if bytes.len() > MAX_LENGTH {
                return Err((at, Fault::TooLong(MAX_LENGTH)));
            }
        }
    }

    /// Whether these bytes begin so.
    pub(crate) fn begins(&self, received: &[u8]) -> bool {
        received.len() >= self.bytes.len()
            && self
                .bytes
                .iter()
                .zip(received)
                .all(|(wanted, byte)| wanted.is_none_or(|wanted| wanted == *byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_with_bytes_any_byte_and_text() {
        let matching = Matching::read("35 .. \"OK\"").unwrap();
        assert!(matching.begins(&[0x35, 0xFF, b'O', b'K', 9]));
        assert!(!matching.begins(&[0x35, 0xFF, b'O']));
        assert!(!matching.begins(&[0x36, 0xFF, b'O', b'K']));
    }

    #[test]
    fn a_bad_pattern_says_where() {
        assert_eq!(Matching::read("35 1").unwrap_err().0, 3);
        assert_eq!(Matching::read("").unwrap_err().1, Fault::Empty);
        assert_eq!(Matching::read("35 .x").unwrap_err().0, 3);
    }
}
