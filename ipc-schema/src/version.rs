//! The spec versions that exist, and how a handshake tells which one a client speaks. What each contains is in its own module.

use std::fmt;

use serde_json::Value;

/// A version of the Buttplug message spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the whole meaning")]
pub enum SpecVersion {
    V0,
    V1,
    V2,
    V3,
    V4,
}

impl SpecVersion {
    /// All versions, oldest first.
    pub const ALL: [Self; 5] = [Self::V0, Self::V1, Self::V2, Self::V3, Self::V4];

    /// The newest version: what this server speaks by itself.
    pub const NEWEST: Self = Self::V4;

    /// The number, as it stands in a handshake.
    pub const fn number(self) -> u32 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }

    /// The version of this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.number() == number)
    }

    /// The version that a client asks for, from the body of its `RequestServerInfo`: `ProtocolVersionMajor` if there is one,
    /// else `MessageVersion`, else v0.
    ///
    /// # Errors
    /// When the member is not a number, or names a version that does not exist or that is announced in the other way.
    pub fn of_handshake(body: &Value) -> Result<Self, VersionError> {
        let read = |member: &'static str, value: &Value| {
            crate::number::to_u32(value)
                .ok_or_else(|| VersionError::NotANumber { member, found: value.to_string() })
        };
        if let Some(value) = body.get("ProtocolVersionMajor") {
            let number = read("ProtocolVersionMajor", value)?;
            return match Self::from_number(number) {
                Some(Self::V4) => Ok(Self::V4),
                Some(older) => {
                    Err(VersionError::WrongMember { number: older.number(), member: "MessageVersion" })
                }
                None => Err(VersionError::Unknown { number }),
            };
        }
        let Some(value) = body.get("MessageVersion") else { return Ok(Self::V0) };
        let number = read("MessageVersion", value)?;
        match Self::from_number(number) {
            Some(Self::V4) => Err(VersionError::WrongMember { number, member: "ProtocolVersionMajor" }),
            Some(version) => Ok(version),
            None => Err(VersionError::Unknown { number }),
        }
    }
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "v{}", self.number())
    }
}

/// Why a handshake does not tell a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The spec has no such version, or not yet.
    #[error("spec version {number} is not known; this server speaks 0 to {}", SpecVersion::NEWEST.number())]
    Unknown {
        /// What the client asked for.
        number: u32,
    },
    /// The version is announced with another member.
    #[error("spec version {number} is announced with member `{member}`")]
    WrongMember {
        /// What the client asked for.
        number: u32,
        /// The member that it should have used.
        member: &'static str,
    },
    /// The member is there, and is no whole number.
    #[error("member `{member}` of the handshake must be a whole number from 0 up, but is {found}")]
    NotANumber {
        /// The member.
        member: &'static str,
        /// What it holds.
        found: String,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_shape_of_the_handshake_tells_the_version() {
        let version = |body: Value| SpecVersion::of_handshake(&body);
        assert_eq!(version(json!({"Id": 1, "ClientName": "x"})), Ok(SpecVersion::V0));
        assert_eq!(version(json!({"MessageVersion": 0})), Ok(SpecVersion::V0));
        assert_eq!(version(json!({"MessageVersion": 3})), Ok(SpecVersion::V3));
        assert_eq!(version(json!({"MessageVersion": 2.0})), Ok(SpecVersion::V2));
        assert_eq!(version(json!({"MessageVersion": 3, "ProtocolVersionMajor": 4})), Ok(SpecVersion::V4));
    }

    #[test]
    fn a_version_that_cannot_be_served_is_named() {
        let version = |body: Value| SpecVersion::of_handshake(&body).unwrap_err();
        assert_eq!(version(json!({"ProtocolVersionMajor": 5})), VersionError::Unknown { number: 5 });
        assert_eq!(version(json!({"MessageVersion": 5})), VersionError::Unknown { number: 5 });
        assert_eq!(
            version(json!({"MessageVersion": 4})),
            VersionError::WrongMember { number: 4, member: "ProtocolVersionMajor" }
        );
        assert_eq!(
            version(json!({"ProtocolVersionMajor": 3})),
            VersionError::WrongMember { number: 3, member: "MessageVersion" }
        );
        assert_eq!(
            version(json!({"MessageVersion": null})),
            VersionError::NotANumber { member: "MessageVersion", found: "null".into() }
        );
    }
}
