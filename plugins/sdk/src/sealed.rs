//! Packets sealed with AES-128 in ECB mode and PKCS#7 padding, as several makers send them with one key for all devices.
//!
//! This hides nothing from anybody, the keys are public: it is a form of packet, not a means of security.

use aes::Aes128;
use ecb::cipher::block_padding::Pkcs7;
use ecb::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyInit};

/// A maker's key.
#[derive(Debug, Clone, Copy)]
pub struct Seal {
    key: [u8; 16],
}

impl Seal {
    /// With this key.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The sealed form of a packet, a whole number of 16-byte blocks.
    #[must_use]
    pub fn seal(&self, packet: &[u8]) -> Vec<u8> {
        ecb::Encryptor::<Aes128>::new(&self.key.into()).encrypt_padded_vec::<Pkcs7>(packet)
    }

    /// The packet in a sealed one; `None` if it was not sealed with this key.
    #[must_use]
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        ecb::Decryptor::<Aes128>::new(&self.key.into()).decrypt_padded_vec::<Pkcs7>(sealed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal::new(*b"jdk#Flu%y6fer32f");

    #[test]
    fn a_packet_of_a_device_is_made() {
        // A packet of a Fluffer G-Thing.
        let sealed =
            [0xfb, 0x14, 0x63, 0x04, 0x20, 0x5c, 0x54, 0x79, 0xbb, 0x6b, 0xa6, 0xc9, 0x69, 0xfd, 0xaa, 0x96];
        assert_eq!(SEAL.seal(&[0xa5, 0x01, 0x01, 0x00]), sealed);
        assert_eq!(SEAL.open(&sealed).as_deref(), Some(&[0xa5, 0x01, 0x01, 0x00][..]));
    }

    #[test]
    fn what_was_not_sealed_does_not_open() {
        for noise in [&b""[..], b"short", &[0; 16], &[0xff; 33]] {
            assert_eq!(SEAL.open(noise), None, "{}", noise.escape_ascii());
        }
    }
}
