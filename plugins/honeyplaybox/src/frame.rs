//! The frames of both directions, and what they are made of. An answer may come in several pieces, with noise before it.

const MARK: [u8; 6] = [0x02, 0xa5, 0x5a, 0x55, 0xaa, 0xf0];
const END: u8 = 0x03;
/// What follows the mark before the data: counter, type, command, length.
const HEADER_LENGTH: usize = 5;
/// More than any known answer has. A longer length is noise that looks like a mark.
const MAX_DATA: usize = 256;

/// The type of all frames of this side.
pub(crate) const TYPE: u8 = 0xb1;

/// A frame to the device.
pub(crate) fn frame(counter: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let checked = [&head(command, data.len())[..], data].concat();
    let crc = plugin_sdk::crc16_modbus(&checked).to_be_bytes();
    [&MARK[..], &[counter], &checked, &[END], &crc].concat()
}

/// Type, command and length: what the checksum and the signature begin with.
pub(crate) fn head(command: u8, length: usize) -> [u8; 4] {
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    [TYPE, command, high, low]
}

/// Puts answers together.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// Adds what was notified, and takes out the first frame if it is complete: its data.
    pub(crate) fn add(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        self.bytes.extend_from_slice(piece);
        loop {
            let Some(start) = self.bytes.windows(MARK.len()).position(|window| window == MARK) else {
                // The beginning of a mark may be at the end.
                let kept = self.bytes.len().saturating_sub(MARK.len() - 1);
                self.bytes.drain(..kept);
                return None;
            };
            self.bytes.drain(..start);
            let after_mark = self.bytes.get(MARK.len()..)?;
            let (header, rest) = after_mark.split_at_checked(HEADER_LENGTH)?;
            let length = match header {
                [_, _, _, high, low] => usize::from(u16::from_be_bytes([*high, *low])),
                _ => MAX_DATA + 1,
            };
            if length <= MAX_DATA {
                let end = rest.get(length)?;
                if *end == END {
                    let data = rest.get(..length)?.to_vec();
                    self.bytes.drain(..MARK.len() + HEADER_LENGTH + length + 1);
                    return Some(data);
                }
            }
            self.bytes.drain(..1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: [u8; 17] = [
        0x02, 0xa5, 0x5a, 0x55, 0xaa, 0xf0, 0x00, 0xb1, 0x01, 0x00, 0x03, 0x90, 0x00, 0x07, 0x03, 0xaa, 0xbb,
    ];

    #[test]
    fn the_handshake_is_framed() {
        let known =
            [0x02, 0xa5, 0x5a, 0x55, 0xaa, 0xf0, 0x00, 0xb1, 0x01, 0x00, 0x02, 0x00, 0x10, 0x03, 0x36, 0x86];
        assert_eq!(frame(0, 0x01, &[0x00, 0x10]), known);
    }

    #[test]
    fn an_answer_may_come_byte_by_byte_after_noise() {
        let mut inbox = Inbox::default();
        let mut last = None;
        for byte in [0x02, 0x02, 0xa5, 0x5a].iter().chain(&ANSWER[..15]) {
            assert_eq!(last, None);
            last = inbox.add(&[*byte]);
        }
        assert_eq!(last.as_deref(), Some(&[0x90, 0x00, 0x07][..]));
    }

    #[test]
    fn a_frame_without_its_end_is_passed_over() {
        let mut broken = ANSWER;
        broken[14] = 0x04;
        let mut inbox = Inbox::default();
        assert_eq!(inbox.add(&broken), None);
        assert_eq!(inbox.add(&ANSWER).as_deref(), Some(&[0x90, 0x00, 0x07][..]));
    }

    #[test]
    fn an_endless_frame_is_passed_over_and_nothing_piles_up() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.add(&[&MARK[..], &[0, 0xb1, 1, 0xff, 0xff]].concat()), None);
        for _ in 0..100 {
            assert_eq!(inbox.add(&[0x55; 200]), None);
        }
        assert!(inbox.bytes.len() < MARK.len());
        assert_eq!(inbox.add(&ANSWER).as_deref(), Some(&[0x90, 0x00, 0x07][..]));
    }
}
