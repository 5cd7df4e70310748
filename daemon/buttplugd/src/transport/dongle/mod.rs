//! The Lovense USB dongle: a HID device with one toy behind it, which is offered as if it were on Bluetooth, so that the same
//! protocol drives it.
//!
//! The toy is looked for while the path is opened, and only while somebody wants a scan. What the dongle says and wants to hear
//! is in `talk`.

mod talk;

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use engine::{
    advertisement::Advertisement,
    definition::catalogue::Catalogue,
    protocol::{Endpoint, WriteKind},
};
use hidapi::HidApi;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use self::talk::{Effect, Talk, command, reports};
use super::{
    Access, Discovered, Discovery, Finds, Opened, Opener, ScanWish, Transport, TransportEvent,
    TransportFault,
    hid::{self, node::Node},
    nodes::{self, Nodes},
    visits::{Visit, Visits},
};

/// The name of this bus, as in [`super::Discovered::transport`].
pub const NAME: &str = "lovense-dongle";

const COMMANDS: &str = "tx";
const ANSWERS: &str = "rx";

/// The ids of the dongle.
const IDS: (u16, u16) = (0x1915, 0x520A);
/// The name by which definitions know a toy behind it.
const TOY: &str = "LVS-DongleDevice";
/// How long a toy is looked for at a time.
const SEARCH_LIMIT: Duration = Duration::from_secs(30);
/// The time for a last word before the dongle is closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// Notifications that may wait for the device's task. With more, the dongle is read no further until some are taken.
const EVENT_QUEUE: usize = 64;

/// Runs the bus until nobody listens any more.
pub async fn run(discovery: Discovery, catalogue: watch::Receiver<Arc<Catalogue>>) {
    let dongles = Dongles { api: None, wish: discovery.wish.clone(), plugged: Plugged::None };
    nodes::run(dongles, discovery, catalogue).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plugged {
    Some,
    None,
}

struct Dongles {
    api: Option<HidApi>,
    wish: watch::Receiver<ScanWish>,
    plugged: Plugged,
}

impl Nodes for Dongles {
    fn bus(&self) -> &'static str {
        NAME
    }

    fn subsystem(&self) -> &'static str {
        "hidraw"
    }

    fn look(&mut self, _: &Catalogue, visits: &Visits) -> io::Result<Vec<Discovered>> {
        let nodes = hid::list(&mut self.api)?;
        let dongles: Vec<_> = nodes.into_iter().filter(|node| (node.vendor, node.product) == IDS).collect();
        self.plugged = if dongles.is_empty() { Plugged::None } else { Plugged::Some };
        if *self.wish.borrow() == ScanWish::Rest {
            return Ok(Vec::new());
        }
        let mut taken = std::collections::BTreeSet::new();
        let tell = |dongle: hid::Listed| Discovered {
            transport: NAME,
            advertisement: Advertisement::Bluetooth {
                name: Some(TOY.to_owned()),
                manufacturer_data: Vec::new(),
                services: Vec::new(),
            },
            address: nodes::distinct(dongle.address(), &mut taken),
            opener: Box::new(DongleOpener {
                node: dongle.node,
                wish: self.wish.clone(),
                visits: visits.clone(),
            }),
        };
        Ok(dongles.into_iter().map(tell).collect())
    }

    fn finds(&self) -> Finds {
        match self.plugged {
            Plugged::Some => Finds::WhenAsked,
            Plugged::None => Finds::Unasked,
        }
    }

    fn absent(&self) -> Option<&'static str> {
        match self.plugged {
            Plugged::Some => None,
            Plugged::None => Some("no dongle is plugged in"),
        }
    }

    fn mend(&self, _: &str) -> String {
        hid::node::mend()
    }
}

/// The way to the toy behind a dongle.
struct DongleOpener {
    node: String,
    wish: watch::Receiver<ScanWish>,
    visits: Visits,
}

#[async_trait]
impl Opener for DongleOpener {
    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        match access {
            Access::Bluetooth { .. } => {}
            Access::Serial(_) | Access::Hid | Access::WebSocket | Access::Gamepad | Access::Simulated => {
                return Err(TransportFault::Refused(
                    "a toy behind a dongle is opened as one on Bluetooth".to_owned(),
                ));
            }
        }
        let visit = self.visits.begin(&self.node);
        let node = Node::open(&self.node, &visit).await?;
        search(node, self.wish, Some(visit)).await
    }
}

/// Looks for a toy, and gives the path to it.
async fn search(
    node: Node,
    mut wish: watch::Receiver<ScanWish>,
    visit: Option<Visit>,
) -> Result<Opened, TransportFault> {
    let mut conversation = Conversation { talk: Talk::new(Instant::now()), node: Arc::new(node) };
    let unwanted = async {
        // Its end is that of the service.
        wish.wait_for(|wish| *wish == ScanWish::Rest).await.ok();
    };
    let found = tokio::select! {
        found = timeout(SEARCH_LIMIT, conversation.find()) => found,
        () = unwanted => {
            conversation.leave().await;
            return Err(TransportFault::Refused("the search for a toy behind the dongle was ended".to_owned()));
        }
    };
    let Ok(found) = found else {
        conversation.leave().await;
        return Err(TransportFault::Refused("no toy answers the dongle; switch one on".to_owned()));
    };
    let toy = found?;
    let (tell, events) = mpsc::channel(EVENT_QUEUE);
    let node = Arc::clone(&conversation.node);
    let mut reader = JoinSet::new();
    reader.spawn(conversation.pass_on(tell));
    Ok(Opened { transport: Box::new(Toy { toy, node, reader, _visit: visit }), events })
}

/// A talk with a dongle over its node.
struct Conversation {
    talk: Talk,
    node: Arc<Node>,
}

impl Conversation {
    /// What the dongle says next, or that it says nothing, made into what is to be done.
    async fn next(&mut self) -> Result<Vec<Effect>, TransportFault> {
        let mut effects = Vec::new();
        // Both arms are cancel-safe.
        tokio::select! {
            report = self.node.read() => self.talk.report(Instant::now(), &report?, &mut effects),
            () = passed(self.talk.deadline()) => self.talk.deadline_passed(Instant::now(), &mut effects),
        }
        Ok(effects)
    }

    /// Goes on until there is a toy.
    async fn find(&mut self) -> Result<String, TransportFault> {
        let mut effects = Vec::new();
        self.talk.begin(&mut effects);
        loop {
            for effect in effects {
                match effect {
                    Effect::Send(line) => self.send(&line).await?,
                    Effect::Found(toy) => return Ok(toy),
                    // Words of a toy that was there before.
                    Effect::Notified(_) | Effect::Lost => {}
                }
            }
            effects = self.next().await?;
        }
    }

    /// Passes on what the toy says, until it is gone.
    async fn pass_on(mut self, tell: mpsc::Sender<TransportEvent>) {
        let lost = 'talk: loop {
            let effects = match self.next().await {
                Ok(effects) => effects,
                Err(fault) => break fault,
            };
            for effect in effects {
                match effect {
                    Effect::Notified(data) => {
                        let event = TransportEvent::Notified { endpoint: Endpoint::from(ANSWERS), data };
                        if tell.send(event).await.is_err() {
                            return;
                        }
                    }
                    Effect::Lost => {
                        break 'talk TransportFault::Disconnected("the toy left the dongle".to_owned());
                    }
                    Effect::Send(line) => {
                        if let Err(fault) = self.send(&line).await {
                            break 'talk fault;
                        }
                    }
                    Effect::Found(_) => {}
                }
            }
        };
        // Nobody may be there to hear it any more.
        tell.send(TransportEvent::Lost(lost)).await.ok();
    }

    async fn send(&self, line: &str) -> Result<(), TransportFault> {
        send(&self.node, line).await
    }

    /// Ends the search at the dongle too.
    async fn leave(&mut self) {
        match timeout(CLOSE_LIMIT, send(&self.node, talk::STOP_SEARCH)).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::debug!(%fault, "the dongle may go on with its search"),
            Err(_) => tracing::debug!("the dongle hangs"),
        }
    }
}

async fn send(node: &Node, line: &str) -> Result<(), TransportFault> {
    for report in reports(line) {
        node.write(&report).await?;
    }
    Ok(())
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A toy behind a dongle.
struct Toy {
    toy: String,
    node: Arc<Node>,
    reader: JoinSet<()>,
    /// Last: the bus looks again when the dongle is closed.
    _visit: Option<Visit>,
}

#[async_trait]
impl Transport for Toy {
    fn endpoints(&self) -> Vec<Endpoint> {
        [COMMANDS, ANSWERS].into_iter().map(Endpoint::from).collect()
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], _: WriteKind) -> Result<(), TransportFault> {
        if endpoint != COMMANDS {
            return Err(TransportFault::NoEndpoint(endpoint.to_owned()));
        }
        let text = std::str::from_utf8(data)
            .map_err(|_| TransportFault::Refused("the dongle passes on text, and this is none".to_owned()))?;
        send(&self.node, &command(&self.toy, text)).await
    }

    async fn read(&mut self, endpoint: &str, _: u32) -> Result<Vec<u8>, TransportFault> {
        Err(TransportFault::NoEndpoint(endpoint.to_owned()))
    }

    /// The dongle passes on everything anyway.
    async fn subscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        match endpoint {
            ANSWERS => Ok(()),
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn unsubscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        self.subscribe(endpoint).await
    }

    async fn close(mut self: Box<Self>) {
        self.reader.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
