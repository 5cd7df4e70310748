//! The service that owns the haptic devices of a user's session.
