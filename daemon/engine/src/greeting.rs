//! What a device that dials in over WebSocket says of itself in its first message.

use serde::Deserialize;

/// What it says. Other members (`version`) are left unread.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Greeting {
    /// The kind of device, by which definitions find it. Never empty.
    pub identifier: String,
    /// What tells it from others of its kind. Never empty.
    pub address: String,
}

/// Why a first message is no greeting.
#[derive(Debug, thiserror::Error)]
pub enum GreetingError {
    /// It is not JSON of that form.
    #[error("its first message does not say what it is: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A member is empty.
    #[error("it says no identifier or no address")]
    Nameless,
}

impl Greeting {
    /// Reads `{"identifier": "..", "address": "..", "version": 0}`.
    ///
    /// # Errors
    /// It is something else, or says nothing.
    pub fn parse(text: &str) -> Result<Self, GreetingError> {
        let greeting: Self = serde_json::from_str(text)?;
        if greeting.identifier.is_empty() || greeting.address.is_empty() {
            return Err(GreetingError::Nameless);
        }
        Ok(greeting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_says_what_the_device_is() {
        let said = r#"{"identifier":"LVSDevice","address":"A1","version":0}"#;
        let greeting = Greeting { identifier: "LVSDevice".into(), address: "A1".into() };
        assert_eq!(Greeting::parse(said).unwrap(), greeting);
        for nonsense in ["", "hello", "[]", r#"{"identifier":"x"}"#, r#"{"identifier":1,"address":"A1"}"#] {
            assert!(matches!(Greeting::parse(nonsense), Err(GreetingError::Unreadable(_))), "{nonsense}");
        }
        for empty in [r#"{"identifier":"","address":"A1"}"#, r#"{"identifier":"x","address":""}"#] {
            assert!(matches!(Greeting::parse(empty), Err(GreetingError::Nameless)), "{empty}");
        }
    }
}
