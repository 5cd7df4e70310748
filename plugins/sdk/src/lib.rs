//! The safe Rust face of the buttplugd plugin ABI.
