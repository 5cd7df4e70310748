//! A Bluetooth LE toy made of software, on a virtual controller of the kernel: it advertises, takes a connection, has one service, answers
//! what a Lovense toy is asked, can go out of range, and can want to be paired. `att` is what it answers to each packet.
//!
//! It drives its controller without BlueZ, so that BlueZ is the service's alone and can be restarted.

mod att;
mod hci;
mod pairing;

use std::{
    fs,
    process::{Child, Command},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;

pub(crate) use self::pairing::Demand;
use self::{
    att::Writes,
    hci::{Channel, Controller, Event},
    pairing::{End, Keys},
};
use crate::{
    log::Sent,
    person::root,
    report::{show, until},
};

/// What is sent to the log when the toy has been paired.
pub(crate) const PAIRED: &[u8] = b"(paired)";

/// What btvirt gives the second of its controllers.
pub(crate) const ADDRESS: &str = "00:AA:01:01:00:01";

/// How often the toy is heard. A real one advertises more often; the virtual controllers tell of it once, when it begins, which
/// is missed by a kernel that has only begun to listen. So it begins again and again.
const ADVERTISES_EVERY: Duration = Duration::from_millis(300);

/// The toy, and with it both virtual controllers; gone with this.
pub(crate) struct Toy {
    controller: Controller,
    state: Arc<Mutex<State>>,
    radio: Child,
    threads: Vec<JoinHandle<()>>,
    pub(crate) sent: Sent,
}

struct State {
    place: Place,
    demand: Demand,
    own: End,
    keys: Keys,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    OutOfRange,
    Advertising,
    Connected(Link),
    /// Its controller is about to go.
    Ending,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Link {
    handle: u16,
    other: End,
    encrypted: bool,
}

impl Toy {
    /// Makes two controllers in one room, and takes the second for the toy, from BlueZ if need be.
    pub(crate) fn make() -> anyhow::Result<Self> {
        let radio = Command::new("btvirt").arg("-l2").spawn().context("cannot start btvirt")?;
        let controller = until("the toy's controller", || {
            let number = controllers().into_iter().find(|number| has_address(*number))?;
            // A controller that BlueZ has switched on is not to be had.
            let off = || root(&format!("hciconfig hci{number} down"));
            Controller::open(number).or_else(|_| off().and_then(|_| Controller::open(number))).ok()
        })?;
        let (sender, sent) = Sent::pair();
        let state = State {
            place: Place::Advertising,
            demand: Demand::Nothing,
            own: End::default(),
            keys: Keys::default(),
        };
        let state = Arc::new(Mutex::new(state));
        controller.set_up()?;
        let (own, seen) = (controller.share()?, state.clone());
        let served = thread::spawn(move || {
            if let Err(error) = serve(&own, &seen, &sender)
                && locked(&seen).place != Place::Ending
            {
                show(&format!("the toy ends: {error:#}"));
            }
        });
        let (own, seen) = (controller.share()?, state.clone());
        let advertised = thread::spawn(move || advertise(&own, &seen));
        Ok(Self { controller, state, radio, threads: vec![served, advertised], sent })
    }

    /// Is carried away: the link is lost, and it is heard no more.
    pub(crate) fn leave(&self) -> anyhow::Result<()> {
        let was = self.change(Place::OutOfRange);
        if let Place::Connected(link) = was {
            self.controller.disconnect(link.handle)?;
        }
        self.controller.advertise(hci::On::No)
    }

    /// Is brought back.
    pub(crate) fn come_back(&self) -> anyhow::Result<()> {
        self.change(Place::Advertising);
        self.controller.advertise(hci::On::Yes)
    }

    /// Wants something else of those who write, from now on.
    pub(crate) fn demand(&self, demand: Demand) {
        locked(&self.state).demand = demand;
    }

    fn change(&self, to: Place) -> Place {
        std::mem::replace(&mut locked(&self.state).place, to)
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Toy {
    fn drop(&mut self) {
        self.change(Place::Ending);
        if self.radio.kill().is_ok() && self.radio.wait().is_err() {
            show("btvirt could not be waited for");
        }
        // While they hold it, the controller's number is not free, and the address of the next would be another.
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                show("the toy's program panicked");
            }
        }
    }
}

/// The numbers of all controllers. Entries of connections are beside them.
fn controllers() -> Vec<u16> {
    let Ok(entries) = fs::read_dir("/sys/class/bluetooth") else { return Vec::new() };
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("hci")?.parse().ok();
    entries.flatten().filter_map(number).collect()
}

/// Whether a controller is the second of the two.
fn has_address(number: u16) -> bool {
    root(&format!("hciconfig hci{number}")).is_ok_and(|said| said.contains(ADDRESS))
}

/// Does what the toy does until its controller is gone.
fn serve(own: &Controller, state: &Mutex<State>, sender: &Sender<Vec<u8>>) -> anyhow::Result<()> {
    loop {
        let event = own.next()?;
        locked(state).handle(event, own, sender)?;
    }
}

/// Is heard while nobody is connected, until the controller is gone.
fn advertise(own: &Controller, state: &Mutex<State>) {
    loop {
        thread::sleep(ADVERTISES_EVERY);
        let state = locked(state);
        let advertised = match state.place {
            Place::Advertising => own.advertise(hci::On::No).and_then(|()| own.advertise(hci::On::Yes)),
            Place::OutOfRange | Place::Connected(_) => Ok(()),
            Place::Ending => return,
        };
        if let Err(error) = advertised {
            show(&format!("the toy cannot advertise: {error:#}"));
            return;
        }
    }
}

impl State {
    fn handle(&mut self, event: Event, own: &Controller, sender: &Sender<Vec<u8>>) -> anyhow::Result<()> {
        match event {
            Event::Address(address) => self.own = End { kind: 0, address },
            Event::Connected(handle, other) => {
                self.place = Place::Connected(Link { handle, other, encrypted: false });
            }
            Event::Disconnected => {
                if !matches!(self.place, Place::OutOfRange | Place::Ending) {
                    self.place = Place::Advertising;
                    own.advertise(hci::On::Yes)?;
                }
            }
            Event::Data(handle, Channel::Attributes, request) => {
                let answer = att::answer(&request, self.writes());
                if let Some(written) = answer.written {
                    sender.send(written)?;
                }
                for packet in answer.packets {
                    own.send(handle, Channel::Attributes, &packet)?;
                }
            }
            Event::Data(handle, Channel::Security, packet) => {
                if let Place::Connected(link) = self.place
                    && let Some(answer) = self.keys.answer(&packet, self.demand, link.other, self.own)
                {
                    own.send(handle, Channel::Security, &answer)?;
                }
            }
            Event::KeyWanted(handle, name) => own.key(handle, self.keys.key(&name))?,
            Event::Encrypted(handle) => {
                if let Place::Connected(link) = &mut self.place {
                    link.encrypted = true;
                }
                let told = self.keys.encrypted();
                if !told.is_empty() {
                    sender.send(PAIRED.to_vec())?;
                }
                for packet in told {
                    own.send(handle, Channel::Security, &packet)?;
                }
            }
            Event::Other => {}
        }
        Ok(())
    }

    fn writes(&self) -> Writes {
        match (self.demand, self.place) {
            (Demand::Nothing, _) | (_, Place::Connected(Link { encrypted: true, .. })) => Writes::Taken,
            (Demand::Pairing | Demand::Strangers, _) => Writes::Refused,
        }
    }
}
