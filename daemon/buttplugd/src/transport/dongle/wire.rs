//! What carries the text to a dongle and back: the reports of a HID node, or a serial port.

use super::{
    super::{
        SerialSettings, TransportFault,
        hid::{self, node::Node},
        serial::port::Line,
        visits::Visit,
    },
    talk::{reports, text_of},
};

/// A serial dongle's line. Source: issue 35 of the STPIHKAL protocol collection.
const SETTINGS: SerialSettings =
    SerialSettings { baud_rate: 115_200, data_bits: 8, parity: 'N', stop_bits: 1 };

/// Where a dongle is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Hid(hid::Listed),
    /// The path of the port.
    Serial(String),
}

impl Place {
    /// The file.
    pub(super) fn node(&self) -> &str {
        match self {
            Self::Hid(listed) => &listed.node,
            Self::Serial(port) => port,
        }
    }

    /// What stays the same of it.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Hid(listed) => listed.address(),
            Self::Serial(port) => port.clone(),
        }
    }
}

/// An open dongle.
#[derive(Debug)]
pub(super) enum Wire {
    Hid(Node),
    Serial(Line),
}

impl Wire {
    pub(super) async fn open(place: &Place, visit: &Visit) -> Result<Self, TransportFault> {
        Ok(match place {
            Place::Hid(listed) => Self::Hid(Node::open(listed, visit).await?),
            Place::Serial(port) => Self::Serial(Line::open(port, SETTINGS, visit).await?),
        })
    }

    /// Sends a line.
    pub(super) async fn send(&self, line: &str) -> Result<(), TransportFault> {
        match self {
            Self::Hid(node) => {
                for report in reports(line) {
                    node.write(&report).await?;
                }
                Ok(())
            }
            Self::Serial(port) => port.send(format!("{line}\r\n").as_bytes()).await,
        }
    }

    /// Waits for more of what the dongle says. Cancel-safe.
    pub(super) async fn receive(&self) -> Result<Vec<u8>, TransportFault> {
        match self {
            Self::Hid(node) => Ok(text_of(&node.read().await?)),
            Self::Serial(port) => port.receive().await,
        }
    }

    pub(super) async fn close(self) {
        match self {
            // The thread of its writer closes it.
            Self::Hid(node) => drop(node),
            Self::Serial(port) => port.close().await,
        }
    }
}
