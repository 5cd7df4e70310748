//! A device as it is handed to the router when its bring-up is done: what clients are shown, and what their values mean.

use std::sync::Arc;

use crate::{
    definition::scale::OutputScale,
    view::DeviceView,
    vocabulary::{FeatureIndex, OutputKind},
};

/// A device that is ready to be driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    /// What clients are shown.
    pub view: Arc<DeviceView>,
    /// The bus that it is on.
    pub transport: &'static str,
    /// The protocol that it speaks.
    pub protocol: Arc<str>,
    /// All its outputs, also those that clients are not shown.
    pub outputs: Vec<OutputEntry>,
}

/// One output of a device, as the definitions and the user have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputEntry {
    /// Which feature.
    pub feature: FeatureIndex,
    /// Which output of it.
    pub kind: OutputKind,
    /// From the range that clients are shown to the device's own. `None` for an output that the user has switched off: it is
    /// not in the view, but a client that asks for it is told so.
    pub scale: Option<OutputScale>,
}
