//! The Handy and The Oh!: protobuf messages over Bluetooth LE, of one kind before firmware 4 and of another from there on.
//!
//! Devices behind the vendor's cloud are not reached from here.

mod handyplug;
mod message;
mod rpc;

pub use handyplug::Handy;
pub use rpc::HandyV3;

plugin_sdk::export! { id: "thehandy", protocols: { "thehandy" => Handy, "thehandy-v3" => HandyV3 } }
