//! A template, and a device that it drives.

use plugin_sdk::driver::{Bench, Call, Direct, info};
use plugin_sdk::{Feature, InputRange, Model, Output, OutputRange, Wanted, Ways, Wish};
use plugin_template::{Program, TemplateDevice};

/// A template in JSON, a byte 0, and what happens to the device that it drives.
pub fn template(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let Ok(json) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
    if let Err(error) = Program::from_json(json) {
        assert!(!error.to_string().is_empty());
        return;
    }
    let mut info = info("fuzz", "NAME", &["tx", "rx", "rxblebattery"]);
    info.params.push(("template".into(), json.to_owned()));
    let Ok(mut device) = Bench::<Direct<TemplateDevice>>::direct(&info) else { return };
    let model = model();
    let deeds = parts.next().unwrap_or_default();
    for deed in [0, 1].into_iter().chain(deeds.iter().copied()) {
        let value = i32::from(deed) / 12;
        let endpoint =
            ["tx", "rx", "rxblebattery"].into_iter().cycle().nth(usize::from(deed) % 7).unwrap_or("rx");
        let bytes = &deeds[..deeds.len().min(usize::from(deed) / 8)];
        // That a call fails is an answer.
        drop(match deed % 12 {
            0 => device.call(Call::Identify),
            1 => device.call(Call::Start(&model)),
            2 | 3 => device.call(Call::Output(&outputs(&model, value))),
            4 => device.call(Call::Stop(&outputs(&model, 0))),
            5 => device.call(Call::KeepAlive),
            6 => device.notified(endpoint, bytes),
            7 => device.read_gave(endpoint, bytes),
            8 => device.read_failed(endpoint),
            9 => device.write_failed(endpoint),
            10 => device.advance(u64::from(deed) * 10),
            _ => device.call(Call::Input(Wanted {
                feature: 3,
                kind: plugin_sdk::InputKind::Battery,
                wish: if deed > 127 { Wish::Read } else { Wish::Subscribe },
            })),
        });
        assert!(device.waiting().count() < 100_000, "operations without an end");
    }
}

fn model() -> Model {
    let output = |index, kind, min, max| Feature {
        index,
        outputs: vec![OutputRange { kind, min, max, duration_ms: (0, 10_000) }],
        inputs: Vec::new(),
    };
    let battery = InputRange { kind: plugin_sdk::InputKind::Battery, min: 0, max: 100, ways: Ways::Both };
    Model {
        identifier: "NAME".into(),
        variant: String::new(),
        features: vec![
            output(0, plugin_sdk::OutputKind::Vibrate, 0, 20),
            output(1, plugin_sdk::OutputKind::Rotate, -20, 20),
            output(2, plugin_sdk::OutputKind::PositionWithDuration, 0, 100),
            Feature { index: 3, outputs: Vec::new(), inputs: vec![battery] },
        ],
    }
}

fn outputs(model: &Model, value: i32) -> Vec<Output> {
    let outputs = model.features.iter().flat_map(|feature| {
        feature.outputs.iter().map(|output| Output {
            feature: feature.index,
            kind: output.kind,
            value: value.min(output.max),
            duration_ms: 100,
        })
    });
    outputs.collect()
}
