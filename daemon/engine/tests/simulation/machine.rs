//! One device: its plugin of a few lines, its model, and hardware of which it is known what it really does.

use super::*;

/// One device, and what its hardware really does.
pub(crate) struct Machine {
    pub(crate) device: Device,
    pub(crate) ready: bool,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) hardware: BTreeMap<(FeatureIndex, OutputKind), i32>,
    /// Sets that the router has handed to it.
    pub(crate) sets: u64,
}

pub(crate) fn entry(index: DeviceIndex) -> DeviceEntry {
    let outputs = OUTPUTS.map(|(feature, kind)| {
        let duration_ms = (kind == OutputKind::PositionWithDuration).then_some((0, 1000));
        let output = Output { range: Range::new(0, 20), duration_ms, on_stop: None };
        OutputEntry { feature, kind, scale: OutputScale::new(kind, &output, None).unwrap() }
    });
    let mut features: Vec<FeatureView> = OUTPUTS
        .iter()
        .map(|(feature, kind)| FeatureView {
            index: *feature,
            description: String::new(),
            outputs: vec![OutputView {
                kind: *kind,
                range: Range::new(0, 20),
                duration_ms: (*kind == OutputKind::PositionWithDuration).then_some((0, 1000)),
            }],
            inputs: vec![],
        })
        .collect();
    features.push(FeatureView {
        index: SENSOR.0,
        description: String::new(),
        outputs: vec![],
        inputs: vec![InputView { kind: SENSOR.1, ranges: vec![Range::new(0, 100)], ways: InputWays::Both }],
    });
    DeviceEntry {
        view: Arc::new(DeviceView {
            index,
            name: "Toy".into(),
            display_name: None,
            message_gap_ms: 40,
            features,
        }),
        transport: "simulated",
        protocol: "toy".into(),
        outputs: outputs.to_vec(),
    }
}

pub(crate) fn model() -> ModelSetup {
    ModelSetup {
        outputs: OUTPUTS
            .iter()
            .map(|(feature, kind)| OutputSetup {
                feature: *feature,
                kind: *kind,
                rest: 0,
                on_stop: OnStop::Rest,
            })
            .collect(),
        inputs: vec![InputSetup { feature: SENSOR.0, kind: SENSOR.1 }],
        gap: GAP,
        left: Motion::MayRun,
        ..ModelSetup::default()
    }
}

/// The plugin: a packet a value.
pub(crate) fn plugin(event: &ProtocolEvent) -> Result<Vec<Operation>, PluginFault> {
    let write = |set: &OutputValue| Operation::Write {
        endpoint: "tx".into(),
        data: format!("{} {} {}", set.feature, set.kind.name(), set.value).into_bytes(),
        kind: WriteKind::WithResponse,
    };
    Ok(match event {
        ProtocolEvent::Identify => vec![Operation::Identified { protocol: None, model: "toy".into() }],
        ProtocolEvent::Start => vec![Operation::Ready],
        ProtocolEvent::Output(set) => set.iter().map(write).collect(),
        ProtocolEvent::Stop(set) => set.iter().filter(|value| !value.kind.is_position()).map(write).collect(),
        ProtocolEvent::Input { wish: InputWish::Read, .. } => {
            vec![Operation::Read { endpoint: "rx".into(), max_len: 1 }]
        }
        ProtocolEvent::Input { wish: InputWish::Subscribe, .. } => {
            vec![Operation::Subscribe { endpoint: "rx".into() }]
        }
        ProtocolEvent::Input { wish: InputWish::Unsubscribe, .. } => {
            vec![Operation::Unsubscribe { endpoint: "rx".into() }]
        }
        ProtocolEvent::ReadDone { data, .. } | ProtocolEvent::Notified { data, .. } => {
            vec![Operation::Reading { feature: SENSOR.0, kind: SENSOR.1, value: i32::from(data[0]) }]
        }
        ProtocolEvent::ReadFailed { .. } => {
            vec![Operation::InputFailed { feature: SENSOR.0, kind: SENSOR.1 }]
        }
        ProtocolEvent::WriteFailed { .. } | ProtocolEvent::Timer { .. } => Vec::new(),
        ProtocolEvent::KeepAlive => return Err(PluginFault::Unsupported),
    })
}

impl Machine {
    /// The hardware takes the packet under way.
    pub(crate) fn take_packet(&mut self) {
        if let Some(Transfer::Write(packet)) = &self.transfer {
            let text = String::from_utf8(packet.data.clone()).unwrap();
            let words: Vec<&str> = text.split(' ').collect();
            let feature = FeatureIndex(words[0].parse().unwrap());
            let kind = OutputKind::ALL.into_iter().find(|kind| kind.name() == words[1]).unwrap();
            self.hardware.insert((feature, kind), words[2].parse().unwrap());
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.hardware.iter().any(|((_, kind), value)| !kind.is_position() && *value != 0)
    }
}
