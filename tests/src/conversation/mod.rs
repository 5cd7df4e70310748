//! Conversations: which message a client sends, and which bytes must then reach the device, as files.
//!
//! A file is played against the real service over a fake BlueZ, in every spec version that it names. [`mod@file`] knows the form,
//! [`mod@play`] is the player. The form is neutral: any server can be held against the same files.

pub mod file;
pub mod golden;
pub mod play;

pub use file::Conversation;
pub use play::Stage;
