//! Devices that the service has met, and which of them a person means.

use engine::{
    definition::{
        access::Refusal,
        catalogue::{Catalogue, Source},
        indices::DeviceKey,
        model::Which,
        resolved::Resolved,
    },
    vocabulary::DeviceIndex,
};

use super::OfflineError;
use crate::{
    arrivals::known_devices,
    config::{Config, Directories},
    definitions::Templates,
    devices,
};

/// The length of a Bluetooth address, `AA:BB:CC:DD:EE:FF`.
const BLUETOOTH_ADDRESS: usize = 17;

/// A device, as far as it is known.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Its index and what tells it apart; `None` for one that has never been met.
    pub(super) met: Option<(DeviceIndex, DeviceKey)>,
    /// Its address.
    pub(super) address: String,
    /// The name of its model.
    pub(super) model: Option<String>,
    /// The name that the user gave it.
    pub(super) called: Option<String>,
}

impl Known {
    /// What to call it, for people.
    pub(super) fn title(&self) -> String {
        let name = self.called.as_ref().or(self.model.as_ref());
        match (&self.met, name) {
            (Some((index, _)), Some(name)) => format!("device {index} ({name})"),
            (Some((index, _)), None) => format!("device {index}"),
            (None, _) => format!("the device {}", self.address),
        }
    }

    /// How a new entry names it. An address of Bluetooth says it all; a port or a name may come to be another device's.
    pub(super) fn which(&self) -> Which {
        let address = Some(self.address.clone());
        match &self.met {
            Some((_, key)) if !is_bluetooth(&self.address) => {
                Which { protocol: Some(key.protocol.clone()), identifier: None, address }
            }
            Some(_) | None => Which { address, ..Which::default() },
        }
    }

    /// Whether an entry is about this device alone.
    pub(super) fn is_meant_alone(&self, which: &Which) -> bool {
        let fits = |said: &Option<String>, own: fn(&DeviceKey) -> &str| match (said, &self.met) {
            (None, _) => true,
            (Some(said), Some((_, key))) => said == own(key),
            (Some(_), None) => false,
        };
        which.address.as_ref().is_some_and(|address| address.eq_ignore_ascii_case(&self.address))
            && fits(&which.protocol, |key| &key.protocol)
            && fits(&which.identifier, |key| &key.identifier)
    }

    /// What the definitions and the user's rules make of it; `None` if it was never met.
    pub(super) fn resolve(&self, catalogue: &Catalogue) -> Option<Result<Resolved, Refusal>> {
        let (_, key) = self.met.as_ref()?;
        Some(catalogue.resolve(&key.protocol, &key.identifier, &key.address))
    }
}

/// Definitions, and the devices that the service has met.
pub(super) struct Devices {
    pub(super) sources: Vec<Source>,
    pub(super) catalogue: Catalogue,
    pub(super) known: Vec<Known>,
}

impl Devices {
    /// Reads both.
    pub(super) fn read(config: &Config, directories: &Directories) -> Result<Self, OfflineError> {
        let sources = devices::sources(config, directories);
        let (catalogue, _) = Catalogue::build(&sources, None, &Templates::Read);
        let book = known_devices(&directories.state)?;
        let mut known: Vec<(DeviceIndex, Known)> = book
            .devices()
            .map(|(key, index)| {
                let DeviceKey { protocol, identifier, address } = key;
                let one = Known {
                    met: Some((index, key.clone())),
                    address: address.clone(),
                    model: catalogue.name(protocol, identifier).map(str::to_owned),
                    called: catalogue.display_name(protocol, identifier, address),
                };
                (index, one)
            })
            .collect();
        known.sort_by_key(|(index, _)| *index);
        let known = known.into_iter().map(|(_, one)| one).collect();
        Ok(Self { sources, catalogue, known })
    }

    /// The one that a person means: by its number, its address, its name, or a part of the name that no other has.
    pub(super) fn find(&self, wanted: &str) -> Result<Known, OfflineError> {
        let by_index =
            |one: &&Known| one.met.as_ref().is_some_and(|(index, _)| wanted.parse() == Ok(index.0));
        if let Some(one) = self.known.iter().find(by_index) {
            return Ok(one.clone());
        }
        let lower = wanted.to_lowercase();
        let names = |one: &Known| {
            let identifier = one.met.as_ref().map(|(_, key)| key.identifier.clone());
            let names = [Some(one.address.clone()), one.called.clone(), one.model.clone(), identifier];
            names.into_iter().flatten().map(|name| name.to_lowercase()).collect::<Vec<_>>()
        };
        let exact = |one: &&Known| names(one).contains(&lower);
        let part = |one: &&Known| names(one).iter().any(|name| name.contains(&lower));
        let mut found: Vec<&Known> = self.known.iter().filter(exact).collect();
        if found.is_empty() && !lower.is_empty() {
            found = self.known.iter().filter(part).collect();
        }
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] if is_bluetooth(wanted) => {
                let address = wanted.to_uppercase();
                Ok(Known { met: None, address, model: None, called: None })
            }
            [] => Err(OfflineError::NoDevice(wanted.to_owned())),
            several => Err(OfflineError::SeveralDevices {
                wanted: wanted.to_owned(),
                found: several.iter().map(|one| one.title()).collect(),
            }),
        }
    }
}

fn is_bluetooth(address: &str) -> bool {
    address.len() == BLUETOOTH_ADDRESS
        && address.bytes().enumerate().all(|(place, byte)| match place % 3 {
            2 => byte == b':',
            _ => byte.is_ascii_hexdigit(),
        })
}
