//! The first message of a device that dials in.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::greeting(data));
