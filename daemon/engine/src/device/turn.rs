//! Whose turn it is when several kinds of work wait.

/// Kinds of work that take turns, so that a flood of one cannot hold back another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Turn {
    #[default]
    Events,
    Outputs,
    Inputs,
}

impl Turn {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Events => Self::Outputs,
            Self::Outputs => Self::Inputs,
            Self::Inputs => Self::Events,
        }
    }
}
