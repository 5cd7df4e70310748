//! The service `buttplugd`.

fn main() {}
