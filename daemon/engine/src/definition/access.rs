//! The user's rules: which devices may be used at all, and what they are limited to.
//!
//! Fail-safe: a rule that could not be read may be a deny or a limit, so the devices that it may be about are not offered, with the
//! reason, until the file is mended. They are never silently used without it.

use super::{
    layer::Layer,
    model::{DeviceRule, OutputRule, Which},
    parse::Concern,
};
use crate::vocabulary::OutputKind;

/// Why a device is not offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No definition has this protocol.
    #[error("no definition has the protocol `{protocol}`")]
    UnknownProtocol {
        /// The id.
        protocol: String,
    },
    /// A rule of the user denies it.
    #[error("denied by {file}")]
    Denied {
        /// The file with the rule.
        file: String,
    },
    /// Only some devices are allowed, and this is none of them.
    #[error("{file} allows other devices only")]
    NotAllowed {
        /// A file with a rule that allows another device.
        file: String,
    },
    /// A rule that may be about it cannot be read or kept.
    #[error("held back, since a rule that may be about it cannot be followed: {reason}")]
    Quarantined {
        /// What is wrong, with file and key.
        reason: String,
    },
}

/// What is known of a device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) protocol: &'a str,
    /// `None` as long as it has not been asked.
    pub(super) identifier: Option<&'a str>,
    pub(super) address: &'a str,
}

/// Whether something is about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Yes,
    No,
    /// It will be known once the identifier is.
    Perhaps,
}

impl Subject<'_> {
    fn is_meant(self, which: &Which) -> About {
        let protocol = which.protocol.as_deref().is_none_or(|protocol| protocol == self.protocol);
        // Addresses are hex digits, which people write in either case.
        let address =
            which.address.as_deref().is_none_or(|address| address.eq_ignore_ascii_case(self.address));
        if !protocol || !address {
            return About::No;
        }
        match (which.identifier.as_deref(), self.identifier) {
            (None, _) => About::Yes,
            (Some(wanted), Some(identifier)) if wanted == identifier => About::Yes,
            (Some(_), Some(_)) => About::No,
            (Some(_), None) => About::Perhaps,
        }
    }
}

/// A rule, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct PlacedRule {
    pub(super) layer: Layer,
    pub(super) file: String,
    pub(super) rule: DeviceRule,
}

impl PlacedRule {
    /// An address says more than an identifier, that more than a protocol.
    fn exactness(&self) -> (bool, bool, bool) {
        let Which { protocol, identifier, address } = &self.rule.which;
        (address.is_some(), identifier.is_some(), protocol.is_some())
    }
}

/// All rules of all layers.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// In rising order of weight.
    rules: Vec<PlacedRule>,
    quarantined: Vec<(Concern, String)>,
}

/// What the rules say about one device, one over the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) name: Option<String>,
    pub(super) index: Option<u32>,
    pub(super) message_gap_ms: Option<u32>,
    pub(super) outputs: Vec<Limit>,
}

/// A limit, and what to say if it cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) rule: OutputRule,
    /// The file that the limit is from.
    pub(super) file: String,
    /// Whether it must fit the device: the rule names a model or one device, not a whole protocol.
    pub(super) fit: Fit,
}

/// Whether a device that lacks the limited output is at odds with the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Required,
    WherePresent,
}

impl Rules {
    pub(super) fn new(mut rules: Vec<PlacedRule>, quarantined: Vec<(Concern, String)>) -> Self {
        rules.sort_by_key(|rule| (rule.layer, rule.exactness()));
        Self { rules, quarantined }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PlacedRule> {
        self.rules.iter()
    }

    /// Whether a device may be used. Before its identifier is known, only what can be said without it is said: ask again after.
    pub(super) fn admit(&self, subject: Subject<'_>) -> Result<(), Refusal> {
        for (concern, reason) in &self.quarantined {
            let meant = match concern {
                Concern::Everything => About::Yes,
                Concern::Some(which) => subject.is_meant(which),
            };
            if meant == About::Yes {
                return Err(Refusal::Quarantined { reason: reason.clone() });
            }
        }
        let mut allowed = None;
        for PlacedRule { file, rule, .. } in &self.rules {
            let meant = subject.is_meant(&rule.which);
            if rule.deny && meant == About::Yes {
                return Err(Refusal::Denied { file: file.clone() });
            }
            if rule.allow && meant != About::No {
                allowed = Some(Ok(()));
            } else if rule.allow && allowed.is_none() {
                allowed = Some(Err(Refusal::NotAllowed { file: file.clone() }));
            }
        }
        allowed.unwrap_or(Ok(()))
    }

    /// What the rules want of a device whose identifier is known.
    pub(super) fn wishes(&self, subject: Subject<'_>) -> Wishes {
        let mut wishes = Wishes::default();
        for placed in &self.rules {
            let PlacedRule { file, rule, .. } = placed;
            if subject.is_meant(&rule.which) != About::Yes {
                continue;
            }
            wishes.name = rule.name.clone().or(wishes.name);
            wishes.index = rule.index.or(wishes.index);
            wishes.message_gap_ms = rule.message_gap_ms.or(wishes.message_gap_ms);
            let fit = match &rule.which {
                Which { identifier: None, address: None, .. } => Fit::WherePresent,
                Which { .. } => Fit::Required,
            };
            for output in &rule.outputs {
                wishes.limit(output, file, fit);
            }
        }
        wishes
    }
}

impl Wishes {
    fn limit(&mut self, later: &OutputRule, file: &str, fit: Fit) {
        let same = |limit: &&mut Limit| limit.rule.feature == later.feature && limit.rule.kind == later.kind;
        match self.outputs.iter_mut().find(same) {
            None => self.outputs.push(Limit { rule: later.clone(), file: file.to_owned(), fit }),
            Some(Limit { rule, file: said_by, fit: earlier }) => {
                rule.range = later.range.or(rule.range);
                rule.duration_ms = later.duration_ms.or(rule.duration_ms);
                rule.disabled |= later.disabled;
                rule.invert |= later.invert;
                file.clone_into(said_by);
                if fit == Fit::Required {
                    *earlier = fit;
                }
            }
        }
    }
}

/// What to say of a limit that a device cannot be held to.
pub(super) fn broken_limit(limit: &Limit, why: &dyn std::fmt::Display) -> Refusal {
    let (file, feature, kind): (&str, u32, OutputKind) = (&limit.file, limit.rule.feature, limit.rule.kind);
    Refusal::Quarantined { reason: format!("{file}: the limit of feature {feature}, {}: {why}", kind.name()) }
}
