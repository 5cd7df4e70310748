//! What a fake Bluetooth device is made of, as a test writes it down.
//!
//! Nothing here knows D-Bus.

use std::collections::BTreeMap;

use uuid::{Uuid, uuid};

/// The descriptor by which a device is told to notify; every characteristic that notifies has it.
pub(super) const CLIENT_CONFIGURATION: Uuid = uuid!("00002902-0000-1000-8000-00805f9b34fb");

/// Whether a device is within reach of the radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It advertises, and can be connected to.
    Near,
    /// It is switched off or out of range.
    Away,
}

/// What a device asks of those who use its characteristics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Nothing.
    Open,
    /// That they are paired. Who is not is refused reads, writes and notifications.
    Paired,
}

/// A fake device. Fill in what matters to the test, take the rest from [`Default`].
#[derive(Debug, Clone)]
pub struct DeviceSpec {
    /// The address, `F0:F1:F2:F3:F4:01`.
    pub address: String,
    /// The name that it advertises; `None` advertises none, and BlueZ shows the address with dashes as alias.
    pub name: Option<String>,
    /// The strength of its signal in dBm.
    pub rssi: i16,
    /// Manufacturer data by company number.
    pub manufacturer_data: BTreeMap<u16, Vec<u8>>,
    /// Service data by service.
    pub service_data: BTreeMap<Uuid, Vec<u8>>,
    /// The services that it advertises, which need not be those that it has.
    pub advertised: Vec<Uuid>,
    /// The services that it has once connected.
    pub services: Vec<ServiceSpec>,
    /// Whether it is within reach from the start.
    pub presence: Presence,
    /// The largest packet that the link takes.
    pub mtu: u16,
    /// What it asks of those who use it.
    pub security: Security,
}

impl Default for DeviceSpec {
    fn default() -> Self {
        Self {
            address: "F0:F1:F2:F3:F4:01".into(),
            name: None,
            rssi: -50,
            manufacturer_data: BTreeMap::new(),
            service_data: BTreeMap::new(),
            advertised: Vec::new(),
            services: Vec::new(),
            presence: Presence::Near,
            mtu: 247,
            security: Security::Open,
        }
    }
}

impl DeviceSpec {
    /// A device of that address and name, without any service.
    #[must_use]
    pub fn named(address: &str, name: &str) -> Self {
        Self { address: address.into(), name: Some(name.into()), ..Self::default() }
    }

    /// Adds a service with these characteristics.
    #[must_use]
    pub fn service(mut self, uuid: Uuid, characteristics: Vec<CharacteristicSpec>) -> Self {
        self.services.push(ServiceSpec { uuid, characteristics });
        self
    }

    /// Advertises that service.
    #[must_use]
    pub fn advertising(mut self, uuid: Uuid) -> Self {
        self.advertised.push(uuid);
        self
    }
}

/// A service of a fake device.
#[derive(Debug, Clone)]
pub struct ServiceSpec {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its characteristics, in the order of their handles.
    pub characteristics: Vec<CharacteristicSpec>,
}

/// A characteristic of a fake device.
#[derive(Debug, Clone)]
pub struct CharacteristicSpec {
    /// Its UUID.
    pub uuid: Uuid,
    /// What can be done with it.
    pub flags: Vec<Flag>,
    /// Its descriptors, besides the one that every notifying characteristic has.
    pub descriptors: Vec<Uuid>,
}

impl CharacteristicSpec {
    /// A characteristic with these flags.
    #[must_use]
    pub fn new(uuid: Uuid, flags: &[Flag]) -> Self {
        Self { uuid, flags: flags.to_vec(), descriptors: Vec::new() }
    }

    pub(super) fn all_descriptors(&self) -> Vec<Uuid> {
        let mut all = self.descriptors.clone();
        if self.flags.contains(&Flag::Notify) || self.flags.contains(&Flag::Indicate) {
            all.push(CLIENT_CONFIGURATION);
        }
        all
    }
}

/// What can be done with a characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Reading.
    Read,
    /// Writing, with the device's confirmation.
    Write,
    /// Writing without confirmation.
    WriteWithoutResponse,
    /// Notifications without confirmation.
    Notify,
    /// Notifications with confirmation.
    Indicate,
}

impl Flag {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::WriteWithoutResponse => "write-without-response",
            Self::Notify => "notify",
            Self::Indicate => "indicate",
        }
    }
}
