//! Tests of the device, in virtual time.

mod bench;

mod bring_up;
mod inputs;
mod random;
mod sets;
mod stops;
