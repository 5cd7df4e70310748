//! Fluffer devices, and newer ones of Motorbunny: sealed packets over Bluetooth LE, and a proof of who is asking.

use plugin_sdk::{
    Endpoint, Event, Failure, Info, LogLevel, Model, Ops, Output, OutputKind, Protocol, Seal, Values,
};
use sha2::{Digest, Sha256};

plugin_sdk::export! { id: "fluffer", protocols: { "fluffer" => Fluffer } }

const SEAL: Seal = Seal::new(*b"jdk#Flu%y6fer32f");
/// Under this number the device advertises what the proof is made from.
const COMPANY: u32 = 0x684a;
const ACCEPTED: [u8; 4] = [0xa5, 0x01, 0x01, 0x00];
const AFTER_PROOF: [u8; 5] = [0x82, 0x0e, 0x02, 0x00, 0x01];
const SIGN_OF_LIFE: [u8; 3] = [0x80, 0x02, 0x00];

/// One device.
#[derive(Debug)]
pub struct Fluffer {
    tx: Endpoint,
    rx: Endpoint,
    proof: Option<Vec<u8>>,
    values: Option<Values>,
}

impl Protocol for Fluffer {
    fn create(info: &Info, ops: &mut Ops<'_>) -> Result<Self, Failure> {
        let advertised = info.manufacturer_data.iter().find(|entry| entry.company == COMPANY);
        let proof = advertised.and_then(|entry| proof(&entry.data, info.seed));
        if proof.is_none() {
            ops.log(LogLevel::Debug, "nothing to make a proof from was advertised");
        }
        Ok(Self { tx: info.require("tx")?, rx: info.require("rx")?, proof, values: None })
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.values = Some(Values::new(model));
        ops.subscribe(self.rx);
        match &self.proof {
            Some(proof) => ops.write(self.tx, &SEAL.seal(proof)),
            None => ops.ready(),
        }
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        let values = self.values.as_mut().ok_or(Failure::Unsupported)?;
        values.apply(set);
        let mut levels = values.iter().map(level);
        let (first, second) = (levels.next().unwrap_or(Ok(0))?, levels.next().unwrap_or(Ok(0))?);
        ops.write(self.tx, &SEAL.seal(&[0x82, 0x0f, 0x05, 0x00, first, second, 0x00, 0x00]));
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Event::Notified { data, .. } = event
            && self.proof.take().is_some()
        {
            // The host's limit for the bring-up is the limit of this answer.
            if SEAL.open(data).as_deref() != Some(&ACCEPTED[..]) {
                return Err(Failure::bad_reply("the device does not accept the proof"));
            }
            ops.write(self.tx, &SEAL.seal(&AFTER_PROOF));
            ops.ready();
        }
        Ok(())
    }

    fn keep_alive(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.write(self.tx, &SEAL.seal(&SIGN_OF_LIFE));
        Ok(())
    }
}

/// Four random bytes, and the beginning of their hash together with what the device advertises. `None`: it advertises nothing.
fn proof(advertised: &[u8], seed: u64) -> Option<Vec<u8>> {
    let (first, rest) = advertised.split_first()?;
    let key = first ^ 0x68;
    let plain = rest.iter().take(4).map(|byte| if *byte == 0 || *byte == key { *byte } else { byte ^ key });
    let [random @ .., _, _, _, _] = seed.to_le_bytes();
    let hash = Sha256::new().chain_update(random).chain_update(plain.collect::<Vec<u8>>()).finalize();
    Some([0xa5, 0x01, 0x08].into_iter().chain(random).chain(hash.into_iter().take(4)).collect())
}

/// A value as the device counts it: the other direction of a rotation begins above 100.
fn level(output: &Output) -> Result<u8, Failure> {
    match output.kind {
        OutputKind::Rotate if output.value < 0 => {
            Output { value: output.value.saturating_abs().saturating_add(100), ..*output }.byte()
        }
        OutputKind::Rotate
        | OutputKind::Vibrate
        | OutputKind::Oscillate
        | OutputKind::Constrict
        | OutputKind::Temperature
        | OutputKind::Led
        | OutputKind::Spray
        | OutputKind::Position
        | OutputKind::PositionWithDuration => output.byte(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_proof_is_made() {
        let advertised = [0x12, 0x34, 0x00, 0x7a, 0x56, 0x99];
        let random = u64::from_le_bytes([0x01, 0x02, 0x03, 0x04, 0, 0, 0, 0]);
        let known = [0xa5, 0x01, 0x08, 0x01, 0x02, 0x03, 0x04, 0x4d, 0x10, 0xd6, 0x5b];
        assert_eq!(proof(&advertised, random).as_deref(), Some(&known[..]));
    }

    #[test]
    fn short_advertisements_make_a_proof_and_empty_ones_none() {
        assert_eq!(proof(&[], 1), None);
        for length in 1..=4 {
            assert_eq!(proof(&[0x12; 4][..length], 1).map(|proof| proof.len()), Some(11));
        }
    }
}
