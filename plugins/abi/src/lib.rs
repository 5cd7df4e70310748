//! Layouts of the C ABI between buttplugd and its protocol plugins.
