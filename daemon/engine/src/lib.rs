//! The pure middle of buttplugd: sessions, routing, device state, definitions.
