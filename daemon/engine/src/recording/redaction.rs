//! What a recording does not tell of its user.

use super::hex;

/// Takes the address of a device out of what is recorded. Some devices put it into what they say (as bytes in either order, or as
/// digits), and some put its end into their name. Zeros take its place, so that lengths stay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redaction {
    /// What must not be seen. Digits are in lower case.
    hidden: Vec<Vec<u8>>,
    /// The digits of the address, for the end of a name.
    digits: String,
    policy: Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Policy {
    #[default]
    Hide,
    Show,
}

/// What stands between the digits of an address.
const SEPARATORS: [&str; 4] = ["", ":", "-", "_"];
/// The fewest digits of an address at the end of a name that are taken for such.
const NAME_DIGITS_MIN: usize = 4;

impl Redaction {
    /// Hides an address, if it is one of Bluetooth; those of other buses are never in packets.
    #[must_use]
    pub fn of(address: &str) -> Self {
        let digits: String =
            address.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_lowercase();
        let bytes = hex::bytes_of(&digits).filter(|bytes| bytes.len() == 6 && address.len() == 17);
        let Some(bytes) = bytes else { return Self::default() };
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        let mut hidden = Vec::new();
        for order in [&bytes, &reversed] {
            for separator in SEPARATORS {
                let pairs: Vec<String> = order.iter().map(|byte| format!("{byte:02x}")).collect();
                hidden.push(pairs.join(separator).into_bytes());
            }
        }
        hidden.extend([bytes, reversed]);
        Self { hidden, digits, policy: Policy::Hide }
    }

    /// Hides nothing.
    #[must_use]
    pub fn waived() -> Self {
        Self { policy: Policy::Show, ..Self::default() }
    }

    /// Whether the user wished for everything.
    #[must_use]
    pub fn is_waived(&self) -> bool {
        self.policy == Policy::Show
    }

    /// Bytes of a packet.
    #[must_use]
    pub fn bytes(&self, data: &[u8]) -> Vec<u8> {
        let mut shown = data.to_vec();
        for hidden in &self.hidden {
            let is_text = hidden.len() > 6;
            let found: Vec<usize> =
                data.windows(hidden.len())
                    .enumerate()
                    .filter(|(_, part)| {
                        if is_text { part.eq_ignore_ascii_case(hidden) } else { *part == hidden.as_slice() }
                    })
                    .map(|(at, _)| at)
                    .collect();
            for at in found {
                for byte in shown.iter_mut().skip(at).take(hidden.len()) {
                    *byte = match *byte {
                        _ if !is_text => 0,
                        digit if digit.is_ascii_hexdigit() => b'0',
                        separator => separator,
                    };
                }
            }
        }
        shown
    }

    /// A text for people.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// The name that a device shows, which may end in a part of its address.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        let name = self.text(name);
        let lower = name.to_ascii_lowercase();
        let longest = (NAME_DIGITS_MIN..=self.digits.len())
            .rev()
            .filter_map(|count| self.digits.get(self.digits.len() - count..))
            .find(|end| lower.ends_with(end));
        match longest.and_then(|end| name.get(..name.len() - end.len()).map(|rest| (rest, end.len()))) {
            Some((rest, count)) => format!("{rest}{}", "0".repeat(count)),
            None => name,
        }
    }
}
