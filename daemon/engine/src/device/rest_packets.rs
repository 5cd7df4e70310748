//! The packets that last brought outputs to rest, for the case that the plugin fails while something runs.
//!
//! They are remembered only if the whole device was at rest afterwards: a packet may carry the values of all motors, and one
//! that stops the first while the second runs would start the second again.

use std::collections::BTreeSet;

use super::{effect::Packet, outputs::Place};

/// Sets of packets that are kept. More would not be needed by any known device.
const MOST_KEPT: usize = 8;
/// Packets of one stop that are kept. A stop with more is no packet to repeat but a conversation.
const MOST_PACKETS: usize = 32;

/// What brought which outputs to rest.
#[derive(Debug, Default)]
pub(super) struct RestPackets {
    kept: Vec<(BTreeSet<Place>, Vec<Packet>)>,
}

impl RestPackets {
    /// These packets brought these outputs to rest, and all others were at rest.
    pub(super) fn remember(&mut self, places: BTreeSet<Place>, packets: Vec<Packet>) {
        if packets.is_empty() || packets.len() > MOST_PACKETS {
            return;
        }
        self.kept.retain(|(kept, _)| !kept.is_subset(&places));
        if self.kept.len() == MOST_KEPT {
            self.kept.remove(0);
        }
        self.kept.push((places, packets));
    }

    /// All of them, oldest first.
    pub(super) fn all(&self) -> Vec<Packet> {
        self.kept.iter().flat_map(|(_, packets)| packets.iter().cloned()).collect()
    }
}
