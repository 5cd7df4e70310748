//! A template, and a device that it drives.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::template(data));
