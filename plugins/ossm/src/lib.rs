//! The OSSM stroker: text commands and two modes of its firmware, strokes at a speed and a stream of positions.
//!
//! The mode is switched when an output needs the other one, and followed by what the machine tells of its state. The knob of the
//! machine is its user's own limit and is left alone.

use plugin_sdk::{Endpoint, Event, Failure, Info, Model, Ops, Output, OutputKind, Protocol};

plugin_sdk::export! { id: "ossm", protocols: { "ossm" => Ossm } }

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The menu, or not known.
    None,
    Stroke,
    Stream,
}

impl Mode {
    const fn command(self) -> &'static str {
        match self {
            Self::None => "go:menu",
            Self::Stroke => "go:strokeEngine",
            Self::Stream => "go:streaming",
        }
    }

    /// From the state that the machine tells, `strokeEngine.idle` for one.
    fn of_state(state: &str) -> Self {
        match state.split('.').next() {
            Some("strokeEngine") => Self::Stroke,
            Some("streaming") => Self::Stream,
            _ => Self::None,
        }
    }
}

/// One machine.
#[derive(Debug)]
pub struct Ossm {
    tx: Endpoint,
    rx: Endpoint,
    /// What was switched to last.
    mode: Mode,
    /// What the machine told last.
    told: Mode,
}

impl Protocol for Ossm {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self { tx: info.require("tx")?, rx: info.require("rx")?, mode: Mode::None, told: Mode::None })
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.subscribe(self.rx);
        ops.ready();
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        for output in set {
            match output.kind {
                OutputKind::Oscillate => {
                    if output.value > 0 {
                        self.switch(Mode::Stroke, ops);
                    }
                    if self.mode == Mode::Stroke {
                        self.say(format_args!("set:speed:{}", output.value), ops);
                    }
                }
                OutputKind::PositionWithDuration => {
                    self.switch(Mode::Stream, ops);
                    self.say(format_args!("stream:{}:{}", output.value, output.duration_ms), ops);
                }
                OutputKind::Vibrate
                | OutputKind::Rotate
                | OutputKind::Constrict
                | OutputKind::Temperature
                | OutputKind::Led
                | OutputKind::Spray
                | OutputKind::Position => return Err(Failure::Unsupported),
            }
        }
        Ok(())
    }

    /// Whatever the mode is believed to be, the speed goes to 0; a stream is left, which ends its movement.
    fn stop(&mut self, _: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.say(format_args!("set:speed:0"), ops);
        if self.mode == Mode::Stream {
            self.say(format_args!("{}", Mode::None.command()), ops);
            self.mode = Mode::None;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        if let Event::WriteFailed { .. } = event {
            // It may have been a switch of mode: only what the machine has told is sure.
            self.mode = self.told;
        }
        let Event::Notified { data, .. } = event else { return Ok(()) };
        let Some(state) = state_in(data) else { return Ok(()) };
        let told = Mode::of_state(state);
        if told == self.told {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.told, told);
        if told == self.mode && told != Mode::None {
            // The mode that was asked for has begun: use all of its travel.
            self.say(format_args!("set:depth:100"), ops);
            self.say(format_args!("set:stroke:100"), ops);
            if told == Mode::Stream {
                self.say(format_args!("set:speed:100"), ops);
            }
        } else if before == self.mode {
            // Its user has left the mode at the machine.
            self.mode = told;
        }
        Ok(())
    }
}

impl Ossm {
    fn switch(&mut self, mode: Mode, ops: &mut Ops<'_>) {
        if self.mode != mode {
            self.say(format_args!("{}", Mode::None.command()), ops);
            self.say(format_args!("{}", mode.command()), ops);
            self.mode = mode;
        }
    }

    fn say(&self, text: std::fmt::Arguments<'_>, ops: &mut Ops<'_>) {
        ops.write_with_response(self.tx, text.to_string().as_bytes());
    }
}

/// The text of member `state` in what the machine notifies, a flat object in JSON.
fn state_in(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data).ok()?;
    let (_, rest) = text.split_once("\"state\"")?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    value.split_once('"').map(|(state, _)| state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_found_and_nonsense_is_none() {
        assert_eq!(state_in(br#"{"state":"strokeEngine.idle","speed":0}"#), Some("strokeEngine.idle"));
        assert_eq!(state_in(br#"{"speed":0, "state" : "menu"}"#), Some("menu"));
        for bad in [&b""[..], b"{}", b"{\"state\":5}", b"{\"state\":\"men", b"\xff\xfe"] {
            assert_eq!(state_in(bad), None, "{bad:?}");
        }
    }
}
