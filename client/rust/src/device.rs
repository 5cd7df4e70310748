//! A connected device as an object: its names, its features, and ways to its outputs and inputs. It shows the device as it was when
//! the object was made; a device that has left fails every call.

use std::sync::Arc;
use std::time::Duration;

use ipc_schema::v4::{self, InputType, OutputType};

use crate::error::Error;
use crate::input::Input;
use crate::output::{Batch, Output};
use crate::session::Session;

/// A device.
#[derive(Debug, Clone)]
pub struct Device {
    session: Arc<Session>,
    shown: Arc<v4::Device>,
}

impl Device {
    pub(crate) fn new(session: Arc<Session>, shown: Arc<v4::Device>) -> Self {
        Self { session, shown }
    }

    /// Its number, its own for life.
    pub fn index(&self) -> u32 {
        self.shown.device_index
    }

    /// Name of the model.
    pub fn model(&self) -> &str {
        &self.shown.device_name
    }

    /// What to call it: the name that the user gave to it, else that of the model.
    pub fn name(&self) -> &str {
        self.shown.device_display_name.as_deref().unwrap_or(&self.shown.device_name)
    }

    /// Least time between two commands that makes sense. Sending faster does no harm: the newest value wins.
    pub fn timing_gap(&self) -> Duration {
        Duration::from_millis(u64::from(self.shown.device_message_timing_gap))
    }

    /// The device as the service describes it.
    pub fn description(&self) -> &v4::Device {
        &self.shown
    }

    /// Whether it is still connected.
    pub fn is_connected(&self) -> bool {
        self.session.line.devices.borrow().contains_key(&self.index())
    }

    /// All outputs, by feature.
    pub fn outputs(&self) -> Vec<Output> {
        let mut outputs = Vec::new();
        for feature in self.shown.device_features.values() {
            for (kind, limits) in feature.output.iter().flatten() {
                outputs.push(Output::new(Arc::clone(&self.session), self.index(), feature, *kind, limits));
            }
        }
        outputs
    }

    /// All outputs of one kind, by feature.
    pub fn outputs_of(&self, kind: OutputType) -> Vec<Output> {
        self.outputs().into_iter().filter(|output| output.kind() == kind).collect()
    }

    /// The first output of this kind.
    ///
    /// # Errors
    /// [`Error::NoSuchOutput`].
    pub fn output(&self, kind: OutputType) -> Result<Output, Error> {
        self.outputs_of(kind).into_iter().next().ok_or(Error::NoSuchOutput(kind))
    }

    /// All inputs, by feature.
    pub fn inputs(&self) -> Vec<Input> {
        let mut inputs = Vec::new();
        for feature in self.shown.device_features.values() {
            for (kind, limits) in feature.input.iter().flatten() {
                inputs.push(Input::new(Arc::clone(&self.session), self.index(), feature, *kind, limits));
            }
        }
        inputs
    }

    /// The first input of this kind.
    ///
    /// # Errors
    /// [`Error::NoSuchInput`].
    pub fn input(&self, kind: InputType) -> Result<Input, Error> {
        self.inputs().into_iter().find(|input| input.kind() == kind).ok_or(Error::NoSuchInput(kind))
    }

    /// Sets all vibrators to a fraction of their range, 0 to 1, in one batch.
    ///
    /// # Errors
    /// [`Error::NoSuchOutput`] when there are none, [`Error::FractionOutOfRange`], and those of [`Batch::send`].
    pub async fn vibrate(&self, fraction: f64) -> Result<(), Error> {
        let vibrators = self.outputs_of(OutputType::Vibrate);
        if vibrators.is_empty() {
            return Err(Error::NoSuchOutput(OutputType::Vibrate));
        }
        let mut batch = Batch::new(Arc::clone(&self.session));
        for output in &vibrators {
            batch = batch.set(output, output.value_at(fraction)?)?;
        }
        batch.send().await
    }

    /// Charge of the battery in percent.
    ///
    /// # Errors
    /// [`Error::NoSuchInput`] when it has none that can be read, and those of [`Input::read`].
    pub async fn battery(&self) -> Result<u8, Error> {
        let percent = self.input(InputType::Battery)?.read().await?;
        u8::try_from(percent)
            .map_err(|_| Error::Unexpected(format!("a battery with a charge of {percent} %")))
    }

    /// Stops all its outputs, whoever set them. It overtakes all requests that wait.
    ///
    /// # Errors
    /// [`Error::Server`] when it could not be stopped; the service goes on trying.
    pub async fn stop(&self) -> Result<(), Error> {
        self.session.stop(Some(self.index()), None).await
    }
}
