//! The pure middle of buttplugd: sessions, version dialects, routing, device state, definitions, pacing and stop rules.
//!
//! Bytes and time come in as arguments, effects go out as values. There is no clock, task, socket, file or `unsafe` here;
//! the shell around it (`buttplugd`) does what the effects ask for.

#![forbid(unsafe_code)]

pub mod vocabulary;

pub mod advertisement;
pub mod client;
pub mod command;
pub mod fault;
pub mod greeting;
pub mod monitor;
pub mod recording;
pub mod request;
pub mod view;

pub mod session;

mod dialect;

pub mod router;

pub mod device;
pub mod protocol;

pub mod definition;
