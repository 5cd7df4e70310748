//! What the toy answers: an attribute server (Bluetooth Core Specification, volume 3, part F) with one service, and behind it a Lovense toy
//! with one motor and a battery.

/// The name in its advertisement.
pub(super) const NAME: &[u8; 8] = b"LVS-Z001";
/// 6e400001-b5a3-f393-e0a9-e50e24dcca9e, as it is sent. The characteristics differ in one byte.
pub(super) const SERVICE: [u8; 16] = uuid(1);

const fn uuid(number: u8) -> [u8; 16] {
    [0x9e, 0xca, 0xdc, 0x24, 0x0e, 0xe5, 0xa9, 0xe0, 0x93, 0xf3, 0xa3, 0xb5, number, 0x00, 0x40, 0x6e]
}

// Handles: the service is 1 to 6; 2 and 4 declare the characteristics whose values are 3 and 5; 6 switches notifications on.
const LAST: u16 = 6;
const WRITTEN: u16 = 3;
const NOTIFIED: u16 = 5;
const SWITCH: u16 = 6;

const NOT_FOUND: u8 = 0x0a;
const NOT_SUPPORTED: u8 = 0x06;
const NOT_AUTHENTICATED: u8 = 0x05;

/// Whether the other end may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writes {
    Taken,
    /// Until the link is encrypted.
    Refused,
}

/// What becomes of a packet.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) packets: Vec<Vec<u8>>,
    /// What was written to the toy.
    pub(super) written: Option<Vec<u8>>,
}

impl Answer {
    fn packet(packet: Vec<u8>) -> Self {
        Self { packets: vec![packet], written: None }
    }
}

/// The answer to one packet.
pub(super) fn answer(request: &[u8], writes: Writes) -> Answer {
    let word = |at: usize| match (request.get(at), request.get(at + 1)) {
        (Some(low), Some(high)) => u16::from_le_bytes([*low, *high]),
        _ => 0,
    };
    let Some(&code) = request.first() else { return Answer::default() };
    let (first, last) = (word(1), word(3));
    let error = |why: u8| {
        let [low, high] = first.to_le_bytes();
        Answer::packet(vec![0x01, code, low, high, why])
    };
    match code {
        // The smallest packets there are.
        0x02 => Answer::packet(vec![0x03, 23, 0]),
        // Services.
        0x10 if word(5) == 0x2800 && first <= 1 => {
            Answer::packet([&[0x11, 20, 1, 0, 6, 0], &SERVICE[..]].concat())
        }
        // Characteristics, one at a time.
        0x08 if word(5) == 0x2803 => match (first, last) {
            (..=2, 2..) => Answer::packet([&[0x09, 21, 2, 0, 0x08, 3, 0], &uuid(2)[..]].concat()),
            (..=4, 4..) => Answer::packet([&[0x09, 21, 4, 0, 0x10, 5, 0], &uuid(3)[..]].concat()),
            _ => error(NOT_FOUND),
        },
        // Descriptors.
        0x04 if (first..=last).contains(&LAST) => Answer::packet(vec![0x05, 1, 6, 0, 0x02, 0x29]),
        0x04 | 0x06 | 0x08 | 0x10 => error(NOT_FOUND),
        0x0a => Answer::packet(vec![0x0b, 0, 0]),
        0x12 if writes == Writes::Refused => error(NOT_AUTHENTICATED),
        0x52 if writes == Writes::Refused => Answer::default(),
        0x12 if first == SWITCH => Answer::packet(vec![0x13]),
        0x12 | 0x52 if first == WRITTEN => {
            let written = request.get(3..).unwrap_or_default();
            let confirmed = (code == 0x12).then(|| vec![0x13]);
            let packets = confirmed.into_iter().chain(said(written)).collect();
            Answer { packets, written: Some(written.to_vec()) }
        }
        // Commands and confirmations are not answered.
        0x1e | 0x40.. => Answer::default(),
        _ => error(NOT_SUPPORTED),
    }
}

/// What the toy says to what it was told.
fn said(written: &[u8]) -> Option<Vec<u8>> {
    let text: &[u8] = match written {
        b"DeviceType;" => b"Z:02:0082059AD3BD;",
        b"Battery;" => b"85;",
        _ => return None,
    };
    let [low, high] = NOTIFIED.to_le_bytes();
    Some([&[0x1b, low, high], text].concat())
}
