//! Whose a definition file is.

/// Where a file comes from. Of two files that say something about the same thing, that of the later layer wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// A plugin folder; the only place that has code.
    Plugins,
    /// `/etc/buttplugd`.
    Administrator,
    /// The user's configuration directory.
    User,
}

impl Layer {
    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plugins => "plugin folder",
            Self::Administrator => "administrator",
            Self::User => "user",
        }
    }
}
