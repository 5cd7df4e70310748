//! All definition files of all layers as one: which protocol an advertisement may belong to, what a device can do, and whether it may
//! be used.
//!
//! Built once from texts and replaced as a whole at a reload. A file with an error changes nothing: what was last good of it stays
//! in force, and if there is nothing, the devices that it may be about are held back (see [`Refusal::Quarantined`]).

mod build;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use self::build::{FileState, LoadedFile};
use super::{
    access::{Fit, Limit, Refusal, Rules, Subject, broken_limit},
    entry::ProtocolEntry,
    layer::Layer,
    matching::{Found, MatchIndex, Origin, Sign, Way},
    model::{AddedModel, BluetoothMatch, Feature},
    resolved::{Resolved, ResolvedFeature},
};
use crate::advertisement::Advertisement;

/// A definition file as the shell found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Whose it is.
    pub layer: Layer,
    /// Its path, for messages and for finding the library beside it.
    pub file: String,
    /// Its text, or why it could not be read.
    pub text: Result<String, String>,
}

/// A protocol that an advertisement may belong to.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The protocol.
    pub protocol: Arc<ProtocolEntry>,
    /// The layer of the match.
    pub layer: Layer,
    /// The file of the match, which need not be that of the protocol.
    pub file: Arc<str>,
    /// What speaks for it.
    pub sign: Sign,
    /// How the device is reached.
    pub way: Way,
}

/// All definitions.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    files: Vec<LoadedFile>,
    protocols: Vec<Arc<ProtocolEntry>>,
    by_id: HashMap<String, usize>,
    added: HashMap<(usize, String), Arc<AddedModel>>,
    matches: MatchIndex,
    rules: Rules,
}

/// A model, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Who makes it.
    pub maker: Option<&'a str>,
    /// The protocol that it speaks.
    pub protocol: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What it says it is; empty for the default of a protocol.
    pub identifiers: &'a [String],
    /// How it is recognised over Bluetooth LE: as it says itself, or else as its protocol says.
    pub bluetooth: &'a [BluetoothMatch],
    /// Its file.
    pub file: &'a str,
}

impl Catalogue {
    /// The protocols that an advertisement may belong to, best first; see [`matching`](super::matching) for the order.
    ///
    /// The device belongs to the first whose services it has. Whether it may be used is asked for that one alone
    /// ([`Catalogue::admit`]): a denied device is not tried as something else.
    #[must_use]
    pub fn find(&self, advertisement: &Advertisement) -> Vec<Candidate> {
        let id = |number: usize| self.protocols.get(number).map_or("", |entry| entry.id());
        let candidate = |found: Found| {
            let protocol = Arc::clone(self.protocols.get(found.protocol)?);
            let Origin { layer, file } = found.origin;
            Some(Candidate { protocol, layer, file, sign: found.sign, way: found.way })
        };
        self.matches.find(advertisement, id).into_iter().filter_map(candidate).collect()
    }

    /// The serial ports that definitions name by path. No listing of the system's ports need have them.
    pub fn serial_ports(&self) -> impl Iterator<Item = &str> {
        self.matches.serial_ports()
    }

    /// The protocol with this id.
    #[must_use]
    pub fn protocol(&self, id: &str) -> Option<&Arc<ProtocolEntry>> {
        self.protocols.get(*self.by_id.get(id)?)
    }

    /// Whether a device may be connected to, as far as that is known before it has said what it is.
    ///
    /// # Errors
    /// It may not, and why.
    pub fn admit(&self, protocol: &str, address: &str) -> Result<(), Refusal> {
        self.rules.admit(Subject { protocol, identifier: None, address })
    }

    /// Everything about a device that has said what it is. Ask this also where nothing had to be asked of it: only here are all
    /// rules applied.
    ///
    /// # Errors
    /// It may not be used, or a limit that the user set cannot be kept with it.
    pub fn resolve(&self, protocol: &str, identifier: &str, address: &str) -> Result<Resolved, Refusal> {
        let unknown = || Refusal::UnknownProtocol { protocol: protocol.to_owned() };
        let number = *self.by_id.get(protocol).ok_or_else(unknown)?;
        let entry = self.protocols.get(number).ok_or_else(unknown)?;
        let subject = Subject { protocol, identifier: Some(identifier), address };
        self.rules.admit(subject)?;
        let wishes = self.rules.wishes(subject);

        let (name, variant, features) = self.model(number, entry, identifier);
        let limits: Vec<_> = wishes.outputs.iter().map(|limit| limit.rule.clone()).collect();
        for limit in wishes.outputs.iter().filter(|limit| limit.fit == Fit::Required) {
            let has = |feature: &Feature| {
                feature.index == limit.rule.feature && feature.output.contains_key(&limit.rule.kind)
            };
            if !features.iter().any(has) {
                return Err(broken_limit(limit, &"the device has no such output"));
            }
        }
        let mut resolved = Vec::with_capacity(features.len());
        for feature in features {
            let one = ResolvedFeature::new(feature, &limits).map_err(|(kind, error)| {
                let same = |limit: &&Limit| limit.rule.feature == feature.index && limit.rule.kind == kind;
                match wishes.outputs.iter().find(same) {
                    Some(limit) => broken_limit(limit, &error),
                    None => Refusal::Quarantined { reason: error.to_string() },
                }
            })?;
            resolved.push(one);
        }
        resolved.sort_by_key(|feature| feature.index);
        Ok(Resolved {
            protocol: Arc::clone(entry),
            identifier: identifier.to_owned(),
            name: name.to_owned(),
            display_name: wishes.name,
            variant: variant.map(str::to_owned),
            features: resolved,
            message_gap_ms: wishes.message_gap_ms.or(entry.definition.message_gap_ms),
            packet_gap_ms: entry.definition.packet_gap_ms.unwrap_or(0),
            set_under_way: entry.definition.set_under_way,
            keep_alive: entry.definition.keep_alive,
            bring_up_limit_ms: entry.definition.bring_up_limit_ms,
            index: wishes.index,
        })
    }

    /// Name, variant and features of a model: an added one, one of the protocol, or the protocol's default.
    /// The name of a model, whether or not the user wants it to be used; `None` if no definition has the protocol.
    #[must_use]
    pub fn model_name(&self, protocol: &str, identifier: &str) -> Option<&str> {
        let number = *self.by_id.get(protocol)?;
        let entry = self.protocols.get(number)?;
        let (name, ..) = self.model(number, entry, identifier);
        Some(name)
    }

    fn model<'a>(
        &'a self,
        number: usize,
        entry: &'a ProtocolEntry,
        identifier: &str,
    ) -> (&'a str, Option<&'a str>, &'a [Feature]) {
        let default = &entry.definition.default;
        if let Some(added) = self.added.get(&(number, identifier.to_owned())) {
            let name = added.name.as_ref().unwrap_or(&default.name);
            let variant = added.variant.as_ref().or(default.variant.as_ref());
            let features = added.features.as_ref().unwrap_or(&default.features);
            return (name, variant.map(String::as_str), features);
        }
        let known = entry.models.get(identifier).and_then(|number| entry.definition.model.get(*number));
        match known {
            Some(model) => {
                let features = model.features.as_ref().unwrap_or(&default.features);
                (
                    &model.name,
                    model.variant.as_ref().or(default.variant.as_ref()).map(String::as_str),
                    features,
                )
            }
            None => (&default.name, default.variant.as_deref(), &default.features),
        }
    }

    /// Whether some rule allows devices, so that all others are shut out.
    #[must_use]
    pub fn has_allow_list(&self) -> bool {
        self.rules.iter().any(|rule| rule.rule.allow)
    }

    /// What a model can do before any rule of the user; `None` if there is no such protocol.
    #[must_use]
    pub fn features(&self, protocol: &str, identifier: &str) -> Option<&[Feature]> {
        let number = *self.by_id.get(protocol)?;
        Some(self.model(number, self.protocols.get(number)?, identifier).2)
    }

    /// The name of a model; `None` if there is no such protocol.
    #[must_use]
    pub fn name(&self, protocol: &str, identifier: &str) -> Option<&str> {
        let number = *self.by_id.get(protocol)?;
        Some(self.model(number, self.protocols.get(number)?, identifier).0)
    }

    /// The name that the user gave a device, whether or not it may be used.
    #[must_use]
    pub fn display_name(&self, protocol: &str, identifier: &str, address: &str) -> Option<String> {
        self.rules.wishes(Subject { protocol, identifier: Some(identifier), address }).name
    }

    /// Whether a model of the protocol, or one that was added, has this identifier.
    #[must_use]
    pub fn is_listed(&self, protocol: &str, identifier: &str) -> bool {
        let Some(number) = self.by_id.get(protocol) else { return false };
        self.added.contains_key(&(*number, identifier.to_owned()))
            || self.protocols.get(*number).is_some_and(|entry| entry.models.contains_key(identifier))
    }

    /// The indexes that the user keeps for certain devices; no other device gets one of them.
    #[must_use]
    pub fn reserved_indexes(&self) -> BTreeSet<u32> {
        self.rules.iter().filter_map(|rule| rule.rule.index).collect()
    }

    /// The protocols, in order of their ids.
    #[must_use]
    pub fn protocols(&self) -> Vec<&Arc<ProtocolEntry>> {
        let mut all: Vec<_> = self.protocols.iter().collect();
        all.sort_by(|a, b| a.id().cmp(b.id()));
        all
    }

    /// Every model, those of one protocol together, the default of each first.
    #[must_use]
    pub fn list(&self) -> Vec<Listed<'_>> {
        let mut all = Vec::new();
        for entry in self.protocols() {
            let (maker, protocol, file) = (entry.maker.as_deref(), entry.id(), entry.file.as_str());
            let name = entry.definition.default.name.as_str();
            let bluetooth = entry.definition.bluetooth.as_slice();
            all.push(Listed { maker, protocol, name, identifiers: &[], bluetooth, file });
            for model in &entry.definition.model {
                all.push(Listed {
                    maker,
                    protocol,
                    name: &model.name,
                    identifiers: &model.identifiers,
                    bluetooth,
                    file,
                });
            }
            for LoadedFile { file, state, .. } in &self.files {
                let FileState::InForce(content) = state else { continue };
                for model in content.model.iter().filter(|model| model.protocol == protocol) {
                    let name = model.name.as_deref().unwrap_or(name);
                    let own = model.bluetooth.as_slice();
                    let bluetooth = if own.is_empty() { bluetooth } else { own };
                    let identifiers = &model.identifiers;
                    all.push(Listed { maker, protocol, name, identifiers, bluetooth, file });
                }
            }
        }
        all
    }
}
