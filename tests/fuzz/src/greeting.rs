//! The first message of a device that dials in.

use engine::greeting::Greeting;

/// Any text: only one that says what the device is and which one is a greeting.
pub fn greeting(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Greeting::parse(text) {
        Ok(Greeting { identifier, address }) => assert!(!identifier.is_empty() && !address.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
