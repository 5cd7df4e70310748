//! Devices and features that one session keeps for itself. A reservation outlives the loss of the device, not of the session.

use std::collections::BTreeMap;

use crate::{
    monitor::Reservation,
    vocabulary::{DeviceIndex, FeatureIndex, SessionId},
};

/// Who holds what.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    held: BTreeMap<Reservation, SessionId>,
}

impl Reservations {
    /// Reserves; or says which other session holds a part of it.
    pub(super) fn reserve(&mut self, session: SessionId, wanted: Reservation) -> Result<(), SessionId> {
        let in_the_way =
            self.of(wanted.device).find(|(held, holder)| *holder != session && overlap(*held, wanted));
        if let Some((_, holder)) = in_the_way {
            return Err(holder);
        }
        self.held.insert(wanted, session);
        Ok(())
    }

    /// Gives back one feature, or all that the session holds of a device. What it does not hold is passed over.
    pub(super) fn release(&mut self, session: SessionId, given: Reservation) {
        self.held.retain(|held, holder| {
            let meant = given.feature.is_none() || held.feature == given.feature;
            !(*holder == session && held.device == given.device && meant)
        });
    }

    /// Gives back all that a session holds.
    pub(super) fn ended(&mut self, session: SessionId) {
        self.held.retain(|_, holder| *holder != session);
    }

    /// The other session that keeps this one from driving a feature, if there is one.
    pub(super) fn in_the_way(
        &self,
        session: SessionId,
        device: DeviceIndex,
        feature: FeatureIndex,
    ) -> Option<SessionId> {
        if self.held.is_empty() {
            return None;
        }
        let wanted = Reservation { device, feature: Some(feature) };
        self.of(device)
            .find(|(held, holder)| *holder != session && overlap(*held, wanted))
            .map(|(_, holder)| holder)
    }

    /// What a session holds.
    pub(super) fn held_by(&self, session: SessionId) -> Vec<Reservation> {
        self.held.iter().filter(|(_, holder)| **holder == session).map(|(held, _)| *held).collect()
    }

    fn of(&self, device: DeviceIndex) -> impl Iterator<Item = (Reservation, SessionId)> {
        self.held.iter().filter(move |(held, _)| held.device == device).map(|(held, holder)| (*held, *holder))
    }
}

/// Whether two reservations of one device have a feature in common.
fn overlap(one: Reservation, other: Reservation) -> bool {
    one.feature.is_none() || other.feature.is_none() || one.feature == other.feature
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: SessionId = SessionId(1);
    const BOB: SessionId = SessionId(2);

    fn of(feature: Option<u32>) -> Reservation {
        Reservation { device: DeviceIndex(7), feature: feature.map(FeatureIndex) }
    }

    #[test]
    fn a_device_cannot_be_had_while_another_has_a_feature_of_it() {
        let mut all = Reservations::default();
        assert_eq!(all.reserve(ANN, of(Some(1))), Ok(()));
        assert_eq!(all.reserve(BOB, of(Some(2))), Ok(()));
        assert_eq!(all.reserve(BOB, of(None)), Err(ANN));
        assert_eq!(all.in_the_way(BOB, DeviceIndex(7), FeatureIndex(1)), Some(ANN));
        assert_eq!(all.in_the_way(ANN, DeviceIndex(7), FeatureIndex(1)), None);
        assert_eq!(all.in_the_way(BOB, DeviceIndex(8), FeatureIndex(1)), None);
    }

    #[test]
    fn what_is_given_back_can_be_had_by_others() {
        let mut all = Reservations::default();
        assert_eq!(all.reserve(ANN, of(None)), Ok(()));
        assert_eq!(all.reserve(ANN, of(Some(1))), Ok(()));
        all.release(ANN, of(None));
        assert_eq!(all.reserve(BOB, of(Some(1))), Ok(()));
        all.ended(BOB);
        assert_eq!(all.reserve(ANN, of(None)), Ok(()));
        assert_eq!(all.held_by(ANN), [of(None)]);
    }
}
