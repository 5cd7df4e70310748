//! The lock of newer Lelo devices: whoever has the device in hand taps its power button, and it shows a password to send back.

use plugin_sdk::{Endpoint, LogLevel, Ops};

/// What the device says at its security characteristic. Devices differ in how many zeros they send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Locked,
    Open,
    Password,
}

impl Word {
    fn of(data: &[u8]) -> Self {
        let zeros = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0x00);
        match data {
            [0x01, rest @ ..] if zeros(rest) => Self::Open,
            _ if zeros(data) => Self::Locked,
            _ => Self::Password,
        }
    }
}

/// Whether the lock has been opened by what the device said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Not yet; the host's limit for the bring-up is the limit of this too.
    Waiting,
    /// Now.
    Opened,
}

/// The lock of one device, at its security characteristic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lock {
    pub(crate) endpoint: Endpoint,
}

impl Lock {
    /// Begins to listen.
    pub(crate) fn listen(self, ops: &mut Ops<'_>) {
        ops.subscribe(self.endpoint);
    }

    /// Takes what the device says there.
    pub(crate) fn notified(self, data: &[u8], ops: &mut Ops<'_>) -> Step {
        match Word::of(data) {
            Word::Open => return Step::Opened,
            Word::Locked => ops.log(LogLevel::Warn, "the device waits for a tap on its power button"),
            Word::Password => {
                // The device does not take it while someone listens.
                ops.unsubscribe(self.endpoint);
                ops.write_with_response(self.endpoint, data);
                ops.subscribe(self.endpoint);
            }
        }
        Step::Waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_any_number_of_zeros() {
        for locked in [&[][..], &[0], &[0; 8]] {
            assert_eq!(Word::of(locked), Word::Locked, "{locked:?}");
        }
        for open in [&[1][..], &[1, 0], &[1, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(Word::of(open), Word::Open, "{open:?}");
        }
        for password in [&[2][..], &[1, 1], &[0, 1], &[1, 2, 3, 4, 5, 6, 8]] {
            assert_eq!(Word::of(password), Word::Password, "{password:?}");
        }
    }
}
