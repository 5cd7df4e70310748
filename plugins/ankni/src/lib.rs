//! Ankni Candy and the Roselex egg: packets of twenty bytes over Bluetooth LE, after a proof that the device's address was read.

use crc::{CRC_16_XMODEM, Crc};
use plugin_sdk::{Endpoint, Event, Failure, Info, Model, Ops, Output, Protocol};

plugin_sdk::export! { id: "ankni", protocols: { "ankni" => Ankni } }

const XMODEM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
const READ_LENGTH: u32 = 16;
const ADDRESS_LENGTH: usize = 6;

/// One device.
#[derive(Debug)]
pub struct Ankni {
    tx: Endpoint,
    address: Endpoint,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Reading,
    Ready,
}

impl Protocol for Ankni {
    fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
        Ok(Self { tx: info.require("tx")?, address: info.require("generic0")?, step: Step::Reading })
    }

    fn start(&mut self, _: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        ops.read(self.address, READ_LENGTH);
        Ok(())
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        for output in set {
            self.write([0x03, 0x12, output.byte()?], 0x00, ops);
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match (self.step, event) {
            (Step::Reading, Event::Read { data, .. }) => {
                if data.len() < ADDRESS_LENGTH {
                    return Err(Failure::bad_reply("less than an address was read"));
                }
                if data.len() == ADDRESS_LENGTH {
                    self.prove(data, ops);
                }
                self.step = Step::Ready;
                ops.ready();
                Ok(())
            }
            (Step::Reading, Event::ReadFailed { .. }) => {
                Err(Failure::bad_reply("its address cannot be read"))
            }
            (Step::Ready, _)
            | (Step::Reading, Event::Notified { .. } | Event::WriteFailed { .. } | Event::Timer(_)) => Ok(()),
        }
    }
}

impl Ankni {
    /// A device that gives its address, reversed, wants to see half of a checksum of it. One that gives more wants nothing.
    fn prove(&self, address: &[u8], ops: &mut Ops<'_>) {
        let [half, _] = XMODEM.checksum(&[&[0x01], address].concat()).to_be_bytes();
        self.write([0x01, 0x01, 0x01], 0x01, ops);
        let mut packet = [half; 20];
        packet[..2].copy_from_slice(&[0x01, 0x02]);
        packet[18..].fill(0x00);
        ops.write_with_response(self.tx, &packet);
    }

    /// Twenty bytes: three, and then all the same.
    fn write(&self, head: [u8; 3], rest: u8, ops: &mut Ops<'_>) {
        let mut packet = [rest; 20];
        packet[..3].copy_from_slice(&head);
        ops.write_with_response(self.tx, &packet);
    }
}
