//! The words on the wire between buttplugd and its clients.
