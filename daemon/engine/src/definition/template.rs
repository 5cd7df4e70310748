//! The check of templates, which the engine leaves to the shell: it does not know the pattern language.

use super::model::Protocol;

/// Something wrong below `[protocol.template]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateProblem {
    /// Where, as a path below `[protocol.template]`: `packet[0].bytes`; may be empty.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// Checks the template of a protocol, with its models and endpoints. The shell brings it, so that the engine need not know the
/// pattern language.
pub trait TemplateCheck {
    /// Everything that is wrong with `template`, which is that of `protocol`.
    fn check(&self, protocol: &Protocol, template: &toml::Table) -> Vec<TemplateProblem>;
}

/// Takes every template. For tools that only want to know what devices there are.
#[derive(Debug, Clone, Copy)]
pub struct AnyTemplate;

impl TemplateCheck for AnyTemplate {
    fn check(&self, _: &Protocol, _: &toml::Table) -> Vec<TemplateProblem> {
        Vec::new()
    }
}
