//! Sistalk MonsterPub, MonsterHub and Tracy's Dog: one byte an output over Bluetooth LE, at an endpoint that differs by model.

use plugin_sdk::{Endpoint, Event, Failure, Info, LogLevel, Model, Ops, Output, Protocol, Values};

plugin_sdk::export! { id: "monsterpub", protocols: { "monsterpub" => MonsterPub } }

const MODEL_LENGTH: u32 = 32;
const CHALLENGE_LENGTH: u32 = 16;
/// What challenges are answered with, by their first byte.
const KEYS: [[u8; 4]; 4] = [*b"2IPO", *b"LSBB", *b"SIS6", *b"TALK"];
/// The identifier of models that do not say who they are.
const UNKNOWN: &str = "Unknown";

/// One device.
#[derive(Debug)]
pub struct MonsterPub {
    model: Option<Endpoint>,
    challenge: Option<Endpoint>,
    motors: Motors,
    step: Step,
    values: Option<Values>,
}

/// Where values go.
#[derive(Debug, Clone, Copy)]
enum Motors {
    /// Always to the same place.
    Direct(Endpoint),
    /// To the same place, after a byte of its own.
    Prefixed(Endpoint),
    /// To `tx`, where zeros do not stop the device fully, so that they go to `rest`.
    Split { tx: Endpoint, rest: Endpoint },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Identifying,
    Challenged,
    Ready,
}

impl Protocol for MonsterPub {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        let motors = match (info.endpoint("txvibrate"), info.endpoint("tx")) {
            (Some(txvibrate), _) => Motors::Direct(txvibrate),
            (None, Some(tx)) => Motors::Split { tx, rest: info.require("txmode")? },
            (None, None) => Motors::Prefixed(info.require("generic0")?),
        };
        Ok(Self {
            model: info.endpoint("rxblemodel"),
            challenge: info.endpoint("rx"),
            motors,
            step: Step::Identifying,
            values: None,
        })
    }

    fn identify(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match self.model {
            Some(model) => ops.read(model, MODEL_LENGTH),
            None => ops.identified(UNKNOWN),
        }
        Ok(())
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.values = Some(Values::new(model));
        match self.challenge {
            Some(challenge) => {
                self.step = Step::Challenged;
                ops.read(challenge, CHALLENGE_LENGTH);
            }
            None => {
                self.step = Step::Ready;
                ops.ready();
            }
        }
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        let values = self.values.as_mut().ok_or(Failure::Unsupported)?;
        values.apply(set);
        let bytes = values.iter().map(Output::byte).collect::<Result<Vec<u8>, _>>()?;
        match self.motors {
            Motors::Direct(endpoint) => ops.write(endpoint, &bytes),
            Motors::Prefixed(endpoint) => ops.write(endpoint, &[&[0x03], bytes.as_slice()].concat()),
            Motors::Split { rest, .. } if values.all_zero() => ops.write_with_response(rest, &bytes),
            Motors::Split { tx, .. } => ops.write(tx, &bytes),
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match (self.step, event) {
            (Step::Identifying, Event::Read { data, .. }) => {
                let text = data.iter().copied().filter(|byte| *byte != 0x00).collect();
                let text =
                    String::from_utf8(text).map_err(|_| Failure::bad_reply("a model that is no text"))?;
                ops.identified(&text);
            }
            (Step::Identifying, Event::ReadFailed { .. }) => {
                ops.log(LogLevel::Warn, "the device does not say its model");
                ops.identified(UNKNOWN);
            }
            (Step::Challenged, Event::Read { endpoint, data }) => {
                let response = response(data).ok_or(Failure::bad_reply("a challenge that is none"))?;
                ops.write_with_response(endpoint, &response);
                self.step = Step::Ready;
                ops.ready();
            }
            (Step::Challenged, Event::ReadFailed { .. }) => {
                return Err(Failure::bad_reply("the challenge cannot be read"));
            }
            (Step::Ready, _)
            | (
                Step::Identifying | Step::Challenged,
                Event::Notified { .. } | Event::WriteFailed { .. } | Event::Timer(_),
            ) => {}
        }
        Ok(())
    }
}

/// The answer to a challenge: the number of a key, and fifteen bytes.
fn response(challenge: &[u8]) -> Option<Vec<u8>> {
    let (number, rest) = challenge.split_first()?;
    let key = KEYS.get(usize::from(*number))?;
    Some(rest.get(..15)?.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_challenge_is_answered() {
        let challenge: Vec<u8> = [1].into_iter().chain(1..=15).collect();
        assert_eq!(response(&challenge).as_deref(), Some(&b"MQAFIUEJEYINA]M"[..]));
    }

    #[test]
    fn what_is_no_challenge_is_not_answered() {
        for noise in [&[][..], &[0; 15], &[4; 16], &[255; 20]] {
            assert_eq!(response(noise), None, "{noise:?}");
        }
    }
}
