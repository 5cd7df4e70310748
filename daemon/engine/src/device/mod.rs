//! The state of one device: what is wanted of it, what it has confirmed, and what has to happen next.
//!
//! A [`Device`] is a value. The device's own task hands in commands, results of transfers, results of plugin calls and the
//! time, and does what the effects say, in order. One transfer and one call are under way at most. A stop is neither paced nor
//! queued, and it is repeated until it is confirmed or the device is gone. Nothing here knows sessions, buses or bytes.

mod command;
mod effect;
mod setup;

mod life;
mod motion;

mod asked;
mod call;
mod calls;
mod finished;
mod turn;
mod work;

mod inputs;
mod keep_alive;
mod outputs;
mod requests;
mod rest_packets;
mod signal;
mod spacing;
mod stops;

#[cfg(test)]
mod tests;

pub use self::{
    command::{DeviceCommand, DeviceReport, DeviceTicket, StopCause, StopScope},
    effect::{Effect, Input, Packet, Transfer, TransferFault, Transferred},
    life::Device,
    motion::Motion,
    setup::{
        DeviceSetup, InputSetup, KeepAlive, KeepAliveWhen, Limits, ModelSetup, OnStop, OutputSetup,
        SetUnderWay,
    },
    signal::SIGNAL_RANGE,
};
