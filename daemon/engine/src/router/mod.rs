//! Who is connected, and what people are told about it. Which session drives what comes to this place too.
mod client;
mod status;
pub use self::{
    client::{Front, Introduction, Peer, Process},
    status::{
        ClientStatus, OutputChange, OutputId, Reservation, ScanWish, Status, TransportState, TransportStatus,
    },
};
