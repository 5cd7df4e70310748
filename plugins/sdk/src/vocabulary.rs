//! The typed words of the ABI: kinds, endpoints, timers, and how they are numbered on the other side.

use plugin_abi as abi;

/// One endpoint of the device, valid for that device only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(pub(crate) u32);

impl Endpoint {
    /// The endpoint with this number of the ABI. For those who play the service; a plugin gets its endpoints from
    /// [`crate::Info`].
    #[must_use]
    pub const fn from_id(id: u32) -> Self {
        Self(id)
    }

    /// The number that stands for it in the ABI.
    #[must_use]
    pub const fn id(self) -> u32 {
        self.0
    }
}

/// A timer of a plugin, by a number of its own choice below [`plugin_abi::MAX_TIMERS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timer(pub u32);

/// Declares an enum that mirrors numbers of the ABI, with conversions both ways and the names used in definitions.
macro_rules! mirrored {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $number:path, $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$case_doc])* $case,)+
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$case),+];

            /// The number in the ABI.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self {
                    $(Self::$case => $number,)+
                }
            }

            /// What a number of the ABI stands for; `None` for one that this version does not know.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$case),)+
                    _ => None,
                }
            }

            /// The name in definition files and golden vectors.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $text,)+
                }
            }

            /// The opposite of [`Self::name`].
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

mirrored! {
    /// What an output does to the world.
    OutputKind {
        /// Strength of a vibration motor.
        Vibrate = abi::output_kind::VIBRATE, "vibrate";
        /// Speed of a rotation; negative is counter-clockwise, where the range has negative values.
        Rotate = abi::output_kind::ROTATE, "rotate";
        /// Speed of a back-and-forth movement.
        Oscillate = abi::output_kind::OSCILLATE, "oscillate";
        /// Strength of suction or squeeze.
        Constrict = abi::output_kind::CONSTRICT, "constrict";
        /// Heating or cooling level.
        Temperature = abi::output_kind::TEMPERATURE, "temperature";
        /// Brightness of a light.
        Led = abi::output_kind::LED, "led";
        /// A spray that fires.
        Spray = abi::output_kind::SPRAY, "spray";
        /// A place to go to at once.
        Position = abi::output_kind::POSITION, "position";
        /// A place to go to in a given time.
        PositionWithDuration = abi::output_kind::POSITION_WITH_DURATION, "position-with-duration";
    }
}

impl OutputKind {
    /// Whether the value is a place rather than a strength.
    #[must_use]
    pub const fn is_position(self) -> bool {
        match self {
            Self::Position | Self::PositionWithDuration => true,
            Self::Vibrate
            | Self::Rotate
            | Self::Oscillate
            | Self::Constrict
            | Self::Temperature
            | Self::Led
            | Self::Spray => false,
        }
    }
}

mirrored! {
    /// What an input tells.
    InputKind {
        /// Charge in percent.
        Battery = abi::input_kind::BATTERY, "battery";
        /// Received signal strength in dBm.
        Rssi = abi::input_kind::RSSI, "rssi";
        /// Pressed or not, or the number of the button.
        Button = abi::input_kind::BUTTON, "button";
        /// Pressure in the device's own unit.
        Pressure = abi::input_kind::PRESSURE, "pressure";
        /// Depth in the device's own unit.
        Depth = abi::input_kind::DEPTH, "depth";
        /// Where a moving part is.
        Position = abi::input_kind::POSITION, "position";
    }
}

mirrored! {
    /// What is wanted of an input.
    Wish {
        /// One reading now.
        Read = abi::want::READ, "read";
        /// Readings whenever there is something new.
        Subscribe = abi::want::SUBSCRIBE, "subscribe";
        /// No more of them.
        Unsubscribe = abi::want::UNSUBSCRIBE, "unsubscribe";
    }
}

mirrored! {
    /// The bus by which the device is reached.
    TransportKind {
        /// None of the others.
        Other = abi::transport::OTHER, "other";
        /// Bluetooth LE.
        Bluetooth = abi::transport::BLUETOOTH, "bluetooth";
        /// A serial port.
        Serial = abi::transport::SERIAL, "serial";
        /// HID reports.
        Hid = abi::transport::HID, "hid";
        /// A device that dials in over a WebSocket.
        WebSocket = abi::transport::WEBSOCKET, "websocket";
    }
}
