//! The current value of every output of a model, for packets that carry several of them.

use crate::{Model, Output, OutputKind};

/// One value for each output of a model, in the order of the definition; all 0 at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    outputs: Vec<Output>,
}

impl Values {
    /// Zeros for every output of `model`.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let outputs = model.features.iter().flat_map(|feature| {
            feature.outputs.iter().map(|output| Output {
                feature: feature.index,
                kind: output.kind,
                value: 0,
                duration_ms: 0,
            })
        });
        Self { outputs: outputs.collect() }
    }

    /// Takes over what is in `set`. What the model does not have is left out: the service does not send it.
    pub fn apply(&mut self, set: &[Output]) {
        for new in set {
            for known in &mut self.outputs {
                if (known.feature, known.kind) == (new.feature, new.kind) {
                    *known = *new;
                }
            }
        }
    }

    /// The value of one output; 0 if the model does not have it.
    #[must_use]
    pub fn value(&self, feature: u32, kind: OutputKind) -> i32 {
        self.outputs.iter().find(|one| (one.feature, one.kind) == (feature, kind)).map_or(0, |one| one.value)
    }

    /// The value of the output at that place, counted from 0 over all outputs of the model; 0 past the last one.
    #[must_use]
    pub fn nth(&self, place: usize) -> i32 {
        self.outputs.get(place).map_or(0, |one| one.value)
    }

    /// The place of an output, counted from 0 over all outputs of the model.
    #[must_use]
    pub fn place(&self, feature: u32, kind: OutputKind) -> Option<usize> {
        self.outputs.iter().position(|one| (one.feature, one.kind) == (feature, kind))
    }

    /// All outputs, in the order of the definition.
    pub fn iter(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter()
    }

    /// Whether every output is at 0.
    #[must_use]
    pub fn all_zero(&self) -> bool {
        self.outputs.iter().all(|one| one.value == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Feature, OutputRange};

    fn two_motors() -> Model {
        let feature = |index, kind| Feature {
            index,
            outputs: vec![OutputRange { kind, min: 0, max: 20, duration_ms: (0, 0) }],
            inputs: Vec::new(),
        };
        Model {
            identifier: "X".to_owned(),
            variant: String::new(),
            features: vec![feature(0, OutputKind::Vibrate), feature(3, OutputKind::Rotate)],
        }
    }

    fn output(feature: u32, kind: OutputKind, value: i32) -> Output {
        Output { feature, kind, value, duration_ms: 0 }
    }

    #[test]
    fn values_that_were_not_set_are_zero() {
        let mut values = Values::new(&two_motors());
        values.apply(&[output(3, OutputKind::Rotate, -7)]);
        assert_eq!((values.nth(0), values.nth(1), values.nth(2)), (0, -7, 0));
        assert!(!values.all_zero());
    }

    #[test]
    fn a_kind_that_the_feature_does_not_have_changes_nothing() {
        let mut values = Values::new(&two_motors());
        values.apply(&[output(0, OutputKind::Rotate, 5), output(9, OutputKind::Vibrate, 5)]);
        assert!(values.all_zero());
        assert_eq!(values.place(3, OutputKind::Rotate), Some(1));
        assert_eq!(values.place(3, OutputKind::Vibrate), None);
    }
}
