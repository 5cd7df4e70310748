//! Finds the device, output or input that somebody means: by number, by part of a name, by kind.

use buttplugd_client::{Client, Device, Input, InputType, Output, OutputType};

use crate::cli::{InputKind, OutputKind};
use crate::failure::Failure;

impl From<OutputKind> for OutputType {
    fn from(kind: OutputKind) -> Self {
        match kind {
            OutputKind::Vibrate => Self::Vibrate,
            OutputKind::Rotate => Self::Rotate,
            OutputKind::Oscillate => Self::Oscillate,
            OutputKind::Constrict => Self::Constrict,
            OutputKind::Temperature => Self::Temperature,
            OutputKind::Led => Self::Led,
            OutputKind::Spray => Self::Spray,
            OutputKind::Position => Self::Position,
            OutputKind::Move => Self::HwPositionWithDuration,
        }
    }
}

impl From<InputKind> for InputType {
    fn from(kind: InputKind) -> Self {
        match kind {
            InputKind::Battery => Self::Battery,
            InputKind::Rssi => Self::Rssi,
            InputKind::Button => Self::Button,
            InputKind::Pressure => Self::Pressure,
            InputKind::Depth => Self::Depth,
            InputKind::Position => Self::Position,
        }
    }
}

/// The connected device that is meant.
pub(crate) fn device(client: &Client, meant: &str) -> Result<Device, Failure> {
    let devices = client.devices();
    let names: Vec<(u32, &str, &str)> =
        devices.iter().map(|device| (device.index(), device.name(), device.model())).collect();
    let index = choose(&names, meant)?;
    devices
        .into_iter()
        .find(|device| device.index() == index)
        .ok_or_else(|| Failure::Refused(format!("device {index} has just left")))
}

/// The number of the device that is meant, among (number, name, model).
fn choose(devices: &[(u32, &str, &str)], meant: &str) -> Result<u32, Failure> {
    if let Some((index, ..)) = devices.iter().find(|(index, ..)| index.to_string() == meant) {
        return Ok(*index);
    }
    let wanted = meant.to_lowercase();
    let fits = |text: &str| text.to_lowercase().contains(&wanted);
    let found: Vec<_> = devices.iter().filter(|(_, name, model)| fits(name) || fits(model)).collect();
    let listing = |devices: &mut dyn Iterator<Item = &(u32, &str, &str)>| {
        devices.map(|(index, name, _)| format!("{index} ({name})")).collect::<Vec<_>>().join(", ")
    };
    match found.as_slice() {
        [(index, ..)] => Ok(*index),
        [] if devices.is_empty() => Err(Failure::Refused(format!(
            "there is no device `{meant}`: none is connected (look for some with: buttplugctl scan)"
        ))),
        [] => Err(Failure::Refused(format!(
            "there is no device `{meant}`; connected: {}",
            listing(&mut devices.iter())
        ))),
        several => Err(Failure::Refused(format!(
            "`{meant}` may mean several devices: {}",
            listing(&mut several.iter().copied())
        ))),
    }
}

/// Which outputs of a device are meant: those of a feature, of a kind, else all vibrators, else the first that there is.
pub(crate) fn outputs(
    device: &Device,
    feature: Option<u32>,
    kind: Option<OutputType>,
) -> Result<Vec<Output>, Failure> {
    let all = device.outputs();
    let mut meant: Vec<Output> = all
        .into_iter()
        .filter(|output| feature.is_none_or(|feature| output.feature() == feature))
        .filter(|output| kind.is_none_or(|kind| output.kind() == kind))
        .collect();
    if meant.is_empty() {
        return Err(Failure::Refused(format!(
            "{} has no such output (see: buttplugctl info {})",
            device.name(),
            device.index()
        )));
    }
    if kind.is_none() {
        if meant.iter().any(|output| output.kind() == OutputType::Vibrate) {
            meant.retain(|output| output.kind() == OutputType::Vibrate);
        } else {
            meant.truncate(1);
        }
    }
    Ok(meant)
}

/// The input of a device that is meant.
pub(crate) fn input(device: &Device, feature: Option<u32>, kind: InputType) -> Result<Input, Failure> {
    device
        .inputs()
        .into_iter()
        .find(|input| input.kind() == kind && feature.is_none_or(|feature| input.feature() == feature))
        .ok_or_else(|| {
            Failure::Refused(format!(
                "{} has no such input (see: buttplugctl info {})",
                device.name(),
                device.index()
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_number_or_by_part_of_its_name() {
        let devices =
            [(0, "the blue one", "Lovense Max"), (12, "Lovense Edge", "Lovense Edge"), (3, "No. 12", "x")];
        assert_eq!(choose(&devices, "12").unwrap(), 12);
        assert_eq!(choose(&devices, "max").unwrap(), 0);
        assert_eq!(choose(&devices, "BLUE").unwrap(), 0);
        assert_eq!(
            choose(&devices, "lovense").unwrap_err().to_string(),
            "`lovense` may mean several devices: 0 (the blue one), 12 (Lovense Edge)"
        );
        assert_eq!(
            choose(&devices, "7").unwrap_err().to_string(),
            "there is no device `7`; connected: 0 (the blue one), 12 (Lovense Edge), 3 (No. 12)"
        );
        assert!(choose(&[], "0").unwrap_err().to_string().contains("buttplugctl scan"));
    }
}
