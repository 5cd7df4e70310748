//! The command `buttplugctl`.

fn main() {}
