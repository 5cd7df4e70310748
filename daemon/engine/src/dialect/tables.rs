//! What the indexes of v0 to v3 count: the outputs and inputs of a device as lists.
//!
//! A client is shown a list and later names a place in it. Both read the same list here, off the same view, so that a disabled
//! output is in neither. Outputs whose range has no step (a user's cap of zero width) are left out: a count of no steps is not legal.

use crate::{
    view::{DeviceView, FeatureView, InputView, OutputView},
    vocabulary::{InputKind, OutputKind},
};

/// One entry of a list of outputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputEntry<'a> {
    /// The feature it belongs to.
    pub(super) feature: &'a FeatureView,
    /// The output.
    pub(super) output: &'a OutputView,
}

impl OutputEntry<'_> {
    /// The number of steps above rest.
    pub(super) fn steps(&self) -> u32 {
        u32::try_from(self.output.range.max).unwrap_or(0)
    }
}

/// All outputs in feature order; within a feature in the order of [`OutputKind::ALL`].
fn outputs(device: &DeviceView) -> impl Iterator<Item = OutputEntry<'_>> {
    device.features.iter().flat_map(|feature| {
        OutputKind::ALL
            .into_iter()
            .filter_map(move |kind| feature.output(kind).map(|output| OutputEntry { feature, output }))
            .filter(|entry| entry.steps() > 0)
    })
}

/// What `VibrateCmd` counts.
pub(super) fn vibrators(device: &DeviceView) -> Vec<OutputEntry<'_>> {
    outputs(device).filter(|entry| entry.output.kind == OutputKind::Vibrate).collect()
}

/// What `RotateCmd` counts: rotations with two directions.
pub(super) fn rotators(device: &DeviceView) -> Vec<OutputEntry<'_>> {
    outputs(device)
        .filter(|entry| entry.output.kind == OutputKind::Rotate && entry.output.range.min < 0)
        .collect()
}

/// What `LinearCmd` counts.
pub(super) fn movers(device: &DeviceView) -> Vec<OutputEntry<'_>> {
    outputs(device).filter(|entry| entry.output.kind == OutputKind::PositionWithDuration).collect()
}

/// What `ScalarCmd` counts: everything but positions with duration.
pub(super) fn scalars(device: &DeviceView) -> Vec<OutputEntry<'_>> {
    outputs(device).filter(|entry| entry.output.kind != OutputKind::PositionWithDuration).collect()
}

/// One entry of a list of inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct InputEntry<'a> {
    /// The feature it belongs to.
    pub(super) feature: &'a FeatureView,
    /// The input.
    pub(super) input: &'a InputView,
}

/// All inputs in feature order.
pub(super) fn inputs(device: &DeviceView) -> impl Iterator<Item = InputEntry<'_>> {
    device
        .features
        .iter()
        .flat_map(|feature| feature.inputs.iter().map(move |input| InputEntry { feature, input }))
}

/// The first input of this kind that can be read.
pub(super) fn readable(device: &DeviceView, kind: InputKind) -> Option<InputEntry<'_>> {
    inputs(device).find(|entry| entry.input.kind == kind && entry.input.ways.can_read())
}
