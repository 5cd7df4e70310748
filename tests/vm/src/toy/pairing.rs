//! How the toy is paired: the Security Manager of the Bluetooth Core Specification (volume 3, part H) as a peripheral without display and
//! keys does it, "just works" in its older form. It keeps one bond.
//!
//! Its numbers are not random: nobody listens.

use aes::{
    Aes128,
    cipher::{BlockCipherEncrypt as _, KeyInit as _},
};

/// A number of 128 bits, lowest byte first, as it is sent.
type Number = [u8; 16];

/// What the toy answers to a pairing request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Nobody has to be paired.
    Nothing,
    /// Only those who are paired may write, and everybody may pair.
    Pairing,
    /// Only those who are paired may write, and nobody new is paired.
    Strangers,
}

/// One end of a link, as the calculations have it: 0 for a public address or 1 for a random one, and the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct End {
    pub(super) kind: u8,
    pub(super) address: [u8; 6],
}

// Codes of packets.
const REQUEST: u8 = 0x01;
const RESPONSE: u8 = 0x02;
const CONFIRM: u8 = 0x03;
const RANDOM: u8 = 0x04;
const FAILED: u8 = 0x05;
const KEY: u8 = 0x06;
const KEY_NAME: u8 = 0x07;

// Why it failed.
const WRONG_CONFIRMATION: u8 = 0x04;
const NOT_SUPPORTED: u8 = 0x05;

/// Neither display nor keys; no other way; a bond, and nobody in the middle is looked for; keys of 16 bytes; the toy's key, and none
/// of the other's.
const OWN_RESPONSE: [u8; 7] = [RESPONSE, 0x03, 0x00, 0x01, 16, 0x00, 0x01];
/// The key of "just works".
const NO_KEY: Number = [0; 16];
const OWN_RANDOM: Number = *b"a toy's random n";
/// The key of the bond, and the name that the other asks for it by.
const BOND: Number = *b"a toy's long key";
const BOND_NAME: [u8; 10] = *b"\x17\x2aa bond's";

/// What is known of the other end's keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// There was a pairing, after which the other end has the key of the bond.
    bonded: bool,
    exchange: Option<Exchange>,
}

/// A pairing that goes on.
#[derive(Debug)]
struct Exchange {
    request: [u8; 7],
    confirm: Number,
    /// For this link, once both have said their random number.
    key: Option<Number>,
}

impl Keys {
    /// The answer to one packet, where it has one.
    pub(super) fn answer(&mut self, packet: &[u8], demand: Demand, other: End, own: End) -> Option<Vec<u8>> {
        let (&code, rest) = packet.split_first()?;
        match code {
            REQUEST if demand == Demand::Strangers => Some(vec![FAILED, NOT_SUPPORTED]),
            REQUEST => {
                let request = packet.try_into().ok()?;
                self.exchange = Some(Exchange { request, confirm: NO_KEY, key: None });
                Some(OWN_RESPONSE.to_vec())
            }
            CONFIRM => {
                let exchange = self.exchange.as_mut()?;
                exchange.confirm = rest.try_into().ok()?;
                Some([&[CONFIRM], &confirmation(OWN_RANDOM, exchange.request, other, own)[..]].concat())
            }
            RANDOM => {
                let exchange = self.exchange.as_mut()?;
                let random: Number = rest.try_into().ok()?;
                if confirmation(random, exchange.request, other, own) != exchange.confirm {
                    self.exchange = None;
                    return Some(vec![FAILED, WRONG_CONFIRMATION]);
                }
                exchange.key = Some(link_key(OWN_RANDOM, random));
                Some([&[RANDOM], &OWN_RANDOM[..]].concat())
            }
            _ => {
                self.exchange = None;
                None
            }
        }
    }

    /// The key that the other end encrypts the link with: of that name, or of the pairing that goes on.
    pub(super) fn key(&self, name: &[u8]) -> Option<Number> {
        match &self.exchange {
            Some(exchange) => exchange.key,
            None => (self.bonded && name == named(&BOND_NAME)).then_some(BOND),
        }
    }

    /// The link is encrypted: after a pairing, the other end is given the key of the bond.
    pub(super) fn encrypted(&mut self) -> Vec<Vec<u8>> {
        if self.exchange.take().is_none() {
            return Vec::new();
        }
        self.bonded = true;
        vec![[&[KEY], &BOND[..]].concat(), [&[KEY_NAME], &BOND_NAME[..]].concat()]
    }
}

/// The controller has the two parts of a key's name the other way round than the packet.
fn named(name: &[u8; 10]) -> Vec<u8> {
    let (short, long) = name.split_at(2);
    [long, short].concat()
}

/// The function e: the cipher, with the highest byte first.
fn cipher(key: Number, mut number: Number) -> Number {
    let mut key = key;
    key.reverse();
    number.reverse();
    let mut block = number.into();
    Aes128::new(&key.into()).encrypt_block(&mut block);
    let mut out: Number = block.into();
    out.reverse();
    out
}

fn xor(mut a: Number, b: Number) -> Number {
    a.iter_mut().zip(b).for_each(|(a, b)| *a ^= b);
    a
}

/// The function c1, with the key of "just works".
fn confirmation(random: Number, request: [u8; 7], other: End, own: End) -> Number {
    let mut first = [0; 16];
    let mut second = [0; 16];
    fill(&mut first, &[&[other.kind, own.kind], &request, &OWN_RESPONSE]);
    fill(&mut second, &[&own.address, &other.address]);
    cipher(NO_KEY, xor(cipher(NO_KEY, xor(random, first)), second))
}

/// The function s1, with the key of "just works".
fn link_key(own: Number, other: Number) -> Number {
    let mut halves = [0; 16];
    let half = |number: &Number| number.first_chunk::<8>().copied().unwrap_or_default();
    fill(&mut halves, &[&half(&other), &half(&own)]);
    cipher(NO_KEY, halves)
}

fn fill(number: &mut Number, parts: &[&[u8]]) {
    number.iter_mut().zip(parts.concat()).for_each(|(to, from)| *to = from);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample data of the specification, volume 3, part H, 2.2.3 and 2.2.4.
    #[test]
    fn the_functions_are_those_of_the_specification() {
        let reversed = |text: &str| {
            let mut number: Number =
                core::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap());
            number.reverse();
            number
        };
        let first = reversed("05000800000302070710000001010001");
        let second = reversed("00000000a1a2a3a4a5a6b1b2b3b4b5b6");
        let random = reversed("5783d52156ad6f0e6388274ec6702ee0");
        let confirmed = cipher(NO_KEY, xor(cipher(NO_KEY, xor(random, first)), second));
        assert_eq!(confirmed, reversed("1e1e3fef878988ead2a74dc5bef13b86"));
        assert_eq!(
            link_key(
                reversed("000f0e0d0c0b0a091122334455667788"),
                reversed("010203040506070899aabbccddeeff00")
            ),
            reversed("9a1fe1f0e8b0f49b5b4216ae796da062")
        );
    }
}
