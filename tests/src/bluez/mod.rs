//! A fake BlueZ for tests: it owns `org.bluez` on a private bus, and whoever speaks BlueZ's D-Bus interface takes it for real.
//!
//! It shows adapters, devices and their services, records what is asked of them, and goes wrong on request. What it does
//! when nothing goes wrong is what bluetoothd 5.66 was seen to do; it has no radio, no link layer and no timing of its own.
//! It runs on a thread of its own, so that a test that computes or blocks does not hold it up.

mod adapter;
mod device;

mod serve;

mod gatt;

mod call;

mod world;

mod parts;

mod fault;
mod operation;
mod spec;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use zbus::{MatchRule, MessageStream};

pub use self::{
    fault::{Failure, Step},
    operation::{Action, Delivery, Operation, Outcome, Write, WriteKind},
    parts::{Filter, Power},
    spec::{CharacteristicSpec, DeviceSpec, Flag, Presence, Security, ServiceSpec},
};
use self::{
    operation::Record,
    parts::{Adapter, Device},
    world::{Order, World},
};
use crate::bus::Bus;

/// How long a test waits for something that should happen at once. Long, for a machine that builds something else beside.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Messages that wait to be sent. A test that floods has its place; one that exceeds this is broken.
const ORDERS: usize = 65_536;

/// Calls that wait to be read. More than a client can have in flight.
const CALLS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// The adapter that every fake starts with.
const FIRST_ADAPTER: &str = "/org/bluez/hci0";

/// A fake BlueZ on a bus. Dropping it takes the name off the bus.
pub struct FakeBluez {
    shared: Shared,
    thread: Option<JoinHandle<()>>,
}

/// A device of a fake BlueZ. Clones are the same device.
#[derive(Clone)]
pub struct FakeDevice {
    shared: Shared,
    path: String,
}

/// An adapter of a fake BlueZ. Clones are the same adapter.
#[derive(Clone)]
pub struct FakeAdapter {
    shared: Shared,
    path: String,
}

#[derive(Clone)]
struct Shared {
    world: Arc<Mutex<World>>,
    changes: watch::Receiver<u64>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `probe` finds what it looks for.
    async fn until<T>(&self, limit: Duration, mut probe: impl FnMut(&mut World) -> Option<T>) -> Option<T> {
        let mut changes = self.changes.clone();
        let search = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = probe(&mut self.lock()) {
                    return Some(found);
                }
                // An error means that the fake is gone: nothing will change any more.
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, search).await.ok().flatten()
    }
}

impl FakeBluez {
    /// Starts a fake with one adapter, `hci0`, that is switched on, and no devices. Returns once the name is owned.
    ///
    /// # Errors
    /// The bus cannot be reached, or another owns the name.
    pub async fn start(bus: &Bus) -> anyhow::Result<Self> {
        let (orders, mut inbox) = mpsc::channel(ORDERS);
        let (change, changes) = watch::channel(0);
        let adapter = Adapter {
            address: "F0:F1:F2:F3:F4:00".into(),
            presence: Presence::Near,
            power: Power::On,
            filters: BTreeMap::new(),
            discovering: BTreeSet::new(),
            record: Record::default(),
        };
        let world = Arc::new(Mutex::new(World {
            adapters: BTreeMap::from([(FIRST_ADAPTER.into(), adapter)]),
            devices: BTreeMap::new(),
            orders,
            changes: change,
            on_bus: Presence::Away,
        }));
        let shared = Shared { world, changes };
        let (tell, started) = oneshot::channel();
        let address = bus.address();
        let of_thread = Arc::downgrade(&shared.world);
        let thread = std::thread::Builder::new().name("fake-bluez".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error.into()))),
            };
            runtime.block_on(serve(&address, &of_thread, &mut inbox, tell));
        })?;
        started.await.context("the thread of the fake BlueZ ended at once")??;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Adds a device. It is seen when someone looks for devices.
    #[must_use]
    pub fn add_device(&self, spec: DeviceSpec) -> FakeDevice {
        let path = parts::device_path(FIRST_ADAPTER, &spec.address);
        let mut world = self.shared.lock();
        world.devices.insert(path.clone(), Device::new(FIRST_ADAPTER, spec));
        world.heard(&path);
        FakeDevice { shared: self.shared.clone(), path }
    }

    /// The adapter that is there from the start.
    #[must_use]
    pub fn adapter(&self) -> FakeAdapter {
        FakeAdapter { shared: self.shared.clone(), path: FIRST_ADAPTER.into() }
    }

    /// The name leaves the bus, as when bluetoothd crashes or is stopped: links break without a signal, and all that
    /// BlueZ knew is forgotten. Returns once the name is free.
    pub async fn leave(&self) {
        self.order(Order::Leave, Presence::Away).await;
    }

    /// The name returns to the bus, with the adapters and devices that are there now and nothing else.
    pub async fn come_back(&self) {
        self.order(Order::Return, Presence::Near).await;
    }

    async fn order(&self, order: Order, wanted: Presence) {
        self.shared.lock().order(order);
        let reached = self.shared.until(PATIENCE, |world| (world.on_bus == wanted).then_some(())).await;
        assert!(reached.is_some(), "the fake BlueZ did not become {wanted:?} on the bus");
    }
}

impl Drop for FakeBluez {
    fn drop(&mut self) {
        self.shared.lock().order(Order::End);
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was already printed.
            drop(thread.join());
        }
    }
}

/// Holds the connection: reads calls, sends what is ordered, leaves and returns.
async fn serve(
    address: &str,
    world: &std::sync::Weak<Mutex<World>>,
    orders: &mut mpsc::Receiver<Order>,
    tell: oneshot::Sender<anyhow::Result<()>>,
) {
    let mut tell = Some(tell);
    loop {
        let connected = connect(address).await;
        let mut stream = match (connected, tell.take()) {
            (Ok(stream), tell) => {
                set_on_bus(world, Presence::Near);
                tell.map(|tell| tell.send(Ok(())));
                stream
            }
            (Err(error), Some(tell)) => return drop(tell.send(Err(error))),
            (Err(error), None) => panic!("the fake BlueZ cannot return to the bus: {error:#}"),
        };
        let connection = zbus::Connection::from(&stream);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    // The bus may be ended before the fake: then nobody listens.
                    Some(Order::Send(message)) => drop(connection.send(&message).await),
                    Some(Order::Leave) => break,
                    Some(Order::Return) => {}
                    Some(Order::End) | None => return,
                },
                message = stream.next() => match (message, world.upgrade()) {
                    (Some(Ok(message)), Some(world)) => {
                        receive(&mut world.lock().unwrap_or_else(PoisonError::into_inner), &message);
                    }
                    (Some(Err(_)), Some(_)) => {}
                    (None, _) | (_, None) => return,
                },
            }
        }
        drop(stream);
        if let Err(error) = connection.close().await {
            panic!("the fake BlueZ cannot leave the bus: {error:#}");
        }
        if let Some(world) = world.upgrade() {
            world.lock().unwrap_or_else(PoisonError::into_inner).reset();
        }
        set_on_bus(world, Presence::Away);
        loop {
            match orders.recv().await {
                Some(Order::Return) => break,
                // Nobody is there to hear it.
                Some(Order::Send(_) | Order::Leave) => {}
                Some(Order::End) | None => return,
            }
        }
    }
}

async fn connect(address: &str) -> anyhow::Result<MessageStream> {
    let connection = zbus::connection::Builder::address(address).max_queued(CALLS).build().await?;
    let stream = MessageStream::from(&connection);
    // Clients that leave the bus lose what they asked for.
    let gone = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .build()?;
    zbus::fdo::DBusProxy::new(&connection).await?.add_match_rule(gone).await?;
    connection.request_name("org.bluez").await.context("owning the name org.bluez")?;
    Ok(stream)
}

fn set_on_bus(world: &std::sync::Weak<Mutex<World>>, presence: Presence) {
    if let Some(world) = world.upgrade() {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        world.on_bus = presence;
        world.changed();
    }
}

fn receive(world: &mut World, message: &zbus::Message) {
    let header = message.header();
    if header.member().is_some_and(|member| member.as_str() == "NameOwnerChanged") {
        let body = message.body();
        if let Ok((name, _, new)) = body.deserialize::<(String, String, String)>()
            && new.is_empty()
        {
            world.client_gone(&name);
        }
        return;
    }
    serve::answer(world, message);
}

/// Operations in one line each, for the text of a test that failed.
fn story(operations: &[Operation]) -> String {
    let mut story = String::from("operations so far:");
    for operation in operations {
        let line = fmt::format(format_args!("\n  {:?}: {:?}", operation.outcome, operation.action));
        story.push_str(&line);
    }
    if operations.is_empty() {
        story.push_str(" none");
    }
    story
}
