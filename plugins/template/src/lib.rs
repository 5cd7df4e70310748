//! The plugin that runs protocols written as data.
