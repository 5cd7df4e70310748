//! Definition files on the disk: which there are, in which layer, and whether their templates can be run.
//!
//! What they mean is the engine's business.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use engine::{
    definition::{
        catalogue::Source,
        layer::Layer,
        model::{Feature, Protocol},
        template::{TemplateCheck, TemplateProblem},
    },
    vocabulary::InputKind,
};
use plugin_template as template;

/// The file of a plugin folder that holds its definitions.
pub(crate) const PLUGIN_FILE: &str = "plugin.toml";
/// No definition file is that long; one that is is refused before it is read.
const LONGEST_FILE: u64 = 4 << 20;

/// How closely templates are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Templates {
    /// Whether they are well formed; fast enough for every start.
    Read,
    /// Also whether every model's packets can be made for its values; for `definitions check` and tests.
    Try,
}

impl TemplateCheck for Templates {
    fn check(&self, protocol: &Protocol, text: &toml::Table) -> Vec<TemplateProblem> {
        let json = match serde_json::to_value(text) {
            Ok(json) => json,
            Err(error) => return vec![TemplateProblem { key: String::new(), reason: error.to_string() }],
        };
        let program = match template::Program::from_value(&json) {
            Ok(program) => program,
            Err(error) => {
                let place = error.column.map_or_else(String::new, |column| format!("character {column}: "));
                return vec![TemplateProblem { key: error.key, reason: format!("{place}{}", error.fault) }];
            }
        };
        match self {
            Self::Read => Vec::new(),
            Self::Try => try_models(protocol, &program),
        }
    }
}

fn try_models(protocol: &Protocol, program: &template::Program) -> Vec<TemplateProblem> {
    let default = &protocol.default;
    let variant = |of_model: &Option<String>| {
        of_model.as_ref().or(default.variant.as_ref()).cloned().unwrap_or_default()
    };
    let mut problems = Vec::new();
    let mut fits = |name: &str, model: &template::Model| {
        for error in program.check(model).err().into_iter().flatten() {
            problems.push(TemplateProblem { key: String::new(), reason: format!("{name}: {error}") });
        }
    };
    fits(&default.name, &model(String::new(), variant(&None), &default.features));
    for one in &protocol.model {
        let features = one.features.as_ref().unwrap_or(&default.features);
        for identifier in &one.identifiers {
            fits(&one.name, &model(identifier.clone(), variant(&one.variant), features));
        }
    }
    let services = protocol.bluetooth.iter().flat_map(|one| one.services.values());
    let mut endpoints: Vec<&str> =
        services.flat_map(|endpoints| endpoints.keys().map(String::as_str)).collect();
    if !protocol.serial.is_empty() || !protocol.hid.is_empty() || !protocol.websocket.is_empty() {
        // What is not Bluetooth has these two, whatever the definition says.
        endpoints.extend(["tx", "rx"]);
    }
    // A simulated device has whatever endpoints it has.
    if !endpoints.is_empty() && protocol.simulated.is_empty() {
        for error in program.check_endpoints(&endpoints).err().into_iter().flatten() {
            problems.push(TemplateProblem { key: String::new(), reason: error.to_string() });
        }
    }
    problems
}

fn model(identifier: String, variant: String, features: &[Feature]) -> template::Model {
    let mut made = template::Model { identifier, variant, ..template::Model::default() };
    for feature in features {
        for (kind, output) in &feature.output {
            // Both lists of kinds have the same names; a kind that only one knew would be found by the tests of all definitions.
            let Some(kind) = template::OutputKind::from_name(kind.name()) else { continue };
            let duration_ms = output.duration_ms.unwrap_or_default();
            let (min, max) = (output.range.min, output.range.max);
            made.outputs.push(template::Output { feature: feature.index, kind, min, max, duration_ms });
        }
        let inputs = feature
            .input
            .keys()
            .map(|kind| template::Input { feature: feature.index, kind: input_kind(*kind) });
        made.inputs.extend(inputs);
    }
    made
}

const fn input_kind(kind: InputKind) -> template::InputKind {
    match kind {
        InputKind::Battery => template::InputKind::Battery,
        InputKind::Rssi => template::InputKind::Rssi,
        InputKind::Button => template::InputKind::Button,
        InputKind::Pressure => template::InputKind::Pressure,
        InputKind::Depth => template::InputKind::Depth,
        InputKind::Position => template::InputKind::Position,
    }
}

/// Where the layers lie.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folders {
    /// Folders with a folder for every plugin.
    pub plugins: Vec<PathBuf>,
    /// `/etc/buttplugd`: every `*.toml` in it but `buttplugd.toml`, which is the configuration.
    pub administrator: Vec<PathBuf>,
    /// Folders of the user: every `*.toml`.
    pub user: Vec<PathBuf>,
}

impl Folders {
    /// All definition files, in the order of their weight. A folder that does not exist is an empty one; whatever else stands in
    /// the way of reading is told in place of the text, so that no limit is lost because of it.
    #[must_use]
    pub fn read(&self) -> Vec<Source> {
        let mut sources = Vec::new();
        for folder in &self.plugins {
            // A folder that cannot be listed has no rules in it: its devices are simply not known.
            let inside = listed(folder).unwrap_or_else(|error| {
                tracing::error!(folder = %folder.display(), %error, "cannot list a plugin folder");
                Vec::new()
            });
            sources.extend(
                inside
                    .into_iter()
                    .map(|folder| folder.join(PLUGIN_FILE))
                    .filter(|file| file.is_file())
                    .map(|file| source(Layer::Plugins, &file)),
            );
        }
        for (layer, folders) in [(Layer::Administrator, &self.administrator), (Layer::User, &self.user)] {
            for folder in folders {
                match listed(folder) {
                    Ok(files) => sources.extend(
                        files.iter().filter(|file| is_definition(file)).map(|file| source(layer, file)),
                    ),
                    Err(error) => {
                        let file = folder.display().to_string();
                        sources.push(Source { layer, file, text: Err(error.to_string()) });
                    }
                }
            }
        }
        sources
    }
}

fn is_definition(file: &Path) -> bool {
    let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let configuration = file.file_name().is_some_and(|name| name == "buttplugd.toml");
    file.extension().is_some_and(|extension| extension == "toml") && !hidden && !configuration
}

/// What lies in a folder, in order of the names.
fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

pub(crate) fn source(layer: Layer, file: &Path) -> Source {
    let text = match fs::metadata(file) {
        Ok(facts) if facts.len() > LONGEST_FILE => Err(format!("it is longer than {LONGEST_FILE} bytes")),
        Ok(_) => fs::read_to_string(file).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Source { layer, file: file.display().to_string(), text }
}

#[cfg(test)]
mod tests {
    use engine::definition::{catalogue::Catalogue, schema::schema};

    use super::*;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn catalogue(templates: Templates) -> (Catalogue, Vec<String>) {
        let folders = Folders { plugins: vec![repository().join("plugins")], ..Folders::default() };
        let (catalogue, problems) = Catalogue::build(&folders.read(), None, &templates);
        (catalogue, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_definition_of_ours_is_good_and_every_packet_can_be_made() {
        let (catalogue, problems) = catalogue(Templates::Try);
        assert_eq!(problems, [""; 0]);
        assert!(!catalogue.protocols().is_empty());
    }

    /// `UPDATE_SCHEMA=1 cargo test -p buttplugd schema` writes it anew.
    #[test]
    fn the_committed_schema_is_that_of_the_types() {
        let file = repository().join("plugins/plugin.schema.json");
        let mut text = serde_json::to_string_pretty(&schema::<template::Template>()).unwrap();
        text.push('\n');
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == text,
            "plugins/plugin.schema.json is out of date: UPDATE_SCHEMA=1 cargo test -p buttplugd schema"
        );
    }

    #[test]
    fn a_bad_template_is_told_with_its_key() {
        let text = "[[protocol]]\nid = \"a\"\n[protocol.default]\nname = \"A\"\nfeatures = [{ index = 0, output = { vibrate = [0, 300] } }]\n[[protocol.template.packet]]\nbytes = \"55 {w}\"\n";
        let told = |text: &str, templates| {
            let source = Source { layer: Layer::Plugins, file: "f".into(), text: Ok(text.into()) };
            let (_, problems) = Catalogue::build(&[source], None, &templates);
            problems.first().map(ToString::to_string).unwrap_or_default()
        };
        let unknown = told(text, Templates::Read);
        assert!(unknown.starts_with("f:7: protocol[0].template.packet[0].bytes: "), "{unknown}");
        let too_large = text.replace("{w}", "{v}");
        assert_eq!(told(&too_large, Templates::Read), "");
        assert!(
            told(&too_large, Templates::Try).contains("A: packet[0]: with "),
            "{}",
            told(&too_large, Templates::Try)
        );
    }

    #[test]
    fn layers_are_read_in_order_and_what_cannot_be_read_is_told() {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("plugins/b/plugin.toml", "# b"),
            ("plugins/a/plugin.toml", "# a"),
            ("plugins/none/readme", ""),
            ("etc/x.toml", "# x"),
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for (file, text) in
            [("etc/buttplugd.toml", "no = 'definition'"), ("etc/.x.toml.swp", ""), ("etc/bad.toml", "")]
        {
            fs::write(root.path().join(file), text).unwrap();
        }
        fs::write(root.path().join("etc/bad.toml"), [0xff, 0xfe]).unwrap();
        let folders = Folders {
            plugins: vec![root.path().join("plugins")],
            administrator: vec![root.path().join("etc")],
            user: vec![root.path().join("nowhere")],
        };
        let texts: Vec<Option<String>> = folders.read().into_iter().map(|source| source.text.ok()).collect();
        assert_eq!(texts, [Some("# a".to_owned()), Some("# b".to_owned()), None, Some("# x".to_owned())]);
    }
}
