//! Plays the service in an author's tests: calls a protocol, keeps virtual time and timers, hands out operations in order.
//!
//! It makes no transfer and checks no limits; the service's own loader does that. [`Direct`] calls a protocol without the
//! C ABI and does not catch panics, so that a panicking plugin fails its test.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    Endpoint, Event, Failure, Info, Model, Operation, Ops, Output, Protocol, Timer, Wanted, WriteKind,
};

/// One call of a protocol.
#[derive(Debug, Clone, Copy)]
pub enum Call<'a> {
    /// Find out which model it is.
    Identify,
    /// Bring the model up.
    Start(&'a Model),
    /// Set outputs.
    Output(&'a [Output]),
    /// Bring outputs to rest; positions are in the set.
    Stop(&'a [Output]),
    /// Something is wanted of an input.
    Input(Wanted),
    /// The device wants a sign of life.
    KeepAlive,
    /// Something happened.
    Event(Event<'a>),
}

/// A protocol with one device, however it was linked: [`Direct`], or the service's own instance of a loaded library.
pub trait Subject {
    /// Makes the call, with the service's defaults where the protocol leaves a function out; but for a keep-alive, of which only the
    /// [`Bench`] knows what to repeat.
    ///
    /// # Errors
    /// What the protocol answered, or what the service has against the answer.
    fn call(&mut self, now_ms: u64, call: Call<'_>) -> Result<Vec<Operation>, Failure>;
}

impl<S: Subject + ?Sized> Subject for Box<S> {
    fn call(&mut self, now_ms: u64, call: Call<'_>) -> Result<Vec<Operation>, Failure> {
        (**self).call(now_ms, call)
    }
}

/// A protocol called directly.
#[derive(Debug)]
pub struct Direct<P> {
    protocol: P,
    name: String,
}

impl<P: Protocol> Direct<P> {
    /// Creates the protocol's state for a device.
    ///
    /// # Errors
    /// What [`Protocol::create`] answered.
    pub fn create(info: &Info) -> Result<Self, Failure> {
        let mut log = Vec::new();
        let protocol = P::create(info, &mut Ops::recording(0, &mut log))?;
        Ok(Self { protocol, name: info.name.clone() })
    }

    /// The defaults of functions that are left out; `None` if the call has none.
    fn default(&mut self, now_ms: u64, call: Call<'_>) -> Option<Result<Vec<Operation>, Failure>> {
        match call {
            Call::Identify => {
                Some(Ok(vec![Operation::Identified { protocol: String::new(), model: self.name.clone() }]))
            }
            Call::Start(_) => Some(Ok(vec![Operation::Ready])),
            Call::Stop(set) => {
                let set: Vec<Output> = set.iter().copied().filter(|one| !one.kind.is_position()).collect();
                let nothing = set.is_empty();
                Some(if nothing { Ok(Vec::new()) } else { self.call(now_ms, Call::Output(&set)) })
            }
            Call::Event(_) => Some(Ok(Vec::new())),
            // What is to be repeated is known to whoever writes the packets.
            Call::Output(_) | Call::Input(_) | Call::KeepAlive => None,
        }
    }
}

impl<P: Protocol> Subject for Direct<P> {
    fn call(&mut self, now_ms: u64, call: Call<'_>) -> Result<Vec<Operation>, Failure> {
        let mut list = Vec::new();
        let ops = &mut Ops::recording(now_ms, &mut list);
        let done = match call {
            Call::Identify => self.protocol.identify(ops),
            Call::Start(model) => self.protocol.start(model, ops),
            Call::Output(set) => self.protocol.output(set, ops),
            Call::Stop(set) => self.protocol.stop(set, ops),
            Call::Input(wanted) => self.protocol.input(wanted, ops),
            Call::KeepAlive => self.protocol.keep_alive(ops),
            Call::Event(event) => self.protocol.event(event, ops),
        };
        match done {
            Err(Failure::Unsupported) => self.default(now_ms, call).unwrap_or(Err(Failure::Unsupported)),
            Err(failure) => Err(failure),
            Ok(()) => Ok(list),
        }
    }
}

/// Whether packets of this call are what a keep-alive repeats: those that set the device, not questions to it.
fn repeatable(call: Call<'_>) -> bool {
    match call {
        Call::Start(_) | Call::Output(_) | Call::Stop(_) | Call::Event(Event::Timer(_)) => true,
        Call::Identify
        | Call::Input(_)
        | Call::KeepAlive
        | Call::Event(
            Event::Notified { .. }
            | Event::Read { .. }
            | Event::ReadFailed { .. }
            | Event::WriteFailed { .. },
        ) => false,
    }
}

/// A device on the bench: a [`Subject`] with the endpoints, the clock and the timers that the service would give it.
#[derive(Debug)]
pub struct Bench<S> {
    subject: S,
    endpoints: Vec<(String, Endpoint)>,
    now_ms: u64,
    timers: BTreeMap<u32, u64>,
    queue: VecDeque<Operation>,
    /// What a keep-alive repeats if the protocol does not say.
    last_packet: Option<Operation>,
    log: Vec<String>,
}

impl<P: Protocol> Bench<Direct<P>> {
    /// The protocol, created for a device with these endpoints.
    ///
    /// # Errors
    /// What [`Protocol::create`] answered.
    pub fn direct(info: &Info) -> Result<Self, Failure> {
        Ok(Self::new(Direct::create(info)?, info))
    }
}

impl<S: Subject> Bench<S> {
    /// A device that is known from the outside.
    #[must_use]
    pub fn new(subject: S, info: &Info) -> Self {
        Self {
            subject,
            endpoints: info.endpoints.clone(),
            now_ms: 0,
            timers: BTreeMap::new(),
            queue: VecDeque::new(),
            last_packet: None,
            log: Vec::new(),
        }
    }

    /// Replaces the protocol by another that takes over; time goes on, timers are gone.
    pub fn take_over(&mut self, subject: S) {
        self.subject = subject;
        self.timers.clear();
    }

    /// Makes a call; what it asked for is queued behind what is already there. Timers and log lines are not queued.
    ///
    /// # Errors
    /// What the subject answered.
    pub fn call(&mut self, call: Call<'_>) -> Result<(), Failure> {
        let operations = match (self.subject.call(self.now_ms, call), call) {
            (Err(Failure::Unsupported), Call::KeepAlive) => self.last_packet.iter().cloned().collect(),
            (operations, _) => operations?,
        };
        if repeatable(call) {
            let last = operations.iter().rfind(|operation| matches!(operation, Operation::Write { .. }));
            self.last_packet = last.cloned().or(self.last_packet.take());
        }
        for operation in operations {
            match operation {
                Operation::Timer { timer, after_ms: 0 } => {
                    self.timers.remove(&timer.0);
                }
                Operation::Timer { timer, after_ms } => {
                    self.timers.insert(timer.0, self.now_ms.saturating_add(u64::from(after_ms)));
                }
                Operation::Log { text, .. } => self.log.push(text),
                Operation::Write { .. }
                | Operation::Read { .. }
                | Operation::Subscribe(_)
                | Operation::Unsubscribe(_)
                | Operation::Identified { .. }
                | Operation::Ready
                | Operation::Reading { .. }
                | Operation::InputFailed { .. } => self.queue.push_back(operation),
            }
        }
        Ok(())
    }

    /// The device sent `data`.
    ///
    /// # Errors
    /// What the subject answered; [`Failure::Failed`] if there is no such endpoint.
    pub fn notified(&mut self, endpoint: &str, data: &[u8]) -> Result<(), Failure> {
        let endpoint = self.endpoint(endpoint)?;
        self.call(Call::Event(Event::Notified { endpoint, data }))
    }

    /// A read gave `data`.
    ///
    /// # Errors
    /// As [`Self::notified`].
    pub fn read_gave(&mut self, endpoint: &str, data: &[u8]) -> Result<(), Failure> {
        let endpoint = self.endpoint(endpoint)?;
        self.call(Call::Event(Event::Read { endpoint, data }))
    }

    /// A read failed.
    ///
    /// # Errors
    /// As [`Self::notified`].
    pub fn read_failed(&mut self, endpoint: &str) -> Result<(), Failure> {
        let endpoint = self.endpoint(endpoint)?;
        self.call(Call::Event(Event::ReadFailed { endpoint }))
    }

    /// A write failed.
    ///
    /// # Errors
    /// As [`Self::notified`].
    pub fn write_failed(&mut self, endpoint: &str) -> Result<(), Failure> {
        let endpoint = self.endpoint(endpoint)?;
        self.call(Call::Event(Event::WriteFailed { endpoint }))
    }

    /// Lets time pass; every timer that is due on the way comes at its own time.
    ///
    /// # Errors
    /// What the subject answered to a timer.
    pub fn advance(&mut self, ms: u64) -> Result<(), Failure> {
        let until = self.now_ms.saturating_add(ms);
        while let Some((timer, due)) = self.next_timer().filter(|(_, due)| *due <= until) {
            self.timers.remove(&timer);
            self.now_ms = self.now_ms.max(due);
            self.call(Call::Event(Event::Timer(Timer(timer))))?;
        }
        self.now_ms = until;
        Ok(())
    }

    fn next_timer(&self) -> Option<(u32, u64)> {
        self.timers.iter().min_by_key(|(_, due)| **due).map(|(timer, due)| (*timer, *due))
    }

    /// The next operation, if there is one.
    pub fn take_next(&mut self) -> Option<Operation> {
        self.queue.pop_front()
    }

    /// Takes the next operation if it is the end of identification, and gives the protocol that takes over (empty: the same)
    /// and the identifier.
    pub fn next_identified(&mut self) -> Option<(String, String)> {
        match self.queue.pop_front() {
            Some(Operation::Identified { protocol, model }) => Some((protocol, model)),
            Some(other) => {
                self.queue.push_front(other);
                None
            }
            None => None,
        }
    }

    /// The operations that nobody has taken yet.
    pub fn waiting(&self) -> impl Iterator<Item = &Operation> {
        self.queue.iter()
    }

    /// What the protocol logged.
    #[must_use]
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// Whether a timer is set.
    #[must_use]
    pub fn has_timers(&self) -> bool {
        !self.timers.is_empty()
    }

    /// Takes all operations and gives the packets among them as endpoint, bytes and kind: what most tests look at.
    pub fn packets(&mut self) -> Vec<(String, Vec<u8>, WriteKind)> {
        let taken: Vec<Operation> = self.queue.drain(..).collect();
        let packets = taken.into_iter().filter_map(|operation| match operation {
            Operation::Write { endpoint, data, kind } => Some((self.endpoint_name(endpoint), data, kind)),
            Operation::Read { .. }
            | Operation::Subscribe(_)
            | Operation::Unsubscribe(_)
            | Operation::Timer { .. }
            | Operation::Identified { .. }
            | Operation::Ready
            | Operation::Reading { .. }
            | Operation::InputFailed { .. }
            | Operation::Log { .. } => None,
        });
        packets.collect()
    }

    /// The name of an endpoint; its number if the device does not have it.
    #[must_use]
    pub fn endpoint_name(&self, endpoint: Endpoint) -> String {
        let known = self.endpoints.iter().find(|(_, one)| *one == endpoint);
        known.map_or_else(|| format!("#{}", endpoint.id()), |(name, _)| name.clone())
    }

    fn endpoint(&self, name: &str) -> Result<Endpoint, Failure> {
        let known = self.endpoints.iter().find(|(one, _)| one == name).map(|(_, endpoint)| *endpoint);
        known.ok_or_else(|| Failure::failed(format!("the bench has no endpoint {name}")))
    }
}

/// An [`Info`] for tests: Bluetooth, no params, a fixed seed, endpoints numbered in the order given.
#[must_use]
pub fn info(protocol: &str, name: &str, endpoints: &[&str]) -> Info {
    let numbered = endpoints.iter().zip(0..).map(|(name, id)| ((*name).to_owned(), Endpoint::from_id(id)));
    Info {
        protocol: protocol.to_owned(),
        name: name.to_owned(),
        address: "00:11:22:33:44:55".to_owned(),
        transport: crate::TransportKind::Bluetooth,
        vendor: 0,
        product: 0,
        manufacturer_data: Vec::new(),
        endpoints: numbered.collect(),
        params: Vec::new(),
        seed: 0x5eed,
    }
}

/// What [`crate::export!`] adds to a plugin when this module is there: its protocols by name, for [`crate::vectors`].
#[doc(hidden)]
#[macro_export]
macro_rules! __direct {
    ($($protocol:literal => $type:ty),+) => {
        /// The protocol of that name, called without the C ABI; `None` if this plugin does not have it.
        ///
        /// # Errors
        /// What its `create` answered.
        pub fn direct(
            protocol: &str,
            info: &$crate::Info,
        ) -> Option<Result<Box<dyn $crate::driver::Subject>, $crate::Failure>> {
            match protocol {
                $($protocol => Some(
                    $crate::driver::Direct::<$type>::create(info)
                        .map(|one| Box::new(one) as Box<dyn $crate::driver::Subject>),
                ),)+
                _ => None,
            }
        }
    };
}
