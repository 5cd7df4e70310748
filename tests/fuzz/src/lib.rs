//! What is fuzzed: one function a target, each of which takes any bytes and panics when something is wrong.
//!
//! The same functions run over the corpus and over changed inputs in an ordinary test (`tests/tests/fuzz_corpus.rs`), so that
//! they are tried without the fuzzer too.

mod definition;
mod frames;
mod greeting;
mod import;
mod indexes;
mod recording;
mod session;
mod template;

pub use definition::definition;
pub use frames::frames;
pub use greeting::greeting;
pub use import::import;
pub use indexes::indexes;
pub use recording::recording;
pub use session::session;
pub use template::template;
