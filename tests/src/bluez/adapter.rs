//! What a test does with a fake adapter: switch it, pull it out, put it back, and see what is asked of it.

use super::{
    FakeAdapter, Filter, Operation, PATIENCE, Power, Presence,
    parts::{self, Object},
    world,
};

impl FakeAdapter {
    /// Switches the radio, as the user or rfkill would. Off breaks every link.
    pub fn set_power(&self, power: Power) {
        self.shared.lock().set_power(&self.path, power);
    }

    /// The adapter is pulled out: its devices go, then it goes.
    pub fn remove(&self) {
        let mut world = self.shared.lock();
        for device in world.devices_of(&self.path) {
            world.forget(&device);
        }
        let adapter = world.adapter(&self.path);
        adapter.presence = Presence::Away;
        adapter.discovering.clear();
        adapter.filters.clear();
        world.interfaces_removed(&self.path, &["org.freedesktop.DBus.Properties", parts::ADAPTER]);
        world.changed();
    }

    /// The adapter is put back.
    pub fn restore(&self) {
        let mut world = self.shared.lock();
        let adapter = world.adapter(&self.path);
        adapter.presence = Presence::Near;
        let properties = adapter.properties();
        world.interfaces_added(&self.path, parts::Interfaces::from([(parts::ADAPTER, properties)]));
        world.changed();
    }

    /// Whether anyone looks for devices.
    #[must_use]
    pub fn is_discovering(&self) -> bool {
        !self.shared.lock().adapter(&self.path).discovering.is_empty()
    }

    /// Waits until someone looks for devices.
    ///
    /// # Panics
    /// When [`PATIENCE`] runs out. The text tells what was asked of the adapter.
    pub async fn discovering(&self) {
        self.until("looked for devices with", |world, path| !world.adapter(path).discovering.is_empty())
            .await;
    }

    /// Waits until nobody looks for devices.
    ///
    /// # Panics
    /// When [`PATIENCE`] runs out. The text tells what was asked of the adapter.
    pub async fn not_discovering(&self) {
        self.until("left alone", |world, path| world.adapter(path).discovering.is_empty()).await;
    }

    /// Waits until BlueZ shows no more than this many devices.
    ///
    /// # Panics
    /// When [`PATIENCE`] runs out.
    pub async fn shows_at_most(&self, count: usize) {
        self.until("emptied", |world, _| {
            world.devices.values().filter(|device| device.object == Object::Shown).count() <= count
        })
        .await;
    }

    async fn until(&self, name: &str, is: impl Fn(&mut world::World, &str) -> bool) {
        let reached = self.shared.until(PATIENCE, |world| is(world, &self.path).then_some(())).await;
        assert!(reached.is_some(), "{} was not {name} within {PATIENCE:?}; {}", self.path, self.story());
    }

    /// The filters of those who look for devices.
    #[must_use]
    pub fn filters(&self) -> Vec<Filter> {
        self.shared.lock().adapter(&self.path).filters.values().cloned().collect()
    }

    /// Takes the next operation, waiting for it if need be.
    ///
    /// # Panics
    /// When [`PATIENCE`] runs out. The text tells all operations so far.
    pub async fn next_operation(&self) -> Operation {
        let next =
            self.shared.until(PATIENCE, |world| world.adapter(&self.path).record.waiting.pop_front()).await;
        next.unwrap_or_else(|| panic!("{}: no operation within {PATIENCE:?}; {}", self.path, self.story()))
    }

    /// Every operation since the fake started, taken or not.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.shared.lock().adapter(&self.path).record.all.clone()
    }

    fn story(&self) -> String {
        super::story(&self.operations())
    }
}
