//! What the paths of a bus tell the bus: that they were opened, may not be opened, or ended.
//!
//! A path that ended while its device is still plugged in would be seen by nobody, since the kernel has nothing to say about
//! it: so the end of each path makes its bus look again.

use tokio::sync::mpsc;

/// Words that may wait for the bus. More than devices can be open at once, each of which says at most two.
const QUEUE: usize = 256;

/// What happened to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Visited {
    /// It was opened.
    Opened(String),
    /// The user may not open it.
    Denied(String),
    /// It is not open any more, or could not be opened.
    Ended(String),
}

/// Given to each opener of a bus.
#[derive(Debug, Clone)]
pub(super) struct Visits(mpsc::Sender<Visited>);

impl Visits {
    /// The other result is for the bus.
    pub(super) fn new() -> (Self, mpsc::Receiver<Visited>) {
        let (tell, visited) = mpsc::channel(QUEUE);
        (Self(tell), visited)
    }

    /// Somebody begins to open the path. It ends when the result is dropped.
    pub(super) fn begin(&self, node: &str) -> Visit {
        Visit { node: node.to_owned(), tell: self.0.clone() }
    }
}

/// A path that is being opened, or open, until this is dropped.
#[derive(Debug)]
pub(super) struct Visit {
    node: String,
    tell: mpsc::Sender<Visited>,
}

impl Visit {
    pub(super) fn opened(&self) {
        self.say(Visited::Opened(self.node.clone()));
    }

    pub(super) fn denied(&self) {
        self.say(Visited::Denied(self.node.clone()));
    }

    fn say(&self, visited: Visited) {
        // Full means that the bus has a look before it anyway; closed, that it is over.
        if let Err(error) = self.tell.try_send(visited) {
            tracing::debug!(%error, "a bus does not hear of a path");
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.say(Visited::Ended(self.node.clone()));
    }
}
