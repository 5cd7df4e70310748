//! The object of one device: what it is, as properties; what it can be told, as methods of the caller's session.

use std::sync::{Arc, Mutex, PoisonError};

use engine::{
    command::{Answer, Command, Outcome, Setting, StopTarget, StopWhat},
    fault::Reason,
    protocol::InputWish,
    request::Request,
    view::DeviceView,
    vocabulary::{DeviceIndex, FeatureIndex, InputKind},
};
use zbus::{interface, message::Header, object_server::SignalEmitter};

use super::{
    peers::Peers,
    refusal::Refusal,
    words::{self, Dict, Options},
};

/// The battery property of a device whose charge is not known.
const BATTERY_UNKNOWN: i32 = -1;

/// The object.
pub(super) struct Device {
    peers: Arc<Peers>,
    index: DeviceIndex,
    shown: Mutex<Shown>,
}

/// What the properties say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) view: Arc<DeviceView>,
    /// Charge in percent.
    pub(super) battery: Option<i32>,
    pub(super) connected: bool,
}

impl Device {
    pub(super) fn new(peers: Arc<Peers>, shown: Shown) -> Self {
        Self { peers, index: shown.view.index, shown: Mutex::new(shown) }
    }

    /// What the properties say now.
    pub(super) fn shown(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what the properties say, and gives what they said. Telling it is the caller's.
    pub(super) fn show(&self, shown: Shown) -> Shown {
        std::mem::replace(&mut *self.shown.lock().unwrap_or_else(PoisonError::into_inner), shown)
    }

    /// Asks the session of the caller, without waiting before it has it.
    async fn ask(&self, header: &Header<'_>, command: Command) -> Outcome {
        let sender = super::sender(header)?;
        let waiting = self.peers.ask(sender, Request::Command(command)).map_err(Refusal::into_fault)?;
        waiting.outcome().await
    }

    async fn done(&self, header: &Header<'_>, command: Command) -> Result<(), Refusal> {
        self.ask(header, command).await?;
        Ok(())
    }

    async fn input(
        &self,
        header: &Header<'_>,
        feature: u32,
        kind: &str,
        wish: InputWish,
    ) -> Result<Answer, Refusal> {
        let kind: InputKind = words::input_kind(kind)?;
        let feature = FeatureIndex(feature);
        let command = Command::Input { device: self.index, feature, kind, wish };
        Ok(self.ask(header, command).await?)
    }
}

/// One output of a batch: feature, kind, value, options.
type Wanted = (u32, String, i32, Dict);

fn setting((feature, kind, value, options): Wanted) -> Result<Setting, Refusal> {
    let duration_ms = Options(options).get("duration")?;
    Ok(Setting { feature: FeatureIndex(feature), kind: words::output_kind(&kind)?, value, duration_ms })
}

fn feature_option(options: Dict) -> Result<Option<FeatureIndex>, Refusal> {
    Ok(Options(options).get("feature")?.map(FeatureIndex))
}

#[interface(name = "org.buttplugd.Buttplug1.Device")]
impl Device {
    /// Sets one output. `options`: `duration` (u), milliseconds, for HwPositionWithDuration.
    async fn output(
        &self,
        #[zbus(header)] header: Header<'_>,
        feature: u32,
        kind: String,
        value: i32,
        options: Dict,
    ) -> Result<(), Refusal> {
        let settings = vec![setting((feature, kind, value, options))?];
        self.done(&header, Command::SetOutputs { device: self.index, settings }).await
    }

    /// Sets several outputs at once: the device sees them together.
    async fn outputs(&self, #[zbus(header)] header: Header<'_>, outputs: Vec<Wanted>) -> Result<(), Refusal> {
        let settings = outputs.into_iter().map(setting).collect::<Result<_, _>>()?;
        self.done(&header, Command::SetOutputs { device: self.index, settings }).await
    }

    /// Reads an input once.
    #[zbus(out_args("value"))]
    async fn read(
        &self,
        #[zbus(header)] header: Header<'_>,
        feature: u32,
        kind: String,
    ) -> Result<i32, Refusal> {
        match self.input(&header, feature, &kind, InputWish::Read).await? {
            Answer::Reading(reading) => Ok(reading.value),
            Answer::Done | Answer::Devices(_) | Answer::Monitor(_) => {
                Err(Refusal::new(Reason::Internal, "a reading was answered without a value"))
            }
        }
    }

    /// Has readings of an input sent to the caller as `InputReading`.
    async fn subscribe(
        &self,
        #[zbus(header)] header: Header<'_>,
        feature: u32,
        kind: String,
    ) -> Result<(), Refusal> {
        self.input(&header, feature, &kind, InputWish::Subscribe).await.map(drop)
    }

    /// The opposite.
    async fn unsubscribe(
        &self,
        #[zbus(header)] header: Header<'_>,
        feature: u32,
        kind: String,
    ) -> Result<(), Refusal> {
        self.input(&header, feature, &kind, InputWish::Unsubscribe).await.map(drop)
    }

    /// Brings every output of the device to rest, and ends the caller's subscriptions to it.
    async fn stop(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        let target = StopTarget::Device(self.index);
        self.done(&header, Command::Stop { target, what: StopWhat::Both }).await
    }

    /// Brings every output of one feature to rest, and ends the caller's subscriptions to it.
    async fn stop_feature(&self, #[zbus(header)] header: Header<'_>, feature: u32) -> Result<(), Refusal> {
        let target = StopTarget::Feature(self.index, FeatureIndex(feature));
        self.done(&header, Command::Stop { target, what: StopWhat::Both }).await
    }

    /// Stops a part. `options`: `feature` (u), all if absent; `inputs` (b) and `outputs` (b), both true if absent.
    async fn stop_with(&self, #[zbus(header)] header: Header<'_>, options: Dict) -> Result<(), Refusal> {
        let options = Options(options);
        let what = super::stop_what(&options)?;
        let target = match options.get("feature")? {
            Some(feature) => StopTarget::Feature(self.index, FeatureIndex(feature)),
            None => StopTarget::Device(self.index),
        };
        self.done(&header, Command::Stop { target, what }).await
    }

    /// Keeps other sessions from driving the device. `options`: `feature` (u), all if absent.
    async fn reserve(&self, #[zbus(header)] header: Header<'_>, options: Dict) -> Result<(), Refusal> {
        let feature = feature_option(options)?;
        self.done(&header, Command::Reserve { device: self.index, feature }).await
    }

    /// Ends a reservation of the caller. `options`: `feature` (u), all if absent.
    async fn release(&self, #[zbus(header)] header: Header<'_>, options: Dict) -> Result<(), Refusal> {
        let feature = feature_option(options)?;
        self.done(&header, Command::Release { device: self.index, feature }).await
    }

    /// The name of the model.
    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> String {
        self.shown().view.name.clone()
    }

    /// The name that the user gave it; empty if none.
    #[zbus(property)]
    fn display_name(&self) -> String {
        self.shown().view.display_name.clone().unwrap_or_default()
    }

    /// Its index for life.
    #[zbus(property(emits_changed_signal = "const"))]
    fn index(&self) -> u32 {
        self.index.0
    }

    /// Its abilities, by index.
    #[zbus(property)]
    fn features(&self) -> std::collections::HashMap<u32, Dict> {
        words::features(&self.shown().view)
    }

    /// Charge in percent as it was last read; -1 if it is not known.
    #[zbus(property)]
    fn battery(&self) -> i32 {
        self.shown().battery.unwrap_or(BATTERY_UNKNOWN)
    }

    /// Whether it takes commands. The object goes soon after it no longer does.
    #[zbus(property)]
    fn connected(&self) -> bool {
        self.shown().connected
    }

    /// The shortest time between two packets in milliseconds. Commands that come faster are put together.
    #[zbus(property(emits_changed_signal = "const"))]
    fn message_gap(&self) -> u32 {
        self.shown().view.message_gap_ms
    }

    /// A subscribed input has a new value. Sent to the subscriber alone.
    #[zbus(signal)]
    pub(super) async fn input_reading(
        emitter: &SignalEmitter<'_>,
        feature: u32,
        kind: &str,
        value: i32,
    ) -> zbus::Result<()>;

    /// An output has a new value. Sent to the sessions alone that asked with `WatchOutputs`.
    #[zbus(signal)]
    pub(super) async fn output_changed(
        emitter: &SignalEmitter<'_>,
        feature: u32,
        kind: &str,
        value: i32,
    ) -> zbus::Result<()>;
}
