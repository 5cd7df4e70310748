//! Bluetooth against the fake BlueZ, without the rest of the service: btleplug runs unmodified on a private bus.
//!
//! libdbus reads the address of the system bus once in the life of a process. So each test runs in a process of its own,
//! which it starts from itself (`in_own_process`).

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod rig;

mod bluez;
mod links;
mod pairing;
mod seeing;

use std::{collections::BTreeMap, fs, time::Duration};

use buttplugd::transport::{Opened, Opener, ScanWish, TransportEvent, TransportFault, TransportState};
use engine::{
    advertisement::Advertisement,
    protocol::{Endpoint, WriteKind as Wanted},
};
use system_tests::{
    bluez::{
        Action, Delivery, DeviceSpec, Failure, FakeBluez, FakeDevice, PATIENCE, Power, Presence, Security,
        ServiceSpec, Step, WriteKind,
    },
    bus::{Bus, BusKind},
};
use tokio::time::{Instant, timeout};

use rig::*;
