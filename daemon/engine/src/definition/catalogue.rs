//! All definition files of all layers as one: which protocol an advertisement may belong to, what a device can do, and whether it may
//! be used.
//!
//! Built once from texts and replaced as a whole at a reload. A file with an error changes nothing: what was last good of it stays
//! in force, and if there is nothing, the devices that it may be about are held back (see [`Refusal::Quarantined`]).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    access::{Fit, PlacedRule, Refusal, Rules, Subject, broken_limit},
    matching::{Found, MatchIndex, Services, Sign, Way},
    model::{AddedModel, DefinitionFile, DeviceRule, Feature, Protocol},
    parse::{Concern, Layer, Parsed, TemplateCheck, parse},
    problem::{Places, Problem},
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

/// A protocol, where it was defined, and how its models are found.
#[derive(Debug)]
pub struct ProtocolEntry {
    /// What its file says.
    pub definition: Protocol,
    /// Who makes the devices.
    pub maker: Option<String>,
    /// The library that runs it, if it has `code`; it lies beside `file`.
    pub library: Option<String>,
    /// The layer of its file.
    pub layer: Layer,
    /// Its file.
    pub file: String,
    /// The number of each model by identifier.
    models: HashMap<String, usize>,
    /// All services of all its matches, for matches that name none.
    services: Arc<Services>,
}

/// A protocol that an advertisement may belong to.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The protocol.
    pub protocol: Arc<ProtocolEntry>,
    /// The layer of the match.
    pub layer: Layer,
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

/// What is in force of one file.
#[derive(Debug, Clone)]
struct LoadedFile {
    layer: Layer,
    file: String,
    state: FileState,
}

#[derive(Debug, Clone)]
enum FileState {
    /// As it is, or as it last was when it was good.
    InForce(Arc<DefinitionFile>),
    /// It never was good since the service started.
    NeverGood { rules: Vec<DeviceRule>, concerns: Vec<Concern>, reason: String },
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
    /// Its file.
    pub file: &'a str,
}

impl Catalogue {
    /// Reads all files. `previous` is the catalogue until now, from which files that have an error are taken as they last were.
    ///
    /// The problems are for the log, and all that is told of them; the catalogue is usable whatever they are.
    #[must_use]
    pub fn build(
        sources: &[Source],
        previous: Option<&Self>,
        templates: &dyn TemplateCheck,
    ) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut files = Vec::new();
        let mut texts = BTreeMap::new();
        for source in sources {
            let parsed = match &source.text {
                Ok(text) => parse(&source.file, text, source.layer, templates),
                Err(error) => unreadable(source, error),
            };
            let state = match parsed {
                Parsed::Good(file) => {
                    if let Ok(text) = &source.text {
                        texts.insert(source.file.as_str(), text.as_str());
                    }
                    FileState::InForce(Arc::new(file))
                }
                Parsed::Broken { problems: found, rules, concerns } => {
                    let reason = found.first().map(ToString::to_string).unwrap_or_default();
                    problems.extend(found);
                    match previous.and_then(|previous| previous.last_good(source)) {
                        Some(file) => FileState::InForce(file),
                        None => FileState::NeverGood { rules, concerns, reason },
                    }
                }
            };
            files.push(LoadedFile { layer: source.layer, file: source.file.clone(), state });
        }
        let catalogue = Self::assemble(files, &texts, &mut problems);
        (catalogue, problems)
    }

    /// What would be wrong if this file were added, or took the place of the one with its path.
    #[must_use]
    pub fn check(&self, source: &Source, templates: &dyn TemplateCheck) -> Vec<Problem> {
        let text = match &source.text {
            Ok(text) => text,
            Err(error) => return vec![file_problem(source, error)],
        };
        match parse(&source.file, text, source.layer, templates) {
            Parsed::Broken { problems, .. } => problems,
            Parsed::Good(file) => {
                let mut files: Vec<LoadedFile> =
                    self.files.iter().filter(|other| other.file != source.file).cloned().collect();
                let state = FileState::InForce(Arc::new(file));
                files.push(LoadedFile { layer: source.layer, file: source.file.clone(), state });
                let mut problems = Vec::new();
                let texts = BTreeMap::from([(source.file.as_str(), text.as_str())]);
                drop(Self::assemble(files, &texts, &mut problems));
                problems.retain(|problem| problem.file == source.file);
                problems
            }
        }
    }

    fn last_good(&self, source: &Source) -> Option<Arc<DefinitionFile>> {
        let same = |loaded: &&LoadedFile| loaded.file == source.file && loaded.layer == source.layer;
        match &self.files.iter().find(same)?.state {
            FileState::InForce(file) => Some(Arc::clone(file)),
            FileState::NeverGood { .. } => None,
        }
    }

    fn assemble(
        mut files: Vec<LoadedFile>,
        texts: &BTreeMap<&str, &str>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        files.sort_by_key(|file| file.layer);
        let mut catalogue = Self::default();
        let mut report = |file: &str, key: String, reason: String| {
            problems.push(match texts.get(file) {
                Some(text) => Places::new(file, text).problem(key, reason),
                None => Problem { file: file.to_owned(), line: None, key, reason },
            });
        };
        catalogue.take_protocols(&files, &mut report);
        catalogue.take_models(&files, &mut report);
        for number in 0..catalogue.protocols.len() {
            catalogue.index_protocol(number);
        }
        catalogue.report_clashes(&mut report);
        catalogue.take_rules(&files, &mut report);
        catalogue.files = files;
        catalogue
    }

    fn take_protocols(&mut self, files: &[LoadedFile], report: &mut Report<'_>) {
        for LoadedFile { layer, file, state } in files {
            let FileState::InForce(content) = state else { continue };
            for (number, protocol) in content.protocol.iter().enumerate() {
                let entry = ProtocolEntry::new(protocol, content, *layer, file);
                match self.by_id.get(&protocol.id).and_then(|number| self.protocols.get_mut(*number)) {
                    Some(other) if other.layer == *layer => {
                        let reason =
                            format!("the protocol `{}` is defined by {} already", protocol.id, other.file);
                        report(file, format!("protocol[{number}].id"), reason);
                    }
                    Some(earlier) => *earlier = Arc::new(entry),
                    None => {
                        self.by_id.insert(protocol.id.clone(), self.protocols.len());
                        self.protocols.push(Arc::new(entry));
                    }
                }
            }
        }
    }

    fn take_models(&mut self, files: &[LoadedFile], report: &mut Report<'_>) {
        let mut layers: HashMap<(usize, String), Layer> = HashMap::new();
        for LoadedFile { layer, file, state } in files {
            let FileState::InForce(content) = state else { continue };
            for (number, model) in content.model.iter().enumerate() {
                let Some(protocol) = self.by_id.get(&model.protocol).copied() else {
                    report(
                        file,
                        format!("model[{number}].protocol"),
                        format!("no definition has the protocol `{}`", model.protocol),
                    );
                    continue;
                };
                let Some(entry) = self.protocols.get(protocol).cloned() else { continue };
                let shared = Arc::new(model.clone());
                for identifier in &model.identifiers {
                    let key = (protocol, identifier.clone());
                    let taken = layers.get(&key) == Some(layer)
                        || entry.layer == *layer && entry.models.contains_key(identifier);
                    if taken {
                        let reason = format!("the protocol `{}` has `{identifier}` already", model.protocol);
                        report(file, format!("model[{number}].identifiers"), reason);
                        continue;
                    }
                    layers.insert(key.clone(), *layer);
                    self.added.insert(key, Arc::clone(&shared));
                }
                for one in &model.bluetooth {
                    self.matches.add_bluetooth(*layer, protocol, one, &entry.services);
                }
                for one in &model.serial {
                    self.matches.add_serial(*layer, protocol, one);
                }
                for one in &model.hid {
                    self.matches.add_hid(*layer, protocol, one);
                }
                for one in &model.websocket {
                    self.matches.add_websocket(*layer, protocol, one);
                }
            }
        }
    }

    fn index_protocol(&mut self, number: usize) {
        let Some(entry) = self.protocols.get(number).cloned() else { return };
        for one in &entry.definition.bluetooth {
            self.matches.add_bluetooth(entry.layer, number, one, &entry.services);
        }
        for one in &entry.definition.serial {
            self.matches.add_serial(entry.layer, number, one);
        }
        for one in &entry.definition.hid {
            self.matches.add_hid(entry.layer, number, one);
        }
        for one in &entry.definition.websocket {
            self.matches.add_websocket(entry.layer, number, one);
        }
        for one in &entry.definition.gamepad {
            self.matches.add_gamepad(entry.layer, number, one);
        }
        for one in &entry.definition.simulated {
            self.matches.add_simulated(entry.layer, number, one);
        }
    }

    fn report_clashes(&self, report: &mut Report<'_>) {
        for clash in self.matches.clashes() {
            let (Some(first), Some(second)) =
                (self.protocols.get(clash.protocols.0), self.protocols.get(clash.protocols.1))
            else {
                continue;
            };
            // Both files hear of it: either may be the one that is being written.
            for (entry, other) in [(first, second), (second, first)] {
                let id = &other.definition.id;
                let reason = format!(
                    "`{}` and `{id}` ({}) cannot be told apart: for both, {}",
                    entry.definition.id, other.file, clash.sign
                );
                report(&entry.file, String::new(), reason);
            }
        }
    }

    fn take_rules(&mut self, files: &[LoadedFile], report: &mut Report<'_>) {
        let (mut rules, mut quarantined) = (Vec::new(), Vec::new());
        let mut indexes = BTreeSet::new();
        for LoadedFile { layer, file, state } in files {
            let of_file = match state {
                FileState::InForce(content) => &content.device,
                FileState::NeverGood { rules, concerns, reason } => {
                    quarantined.extend(concerns.iter().map(|concern| (concern.clone(), reason.clone())));
                    rules
                }
            };
            for (number, rule) in of_file.iter().enumerate() {
                let at = format!("device[{number}]");
                if let Some(protocol) = &rule.which.protocol
                    && !self.by_id.contains_key(protocol)
                {
                    report(
                        file,
                        format!("{at}.which.protocol"),
                        format!("no definition has the protocol `{protocol}`"),
                    );
                    // A slip of the pen must not lift a deny or a limit from the device that is meant.
                    let mut which = rule.which.clone();
                    which.protocol = None;
                    if which.address.is_some() || which.identifier.is_some() {
                        let reason =
                            format!("{file}: {at}.which: no definition has the protocol `{protocol}`");
                        quarantined.push((Concern::Some(which), reason));
                    }
                }
                if let Some(index) = rule.index
                    && !indexes.insert((*layer, index))
                {
                    report(file, format!("{at}.index"), format!("another entry wants the index {index} too"));
                }
                rules.push(PlacedRule { layer: *layer, file: file.clone(), rule: rule.clone() });
            }
        }
        self.rules = Rules::new(rules, quarantined);
    }
}

type Report<'a> = dyn FnMut(&str, String, String) + 'a;

impl ProtocolEntry {
    fn new(protocol: &Protocol, file: &DefinitionFile, layer: Layer, path: &str) -> Self {
        let mut models = HashMap::new();
        for (number, model) in protocol.model.iter().enumerate() {
            for identifier in &model.identifiers {
                models.entry(identifier.clone()).or_insert(number);
            }
        }
        let mut services = Services::new();
        for one in &protocol.bluetooth {
            for (service, endpoints) in &one.services {
                services.entry(*service).or_insert_with(|| endpoints.clone());
            }
        }
        Self {
            definition: protocol.clone(),
            maker: file.maker.clone(),
            library: file.library.clone().filter(|_| protocol.code),
            layer,
            file: path.to_owned(),
            models,
            services: Arc::new(services),
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.definition.id
    }
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
            Some(Candidate { protocol, layer: found.layer, sign: found.sign, way: found.way })
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
                let same = |limit: &&super::access::Limit| {
                    limit.rule.feature == feature.index && limit.rule.kind == kind
                };
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
            keep_alive: entry.definition.keep_alive,
            bring_up_limit_ms: entry.definition.bring_up_limit_ms,
            index: wishes.index,
        })
    }

    /// Name, variant and features of a model: an added one, one of the protocol, or the protocol's default.
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
            all.push(Listed { maker, protocol, name, identifiers: &[], file });
            for model in &entry.definition.model {
                all.push(Listed {
                    maker,
                    protocol,
                    name: &model.name,
                    identifiers: &model.identifiers,
                    file,
                });
            }
            for LoadedFile { file, state, .. } in &self.files {
                let FileState::InForce(content) = state else { continue };
                for model in content.model.iter().filter(|model| model.protocol == protocol) {
                    let name = model.name.as_deref().unwrap_or(name);
                    all.push(Listed { maker, protocol, name, identifiers: &model.identifiers, file });
                }
            }
        }
        all
    }
}

fn file_problem(source: &Source, error: &str) -> Problem {
    Problem {
        file: source.file.clone(),
        line: None,
        key: String::new(),
        reason: format!("cannot be read: {error}"),
    }
}

/// A file whose text could not be had may say anything, unless it lies where no rule may stand.
fn unreadable(source: &Source, error: &str) -> Parsed {
    let concerns = match source.layer {
        Layer::Plugins => Vec::new(),
        Layer::Administrator | Layer::User => vec![Concern::Everything],
    };
    Parsed::Broken { problems: vec![file_problem(source, error)], rules: Vec::new(), concerns }
}
