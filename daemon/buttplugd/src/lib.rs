//! The service that owns the haptic devices of a user's session: the shell around [`engine`], with all tasks, files and system calls.
//!
//! A library so that its parts can be tested; the program is `main.rs`.

pub mod transport;
