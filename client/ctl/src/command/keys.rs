//! Single keys from the terminal while a picture is shown. Ctrl-C stays what it is. The terminal is as it was when this is dropped.

use std::io::{self, IsTerminal, Read};
use std::thread;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// Keys that wait to be looked at. More are not read from the terminal meanwhile.
const QUEUE_LEN: usize = 16;

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Space or `s`.
    Stop,
    /// `q`.
    Quit,
}

/// The keys of the terminal.
pub(super) struct Keys {
    pressed: mpsc::Receiver<Key>,
    before: Termios,
}

impl Keys {
    /// Takes keys one by one; `None` when standard input is no terminal.
    ///
    /// They are read by a thread of their own, since a terminal cannot be waited for otherwise without touching its flags for the
    /// shell too. The thread ends with the program.
    pub(super) fn new() -> io::Result<Option<Self>> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&input)?;
        let mut single = before.clone();
        single.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Now, &single)?;
        let (press, pressed) = mpsc::channel(QUEUE_LEN);
        let keys = Self { pressed, before };
        thread::Builder::new().name("keys".into()).spawn(move || {
            for byte in input.lock().bytes() {
                let Ok(byte) = byte else { return };
                if let Some(key) = meaning(byte)
                    && press.blocking_send(key).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Some(keys))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, &self.before) {
            eprintln!("could not set the terminal back (run: reset): {error}");
        }
    }
}

fn meaning(byte: u8) -> Option<Key> {
    match byte {
        b' ' | b's' | b'S' => Some(Key::Stop),
        b'q' | b'Q' => Some(Key::Quit),
        _ => None,
    }
}

/// The next key, or never where there are none. Cancel-safe.
pub(super) async fn next(keys: Option<&mut Keys>) -> Key {
    let pressed = match keys {
        Some(keys) => keys.pressed.recv().await,
        None => None,
    };
    match pressed {
        Some(key) => key,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_stops_and_other_keys_mean_nothing() {
        assert_eq!(meaning(b' '), Some(Key::Stop));
        assert_eq!(meaning(b'q'), Some(Key::Quit));
        assert_eq!(meaning(b'\n'), None);
        assert_eq!(meaning(0x1b), None);
    }
}
