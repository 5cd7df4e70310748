//! Who is connected, and what people are told about it. Which session drives what comes to this place too.
mod client;
mod entry;

pub use self::{
    client::{Front, Introduction, Peer, Process},
    entry::{DeviceEntry, Direction, OutputAccess, OutputEntry, Scale},
};
