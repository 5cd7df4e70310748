//! Sensee devices of the second kind: all values in one packet, grouped by what they do, with a device type that is asked for.
//!
//! The first kind is a template in `plugin.toml`.

use plugin_sdk::{Endpoint, Event, Failure, Info, Model, Ops, Output, OutputKind, Protocol, Values};

plugin_sdk::export! { id: "sensee", protocols: { "sensee-v2" => SenseeV2 } }

/// The groups in the order of the packet; each is named by its place.
const GROUPS: [OutputKind; 3] = [OutputKind::Vibrate, OutputKind::Oscillate, OutputKind::Constrict];
/// More than any known device has to say of itself.
const READ_LENGTH: u32 = 128;
/// Where the device type is in what the device says.
const TYPE_PLACE: usize = 6;
/// The type of devices that do not say it.
const DEFAULT_TYPE: u8 = 0x65;

/// One device.
#[derive(Debug)]
pub struct SenseeV2 {
    tx: Endpoint,
    values: Option<Values>,
    device_type: Option<u8>,
}

impl Protocol for SenseeV2 {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self { tx: info.require("tx")?, values: None, device_type: None })
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let outputs = model.features.iter().flat_map(|feature| &feature.outputs);
        if let Some(output) = outputs.clone().find(|output| !GROUPS.contains(&output.kind)) {
            return Err(Failure::failed(format!("no packet is known for {}", output.kind.name())));
        }
        self.values = Some(Values::new(model));
        ops.read(self.tx, READ_LENGTH);
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        let (Some(values), Some(device_type)) = (&mut self.values, self.device_type) else {
            return Err(Failure::Unsupported);
        };
        values.apply(set);
        let data = groups(values)?;
        let length = u8::try_from(data.len() + 4).map_err(|_| Failure::failed("too many outputs"))?;
        let head = [0x55, 0xaa, 0xf0, 0x02, 0x00, length, device_type, 0xf1];
        // A checksum belongs at the end, and is not looked at.
        ops.write(self.tx, &[&head[..], &data, &[0x00, 0x00]].concat());
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match event {
            Event::Read { data, .. } if self.device_type.is_none() => {
                let said = data.get(TYPE_PLACE).copied().filter(|device_type| *device_type != 0x00);
                self.device_type = Some(said.unwrap_or(DEFAULT_TYPE));
                ops.ready();
                Ok(())
            }
            Event::ReadFailed { .. } if self.device_type.is_none() => {
                Err(Failure::bad_reply("the device does not say its type"))
            }
            Event::Read { .. }
            | Event::ReadFailed { .. }
            | Event::Notified { .. }
            | Event::WriteFailed { .. }
            | Event::Timer(_) => Ok(()),
        }
    }
}

/// The number of groups, and each group: what it does, how many there are, and each with its number from 1.
fn groups(values: &Values) -> Result<Vec<u8>, Failure> {
    let mut count = 0;
    let mut data = vec![count];
    for (kind, number) in GROUPS.into_iter().zip(0..) {
        let mut group = Vec::new();
        for (output, place) in values.iter().filter(|output| output.kind == kind).zip(1..) {
            group.extend([place, output.byte()?]);
        }
        if let Some(outputs) = u8::try_from(group.len() / 2).ok().filter(|outputs| *outputs > 0) {
            count += 1;
            data.extend([number, outputs]);
            data.append(&mut group);
        }
    }
    if let Some(first) = data.first_mut() {
        *first = count;
    }
    Ok(data)
}
