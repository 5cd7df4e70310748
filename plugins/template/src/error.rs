//! What can be wrong with a template: in its text, and when it meets a model.
//!
//! Every error names the key and, inside a pattern, the column. Nothing here knows files; whoever read the
//! file adds its name.

use crate::kind::OutputKind;

/// A template that does not say what it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}{}: {fault}", place(*.column))]
pub struct TemplateError {
    /// Where, as a path below `[protocol.template]`: `packet[0].bytes`.
    pub key: String,
    /// Where inside the text of that key, counted in characters from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub fault: Fault,
}

fn place(column: Option<usize>) -> String {
    column.map_or_else(String::new, |column| format!(", column {column}"))
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The shape is wrong: an unknown key, a missing one, a text where a number belongs.
    #[error("{0}")]
    Shape(String),
    /// Something else stands where this was wanted.
    #[error("{found} stands where {wanted} was wanted")]
    Unexpected {
        /// What stands there, quoted, or `the end`.
        found: String,
        /// What would have been right.
        wanted: &'static str,
    },
    /// A number that is too large, or not one.
    #[error("`{0}` is not a number that fits")]
    BadNumber(String),
    /// A word that the language does not have and `let` does not define.
    #[error("nothing is called `{0}`")]
    UnknownName(String),
    /// A word of the language that has no meaning in this key.
    #[error("`{0}` has no meaning here")]
    NotHere(String),
    /// A name for `let` or `tables` that cannot be one.
    #[error("`{0}` cannot be a name: small letters, digits and _, and no word of the language")]
    BadName(String),
    /// A function was given the wrong number of values.
    #[error("`{name}` takes {wanted} values, not {given}")]
    Arguments {
        /// The function.
        name: String,
        /// How many it takes.
        wanted: &'static str,
        /// How many were given.
        given: usize,
    },
    /// A fault inside a `let` that this key uses.
    #[error("in let.{name}, column {column}: {fault}")]
    InName {
        /// The name.
        name: String,
        /// Where in its text.
        column: usize,
        /// What is wrong there.
        fault: Box<Fault>,
    },
    /// Brackets within brackets within brackets.
    #[error("nested too deeply")]
    TooDeep,
    /// More than anyone needs; the limit keeps a bad file from taking memory.
    #[error("longer than {0}, the most that is allowed")]
    TooLong(usize),
    /// An empty list or text that must not be.
    #[error("must not be empty")]
    Empty,
}

/// A value that could not become bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Division or remainder by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A result beyond 64 bits.
    #[error("a number beyond 64 bits")]
    Overflow,
    /// A value that has no place in its format. It is never cut off.
    #[error("{value} does not fit {format}")]
    DoesNotFit {
        /// The value.
        value: i64,
        /// The format as written, or the function.
        format: &'static str,
    },
    /// A table without an entry for the value.
    #[error("no entry {0} in the table")]
    NoEntry(i64),
    /// A checksum over bytes that are not there yet.
    #[error("a checksum over byte {0}, which is not before it")]
    NotThere(usize),
    /// Received bytes that are too short, or hold no number.
    #[error("the received bytes have no such value at {0}")]
    NotReceived(i64),
    /// The word needs one output, and the packet has none at hand.
    #[error("no single output to take a value from")]
    NoOutput,
    /// A packet longer than any transport takes.
    #[error("a packet of more than {0} bytes")]
    TooLong(usize),
}

/// A program that does not suit a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A packet cannot be made for a value that the model allows.
    #[error("{key}: with {values}: {error}")]
    Encode {
        /// The packet's key.
        key: String,
        /// The outputs and their values.
        values: String,
        /// Why not.
        error: EncodeError,
    },
    /// An output that no packet carries.
    #[error("no packet for {} of feature {feature}", .kind.name())]
    NoPacket {
        /// The feature index.
        feature: u32,
        /// Which output of it.
        kind: OutputKind,
    },
    /// An input that nothing reads.
    #[error("no input for {kind} of feature {feature}")]
    NoInput {
        /// The feature index.
        feature: u32,
        /// The kind's name.
        kind: &'static str,
    },
    /// An endpoint that the protocol does not have.
    #[error("{key}: no endpoint `{endpoint}` in this protocol")]
    NoEndpoint {
        /// The key that names it.
        key: String,
        /// The name.
        endpoint: String,
    },
}
