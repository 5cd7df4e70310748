//! As much of a definition file as a vector needs: endpoints, params, features by model.
//!
//! Keys that mean nothing here are passed over; the service's own reader refuses what is wrong.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::{Feature, InputKind, InputRange, Model, OutputKind, OutputRange, Ways};

/// Why a definition cannot be used.
#[derive(Debug, Error)]
pub enum DefinitionError {
    /// Not TOML, or not of the form of a definition.
    #[error("not a definition file")]
    Form(#[from] toml::de::Error),
    /// An output or input of a kind that does not exist.
    #[error("protocol {protocol}: {kind} is no kind of output or input")]
    Kind {
        /// Where.
        protocol: String,
        /// The word.
        kind: String,
    },
    /// A way to get an input that does not exist.
    #[error("protocol {protocol}: ways must name read, subscribe or both")]
    Ways {
        /// Where.
        protocol: String,
    },
    /// The table of the template plugin cannot be handed over.
    #[error("protocol {protocol}: the template table has a value that JSON does not have")]
    Template {
        /// Where.
        protocol: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// The protocols of one definition file.
#[derive(Debug, Clone)]
pub struct Definition {
    protocols: Vec<Known>,
}

#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) runner: Runner,
    pub(super) params: Vec<(String, String)>,
    pub(super) endpoints: Vec<String>,
    pub(super) transport: crate::TransportKind,
    default: Vec<KnownFeature>,
    models: Vec<KnownModel>,
}

/// What speaks a protocol.
#[derive(Debug, Clone, Copy)]
pub(super) enum Runner {
    /// The library of the maker.
    Code,
    /// The template plugin.
    Template,
}

#[derive(Debug, Clone)]
struct KnownModel {
    identifiers: Vec<String>,
    variant: String,
    features: Vec<KnownFeature>,
}

#[derive(Debug, Clone)]
pub(super) struct KnownFeature {
    pub(super) feature: Feature,
    /// The outputs that a stop leaves alone although they are no positions.
    pub(super) left: Vec<OutputKind>,
}

impl Definition {
    /// Reads a definition file.
    ///
    /// # Errors
    /// If it cannot be used for vectors.
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        let file: File = toml::from_str(text)?;
        let protocols = file.protocol.into_iter().map(known).collect::<Result<_, _>>()?;
        Ok(Self { protocols })
    }

    /// The ids of its protocols.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().map(|protocol| protocol.id.as_str())
    }

    pub(super) fn protocol(&self, id: &str) -> Option<&Known> {
        self.protocols.iter().find(|protocol| protocol.id == id)
    }
}

impl Known {
    /// The model of that identifier, and what a stop leaves alone; the default if it is not listed.
    pub(super) fn model(&self, identifier: &str) -> (Model, Vec<KnownFeature>) {
        let listed = self.models.iter().find(|model| model.identifiers.iter().any(|one| one == identifier));
        let (variant, features) = match listed {
            Some(model) => (model.variant.clone(), &model.features),
            None => (String::new(), &self.default),
        };
        let model = Model {
            identifier: identifier.to_owned(),
            variant,
            features: features.iter().map(|one| one.feature.clone()).collect(),
        };
        (model, features.clone())
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    protocol: Vec<ProtocolTable>,
}

#[derive(Deserialize)]
struct ProtocolTable {
    id: String,
    #[serde(default)]
    params: BTreeMap<String, String>,
    #[serde(default)]
    bluetooth: Vec<BluetoothTable>,
    #[serde(default)]
    serial: Vec<toml::Table>,
    #[serde(default)]
    hid: Vec<toml::Table>,
    #[serde(default)]
    websocket: Vec<toml::Table>,
    template: Option<toml::Table>,
    #[serde(default)]
    default: ModelTable,
    #[serde(default)]
    model: Vec<ModelTable>,
}

#[derive(Deserialize)]
struct BluetoothTable {
    #[serde(default)]
    services: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
struct ModelTable {
    #[serde(default)]
    identifiers: Vec<String>,
    #[serde(default)]
    variant: String,
    features: Option<Vec<FeatureTable>>,
}

#[derive(Deserialize)]
struct FeatureTable {
    index: u32,
    #[serde(default)]
    output: BTreeMap<String, OutputTable>,
    #[serde(default)]
    input: BTreeMap<String, InputTable>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OutputTable {
    Range([i32; 2]),
    Table {
        range: [i32; 2],
        #[serde(default)]
        duration_ms: [u32; 2],
        #[serde(default)]
        on_stop: String,
    },
}

#[derive(Deserialize)]
struct InputTable {
    range: Vec<[i32; 2]>,
    ways: Vec<String>,
}

fn known(table: ProtocolTable) -> Result<Known, DefinitionError> {
    let mut endpoints: Vec<String> = Vec::new();
    let named = table.bluetooth.iter().flat_map(|one| one.services.values()).flat_map(BTreeMap::keys);
    for name in named {
        if !endpoints.contains(name) {
            endpoints.push(name.clone());
        }
    }
    let transport = if !table.bluetooth.is_empty() {
        crate::TransportKind::Bluetooth
    } else if !table.serial.is_empty() {
        crate::TransportKind::Serial
    } else if !table.hid.is_empty() {
        crate::TransportKind::Hid
    } else if !table.websocket.is_empty() {
        crate::TransportKind::WebSocket
    } else {
        crate::TransportKind::Other
    };
    if endpoints.is_empty() {
        endpoints = vec!["tx".to_owned(), "rx".to_owned()];
    }
    let mut params: Vec<(String, String)> = table.params.into_iter().collect();
    if let Some(template) = &table.template {
        let json = serde_json::to_string(template)
            .map_err(|source| DefinitionError::Template { protocol: table.id.clone(), source })?;
        params.push((crate::TEMPLATE_PARAM.to_owned(), json));
    }
    let default = features(&table.id, table.default.features.unwrap_or_default())?;
    let models = table.model.into_iter().map(|model| {
        let features = match model.features {
            Some(own) => features(&table.id, own)?,
            None => default.clone(),
        };
        Ok(KnownModel { identifiers: model.identifiers, variant: model.variant, features })
    });
    Ok(Known {
        models: models.collect::<Result<_, DefinitionError>>()?,
        runner: if table.template.is_some() { Runner::Template } else { Runner::Code },
        id: table.id,
        params,
        endpoints,
        transport,
        default,
    })
}

fn features(protocol: &str, tables: Vec<FeatureTable>) -> Result<Vec<KnownFeature>, DefinitionError> {
    let mut all: Vec<KnownFeature> =
        tables.into_iter().map(|one| feature(protocol, one)).collect::<Result<_, _>>()?;
    all.sort_by_key(|one| one.feature.index);
    Ok(all)
}

fn feature(protocol: &str, table: FeatureTable) -> Result<KnownFeature, DefinitionError> {
    let no_kind = |kind: &str| DefinitionError::Kind { protocol: protocol.to_owned(), kind: kind.to_owned() };
    let mut outputs = Vec::new();
    let mut left = Vec::new();
    for (kind, output) in table.output {
        let kind = OutputKind::from_name(&kind).ok_or_else(|| no_kind(&kind))?;
        let (range, duration, on_stop) = match output {
            OutputTable::Range(range) => (range, [0, 0], String::new()),
            OutputTable::Table { range, duration_ms, on_stop } => (range, duration_ms, on_stop),
        };
        if on_stop == "leave" || on_stop.is_empty() && kind == OutputKind::Spray {
            left.push(kind);
        }
        let ([min, max], [shortest, longest]) = (range, duration);
        outputs.push(OutputRange { kind, min, max, duration_ms: (shortest, longest) });
    }
    outputs.sort_by_key(|output| output.kind);
    let mut inputs = Vec::new();
    for (kind, input) in table.input {
        let kind = InputKind::from_name(&kind).ok_or_else(|| no_kind(&kind))?;
        let way = |name: &str| input.ways.iter().any(|one| one == name);
        let ways = match (way("read"), way("subscribe")) {
            (true, true) => Ways::Both,
            (true, false) => Ways::Read,
            (false, true) => Ways::Subscribe,
            (false, false) => return Err(DefinitionError::Ways { protocol: protocol.to_owned() }),
        };
        let min = input.range.iter().map(|[min, _]| *min).min().unwrap_or(0);
        let max = input.range.iter().map(|[_, max]| *max).max().unwrap_or(0);
        inputs.push(InputRange { kind, min, max, ways });
    }
    inputs.sort_by_key(|input| input.kind);
    Ok(KnownFeature { feature: Feature { index: table.index, outputs, inputs }, left })
}
