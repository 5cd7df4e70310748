//! A protocol with one device: one call at a time, each with a time limit, the first fault being the last call but for a stop.
//!
//! A plugin that is linked in is called where it is needed. A loaded one is called on a thread of its own, one a device; when a
//! call does not return in time, the thread is written off: it goes on or hangs, but nobody waits for it and nothing of what
//! it still says is heard. Such a thread is not joined, since it may never end; it ends by itself when its call returns.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use engine::protocol::{Operation, OutputValue, PluginFault, ProtocolEvent};
use plugin_abi as abi;
use tokio::sync::oneshot;

use super::foreign::ForeignDevice;
use super::info::{DeviceInfo, Model};
use super::table::{Table, Trust};

/// The longest time that one call of a plugin may take.
pub const CALL_LIMIT: Duration = Duration::from_millis(abi::CALL_LIMIT_MS);
/// A call that takes longer than this is logged: plugins only translate, so it means that something is wrong with one.
const SLOW: Duration = Duration::from_millis(5);
/// Calls that can wait for a device's thread: one, since there never is more than one call.
const JOBS: usize = 1;

type Outcome = Result<Vec<Operation>, PluginFault>;

/// A protocol with one device.
///
/// After a fault that ends the device there is one more call that is made: [`ProtocolEvent::Stop`]. The plugin's state may be
/// broken or its thread hang, so a fresh copy of the device, brought up with the same model, is asked for the packets that stop
/// it. Everything else is [`PluginFault::WrittenOff`].
#[derive(Debug)]
pub struct Instance {
    table: Table,
    info: Arc<DeviceInfo>,
    model: Option<Arc<Model>>,
    limit: Duration,
    runner: Runner,
    waiting: Waiting,
    health: Health,
    timers: TimerCount,
    span: tracing::Span,
}

/// Where the calls are made.
#[derive(Debug)]
enum Runner {
    /// Here.
    Inline(Box<Worker>),
    /// On the thread that takes these jobs.
    Thread(SyncSender<Job>),
    /// Nowhere: there is no thread, or it was written off.
    Gone,
}

/// The call that is out.
#[derive(Debug)]
enum Waiting {
    None,
    Done(Outcome),
    Out { answer: oneshot::Receiver<Outcome>, until: tokio::time::Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    /// One stop is still to be tried.
    Faulted,
    WrittenOff,
}

#[derive(Debug)]
struct Job {
    now_ms: u64,
    what: What,
    model: Option<Arc<Model>>,
    answer: oneshot::Sender<Outcome>,
}

#[derive(Debug)]
enum What {
    Event(ProtocolEvent),
    /// Bring a fresh copy up without a word to the device, then ask it for the packets of a stop.
    Rescue(Vec<OutputValue>),
}

impl Instance {
    /// A protocol for the device that `info` describes. Nothing of the plugin runs before the first call, whose outcome may
    /// be that the plugin does not take the device.
    ///
    /// The current span is that of all log lines of the plugin.
    #[must_use]
    pub fn new(table: Table, info: DeviceInfo) -> Self {
        Self::with_limit(table, info, CALL_LIMIT)
    }

    /// The same with another time limit for a call.
    #[must_use]
    pub fn with_limit(table: Table, info: DeviceInfo, limit: Duration) -> Self {
        let span = tracing::Span::current();
        let info = Arc::new(info);
        Self {
            runner: Runner::new(table, info.clone(), &span),
            table,
            info,
            model: None,
            limit,
            waiting: Waiting::None,
            health: Health::Well,
            timers: TimerCount::default(),
            span,
        }
    }

    /// Says which model the device is: to be said before [`ProtocolEvent::Start`].
    pub fn set_model(&mut self, model: Model) {
        self.model = Some(Arc::new(model));
    }

    /// Makes a call and waits for its outcome.
    ///
    /// # Errors
    /// The fault that the call ended with; see [`PluginFault::ends_the_device`].
    pub async fn call(&mut self, now_ms: u64, event: ProtocolEvent) -> Outcome {
        self.submit(now_ms, event)?;
        self.result().await
    }

    /// Makes a call without waiting; [`Instance::result`] gives the outcome.
    ///
    /// # Errors
    /// [`PluginFault::Busy`] if the outcome of the call before has not been taken.
    pub fn submit(&mut self, now_ms: u64, event: ProtocolEvent) -> Result<(), PluginFault> {
        if !matches!(self.waiting, Waiting::None) {
            return Err(PluginFault::Busy);
        }
        let what = match (self.health, event) {
            (Health::Well, ProtocolEvent::Timer { .. }) if !self.timers.admit(now_ms) => {
                let limit = usize::try_from(abi::MAX_TIMER_EVENTS).unwrap_or(usize::MAX);
                self.waiting =
                    Waiting::Done(Err(PluginFault::OverLimit { what: "timer events a second", limit }));
                return Ok(());
            }
            (Health::Well, event) => What::Event(event),
            (Health::Faulted, ProtocolEvent::Stop(set)) if self.model.is_some() => {
                self.health = Health::WrittenOff;
                self.runner = Runner::new(self.table, self.info.clone(), &self.span);
                What::Rescue(set)
            }
            (Health::Faulted | Health::WrittenOff, _) => {
                self.waiting = Waiting::Done(Err(PluginFault::WrittenOff));
                return Ok(());
            }
        };
        self.waiting = self.dispatch(now_ms, what);
        Ok(())
    }

    fn dispatch(&mut self, now_ms: u64, what: What) -> Waiting {
        match &mut self.runner {
            Runner::Inline(worker) => Waiting::Done(worker.work(now_ms, what, self.model.as_ref())),
            Runner::Thread(jobs) => {
                let (answer, told) = oneshot::channel();
                match jobs.try_send(Job { now_ms, what, model: self.model.clone(), answer }) {
                    Ok(()) => Waiting::Out { answer: told, until: tokio::time::Instant::now() + self.limit },
                    Err(_) => Waiting::Done(Err(PluginFault::ThreadGone)),
                }
            }
            Runner::Gone => Waiting::Done(Err(PluginFault::ThreadGone)),
        }
    }

    /// Whether a call is out whose outcome has not been taken.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !matches!(self.waiting, Waiting::None)
    }

    /// Waits for the outcome of the call that is out. Can be dropped and called again without losing it; waits for ever if
    /// no call is out.
    ///
    /// # Errors
    /// The fault that the call ended with.
    pub async fn result(&mut self) -> Outcome {
        let outcome = match &mut self.waiting {
            Waiting::None => std::future::pending().await,
            Waiting::Done(outcome) => outcome.clone(),
            Waiting::Out { answer, until } => match tokio::time::timeout_at(*until, answer).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(PluginFault::ThreadGone),
                Err(_) => {
                    let limit_ms = u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX);
                    Err(PluginFault::TimedOut { limit_ms })
                }
            },
        };
        self.waiting = Waiting::None;
        if let Err(fault) = &outcome
            && fault.ends_the_device()
        {
            if self.health == Health::Well {
                let (plugin, protocol) = (self.table.plugin, self.table.name);
                tracing::error!(parent: &self.span, plugin, protocol, %fault, "plugin failed, its device is lost");
                self.health = Health::Faulted;
            }
            self.runner = Runner::Gone;
        }
        outcome
    }
}

impl Runner {
    fn new(table: Table, info: Arc<DeviceInfo>, span: &tracing::Span) -> Self {
        let worker = Worker { table, info, device: None };
        match table.trust {
            Trust::Inline => Self::Inline(Box::new(worker)),
            Trust::OwnThread => {
                let (jobs, taken) = sync_channel(JOBS);
                let span = span.clone();
                let name = format!("plugin-{}", table.name);
                let thread = std::thread::Builder::new()
                    .name(name)
                    .spawn(move || span.in_scope(|| worker.run(&taken)));
                match thread {
                    Ok(_) => Self::Thread(jobs),
                    Err(error) => {
                        tracing::error!(protocol = table.name, %error, "cannot start a thread for a plugin");
                        Self::Gone
                    }
                }
            }
        }
    }
}

/// What makes the calls, here or on the device's thread.
#[derive(Debug)]
struct Worker {
    table: Table,
    info: Arc<DeviceInfo>,
    /// Made at the first call.
    device: Option<ForeignDevice>,
}

impl Worker {
    /// Takes jobs until nobody sends any more or nobody wants the outcome.
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let outcome = self.work(job.now_ms, job.what, job.model.as_ref());
            if job.answer.send(outcome).is_err() {
                tracing::warn!(
                    protocol = self.table.name,
                    "a call returned after its thread had been written off"
                );
                return;
            }
        }
    }

    fn work(&mut self, now_ms: u64, what: What, model: Option<&Arc<Model>>) -> Outcome {
        let began = Instant::now();
        let outcome = self.call(now_ms, &what, model);
        let took = began.elapsed();
        if took > SLOW {
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                plugin = self.table.plugin,
                protocol = self.table.name,
                took_ms,
                "slow call of a plugin"
            );
        }
        outcome
    }

    fn call(&mut self, now_ms: u64, what: &What, model: Option<&Arc<Model>>) -> Outcome {
        let device = match &mut self.device {
            Some(device) => device,
            empty => empty.insert(ForeignDevice::create(self.table, &self.info, now_ms).map_err(as_end)?),
        };
        match what {
            What::Event(event) => device.call(now_ms, event, model),
            What::Rescue(set) => {
                device.call(now_ms, &ProtocolEvent::Start, model)?;
                let stop = device.call(now_ms, &ProtocolEvent::Stop(set.clone()), model)?;
                Ok(stop.into_iter().filter(|one| matches!(one, Operation::Write { .. })).collect())
            }
        }
    }
}

/// A plugin that does not support to be created does not support the device: that is an end, not a refusal of one command.
fn as_end(fault: PluginFault) -> PluginFault {
    match fault {
        PluginFault::Unsupported => PluginFault::Failed,
        other => other,
    }
}

/// Counts timer events by the second.
#[derive(Debug, Default)]
struct TimerCount {
    second: u64,
    events: u32,
}

impl TimerCount {
    /// Whether one more event is within the limit.
    fn admit(&mut self, now_ms: u64) -> bool {
        let second = now_ms / 1000;
        if second != self.second {
            *self = Self { second, events: 0 };
        }
        self.events = self.events.saturating_add(1);
        self.events <= abi::MAX_TIMER_EVENTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_of_a_loop_of_15_ms_are_admitted_for_ever() {
        let mut count = TimerCount::default();
        assert!((0..10_000).all(|turn| count.admit(turn * 15)));
    }

    #[test]
    fn timers_of_1_ms_are_a_flood() {
        let mut count = TimerCount::default();
        assert!((0..250).all(|now_ms| count.admit(now_ms)));
        assert!(!count.admit(250));
        assert!(count.admit(1000));
    }
}
