//! A game controller made of software: the kernel's `uinput` offers it as an input device with force feedback, and hands over what its
//! motors are told.

use std::{
    collections::BTreeMap,
    io::{PipeWriter, pipe},
    sync::mpsc::Sender,
    thread::{self, JoinHandle},
};

use anyhow::Context;
use evdev::{
    AbsInfo, AbsoluteAxisCode, AttributeSet, BusType, EventSummary, FFEffectCode, FFEffectData, FFEffectKind,
    InputEvent, InputId, KeyCode, UInputCode, UinputAbsSetup, uinput::VirtualDevice,
};
use rustix::event::{PollFd, PollFlags, poll};

use crate::{log::Sent, report::show};

/// A wired controller of no maker in particular.
const VENDOR: u16 = 0x1209;
const PRODUCT: u16 = 0x0002;
/// Effects that it can keep at a time.
const EFFECTS: u32 = 16;

/// The controller; pulled out with this.
///
/// What it was sent is told in words: `runs 65535 0 for 5000 ms` (the heavy motor, the light one, until when it ends by itself), `rests`.
pub(crate) struct Pad {
    /// Closed to end the program behind the controller.
    plug: Option<PipeWriter>,
    program: Option<JoinHandle<()>>,
    pub(crate) sent: Sent,
}

impl Pad {
    /// Plugs it in.
    pub(crate) fn plug_in() -> anyhow::Result<Self> {
        let device = made().context("the kernel takes no such controller")?;
        let (end, plug) = pipe().context("cannot make a pipe")?;
        let (sender, sent) = Sent::pair();
        let program = thread::spawn(move || {
            let mut motors = Motors { device, effects: BTreeMap::new(), sender };
            loop {
                let mut waiting =
                    [PollFd::new(&motors.device, PollFlags::IN), PollFd::new(&end, PollFlags::IN)];
                let polled = poll(&mut waiting, None);
                let [_, end] = waiting.map(|one| one.revents());
                if polled.is_err() || !end.is_empty() {
                    return;
                }
                if let Err(error) = motors.serve() {
                    show(&format!("the controller's program ends: {error:#}"));
                    return;
                }
            }
        });
        Ok(Self { plug: Some(plug), program: Some(program), sent })
    }
}

impl Drop for Pad {
    fn drop(&mut self) {
        drop(self.plug.take());
        if self.program.take().is_some_and(|program| program.join().is_err()) {
            show("the controller's program panicked");
        }
    }
}

fn made() -> std::io::Result<VirtualDevice> {
    let stick = |axis| UinputAbsSetup::new(axis, AbsInfo::new(0, -32768, 32767, 16, 128, 0));
    VirtualDevice::builder()?
        .name("Pad of software")
        .input_id(InputId::new(BusType::BUS_USB, VENDOR, PRODUCT, 1))
        .with_keys(&AttributeSet::from_iter([KeyCode::BTN_SOUTH, KeyCode::BTN_EAST, KeyCode::BTN_START]))?
        .with_absolute_axis(&stick(AbsoluteAxisCode::ABS_X))?
        .with_absolute_axis(&stick(AbsoluteAxisCode::ABS_Y))?
        .with_ff(&AttributeSet::from_iter([FFEffectCode::FF_RUMBLE]))?
        .with_ff_effects_max(EFFECTS)
        .build()
}

/// What the kernel's force feedback works with.
struct Motors {
    device: VirtualDevice,
    effects: BTreeMap<i32, FFEffectData>,
    sender: Sender<Vec<u8>>,
}

impl Motors {
    /// Does what the kernel asks for by now.
    fn serve(&mut self) -> anyhow::Result<()> {
        let events: Vec<InputEvent> = self.device.fetch_events().context("cannot read")?.collect();
        for event in events {
            match event.destructure() {
                EventSummary::UInput(event, UInputCode::UI_FF_UPLOAD, _) => {
                    let upload = self.device.process_ff_upload(event).context("cannot take an effect")?;
                    self.effects.insert(i32::from(upload.effect_id()), upload.effect());
                }
                EventSummary::UInput(event, UInputCode::UI_FF_ERASE, _) => {
                    let erase = self.device.process_ff_erase(event).context("cannot forget an effect")?;
                    self.effects.remove(&i32::try_from(erase.effect_id())?);
                }
                EventSummary::ForceFeedback(_, effect, 0) => {
                    let known = self.effects.contains_key(&i32::from(effect.0));
                    self.sender.send(if known {
                        b"rests".to_vec()
                    } else {
                        b"rests from nothing".to_vec()
                    })?;
                }
                EventSummary::ForceFeedback(_, effect, _) => {
                    let words =
                        self.effects.get(&i32::from(effect.0)).map_or("runs nothing".into(), in_words);
                    self.sender.send(words.into_bytes())?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn in_words(effect: &FFEffectData) -> String {
    match effect.kind {
        FFEffectKind::Rumble { strong_magnitude, weak_magnitude } => {
            format!("runs {strong_magnitude} {weak_magnitude} for {} ms", effect.replay.length)
        }
        ref other => format!("runs {other:?}"),
    }
}
