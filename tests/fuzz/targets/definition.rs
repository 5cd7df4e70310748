//! The text of a definition file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::definition(data));
