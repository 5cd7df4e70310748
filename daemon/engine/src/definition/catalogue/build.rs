//! How files become a catalogue: what is in force of each, protocols before models before rules, and what is wrong between them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    super::{
        access::{PlacedRule, Rules},
        entry::ProtocolEntry,
        layer::Layer,
        matching::Origin,
        model::{DefinitionFile, DeviceRule},
        parse::{Concern, Parsed, parse},
        problem::{Places, Problem},
        template::TemplateCheck,
    },
    Catalogue, Source,
};

/// What is in force of one file.
#[derive(Debug, Clone)]
pub(super) struct LoadedFile {
    pub(super) layer: Layer,
    pub(super) file: String,
    pub(super) state: FileState,
}

#[derive(Debug, Clone)]
pub(super) enum FileState {
    /// As it is, or as it last was when it was good.
    InForce(Arc<DefinitionFile>),
    /// It never was good since the service started.
    NeverGood { rules: Vec<DeviceRule>, concerns: Vec<Concern>, reason: String },
}

type Report<'a> = dyn FnMut(&str, String, String) + 'a;

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
            let origin = Origin { layer: *layer, file: file.as_str().into() };
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
                    self.matches.add_bluetooth(&origin, protocol, one, &entry.services);
                }
                for one in &model.serial {
                    self.matches.add_serial(&origin, protocol, one);
                }
                for one in &model.hid {
                    self.matches.add_hid(&origin, protocol, one);
                }
                for one in &model.websocket {
                    self.matches.add_websocket(&origin, protocol, one);
                }
            }
        }
    }

    fn index_protocol(&mut self, number: usize) {
        let Some(entry) = self.protocols.get(number).cloned() else { return };
        let origin = Origin { layer: entry.layer, file: entry.file.as_str().into() };
        for one in &entry.definition.bluetooth {
            self.matches.add_bluetooth(&origin, number, one, &entry.services);
        }
        for one in &entry.definition.serial {
            self.matches.add_serial(&origin, number, one);
        }
        for one in &entry.definition.hid {
            self.matches.add_hid(&origin, number, one);
        }
        for one in &entry.definition.websocket {
            self.matches.add_websocket(&origin, number, one);
        }
        for one in &entry.definition.gamepad {
            self.matches.add_gamepad(&origin, number, one);
        }
        for one in &entry.definition.simulated {
            self.matches.add_simulated(&origin, number, one);
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
