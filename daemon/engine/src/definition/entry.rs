//! A protocol in the catalogue: what its file says, whose it is, and how its models are found.

use std::{collections::HashMap, sync::Arc};

use super::{
    layer::Layer,
    matching::Services,
    model::{DefinitionFile, Protocol},
};

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
    pub(super) models: HashMap<String, usize>,
    /// All services of all its matches, for matches that name none.
    pub(super) services: Arc<Services>,
}

impl ProtocolEntry {
    pub(super) fn new(protocol: &Protocol, file: &DefinitionFile, layer: Layer, path: &str) -> Self {
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
