//! The Lovense USB dongle: a device with one toy behind it, which is offered as if it were on Bluetooth, so that the same protocol
//! drives it.
//!
//! There are two kinds. One is a HID device with ids of its own. The other, older one is a serial port behind an adapter that many other
//! devices have too, so that it is opened only where the user has named the port.
//!
//! The toy is looked for while the path is opened, and only while somebody wants a scan. What the dongle says and wants to hear
//! is in `talk`, what carries it in `wire`.

mod talk;
mod wire;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

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

use self::{
    talk::{Effect, Talk, command},
    wire::{Place, Wire},
};
use super::{
    Access, Discovered, Discovery, Finds, Opened, Opener, ScanWish, Transport, TransportEvent,
    TransportFault, hid,
    nodes::{self, Nodes},
    serial,
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

/// Runs the bus until nobody listens any more. `port` is where there is a dongle that is a serial port.
pub async fn run(discovery: Discovery, catalogue: watch::Receiver<Arc<Catalogue>>, port: Option<PathBuf>) {
    let dongles = Dongles { api: None, port, wish: discovery.wish.clone(), plugged: Plugged::None };
    nodes::run(dongles, discovery, catalogue).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plugged {
    Some,
    None,
}

struct Dongles {
    api: Option<HidApi>,
    port: Option<PathBuf>,
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

    fn look(&mut self, _: &Catalogue, visits: &Visits) -> io::Result<Vec<nodes::Plugged>> {
        let port = self.port.as_deref().filter(|port| port.exists());
        let port = port.map(|port| Place::Serial(port.to_string_lossy().into_owned()));
        let listed = match hid::list(&mut self.api) {
            // A system without HID devices may have ports.
            Err(error) if port.is_none() => return Err(error),
            listed => listed.unwrap_or_default(),
        };
        let first = hid::units(listed).into_iter().filter_map(|unit| unit.into_iter().next());
        let hid = first.filter(|node| (node.vendor, node.product) == IDS).map(Place::Hid);
        let dongles: Vec<_> = hid.chain(port).collect();
        self.plugged = if dongles.is_empty() { Plugged::None } else { Plugged::Some };
        if *self.wish.borrow() == ScanWish::Rest {
            return Ok(Vec::new());
        }
        let tell = |place: Place| Discovered {
            transport: NAME,
            advertisement: Advertisement::Bluetooth {
                name: Some(TOY.to_owned()),
                manufacturer_data: Vec::new(),
                services: Vec::new(),
            },
            address: place.address(),
            opener: Box::new(DongleOpener { place, wish: self.wish.clone(), visits: visits.clone() }),
        };
        let told = dongles
            .into_iter()
            .map(|place| nodes::Plugged { key: place.node().to_owned(), discovered: tell(place) });
        Ok(told.collect())
    }

    fn places(&self, _: &Catalogue) -> Vec<PathBuf> {
        self.port.iter().cloned().collect()
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

    fn mend(&self, node: &str) -> String {
        match &self.port {
            Some(port) if port == Path::new(node) => serial::mend(node),
            Some(_) | None => hid::node::mend(IDS),
        }
    }
}

/// The way to the toy behind a dongle.
struct DongleOpener {
    place: Place,
    wish: watch::Receiver<ScanWish>,
    visits: Visits,
}

#[async_trait]
impl Opener for DongleOpener {
    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        match access {
            Access::Bluetooth { .. } => {}
            Access::Serial(_) | Access::Hid(_) | Access::WebSocket | Access::Gamepad | Access::Simulated => {
                return Err(TransportFault::Refused(
                    "a toy behind a dongle is opened as one on Bluetooth".to_owned(),
                ));
            }
        }
        let visit = self.visits.begin(self.place.node());
        let wire = Wire::open(&self.place, &visit).await?;
        search(wire, self.wish, Some(visit)).await
    }
}

/// Looks for a toy, and gives the path to it.
async fn search(
    wire: Wire,
    mut wish: watch::Receiver<ScanWish>,
    visit: Option<Visit>,
) -> Result<Opened, TransportFault> {
    let mut conversation = Conversation { talk: Talk::new(Instant::now()), wire: Arc::new(wire) };
    let unwanted = async {
        // Its end is that of the service.
        wish.wait_for(|wish| *wish == ScanWish::Rest).await.ok();
    };
    let found = tokio::select! {
        found = timeout(SEARCH_LIMIT, conversation.find()) => found.unwrap_or_else(|_| {
            Err(TransportFault::Refused("no toy answers the dongle; switch one on".to_owned()))
        }),
        () = unwanted => {
            Err(TransportFault::Refused("the search for a toy behind the dongle was ended".to_owned()))
        }
    };
    let toy = match found {
        Ok(toy) => toy,
        Err(fault) => {
            conversation.leave().await;
            return Err(fault);
        }
    };
    let (tell, events) = mpsc::channel(EVENT_QUEUE);
    let wire = Arc::clone(&conversation.wire);
    let mut reader = JoinSet::new();
    reader.spawn(conversation.pass_on(tell.clone()));
    let toy = Toy { toy, wire, line: Line::Whole, tell: Some(tell), reader, _visit: visit };
    Ok(Opened { transport: Box::new(toy), events })
}

/// A talk with a dongle over its wire.
struct Conversation {
    talk: Talk,
    wire: Arc<Wire>,
}

impl Conversation {
    /// What the dongle says next, or that it says nothing, made into what is to be done.
    async fn next(&mut self) -> Result<Vec<Effect>, TransportFault> {
        let mut effects = Vec::new();
        // Both arms are cancel-safe.
        tokio::select! {
            text = self.wire.receive() => self.talk.heard(Instant::now(), &text?, &mut effects),
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
                    Effect::Send(line) => self.wire.send(&line).await?,
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
                        if let Err(fault) = self.wire.send(&line).await {
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

    /// Ends the search at the dongle too, and lets it go.
    async fn leave(self) {
        match timeout(CLOSE_LIMIT, self.wire.send(talk::STOP_SEARCH)).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::debug!(%fault, "the dongle may go on with its search"),
            Err(_) => tracing::debug!("the dongle hangs"),
        }
        close(self.wire).await;
    }
}

/// Closes a wire that nobody else uses any more.
async fn close(wire: Arc<Wire>) {
    if let Some(wire) = Arc::into_inner(wire) {
        wire.close().await;
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What the dongle has of the line that it was sent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Whole,
    /// It may have the beginning only, and would take the next line for the rest of it.
    Cut,
}

/// A toy behind a dongle.
struct Toy {
    toy: String,
    wire: Arc<Wire>,
    line: Line,
    /// None once the dongle is given up.
    tell: Option<mpsc::Sender<TransportEvent>>,
    reader: JoinSet<()>,
    /// Last: the bus looks again when the dongle is closed.
    _visit: Option<Visit>,
}

impl Toy {
    /// Sends a line, unless the one before was cut. Not cancel-safe on purpose: a line that is given up half-way counts as cut.
    async fn send(&mut self, line: &str) -> Result<(), TransportFault> {
        match self.line {
            Line::Whole => {}
            Line::Cut => return Err(self.give_up("a line was not sent to its end")),
        }
        self.line = Line::Cut;
        match self.wire.send(line).await {
            Ok(()) => {
                self.line = Line::Whole;
                Ok(())
            }
            Err(fault) => Err(self.give_up(&fault.to_string())),
        }
    }

    /// The next line would be lost with what is left of the one before, and nobody would know: the dongle is opened anew, and its toy
    /// stopped first.
    fn give_up(&mut self, why: &str) -> TransportFault {
        let lost = TransportFault::Disconnected(format!("the dongle is given up: {why}"));
        self.reader.abort_all();
        if let Some(tell) = self.tell.take() {
            // Full: then the end of the queue says that the path is gone.
            tell.try_send(TransportEvent::Lost(lost.clone())).ok();
        }
        lost
    }
}

#[async_trait]
impl Transport for Toy {
    fn endpoints(&self) -> Vec<Endpoint> {
        [COMMANDS, ANSWERS].into_iter().map(Endpoint::from).collect()
    }

    /// The dongle calls a toy by the digits of its address.
    fn radio_address(&self) -> Option<String> {
        let digits: Vec<char> = self.toy.chars().collect();
        let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
        Some(pairs.join(":"))
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], _: WriteKind) -> Result<(), TransportFault> {
        if endpoint != COMMANDS {
            return Err(TransportFault::NoEndpoint(endpoint.to_owned()));
        }
        let text = std::str::from_utf8(data)
            .map_err(|_| TransportFault::Refused("the dongle passes on text, and this is none".to_owned()))?;
        let line = command(&self.toy, text);
        self.send(&line).await
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

    async fn close(self: Box<Self>) {
        let Self { wire, tell, mut reader, _visit, .. } = *self;
        drop(tell);
        reader.shutdown().await;
        close(wire).await;
    }
}

#[cfg(test)]
mod tests;
