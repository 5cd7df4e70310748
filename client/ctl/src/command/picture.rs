//! The picture that `watch` paints: a bar for every output. Pure: what is known goes in, lines come out.

use std::collections::BTreeMap;

use buttplugd_client::{OutputState, OutputType};
use ipc_schema::v4;

/// Columns before and behind a bar.
const BESIDE_BAR: usize = 40;
/// Columns of a bar, at most and at least.
const BAR: std::ops::RangeInclusive<usize> = 8..=60;

/// What an output is known by: device, feature, kind.
pub(crate) type Key = (u32, u32, OutputType);

/// Everything that is shown.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    pub(crate) devices: BTreeMap<u32, v4::Device>,
    pub(crate) outputs: BTreeMap<Key, OutputState>,
    /// Names of the applications, by session.
    pub(crate) clients: BTreeMap<u32, String>,
}

impl Scene {
    /// Takes in the newest states.
    pub(crate) fn update(&mut self, states: impl IntoIterator<Item = OutputState>) {
        for state in states {
            self.outputs.insert((state.device_index, state.feature_index, state.output), state);
        }
    }

    /// Whether a state says more than what is known.
    pub(crate) fn is_news(&self, state: &OutputState) -> bool {
        let values = |state: &OutputState| (state.wanted, state.confirmed);
        let known = self.outputs.get(&(state.device_index, state.feature_index, state.output));
        values(state) != known.map_or((None, None), values)
    }

    /// Takes in a device that is new, or another than before.
    pub(crate) fn add(&mut self, device: &v4::Device) {
        self.devices.insert(device.device_index, device.clone());
    }

    /// Forgets a device and its outputs.
    pub(crate) fn remove(&mut self, device_index: u32) {
        self.devices.remove(&device_index);
        self.outputs.retain(|(device, ..), _| *device != device_index);
    }

    /// A session that drives something and whose name is not known.
    pub(crate) fn has_stranger(&self) -> bool {
        let mut drivers = self.outputs.values().filter_map(|state| state.session_id);
        drivers.any(|session| !self.clients.contains_key(&session))
    }

    /// The picture, no line longer than `width` columns as far as names allow.
    pub(crate) fn paint(&self, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        if self.devices.is_empty() {
            lines.push("no device is connected (look for some with: buttplugctl scan)".into());
        }
        for device in self.devices.values() {
            let name = device.device_display_name.as_deref().unwrap_or(&device.device_name);
            lines.push(format!("{} {name}", device.device_index));
            for feature in device.device_features.values() {
                for (kind, limits) in feature.output.iter().flatten() {
                    let key = (device.device_index, feature.feature_index, *kind);
                    lines.push(self.output_line(key, limits.value, width));
                }
            }
        }
        lines
    }

    fn output_line(&self, key: Key, range: [i32; 2], width: usize) -> String {
        let (_, feature, kind) = key;
        let state = self.outputs.get(&key);
        let value = state.and_then(|state| state.confirmed);
        let columns = width.saturating_sub(BESIDE_BAR).clamp(*BAR.start(), *BAR.end());
        let number = value.map_or("-".into(), |value| value.to_string());
        let driver = state
            .filter(|_| value != Some(0))
            .and_then(|state| state.session_id)
            .and_then(|session| self.clients.get(&session))
            .map(|name| format!("  {name}"))
            .unwrap_or_default();
        let kind = match kind {
            OutputType::HwPositionWithDuration => "Move".into(),
            kind => format!("{kind:?}"),
        };
        format!("  {feature:>2} {kind:<11} {} {number:>5}{driver}", bar(value.unwrap_or(0), range, columns))
    }

    /// What has changed as plain lines, for pipes.
    pub(crate) fn lines(&self, states: &[OutputState]) -> Vec<String> {
        states
            .iter()
            .map(|state| {
                let device = self.devices.get(&state.device_index);
                let name = device.map_or("?", |device| {
                    device.device_display_name.as_deref().unwrap_or(&device.device_name)
                });
                let greatest = device
                    .and_then(|device| device.device_features.get(&state.feature_index))
                    .and_then(|feature| feature.output.as_ref()?.get(&state.output))
                    .map_or("?".into(), |limits| limits.value[1].to_string());
                let value = state.confirmed.map_or("?".into(), |value| value.to_string());
                let pending = match state.wanted {
                    Some(wanted) if state.wanted != state.confirmed => format!(" (wanted {wanted})"),
                    _ => String::new(),
                };
                format!(
                    "{} {name}: feature {} {:?} {value}/{greatest}{pending}",
                    state.device_index, state.feature_index, state.output
                )
            })
            .collect()
    }
}

/// A bar of so many columns. A range with two directions has its rest in the middle.
fn bar(value: i32, [least, greatest]: [i32; 2], columns: usize) -> String {
    const FULL: &str = "█";
    const EMPTY: &str = "░";

    let filled = |part: i32, whole: i32, columns: usize| {
        let part = usize::try_from(part.max(0)).unwrap_or(0);
        let whole = usize::try_from(whole.max(1)).unwrap_or(1);
        // Rounded up, so that the weakest motion is seen.
        (part * columns).div_ceil(whole).min(columns)
    };
    if least < 0 {
        let half = columns / 2;
        let left = filled(value.saturating_neg(), least.saturating_neg(), half);
        let right = filled(value, greatest, half);
        return format!(
            "{}{}│{}{}",
            EMPTY.repeat(half - left),
            FULL.repeat(left),
            FULL.repeat(right),
            EMPTY.repeat(half - right)
        );
    }
    let full = filled(value.saturating_sub(least), greatest.saturating_sub(least), columns);
    FULL.repeat(full) + &EMPTY.repeat(columns - full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> Scene {
        let frame: serde_json::Value =
            serde_json::from_str(include_str!("../../../../ipc-schema/samples/v4/DeviceList.json")).unwrap();
        let list: v4::DeviceList = serde_json::from_value(frame[0]["DeviceList"].clone()).unwrap();
        let mut scene = Scene::default();
        list.devices.values().for_each(|device| scene.add(device));
        scene
    }

    fn state(feature_index: u32, output: OutputType, confirmed: i32) -> OutputState {
        OutputState {
            device_index: 1,
            feature_index,
            output,
            wanted: Some(confirmed),
            confirmed: Some(confirmed),
            session_id: Some(12),
        }
    }

    #[test]
    fn bars_show_level_and_direction() {
        assert_eq!(bar(0, [0, 20], 8), "░░░░░░░░");
        assert_eq!(bar(1, [0, 20], 8), "█░░░░░░░");
        assert_eq!(bar(10, [0, 20], 8), "████░░░░");
        assert_eq!(bar(99, [0, 20], 8), "████████");
        assert_eq!(bar(0, [-2, 2], 8), "░░░░│░░░░");
        assert_eq!(bar(-1, [-2, 2], 8), "░░██│░░░░");
        assert_eq!(bar(2, [-2, 2], 8), "░░░░│████");
        assert_eq!(bar(i32::MIN, [i32::MIN, i32::MAX], 4), "██│░░");
        assert_eq!(bar(5, [5, 5], 3), "░░░");
    }

    #[test]
    fn every_output_has_its_line() {
        let mut scene = scene();
        scene.update([state(0, OutputType::Vibrate, 5), state(4, OutputType::Rotate, -1)]);
        assert!(scene.has_stranger());
        scene.clients.insert(12, "Tapper".into());
        assert!(!scene.has_stranger());
        assert_eq!(
            scene.paint(48),
            [
                "1 the blue one",
                "   0 Vibrate     ████░░░░     5  Tapper",
                "   4 Rotate      ░░██│░░░░    -1  Tapper",
                "4294967295 Sample Stroker",
                "   0 Position    ░░░░░░░░     -",
                "   0 Move        ░░░░░░░░     -",
            ]
        );
    }

    #[test]
    fn outputs_of_devices_that_have_gone_are_forgotten() {
        let mut scene = scene();
        scene.update([state(0, OutputType::Vibrate, 5)]);
        scene.remove(1);
        scene.remove(u32::MAX);
        assert!(scene.outputs.is_empty());
        assert_eq!(scene.paint(80).len(), 1);
    }

    #[test]
    fn pipes_get_plain_lines() {
        let lines = scene().lines(&[state(0, OutputType::Vibrate, 5)]);
        assert_eq!(lines, ["1 the blue one: feature 0 Vibrate 5/10"]);
        let mut late = state(0, OutputType::Vibrate, 5);
        late.wanted = Some(7);
        assert_eq!(scene().lines(&[late]), ["1 the blue one: feature 0 Vibrate 5/10 (wanted 7)"]);
    }

    #[test]
    fn only_other_values_are_news() {
        let mut scene = scene();
        let mut nothing = state(0, OutputType::Vibrate, 5);
        (nothing.wanted, nothing.confirmed) = (None, None);
        assert!(!scene.is_news(&nothing));
        let five = state(0, OutputType::Vibrate, 5);
        assert!(scene.is_news(&five));
        scene.update([five.clone()]);
        assert!(!scene.is_news(&five));
        assert!(scene.is_news(&nothing));
    }
}
