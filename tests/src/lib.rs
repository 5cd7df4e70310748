//! Whole-system tests of buttplugd: the real service on real parts.
