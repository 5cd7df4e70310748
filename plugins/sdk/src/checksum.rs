//! The checksums that more than one maker's packets end with.

use crc::{CRC_16_MODBUS, Crc};

const MODBUS: Crc<u16> = Crc::<u16>::new(&CRC_16_MODBUS);

/// The sum of all bytes, mod 256.
#[must_use]
pub fn sum8(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// The exclusive or of all bytes.
#[must_use]
pub fn xor8(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum, byte| sum ^ byte)
}

/// The CRC-16 of Modbus RTU; its frames end with the low byte first.
#[must_use]
pub fn crc16_modbus(data: &[u8]) -> u16 {
    MODBUS.checksum(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_wrap() {
        assert_eq!(sum8(&[0xff, 0x02, 0x10]), 0x11);
        assert_eq!(sum8(&[]), 0);
    }

    #[test]
    fn xor_is_its_own_opposite() {
        assert_eq!(xor8(&[0xa5, 0x5a, 0xff]), 0);
        assert_eq!(xor8(&[0x01, 0x10]), 0x11);
    }

    #[test]
    fn modbus_frames_end_as_the_standard_says() {
        // The request "read ten registers of unit 1 from 0" of the Modbus literature ends in C5 CD.
        assert_eq!(crc16_modbus(&[0x01, 0x03, 0x00, 0x00, 0x00, 0x0a]).to_le_bytes(), [0xc5, 0xcd]);
    }
}
