//! `when` and `unless`: for which models and devices a packet, a step or an input is meant.
//!
//! Decided once, when the model is known; values play no part.

use crate::context::fault;
use crate::error::{Fault, TemplateError};
use crate::source::When;

/// `when` and `unless` of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Select {
    when: Option<When>,
    unless: Option<When>,
}

/// What is known of a device once its model is.
pub(crate) struct Facts<'a> {
    pub(crate) identifier: &'a str,
    pub(crate) variant: &'a str,
    pub(crate) outputs: usize,
    /// The endpoints that it has. Absent where that is not known: any endpoint may then be there or not.
    pub(crate) endpoints: Option<&'a [String]>,
}

impl Select {
    pub(crate) fn read(key: &str, when: Option<&When>, unless: Option<&When>) -> Result<Self, TemplateError> {
        for (name, given) in [("when", when), ("unless", unless)] {
            if given.is_some_and(|given| *given == When::default()) {
                return Err(fault(&format!("{key}.{name}"), Fault::Empty));
            }
        }
        Ok(Self { when: when.cloned(), unless: unless.cloned() })
    }

    /// Whether the entry is meant for such a device; where endpoints are not known, whether it may be.
    pub(crate) fn suits(&self, facts: &Facts<'_>) -> bool {
        let when = self.when.as_ref().is_none_or(|when| holds(when, facts, true));
        let unless = self.unless.as_ref().is_some_and(|unless| holds(unless, facts, false));
        when && !unless
    }

    /// Whether it can only be decided once the model is known.
    pub(crate) fn needs_model(&self) -> bool {
        [&self.when, &self.unless]
            .into_iter()
            .flatten()
            .any(|when| !when.variant.is_empty() || !when.identifier.is_empty() || when.outputs.is_some())
    }
}

fn holds(when: &When, facts: &Facts<'_>, unknown: bool) -> bool {
    let variant = when.variant.is_empty() || when.variant.iter().any(|variant| variant == facts.variant);
    let identifier = when.identifier.is_empty()
        || when.identifier.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(beginning) => facts.identifier.starts_with(beginning),
            None => wanted == facts.identifier,
        });
    let outputs = when
        .outputs
        .is_none_or(|outputs| usize::try_from(outputs).is_ok_and(|outputs| outputs == facts.outputs));
    let endpoint = when.endpoint.is_empty()
        || facts
            .endpoints
            .map_or(unknown, |known| when.endpoint.iter().any(|endpoint| known.contains(endpoint)));
    variant && identifier && outputs && endpoint
}
