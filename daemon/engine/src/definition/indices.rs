//! Indexes of devices for life: kept by protocol, identifier and address, the lowest unused one for a new device, and never given
//! to another, even when the device is not there or its index was changed.
//!
//! The book is plain text for the shell to keep. A text that cannot be read is an error and not an empty book: an index that came to
//! mean another device could start the wrong motor.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::vocabulary::DeviceIndex;

/// What tells devices apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceKey {
    /// The protocol that it speaks.
    pub protocol: String,
    /// What it says it is.
    pub identifier: String,
    /// Its address on its bus.
    pub address: String,
}

/// All indexes that were ever given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexBook {
    devices: BTreeMap<DeviceKey, DeviceIndex>,
    /// Indexes that a device had before the user gave it another.
    retired: BTreeSet<u32>,
}

/// What became of a wish for an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// The index.
    pub index: DeviceIndex,
    /// Whether the book has to be saved.
    pub book: BookState,
    /// Whether the wish was followed.
    pub wish: WishState,
}

/// Whether the book differs from what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookState {
    /// It has to be saved.
    Changed,
    /// It is as it was.
    Same,
}

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WishState {
    /// There was none, or it was followed.
    Followed,
    /// Another device has the index, or had it.
    Taken,
}

/// The text is no index book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// It is not what [`IndexBook::save`] writes.
    #[error("reading the index book: {reason}")]
    Unreadable {
        /// What stands in the way.
        reason: String,
    },
    /// Two devices have one index, or one device two.
    #[error("reading the index book: the index {index} or its device is there twice")]
    Twice {
        /// The index.
        index: u32,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: u32,
    #[serde(default)]
    retired: Vec<u32>,
    #[serde(default)]
    device: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    index: u32,
    protocol: String,
    identifier: String,
    address: String,
}

/// The form of the text. A higher one is from a newer service, and not guessed at.
const VERSION: u32 = 1;

impl IndexBook {
    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// It is something else, or contradicts itself. The file must then be left as it is.
    pub fn load(text: &str) -> Result<Self, BookError> {
        let unreadable = |reason: String| BookError::Unreadable { reason };
        let read: Text = toml::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        if read.version != VERSION {
            return Err(unreadable(format!("its version is {}, this service knows {VERSION}", read.version)));
        }
        let mut book = Self { devices: BTreeMap::new(), retired: read.retired.into_iter().collect() };
        let mut indexes = book.retired.clone();
        for Line { index, protocol, identifier, address } in read.device {
            let new = indexes.insert(index);
            let key = DeviceKey { protocol, identifier, address };
            if book.devices.insert(key, DeviceIndex(index)).is_some() || !new {
                return Err(BookError::Twice { index });
            }
        }
        Ok(book)
    }

    /// The text to keep.
    #[must_use]
    pub fn save(&self) -> String {
        let mut lines: Vec<_> = self.devices.iter().collect();
        lines.sort_by_key(|(_, index)| **index);
        let device = lines.into_iter().map(|(key, index)| Line {
            index: index.0,
            protocol: key.protocol.clone(),
            identifier: key.identifier.clone(),
            address: key.address.clone(),
        });
        let retired = self.retired.iter().copied().collect();
        let text = Text { version: VERSION, retired, device: device.collect() };
        // Numbers and text always have a form in TOML.
        toml::to_string(&text).unwrap_or_default()
    }

    /// All devices that have an index, in the order of their keys.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceKey, DeviceIndex)> {
        self.devices.iter().map(|(key, index)| (key, *index))
    }

    /// The index of a device that has one.
    #[must_use]
    pub fn get(&self, key: &DeviceKey) -> Option<DeviceIndex> {
        self.devices.get(key).copied()
    }

    /// The addresses of the devices that have these indexes.
    pub fn addresses<'a>(&'a self, of: &'a BTreeSet<DeviceIndex>) -> impl Iterator<Item = &'a str> {
        self.devices.iter().filter(|(_, index)| of.contains(index)).map(|(key, _)| key.address.as_str())
    }

    /// The index of a device, which it gets now if it has none. `wish` is what the user wants it to be; `reserved` are the
    /// indexes that the user keeps for certain devices.
    pub fn assign(&mut self, key: &DeviceKey, wish: Option<u32>, reserved: &BTreeSet<u32>) -> Assigned {
        let assigned = self.would_assign(key, wish, reserved);
        if assigned.book == BookState::Changed
            && let Some(DeviceIndex(old)) = self.devices.insert(key.clone(), assigned.index)
        {
            self.retired.insert(old);
        }
        assigned
    }

    /// What [`assign`](Self::assign) would say now.
    #[must_use]
    pub fn would_assign(&self, key: &DeviceKey, wish: Option<u32>, reserved: &BTreeSet<u32>) -> Assigned {
        let known = self.get(key);
        match wish.map(DeviceIndex) {
            Some(wished) if known == Some(wished) => {
                Assigned { index: wished, book: BookState::Same, wish: WishState::Followed }
            }
            // An index that was retired may only go back to the device that had it, and whose that was is no longer known.
            Some(wished) if !self.is_used(wished.0) => {
                Assigned { index: wished, book: BookState::Changed, wish: WishState::Followed }
            }
            wish => {
                let state = if wish.is_some() { WishState::Taken } else { WishState::Followed };
                if let Some(index) = known {
                    return Assigned { index, book: BookState::Same, wish: state };
                }
                let index = DeviceIndex(self.lowest_unused(reserved));
                Assigned { index, book: BookState::Changed, wish: state }
            }
        }
    }

    fn is_used(&self, index: u32) -> bool {
        self.retired.contains(&index) || self.devices.values().any(|other| other.0 == index)
    }

    fn lowest_unused(&self, reserved: &BTreeSet<u32>) -> u32 {
        let used: BTreeSet<u32> =
            self.devices.values().map(|index| index.0).chain(self.retired.iter().copied()).collect();
        // There are never 2^32 devices, so the search ends.
        (0..u32::MAX).find(|index| !used.contains(index) && !reserved.contains(index)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> DeviceKey {
        DeviceKey { protocol: "acme".into(), identifier: "Wave \"2\"".into(), address: address.into() }
    }

    #[test]
    fn a_device_keeps_its_index_and_new_ones_take_the_lowest() {
        let mut book = IndexBook::default();
        let none = BTreeSet::new();
        assert_eq!(book.assign(&key("a"), None, &none).index, DeviceIndex(0));
        assert_eq!(book.assign(&key("b"), None, &none).index, DeviceIndex(1));
        let again = Assigned { index: DeviceIndex(0), book: BookState::Same, wish: WishState::Followed };
        assert_eq!(book.assign(&key("a"), None, &none), again);
        assert_eq!(IndexBook::load(&book.save()), Ok(book));
    }

    #[test]
    fn reserved_indexes_are_left_to_the_device_that_they_are_for() {
        let mut book = IndexBook::default();
        let reserved = BTreeSet::from([0, 2]);
        let given = ["a", "b"].map(|address| book.assign(&key(address), None, &reserved).index.0);
        assert_eq!(given, [1, 3]);
        assert_eq!(book.assign(&key("c"), Some(2), &reserved).index, DeviceIndex(2));
    }

    #[test]
    fn an_index_that_was_given_up_is_never_used_again() {
        let mut book = IndexBook::default();
        let none = BTreeSet::new();
        book.assign(&key("a"), None, &none);
        let seen_before = book.would_assign(&key("a"), Some(7), &none);
        assert_eq!(book.get(&key("a")), Some(DeviceIndex(0)), "nothing was assigned");
        let moved = book.assign(&key("a"), Some(7), &none);
        assert_eq!(moved, seen_before);
        assert_eq!((moved.index, moved.book), (DeviceIndex(7), BookState::Changed));
        let mut book = IndexBook::load(&book.save()).unwrap();
        assert_eq!(book.assign(&key("b"), None, &none).index, DeviceIndex(1));
        let wish = book.assign(&key("c"), Some(0), &none);
        assert_eq!((wish.index, wish.wish), (DeviceIndex(2), WishState::Taken));
    }

    #[test]
    fn a_wish_for_the_index_of_another_device_is_not_followed() {
        let mut book = IndexBook::default();
        book.assign(&key("a"), None, &BTreeSet::new());
        book.assign(&key("b"), None, &BTreeSet::new());
        let wish = book.assign(&key("b"), Some(0), &BTreeSet::new());
        assert_eq!(wish, Assigned { index: DeviceIndex(1), book: BookState::Same, wish: WishState::Taken });
    }

    #[test]
    fn a_text_that_is_no_book_is_an_error() {
        assert_eq!(IndexBook::load("version = 1"), Ok(IndexBook::default()));
        let twice = "version = 1\nretired = [3]\n[[device]]\nindex = 3\nprotocol = 'p'\nidentifier = ''\naddress = 'a'";
        assert_eq!(IndexBook::load(twice), Err(BookError::Twice { index: 3 }));
        for text in
            ["", "version = 2", "version = 1\nother = 2", "\u{0}", "version = 1\n[[device]]\nindex = -1"]
        {
            assert!(matches!(IndexBook::load(text), Err(BookError::Unreadable { .. })), "{text:?}");
        }
    }
}
