//! Checksums by name, over bytes of a packet.
//!
//! The CRC parameters are those of the `crc` crate's catalogue; nothing is computed bit by bit here.

use crc::{
    CRC_8_MAXIM_DOW, CRC_8_SMBUS, CRC_16_IBM_3740, CRC_16_MODBUS, CRC_16_XMODEM, CRC_32_ISO_HDLC, Crc,
};

/// Which checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// All bytes added, modulo 256.
    Sum,
    /// All bytes combined with exclusive or.
    Xor,
    /// Polynomial 07, start 00.
    Crc8,
    /// Dallas/Maxim.
    Crc8Maxim,
    /// Start FFFF, reflected polynomial A001. Sent low byte first as a rule.
    Crc16Modbus,
    /// Polynomial 1021, start 0000.
    Crc16Xmodem,
    /// Polynomial 1021, start FFFF ("CCITT-FALSE").
    Crc16Ccitt,
    /// The one of Ethernet and zip.
    Crc32,
}

impl Checksum {
    const ALL: [(&'static str, Self); 8] = [
        ("sum", Self::Sum),
        ("xor", Self::Xor),
        ("crc8", Self::Crc8),
        ("crc8_maxim", Self::Crc8Maxim),
        ("crc16_modbus", Self::Crc16Modbus),
        ("crc16_xmodem", Self::Crc16Xmodem),
        ("crc16_ccitt", Self::Crc16Ccitt),
        ("crc32", Self::Crc32),
    ];

    /// The checksum of that name in a pattern.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, checksum)| checksum)
    }

    /// Its value over these bytes.
    pub(crate) fn over(self, bytes: &[u8]) -> i64 {
        match self {
            Self::Sum => i64::from(bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte))),
            Self::Xor => i64::from(bytes.iter().fold(0_u8, |xor, byte| xor ^ byte)),
            Self::Crc8 => i64::from(Crc::<u8>::new(&CRC_8_SMBUS).checksum(bytes)),
            Self::Crc8Maxim => i64::from(Crc::<u8>::new(&CRC_8_MAXIM_DOW).checksum(bytes)),
            Self::Crc16Modbus => i64::from(Crc::<u16>::new(&CRC_16_MODBUS).checksum(bytes)),
            Self::Crc16Xmodem => i64::from(Crc::<u16>::new(&CRC_16_XMODEM).checksum(bytes)),
            Self::Crc16Ccitt => i64::from(Crc::<u16>::new(&CRC_16_IBM_3740).checksum(bytes)),
            Self::Crc32 => i64::from(Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The catalogue's check values, over the text "123456789".
    #[test]
    fn every_checksum_gives_its_published_check_value() {
        for (name, wanted) in [
            ("sum", 0xDD),
            ("xor", 0x31),
            ("crc8", 0xF4),
            ("crc8_maxim", 0xA1),
            ("crc16_modbus", 0x4B37),
            ("crc16_xmodem", 0x31C3),
            ("crc16_ccitt", 0x29B1),
            ("crc32", 0xCBF4_3926),
        ] {
            assert_eq!(Checksum::from_name(name).unwrap().over(b"123456789"), wanted, "{name}");
        }
    }
}
