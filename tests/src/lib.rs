//! What whole-system tests of buttplugd are made with: private buses, a fake BlueZ, the real service, and raw clients.
//!
//! The tests themselves are in `tests/`. Nothing here knows how the service works inside: it is started as a user's
//! session would start it, and spoken to as an application would.

pub mod bus;

pub mod bluez;
pub mod logind;
pub mod machine;
pub mod pty;

pub mod artifact;
pub mod chance;
pub mod clock;
pub mod massager;
pub mod plugins;
pub mod service;

pub mod clients;
pub mod driving;
pub mod peer;

pub mod conversation;
