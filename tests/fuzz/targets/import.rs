//! The user configuration of another server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::import(data));
