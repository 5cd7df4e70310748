//! The twelve bytes that Galaku devices take: ten of content, sealed by a chain in which each byte picks the next key.

/// What a packet begins with, and what every byte is mixed with.
const MARK: u8 = 0x23;
const LENGTH: usize = 12;

/// Picked from by the low two bits of the byte before. The first place is the mark's and stands for nothing.
const KEYS: [[u8; LENGTH]; 4] = [
    [0x00, 0x18, 0x98, 0xf7, 0xa5, 0x3d, 0x0d, 0x29, 0x25, 0x50, 0x44, 0x46],
    [0x00, 0x45, 0x6e, 0x6a, 0x6f, 0x78, 0x20, 0x53, 0x2d, 0x31, 0x2e, 0x37],
    [0x00, 0x65, 0x78, 0x20, 0x54, 0x6f, 0x79, 0x73, 0x0a, 0x8e, 0x9d, 0xa3],
    [0x00, 0xc5, 0xd6, 0xe7, 0xf8, 0x0a, 0x32, 0x20, 0x6f, 0x62, 0x0d, 0x0a],
];

/// The key of a place, by the sealed byte before it.
fn key(before: u8, place: usize) -> u8 {
    KEYS.get(usize::from(before & 3)).and_then(|row| row.get(place)).copied().unwrap_or_default()
}

/// The sealed form of a packet.
pub(crate) fn seal(content: [u8; 10]) -> Vec<u8> {
    let sum = plugin_sdk::sum8(&content).wrapping_add(MARK);
    let mut before = MARK;
    let mut sealed = vec![MARK];
    for (place, byte) in content.into_iter().chain([sum]).enumerate() {
        let key = key(before, place + 1);
        before = (key ^ MARK ^ byte).wrapping_add(key);
        sealed.push(before);
    }
    sealed
}

/// The content of a sealed packet; `None` if it is none.
pub(crate) fn open(sealed: &[u8]) -> Option<[u8; 10]> {
    let sealed: &[u8; LENGTH] = sealed.try_into().ok().filter(|sealed: &&[u8; LENGTH]| sealed[0] == MARK)?;
    let bytes = sealed.iter().zip(sealed.iter().skip(1)).enumerate().map(|(place, (before, byte))| {
        let key = key(*before, place + 1);
        byte.wrapping_sub(key) ^ MARK ^ key
    });
    let opened: Vec<u8> = bytes.collect();
    let (sum, content) = opened.split_last()?;
    let right = plugin_sdk::sum8(content).wrapping_add(MARK) == *sum;
    right.then_some(content)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: [u8; 10] = [0x5a, 0x00, 0x00, 0x01, 0x31, 100, 0x00, 0x00, 0x00, 0x00];
    const SEALED: [u8; 12] = [0x23, 0x81, 0xbb, 0xab, 0xd2, 0xec, 0x57, 0x23, 0xbb, 0xa3, 0x3b, 0x44];

    #[test]
    fn a_known_packet_is_sealed_and_opened() {
        assert_eq!(seal(CONTENT), SEALED);
        assert_eq!(open(&SEALED), Some(CONTENT));
    }

    #[test]
    fn what_is_no_sealed_packet_does_not_open() {
        let (mut wrong_sum, mut wrong_mark) = (SEALED, SEALED);
        wrong_sum[11] ^= 1;
        wrong_mark[0] ^= 1;
        for noise in [&b""[..], &[85], &SEALED[..11], &wrong_sum, &wrong_mark] {
            assert_eq!(open(noise), None, "{noise:02x?}");
        }
    }
}
