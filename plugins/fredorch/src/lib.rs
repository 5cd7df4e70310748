//! Fredorch machines over Bluetooth LE: a linear one that goes to places, and a rotary one that is told "faster" and "slower".

mod linear;
mod pace;
mod rotary;

pub use linear::Linear;
pub use rotary::Rotary;

plugin_sdk::export! { id: "fredorch", protocols: { "fredorch" => Linear, "fredorch-rotary" => Rotary } }
