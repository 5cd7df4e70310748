//! The book of indexes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::indexes(data));
