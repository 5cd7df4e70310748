//! The service that owns the haptic devices of a user's session: the shell around the pure `engine`.
//!
//! This is the only place with tasks, files, sockets and system calls. What is decided (who may drive what, what a stop means,
//! when a ping is missed) is decided in `engine`; here bytes and time are carried to it, and what it asks for is done.

pub mod app;
pub mod config;
pub mod log;
pub mod notify;
pub mod offline;

pub mod arrivals;
pub mod definitions;
pub mod device_task;
pub mod devices;
pub mod front;
pub mod hub;
pub mod journal;
pub mod limit;
pub mod plugin;
mod sleep;
pub mod transport;
