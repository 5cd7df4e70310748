//! What a test does with a fake device: have it appear, vanish, notify and fail, and wait for what is asked of it.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Action, Delivery, Failure, FakeDevice, Operation, PATIENCE, Presence, ServiceSpec, Step, Write,
    fault::Repeat,
    parts::{self, Link, Properties},
    world::Order,
};

impl FakeDevice {
    /// The address, as given.
    #[must_use]
    pub fn address(&self) -> String {
        self.shared.lock().device(&self.path).spec.address.clone()
    }

    /// The device is switched on or comes into range, and advertises.
    pub fn appear(&self) {
        let mut world = self.shared.lock();
        world.device(&self.path).spec.presence = Presence::Near;
        world.heard(&self.path);
    }

    /// The device goes out of range: its link breaks, and BlueZ keeps its object.
    pub fn vanish(&self) {
        let mut world = self.shared.lock();
        world.device(&self.path).spec.presence = Presence::Away;
        world.disconnect(&self.path);
    }

    /// BlueZ forgets the device, as it does some time after it was last seen: its object goes.
    pub fn forget(&self) {
        self.shared.lock().forget(&self.path);
    }

    /// The device advertises once more.
    pub fn advertise(&self) {
        self.shared.lock().heard(&self.path);
    }

    /// The device breaks the link, and goes on advertising.
    pub fn disconnect(&self) {
        let mut world = self.shared.lock();
        world.disconnect(&self.path);
        world.heard(&self.path);
    }

    /// The strength of the signal changes, and BlueZ says so if it hears the device.
    pub fn set_rssi(&self, rssi: i16) {
        let mut world = self.shared.lock();
        let device = world.device(&self.path);
        device.spec.rssi = rssi;
        if device.link == Link::Down {
            world.heard(&self.path);
        } else {
            world.properties_changed(
                &self.path,
                parts::DEVICE,
                Properties::from([("RSSI", rssi.into())]),
                &[],
            );
        }
    }

    /// The name becomes known after the first advertisement, as from a scan response.
    pub fn set_name(&self, name: &str) {
        let mut world = self.shared.lock();
        world.device(&self.path).spec.name = Some(name.into());
        let properties =
            Properties::from([("Name", name.to_owned().into()), ("Alias", name.to_owned().into())]);
        world.properties_changed(&self.path, parts::DEVICE, properties, &[]);
    }

    /// The manufacturer data changes, and the device advertises it.
    pub fn set_manufacturer_data(&self, company: u16, data: &[u8]) {
        let mut world = self.shared.lock();
        world.device(&self.path).spec.manufacturer_data.insert(company, data.to_vec());
        world.heard(&self.path);
    }

    /// The services that the next connection finds.
    pub fn set_services(&self, services: Vec<ServiceSpec>) {
        self.shared.lock().device(&self.path).spec.services = services;
    }

    /// Finds the services of a connection for which [`Step::ResolveServices`] was made silent.
    pub fn resolve_services(&self) {
        self.shared.lock().resolve(&self.path);
    }

    /// Queues the answer to a read. The last one is given again and again.
    pub fn answer_read(&self, characteristic: Uuid, data: &[u8]) {
        self.shared.lock().device(&self.path).answers.entry(characteristic).or_default().queue(data);
    }

    /// What the device notifies by itself after each packet that it takes: pairs of characteristic and bytes.
    pub fn respond_with(&self, responder: impl FnMut(&Write) -> Vec<(Uuid, Vec<u8>)> + Send + 'static) {
        self.shared.lock().device(&self.path).responder = Some(Box::new(responder));
    }

    /// The device notifies.
    pub fn notify(&self, characteristic: Uuid, data: &[u8]) -> Delivery {
        self.shared.lock().notify(&self.path, characteristic, data)
    }

    /// So many of the next notifications do not arrive.
    pub fn lose_notifications(&self, count: usize) {
        self.shared.lock().device(&self.path).lost_notifications = count;
    }

    /// The next such step goes wrong, once.
    pub fn fail_next(&self, step: Step, failure: Failure) {
        self.fail_after(step, 0, failure);
    }

    /// So many such steps go well, then one goes wrong.
    pub fn fail_after(&self, step: Step, well: usize, failure: Failure) {
        self.shared.lock().device(&self.path).faults.plan(step, well, failure, Repeat::Once);
    }

    /// Every such step goes wrong until [`FakeDevice::heal`].
    pub fn fail_always(&self, step: Step, failure: Failure) {
        self.shared.lock().device(&self.path).faults.plan(step, 0, failure, Repeat::Always);
    }

    /// No faults any more.
    pub fn heal(&self) {
        self.shared.lock().device(&self.path).faults.clear();
    }

    /// Sends the answers that [`Failure::Held`] kept, in order.
    pub fn release(&self) {
        let mut world = self.shared.lock();
        for message in std::mem::take(&mut world.device(&self.path).held) {
            world.order(Order::Send(message));
        }
    }

    /// Whether anyone is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.lock().device(&self.path).link != Link::Down
    }

    /// Waits until someone is connected and the services are found.
    ///
    /// # Panics
    /// When [`PATIENCE`] runs out.
    pub async fn connected(&self) {
        self.link_becomes("connected", |link| link == Link::Resolved).await;
    }

    /// Waits until nobody is connected.
    ///
    /// # Panics
    /// When [`PATIENCE`] runs out.
    pub async fn disconnected(&self) {
        self.link_becomes("disconnected", |link| link == Link::Down).await;
    }

    async fn link_becomes(&self, name: &str, is: impl Fn(Link) -> bool) {
        let reached =
            self.shared.until(PATIENCE, |world| is(world.device(&self.path).link).then_some(())).await;
        assert!(reached.is_some(), "{} was not {name} within {PATIENCE:?}; {}", self.path, self.story());
    }

    /// Takes the next operation, waiting for it if need be.
    ///
    /// # Panics
    /// When [`PATIENCE`] runs out. The text tells all operations so far.
    pub async fn next_operation(&self) -> Operation {
        let next = self.try_next_operation(PATIENCE).await;
        next.unwrap_or_else(|| panic!("{}: no operation within {PATIENCE:?}; {}", self.path, self.story()))
    }

    /// Takes the next operation if there is one within `limit`.
    pub async fn try_next_operation(&self, limit: Duration) -> Option<Operation> {
        self.shared.until(limit, |world| world.device(&self.path).record.waiting.pop_front()).await
    }

    /// Takes operations up to the next write and gives that.
    ///
    /// # Panics
    /// When [`PATIENCE`] runs out. The text tells all operations so far.
    pub async fn next_write(&self) -> Write {
        let next = self.shared.until(PATIENCE, |world| {
            let waiting = &mut world.device(&self.path).record.waiting;
            while let Some(operation) = waiting.pop_front() {
                if let Action::Write(write) = operation.action {
                    return Some(write);
                }
            }
            None
        });
        next.await.unwrap_or_else(|| panic!("{}: no write within {PATIENCE:?}; {}", self.path, self.story()))
    }

    /// Takes operations up to the first that is as wanted.
    ///
    /// # Panics
    /// When [`PATIENCE`] runs out. The text tells all operations so far.
    pub async fn operation_that(&self, wanted: impl Fn(&Operation) -> bool) -> Operation {
        let found = self.shared.until(PATIENCE, |world| {
            let waiting = &mut world.device(&self.path).record.waiting;
            while let Some(operation) = waiting.pop_front() {
                if wanted(&operation) {
                    return Some(operation);
                }
            }
            None
        });
        found.await.unwrap_or_else(|| panic!("{}: not within {PATIENCE:?}; {}", self.path, self.story()))
    }

    /// Every operation since the fake started, taken or not.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.shared.lock().device(&self.path).record.all.clone()
    }

    /// Every packet that the device took, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        self.operations()
            .into_iter()
            .filter(|operation| operation.outcome == super::Outcome::Done)
            .filter_map(|operation| match operation.action {
                Action::Write(write) => Some(write),
                _ => None,
            })
            .collect()
    }

    /// Passes over the operations that wait to be taken.
    pub fn forget_operations(&self) {
        self.shared.lock().device(&self.path).record.waiting.clear();
    }

    fn story(&self) -> String {
        super::story(&self.operations())
    }
}
