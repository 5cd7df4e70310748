//! VibCrafter and Vibio devices: sealed text over Bluetooth LE, and questions to answer before anything moves.
//!
//! The two differ in the key and in the length of the first word, which are params of the definition.

use plugin_sdk::{Endpoint, Event, Failure, Info, Model, Ops, Output, Protocol, Seal, Values};
use sha2::{Digest, Sha256};

plugin_sdk::export! { id: "vibcrafter", protocols: { "vibcrafter" => VibCrafter, "vibio" => VibCrafter } }

/// What words are made of.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// One device.
#[derive(Debug)]
pub struct VibCrafter {
    tx: Endpoint,
    rx: Endpoint,
    seal: Seal,
    /// What is said first; `None` once the device is satisfied.
    word: Option<String>,
    values: Option<Values>,
}

impl Protocol for VibCrafter {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        let key = info.param("key").and_then(|key| key.as_bytes().try_into().ok());
        let length = info.param("word").and_then(|length| length.parse().ok());
        let (Some(key), Some(length)) = (key, length) else {
            return Err(Failure::failed(
                "the definition lacks the params key (16 bytes) and word (a length)",
            ));
        };
        Ok(Self {
            tx: info.require("tx")?,
            rx: info.require("rx")?,
            seal: Seal::new(key),
            word: Some(random_word(info.seed, length)),
            values: None,
        })
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let outputs = model.actuators().count();
        if outputs > 2 {
            return Err(Failure::failed(format!("no packet is known for {outputs} outputs")));
        }
        self.values = Some(Values::new(model));
        ops.subscribe(self.rx);
        if let Some(word) = &self.word {
            self.say(&format!("Auth:{word};"), ops);
        }
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        let values = self.values.as_mut().ok_or(Failure::Unsupported)?;
        values.apply(set);
        let (first, second) = (values.nth(0), values.nth(1));
        self.say(&format!("MtInt:{first:02}{second:02};"), ops);
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Event::Notified { data, .. } = event
            && self.word.is_some()
        {
            // The host's limit for the bring-up is the limit of these answers.
            let said = self.seal.open(data).ok_or(Failure::bad_reply("an answer that does not open"))?;
            match Said::of(&said) {
                Some(Said::Satisfied) => {
                    self.word = None;
                    ops.ready();
                }
                Some(Said::Question(question)) => {
                    let hash = Sha256::digest(question);
                    let answer: String = hash.iter().take(2).map(|byte| format!("{byte:02x}")).collect();
                    self.say(&format!("Auth:{answer};"), ops);
                }
                None => return Err(Failure::bad_reply("an answer that is no question")),
            }
        }
        Ok(())
    }
}

impl VibCrafter {
    fn say(&self, text: &str, ops: &mut Ops<'_>) {
        ops.write(self.tx, &self.seal.seal(text.as_bytes()));
    }
}

/// What the device says at bring-up.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Satisfied,
    /// To be hashed.
    Question(&'a [u8]),
}

impl<'a> Said<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        let said = text.strip_suffix(b";")?;
        match said {
            b"OK" => Some(Self::Satisfied),
            _ => {
                let (number, rest) = said.split_at_checked(4)?;
                let question = rest.strip_prefix(b":")?;
                let right = number.iter().all(u8::is_ascii_alphanumeric) && !question.contains(&b';');
                (right && !question.is_empty()).then_some(Self::Question(question))
            }
        }
    }
}

/// A word that differs from connection to connection.
fn random_word(seed: u64, length: u32) -> String {
    let letters = (0..length.min(10)).map(|place| {
        let digit = seed / 62_u64.pow(place) % 62;
        usize::try_from(digit)
            .ok()
            .and_then(|digit| LETTERS.get(digit))
            .map_or('0', |letter| char::from(*letter))
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_devices_say_is_read() {
        assert_eq!(Said::of(b"OK;"), Some(Said::Satisfied));
        assert_eq!(Said::of(b"a1B2:XYZ789;"), Some(Said::Question(b"XYZ789")));
        assert_eq!(Said::of(b"00ff:x;"), Some(Said::Question(b"x")));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for noise in [
            &b""[..],
            b";",
            b"OK",
            b"ok;",
            b"a1B:XYZ;",
            b"a1B2X:YZ;",
            b"a1B2:;",
            b"a1-2:x;",
            b"a1B2:x;y;",
            b"a1B2:x",
        ] {
            assert_eq!(Said::of(noise), None, "{}", noise.escape_ascii());
        }
    }

    #[test]
    fn words_have_their_length_and_differ() {
        assert_eq!(random_word(0, 6), "000000");
        assert_eq!(random_word(62 + 61, 8), "z1000000");
        assert_eq!(random_word(u64::MAX, 8).len(), 8);
    }
}
