//! A client's conversation with a session, in every version and both encodings.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::session(data));
