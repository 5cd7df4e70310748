//! Who may open a session: rules by front, by executable and by the origin of a web page. The first rule that fits decides.
//!
//! This is the user's say over well-behaved programs, not a wall: a program of the same user that means to deceive can. The
//! global stop asks no rule.

use engine::{
    client::{Front, Peer},
    fault::{Fault, Reason},
};
use serde::Deserialize;

use super::value::Pattern;

/// The rules, and what holds when none fits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccessPolicy {
    /// What holds when no rule fits.
    pub default: Verdict,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// Whether a session may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may.
    #[default]
    Allow,
    /// It may not.
    Deny,
}

/// One rule. It fits when everything that it names fits; a rule that names nothing fits everyone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// What holds for those whom it fits.
    pub action: Verdict,
    /// The front that they use.
    #[serde(default)]
    pub front: Option<FrontName>,
    /// Path of the program behind the session; `*` stands for any characters but `/`.
    #[serde(default)]
    pub executable: Option<Pattern>,
    /// Origin of the web page; `*` stands for any characters but `/`. Fits no session without an origin.
    #[serde(default)]
    pub origin: Option<Pattern>,
}

/// A front, as rules name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrontName {
    /// The local socket with MessagePack.
    Socket,
    /// The session bus.
    Dbus,
    /// WebSocket, over TCP or over the local socket.
    Websocket,
}

impl FrontName {
    fn is(self, front: Front) -> bool {
        match self {
            Self::Socket => front == Front::Socket,
            Self::Dbus => front == Front::DBus,
            Self::Websocket => front == Front::WebSocket,
        }
    }
}

impl AccessPolicy {
    /// Whether a session may open.
    ///
    /// # Errors
    /// When it may not: what its client is told.
    pub fn check(&self, peer: &Peer) -> Result<(), Fault> {
        let rule = self.rules.iter().find(|rule| rule.fits(peer));
        match rule.map_or(self.default, |rule| rule.action) {
            Verdict::Allow => Ok(()),
            Verdict::Deny => Err(Fault::new(
                Reason::NotAllowed,
                "the configuration of the service does not let this client in",
            )),
        }
    }
}

impl Rule {
    fn fits(&self, peer: &Peer) -> bool {
        let executable = peer.process.as_ref().and_then(|process| process.executable.as_deref()?.to_str());
        let fits = |pattern: &Option<Pattern>, value: Option<&str>| match pattern {
            Some(pattern) => value.is_some_and(|value| pattern.matches(value)),
            None => true,
        };
        self.front.is_none_or(|front| front.is(peer.front))
            && fits(&self.executable, executable)
            && fits(&self.origin, peer.origin.as_deref())
    }
}
