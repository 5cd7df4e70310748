//! Takes over the user configuration of another server, as a file beside the user's own.

use std::{fmt::Write as _, fs, path::Path};

use engine::definition::{
    catalogue::{Catalogue, Source},
    import::{Imported, import_intiface},
    layer::Layer,
    parse::{Parsed, parse},
    template::AnyTemplate,
};
use serde_json::{Value, json};

use super::{OfflineError, Outcome, Verdict, user_file::UserFile};
use crate::{
    config::{Config, Directories},
    definitions::Templates,
    devices,
};

/// The file that is written, below the configuration folder of the user. It comes before `devices.toml`, whose entries win.
const FILE: &str = "devices.d/00-imported.toml";

/// What becomes of an earlier import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Earlier {
    /// It stays, and nothing is imported.
    Keep,
    /// It is replaced, and kept beside.
    Replace,
}

/// Imports a file. What could not be carried over is told; a device with such an entry is denied until its owner has looked at it.
pub(super) fn import(
    file: &Path,
    earlier: Earlier,
    config: &Config,
    directories: &Directories,
) -> Result<Outcome, OfflineError> {
    let json = fs::read_to_string(file)
        .map_err(|source| OfflineError::Unreadable { path: file.to_owned(), source })?;
    let target = UserFile::open(directories.config.join(FILE))?;
    let name = target.name();
    let mut sources = devices::sources(config, directories);
    let (before, _) = Catalogue::build(&sources, None, &Templates::Read);
    sources.retain(|source| source.file != name);
    let (catalogue, _) = Catalogue::build(&sources, None, &Templates::Read);
    let Imported { text, report } = import_intiface(&json, &catalogue)
        .map_err(|source| OfflineError::Import { path: file.to_owned(), source })?;
    let content = match parse(&name, &text, Layer::User, &AnyTemplate) {
        Parsed::Good(content) => content,
        Parsed::Broken { problems, .. } => {
            return Err(problems.into_iter().next().map_or_else(
                || OfflineError::ImportedBefore(target.path().to_owned()),
                OfflineError::ImportBroken,
            ));
        }
    };
    let mut notes: Vec<(String, String)> = report.into_iter().map(|note| (note.entry, note.what)).collect();
    if catalogue.protocols().iter().all(|entry| !entry.definition.simulated.is_empty()) {
        let what = "no definitions of devices are installed, so that limits could not be compared with any; install the plugins and import again";
        notes.push(("the whole file".to_owned(), what.to_owned()));
    }
    // Where it is at odds with other files of the user. It is in force all the same, but for what is named here.
    let source = Source { layer: Layer::User, file: name, text: Ok(text.clone()) };
    for problem in catalogue.check(&source, &Templates::Read) {
        notes.push((problem.key, problem.reason));
    }
    if text != target.text() && !target.text().is_empty() {
        match earlier {
            Earlier::Keep => return Err(OfflineError::ImportedBefore(target.path().to_owned())),
            Earlier::Replace => target.keep_old()?,
        }
    }
    let path = target.path().to_owned();
    target.replace(&text)?;
    sources.push(source);
    let (after, _) = Catalogue::build(&sources, None, &Templates::Read);

    let denied = content.device.iter().filter(|rule| rule.deny).count();
    let mut told = format!(
        "imported {} devices ({denied} of them denied) and {} models into {}\n",
        content.device.len(),
        content.model.len(),
        path.display()
    );
    if !notes.is_empty() {
        told.push_str("not all could be carried over as it was:\n");
    }
    for (entry, what) in &notes {
        // Writing to a String cannot fail.
        writeln!(told, "  {entry}: {what}").unwrap_or_default();
    }
    if before.has_allow_list() && !after.has_allow_list() {
        told.push_str(super::LIST_LIFTED);
    }
    let notes: Vec<Value> =
        notes.iter().map(|(entry, what)| json!({ "Entry": entry, "What": what })).collect();
    let json = json!({
        "File": path,
        "Devices": content.device.len(),
        "Denied": denied,
        "Models": content.model.len(),
        "AllowList": after.has_allow_list(),
        "Notes": notes,
    });
    Ok(Outcome { text: told, json, verdict: Verdict::Good })
}
