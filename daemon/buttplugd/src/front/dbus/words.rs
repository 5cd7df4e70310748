//! The engine's words in the types of D-Bus: kinds by the names of spec v4, everything that may grow as `a{sv}`.

use std::collections::HashMap;

use engine::{
    fault::Reason,
    monitor::{ClientStatus, OutputState, TransportState, TransportStatus},
    request::Welcome,
    view::{DeviceView, FeatureView, InputView, InputWays, OutputView},
    vocabulary::{InputKind, OutputKind},
};
use zbus::{OwnedVariant, Variant};

use super::refusal::Refusal;

/// `a{sv}`: what may grow.
pub(super) type Dict = HashMap<String, OwnedVariant>;

/// A dictionary of these entries.
fn dict<const N: usize>(entries: [(&str, Variant<'_>); N]) -> Dict {
    entries
        .into_iter()
        .filter_map(|(name, value)| {
            // Fails for file descriptors only, and there are none.
            Some((name.to_owned(), OwnedVariant::try_from(value).ok()?))
        })
        .collect()
}

/// Options that a caller gave: read by name, and refused when they have another type than they must.
pub(super) struct Options(pub(super) Dict);

impl Options {
    /// The option of this name, if it was given.
    pub(super) fn get<T>(&self, name: &str) -> Result<Option<T>, Refusal>
    where
        T: for<'a> TryFrom<&'a OwnedVariant>,
    {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        T::try_from(value).map(Some).map_err(|_| {
            Refusal::new(
                Reason::InvalidValueType,
                format!("option `{name}` has another type than it must have"),
            )
        })
    }
}

const OUTPUTS: [(OutputKind, &str); 9] = [
    (OutputKind::Vibrate, "Vibrate"),
    (OutputKind::Rotate, "Rotate"),
    (OutputKind::Oscillate, "Oscillate"),
    (OutputKind::Constrict, "Constrict"),
    (OutputKind::Temperature, "Temperature"),
    (OutputKind::Led, "Led"),
    (OutputKind::Spray, "Spray"),
    (OutputKind::Position, "Position"),
    (OutputKind::PositionWithDuration, "HwPositionWithDuration"),
];

const INPUTS: [(InputKind, &str); 6] = [
    (InputKind::Battery, "Battery"),
    (InputKind::Rssi, "RSSI"),
    (InputKind::Button, "Button"),
    (InputKind::Pressure, "Pressure"),
    (InputKind::Depth, "Depth"),
    (InputKind::Position, "Position"),
];

/// The kind of output of this name, in any case.
pub(super) fn output_kind(name: &str) -> Result<OutputKind, Refusal> {
    let found = OUTPUTS.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
    found.map(|(kind, _)| kind).ok_or_else(|| {
        Refusal::new(Reason::OutputNotSupported, format!("there is no kind of output `{name}`"))
    })
}

/// The kind of input of this name, in any case.
pub(super) fn input_kind(name: &str) -> Result<InputKind, Refusal> {
    let found = INPUTS.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
    found
        .map(|(kind, _)| kind)
        .ok_or_else(|| Refusal::new(Reason::InputNotSupported, format!("there is no kind of input `{name}`")))
}

/// The name of a kind of output.
pub(super) fn output_name(kind: OutputKind) -> &'static str {
    OUTPUTS.into_iter().find(|(known, _)| *known == kind).map_or("Unknown", |(_, name)| name)
}

/// The name of a kind of input.
pub(super) fn input_name(kind: InputKind) -> &'static str {
    INPUTS.into_iter().find(|(known, _)| *known == kind).map_or("Unknown", |(_, name)| name)
}

/// What the handshake came to.
pub(super) fn welcome(welcome: &Welcome) -> Dict {
    let extensions: Vec<&str> = welcome
        .extensions
        .iter()
        .flat_map(|granted| granted.iter())
        .map(|extension| extension.name())
        .collect();
    dict([
        ("ServerName", Variant::from(&*welcome.server_name)),
        ("ServerVersion", env!("CARGO_PKG_VERSION").into()),
        ("ProtocolVersionMajor", welcome.version.number().into()),
        ("ProtocolVersionMinor", 0_u32.into()),
        ("MaxPingTime", welcome.max_ping_ms().into()),
        ("Extensions", extensions.into()),
    ])
}

/// A device as `RequestDeviceList` shows it.
pub(super) fn device(view: &DeviceView) -> Dict {
    dict([
        ("Name", Variant::from(&*view.name)),
        ("DisplayName", view.display_name.as_deref().unwrap_or_default().into()),
        ("Index", view.index.0.into()),
        ("MessageGap", view.message_gap_ms.into()),
        ("Features", features(view).into()),
    ])
}

/// The features of a device, by index.
pub(super) fn features(view: &DeviceView) -> HashMap<u32, Dict> {
    view.features.iter().map(|feature| (feature.index.0, self::feature(feature))).collect()
}

fn feature(feature: &FeatureView) -> Dict {
    let outputs: HashMap<String, Dict> =
        feature.outputs.iter().map(|view| (output_name(view.kind).to_owned(), output(view))).collect();
    let inputs: HashMap<String, Dict> =
        feature.inputs.iter().map(|view| (input_name(view.kind).to_owned(), input(view))).collect();
    dict([
        ("Description", Variant::from(&*feature.description)),
        ("Outputs", outputs.into()),
        ("Inputs", inputs.into()),
    ])
}

fn output(output: &OutputView) -> Dict {
    let mut entries = dict([("Value", (output.range.min, output.range.max).into())]);
    if let Some(duration) = output.duration_ms {
        entries.extend(dict([("Duration", duration.into())]));
    }
    entries
}

fn input(input: &InputView) -> Dict {
    let ranges: Vec<(i32, i32)> = input.ranges.iter().map(|range| (range.min, range.max)).collect();
    let commands: Vec<&str> = match input.ways {
        InputWays::Read => vec!["Read"],
        InputWays::Subscribe => vec!["Subscribe"],
        InputWays::Both => vec!["Read", "Subscribe"],
    };
    dict([("Value", ranges.into()), ("Commands", commands.into())])
}

/// How a bus is doing.
pub(super) fn transport(status: &TransportStatus) -> Dict {
    let state = match status.state {
        TransportState::Ready => "ready",
        TransportState::Off => "off",
        TransportState::Unavailable => "unavailable",
    };
    dict([
        ("Name", Variant::from(status.transport)),
        ("State", state.into()),
        ("Reason", status.reason.as_str().into()),
        ("Hint", status.hint.as_str().into()),
    ])
}

/// A session, for the user's list.
pub(super) fn client(client: &ClientStatus, outputs: &[OutputState]) -> Dict {
    let drives: Vec<(u32, u32, &str)> = outputs
        .iter()
        .filter(|state| state.is_driven_by(client.session))
        .map(|state| (state.output.device.0, state.output.feature.0, output_name(state.output.kind)))
        .collect();
    let mut entries = dict([
        ("Id", Variant::from(client.session.0)),
        ("Front", client.peer.front.name().into()),
        ("Drives", drives.into()),
    ]);
    if let Some((introduction, _)) = &client.introduction {
        entries.extend(dict([
            ("Name", Variant::from(&*introduction.client_name)),
            ("SpecVersion", introduction.version.number().into()),
        ]));
    }
    if let Some(process) = &client.peer.process {
        entries.extend(dict([("Pid", process.pid.into())]));
        if let Some(executable) = process.executable.as_deref().and_then(|path| path.to_str()) {
            entries.extend(dict([("Executable", executable.into())]));
        }
    }
    if let Some(origin) = &client.peer.origin {
        entries.extend(dict([("Origin", origin.as_str().into())]));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_that_leads_back_to_it() {
        for kind in OutputKind::ALL {
            assert_eq!(output_kind(output_name(kind)).unwrap(), kind);
        }
        for (kind, name) in INPUTS {
            assert_eq!(input_kind(&name.to_lowercase()).unwrap(), kind);
        }
        assert!(output_kind("Explode").is_err());
    }

    #[test]
    fn an_option_of_a_wrong_type_is_refused() {
        let options = Options(dict([("duration", 5_u32.into())]));
        assert_eq!(options.get::<u32>("duration").unwrap(), Some(5));
        assert_eq!(options.get::<u32>("other").unwrap(), None);
        assert!(options.get::<bool>("duration").is_err());
    }
}
