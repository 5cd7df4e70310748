//! Async client library for buttplugd.
