//! The life of a bus whose devices are files of the kernel: look, tell what is there, wait until something changed, look again.
//!
//! What is there and how it is opened is the part of [`Nodes`]. Whether a device is wanted is decided by whoever is told of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use engine::definition::catalogue::Catalogue;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    Discovered, Discovery, Finds, FromTransport, ScanWish, TransportState, TransportStatus,
    places::Places,
    uevent::Uevents,
    visits::{Visited, Visits},
};

/// The time from a change to the look, in which udev gives the user access and further changes gather.
const SETTLE: Duration = Duration::from_millis(100);
/// The time from the end of a path to the look that finds the device again.
const RETURN: Duration = Duration::from_secs(1);
/// The time between two looks where the kernel cannot be listened to.
const POLL: Duration = Duration::from_secs(5);

/// A device that is plugged in.
pub(super) struct Plugged {
    /// Tells it apart as long as it is plugged in: its node, its folder.
    pub(super) key: String,
    /// It, with the address that it would have if no other had the same.
    pub(super) discovered: Discovered,
}

/// A kind of device files.
pub(super) trait Nodes: Send {
    /// The name of the bus.
    fn bus(&self) -> &'static str;
    /// The subsystem in the words of the kernel.
    fn subsystem(&self) -> &'static str;
    /// All that is there. Short enough to be done in place.
    ///
    /// # Errors
    /// The system does not tell.
    fn look(&mut self, catalogue: &Catalogue, visits: &Visits) -> io::Result<Vec<Plugged>>;
    /// Paths whose coming and going the kernel does not tell.
    fn places(&self, _: &Catalogue) -> Vec<PathBuf> {
        Vec::new()
    }
    /// When devices of this bus are found, as things stand.
    fn finds(&self) -> Finds {
        Finds::Unasked
    }
    /// Why the bus does nothing, for one that is there only as long as something is plugged in.
    fn absent(&self) -> Option<&'static str> {
        None
    }
    /// What gives the user access to a node: a command, or the rule that is missing.
    fn mend(&self, node: &str) -> String;
}

/// Runs the bus until nobody listens any more. A change of the catalogue may mean that other devices are wanted, so it is a look.
pub(super) async fn run(
    nodes: impl Nodes,
    mut discovery: Discovery,
    mut catalogue: watch::Receiver<Arc<Catalogue>>,
) {
    let (visits, visited) = Visits::new();
    let uevents = Uevents::open(nodes.subsystem());
    let deaf = uevents.as_ref().err().map(ToString::to_string);
    let mut bus = Bus {
        nodes,
        visits,
        addresses: Addresses::default(),
        open: BTreeSet::new(),
        denied: BTreeSet::new(),
        deaf,
        tell: discovery.tell.clone(),
        told: None,
    };
    let (mut uevents, mut visited, mut places) = (uevents.ok(), visited, Places::default());
    let mut due = Some(Instant::now());
    // All arms are cancel-safe.
    loop {
        tokio::select! {
            () = at(due) => {
                let newest = catalogue.borrow_and_update().clone();
                // Before the look, so that what comes after it is not missed.
                if let Err(error) = places.watch(&bus.nodes.places(&newest)) {
                    tracing::warn!(bus = bus.nodes.bus(), %error, "named paths cannot be watched");
                }
                if bus.look(&newest).await.is_err() {
                    return;
                }
                due = uevents.is_none().then(|| Instant::now() + POLL);
            }
            changed = heard(&mut uevents) => {
                if let Err(error) = changed {
                    tracing::warn!(bus = bus.nodes.bus(), %error, "the kernel is no longer heard");
                    (uevents, bus.deaf) = (None, Some(error.to_string()));
                }
                due = soonest(due, SETTLE);
            }
            changed = places.changed() => {
                if let Err(error) = changed {
                    tracing::warn!(bus = bus.nodes.bus(), %error, "named paths are no longer watched");
                    places = Places::default();
                }
                due = soonest(due, SETTLE);
            }
            Some(said) = visited.recv() => {
                if bus.visited(said) == Look::Again {
                    due = soonest(due, RETURN);
                }
                if bus.say(None).await.is_err() {
                    return;
                }
            }
            changed = discovery.wish.changed() => match changed {
                Ok(()) => if *discovery.wish.borrow_and_update() == ScanWish::Scan {
                    due = Some(Instant::now());
                },
                Err(_) => return,
            },
            changed = catalogue.changed() => match changed {
                Ok(()) => due = Some(Instant::now()),
                Err(_) => return,
            },
            () = bus.tell.closed() => return,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Again,
    NotForThis,
}

/// Nobody listens any more.
struct Over;

struct Bus<N> {
    nodes: N,
    visits: Visits,
    addresses: Addresses,
    open: BTreeSet<String>,
    denied: BTreeSet<String>,
    /// Why the kernel cannot be listened to.
    deaf: Option<String>,
    tell: mpsc::Sender<FromTransport>,
    told: Option<TransportStatus>,
}

impl<N: Nodes> Bus<N> {
    async fn look(&mut self, catalogue: &Catalogue) -> Result<(), Over> {
        self.denied.retain(|node| fs::exists(node).unwrap_or(false));
        match self.nodes.look(catalogue, &self.visits) {
            Ok(found) => {
                self.say(None).await?;
                for address in self.addresses.take_back(&found) {
                    let gone = FromTransport::Gone { transport: self.nodes.bus(), address };
                    self.tell.send(gone).await.map_err(|_| Over)?;
                }
                for discovered in self.addresses.give(found) {
                    self.tell.send(FromTransport::Discovered(discovered)).await.map_err(|_| Over)?;
                }
                Ok(())
            }
            Err(error) => self.say(Some(&error)).await,
        }
    }

    fn visited(&mut self, said: Visited) -> Look {
        match said {
            Visited::Opened(node) => {
                self.denied.remove(&node);
                self.open.insert(node);
                Look::NotForThis
            }
            Visited::Denied(node) => {
                self.denied.insert(node);
                Look::NotForThis
            }
            Visited::Ended(node) => {
                self.open.remove(&node);
                Look::Again
            }
        }
    }

    async fn say(&mut self, broken: Option<&io::Error>) -> Result<(), Over> {
        let status = self.status(broken);
        if self.told.as_ref() == Some(&status) {
            return Ok(());
        }
        self.told = Some(status.clone());
        self.tell.send(FromTransport::Status(status)).await.map_err(|_| Over)
    }

    fn status(&self, broken: Option<&io::Error>) -> TransportStatus {
        let (state, reason, hint) = match (broken, self.denied.first(), &self.deaf) {
            (Some(error), _, _) => (
                TransportState::Unavailable,
                format!("the system does not say which devices there are: {error}"),
                "a container or sandbox must let the service see /sys and /dev".to_owned(),
            ),
            (None, Some(node), _) => {
                let state =
                    if self.open.is_empty() { TransportState::Unavailable } else { TransportState::Ready };
                (state, format!("{node} may not be opened"), self.nodes.mend(node))
            }
            (None, None, Some(error)) => (
                TransportState::Ready,
                format!(
                    "the kernel does not tell of new devices ({error}); they are looked for every {POLL:?}"
                ),
                "a sandbox must allow AF_NETLINK sockets".to_owned(),
            ),
            (None, None, None) => match self.nodes.absent() {
                Some(why) => (TransportState::Off, why.to_owned(), String::new()),
                None => (TransportState::Ready, String::new(), String::new()),
            },
        };
        TransportStatus { transport: self.nodes.bus(), finds: self.nodes.finds(), state, reason, hint }
    }
}

async fn heard(uevents: &mut Option<Uevents>) -> io::Result<()> {
    match uevents {
        Some(uevents) => uevents.changed().await,
        None => std::future::pending().await,
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn soonest(due: Option<Instant>, after: Duration) -> Option<Instant> {
    let new = Instant::now() + after;
    Some(due.map_or(new, |due| due.min(new)))
}

/// The name of the group that a node belongs to, if it is one that a user can be put into.
pub(super) fn group_of(node: &str) -> Option<String> {
    let id = fs::metadata(node).ok()?.gid();
    let groups = fs::read_to_string("/etc/group").ok()?;
    let name = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })?;
    // In a user namespace all groups but the own one look like nobody's.
    (!["root", "nogroup", "nobody"].contains(&name.as_str())).then_some(name)
}

/// What devices go by. Of two that look alike the second gets a number, and each keeps what it has until it is pulled out: else the
/// one that stays would be taken for the other, and get its commands.
#[derive(Debug, Default)]
struct Addresses {
    /// By key: the address that it would have alone, and that which it has.
    given: BTreeMap<String, (String, String)>,
}

impl Addresses {
    /// Takes their addresses from those that are not plugged in any more, or are others by now.
    fn take_back(&mut self, plugged: &[Plugged]) -> Vec<String> {
        let alone: BTreeMap<_, _> =
            plugged.iter().map(|one| (one.key.as_str(), &one.discovered.address)).collect();
        let mut gone = Vec::new();
        self.given.retain(|key, (own, address)| {
            let is_there = alone.get(key.as_str()) == Some(&&*own);
            if !is_there {
                gone.push(std::mem::take(address));
            }
            is_there
        });
        gone
    }

    /// Gives all that is plugged in their addresses.
    fn give(&mut self, plugged: Vec<Plugged>) -> Vec<Discovered> {
        let mut taken: BTreeSet<String> = self.given.values().map(|(_, address)| address.clone()).collect();
        let give = |Plugged { key, mut discovered }: Plugged| {
            let own = std::mem::take(&mut discovered.address);
            let (_, address) = self.given.entry(key).or_insert_with(|| {
                let address = distinct(&own, &mut taken);
                (own, address)
            });
            discovered.address = address.clone();
            discovered
        };
        plugged.into_iter().map(give).collect()
    }
}

/// The address, with a number if it is taken.
fn distinct(address: &str, taken: &mut BTreeSet<String>) -> String {
    let mut distinct = address.to_owned();
    let mut number = 2;
    while !taken.insert(distinct.clone()) {
        distinct = format!("{address}#{number}");
        number += 1;
    }
    distinct
}

#[cfg(test)]
mod tests {
    use engine::advertisement::Advertisement;

    use super::{
        super::{Access, Opened, Opener, TransportFault},
        *,
    };

    struct NoWay;

    #[async_trait::async_trait]
    impl Opener for NoWay {
        async fn open(self: Box<Self>, _: &Access) -> Result<Opened, TransportFault> {
            Err(TransportFault::Refused("not in this test".into()))
        }
    }

    /// What is given, and what was taken back before.
    fn look(addresses: &mut Addresses, plugged: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let plugged = plugged.iter().map(|(key, address)| Plugged {
            key: (*key).to_owned(),
            discovered: Discovered {
                transport: "hid",
                advertisement: Advertisement::Simulated { name: String::new() },
                address: (*address).to_owned(),
                opener: Box::new(NoWay),
            },
        });
        let plugged: Vec<_> = plugged.collect();
        let gone = addresses.take_back(&plugged);
        (addresses.give(plugged).into_iter().map(|one| one.address).collect(), gone)
    }

    fn give(addresses: &mut Addresses, plugged: &[(&str, &str)]) -> Vec<String> {
        look(addresses, plugged).0
    }

    #[test]
    fn of_devices_that_look_alike_each_keeps_its_address_until_it_is_pulled_out() {
        let mut addresses = Addresses::default();
        let (a, b, c) = (("a", "same"), ("b", "same"), ("c", "same"));
        assert_eq!(give(&mut addresses, &[a, b, c, ("d", "other")]), ["same", "same#2", "same#3", "other"]);
        assert_eq!(give(&mut addresses, &[c, b]), ["same#3", "same#2"]);
        assert_eq!(give(&mut addresses, &[("e", "same"), b, c]), ["same", "same#2", "same#3"]);
        assert_eq!(give(&mut addresses, &[("b", "other"), c]), ["other", "same#3"], "another in its place");
        assert_eq!(give(&mut addresses, &[]), [""; 0]);
        assert_eq!(give(&mut addresses, &[c, a]), ["same", "same#2"]);
    }

    #[test]
    fn an_address_is_taken_back_when_nothing_that_has_it_is_plugged_in() {
        let mut addresses = Addresses::default();
        let (a, b) = (("a", "one"), ("b", "other"));
        assert_eq!(look(&mut addresses, &[a, b]).1, [""; 0]);
        assert_eq!(look(&mut addresses, &[a, b]).1, [""; 0]);
        assert_eq!(look(&mut addresses, &[("a", "third"), b]).1, ["one"], "another at its node");
        assert_eq!(look(&mut addresses, &[]).1, ["third", "other"]);
    }
}
