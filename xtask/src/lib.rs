//! Developer commands that need logic, as a library, so that the whole-system tests stage plugins the same way.
//!
//! Nothing here is part of the service.

pub mod command;

pub mod check;
pub mod demo;
pub mod fuzz;
pub mod packages;
pub mod stage;
pub mod tree;
pub mod vm;
