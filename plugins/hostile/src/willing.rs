//! Sins that a plugin on the SDK can commit.

use plugin_sdk::{
    Endpoint, Event, Failure, Info, InputKind, Model, Ops, Output, OutputKind, Protocol, Timer, Wanted,
};

/// Where [`PanicIn`] panics.
pub(crate) mod place {
    pub(crate) const CREATE: u8 = 0;
    pub(crate) const DESTROY: u8 = 1;
    pub(crate) const IDENTIFY: u8 = 2;
    pub(crate) const START: u8 = 3;
    pub(crate) const OUTPUT: u8 = 4;
    pub(crate) const STOP: u8 = 5;
    pub(crate) const EVENT: u8 = 6;
    pub(crate) const INPUT: u8 = 7;
    pub(crate) const KEEP_ALIVE: u8 = 8;
}

/// Panics in one of its functions. In the others it behaves: a set output is one byte to the first endpoint.
pub(crate) struct PanicIn<const PLACE: u8>;

impl<const PLACE: u8> PanicIn<PLACE> {
    fn here(place: u8) {
        assert!(PLACE != place, "the sin of this protocol");
    }
}

impl<const PLACE: u8> Drop for PanicIn<PLACE> {
    fn drop(&mut self) {
        Self::here(place::DESTROY);
    }
}

/// The first endpoint of the device.
const TX: Endpoint = Endpoint::from_id(0);

fn write_values(set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
    for output in set {
        ops.write(TX, &[output.byte()?]);
    }
    Ok(())
}

impl<const PLACE: u8> Protocol for PanicIn<PLACE> {
    fn create(_: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Self::here(place::CREATE);
        Ok(Self)
    }

    fn identify(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        Self::here(place::IDENTIFY);
        ops.identified("model");
        Ok(())
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        Self::here(place::START);
        ops.ready();
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        Self::here(place::OUTPUT);
        write_values(set, ops)
    }

    fn stop(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        Self::here(place::STOP);
        write_values(set, ops)
    }

    fn event(&mut self, _: Event<'_>, _: &mut Ops<'_>) -> Result<(), Failure> {
        Self::here(place::EVENT);
        Ok(())
    }

    fn input(&mut self, wanted: Wanted, ops: &mut Ops<'_>) -> Result<(), Failure> {
        Self::here(place::INPUT);
        ops.input_failed(wanted.feature, wanted.kind);
        Ok(())
    }

    fn keep_alive(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        Self::here(place::KEEP_ALIVE);
        ops.write(TX, b"alive");
        Ok(())
    }
}

/// Declares a protocol without a state.
macro_rules! sinner {
    ($(#[$doc:meta])* $name:ident { $($function:item)* }) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Protocol for $name {
            fn create(_: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
                Ok(Self)
            }

            $($function)*
        }
    };
}

sinner! {
    /// Does nothing wrong, and as little as it can.
    Polite {
        fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            write_values(set, ops)
        }
    }
}

sinner! {
    /// Refuses a set with an output that it does not know, which is every output but vibration.
    Picky {
        fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            if set.iter().any(|output| output.kind != OutputKind::Vibrate) {
                return Err(Failure::Unsupported);
            }
            write_values(set, ops)
        }
    }
}

sinner! {
    /// Finds every notification wrong.
    BadReply {
        fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            write_values(set, ops)
        }

        fn event(&mut self, _: Event<'_>, _: &mut Ops<'_>) -> Result<(), Failure> {
            Err(Failure::bad_reply("nothing is good enough"))
        }
    }
}

sinner! {
    /// Asks for a packet and fails in the same call: the packet must not be sent.
    Fails {
        fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            write_values(set, ops)?;
            Err(Failure::failed("for no reason"))
        }

        fn stop(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            write_values(set, ops)
        }
    }
}

sinner! {
    /// Never says that it is ready.
    NeverReady {
        fn start(&mut self, _: &Model, _: &mut Ops<'_>) -> Result<(), Failure> {
            Ok(())
        }

        fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            write_values(set, ops)
        }
    }
}

sinner! {
    /// Asks for far too much in one call.
    Floods {
        fn output(&mut self, _: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            for _ in 0..10_000 {
                ops.write(TX, b"again");
            }
            Ok(())
        }
    }
}

sinner! {
    /// Does not come back from a value above 0, and comes back from the rest value.
    Blocks {
        fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            while set.iter().any(|output| output.value != 0) {
                std::thread::park();
            }
            write_values(set, ops)
        }
    }
}

sinner! {
    /// Sets a timer of a millisecond in every event.
    EndlessTimers {
        fn output(&mut self, _: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            ops.timer(Timer(0), 1);
            Ok(())
        }

        fn event(&mut self, _: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
            ops.write(TX, b"tick");
            ops.timer(Timer(0), 1);
            Ok(())
        }
    }
}

sinner! {
    /// Reports batteries of 1000 percent, and an input that no model has.
    OutOfRange {
        fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
            write_values(set, ops)
        }

        fn input(&mut self, wanted: Wanted, ops: &mut Ops<'_>) -> Result<(), Failure> {
            ops.reading(wanted.feature, wanted.kind, 1000);
            ops.reading(77, InputKind::Pressure, 1);
            Ok(())
        }
    }
}
