//! Which characteristic an endpoint of the definition is, on the device at hand.

use std::collections::{BTreeMap, BTreeSet};

use btleplug::api::{CharPropFlags, Characteristic, Service, WriteType};
use engine::{
    definition::matching::services_fit,
    protocol::{Endpoint, WriteKind},
};
use uuid::Uuid;

use super::super::{NamedServices, TransportFault};

/// The endpoints of a device.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints(BTreeMap<Endpoint, Characteristic>);

impl Endpoints {
    /// The first candidate whose services the device has, by its number, and its endpoints. A candidate that nobody contests
    /// needs less: one endpoint of any service.
    ///
    /// # Errors
    /// The device is none of them. The text lists what it has, for whoever mends the definition.
    pub(super) fn choose(
        candidates: &[NamedServices],
        services: &BTreeSet<Service>,
    ) -> Result<(usize, Self), TransportFault> {
        let present: Vec<Uuid> = services.iter().map(|service| service.uuid).collect();
        let fits = |named: &NamedServices| {
            let wanted: Vec<Uuid> = named.iter().map(|(service, _)| *service).collect();
            candidates.len() == 1 || services_fit(&wanted, &present)
        };
        for (number, named) in candidates.iter().enumerate().filter(|(_, named)| fits(named)) {
            if let Some(found) = Self::find(named, services) {
                return Ok((number, found));
            }
        }
        let has: Vec<_> = present.iter().map(ToString::to_string).collect();
        Err(TransportFault::Refused(format!(
            "the device has none of the services that its definition names; it has: {}",
            if has.is_empty() { "none".to_owned() } else { has.join(", ") }
        )))
    }

    /// Finds the endpoints that a definition names among the services of the device. Models of one protocol differ in
    /// their services, so a definition names more than any device has; the first that fits is taken.
    fn find(named: &NamedServices, services: &BTreeSet<Service>) -> Option<Self> {
        let mut found = BTreeMap::new();
        for (service, endpoints) in named {
            let Some(service) = services.iter().find(|candidate| candidate.uuid == *service) else {
                continue;
            };
            for (endpoint, uuid) in endpoints {
                let characteristic = service.characteristics.iter().find(|candidate| candidate.uuid == *uuid);
                if let Some(characteristic) = characteristic {
                    found.entry(Endpoint::clone(endpoint)).or_insert_with(|| characteristic.clone());
                }
            }
        }
        (!found.is_empty()).then_some(Self(found))
    }

    /// The names.
    pub(super) fn names(&self) -> Vec<Endpoint> {
        self.0.keys().cloned().collect()
    }

    /// The characteristic of an endpoint.
    ///
    /// # Errors
    /// There is no such endpoint.
    pub(super) fn characteristic(&self, endpoint: &str) -> Result<&Characteristic, TransportFault> {
        self.0.get(endpoint).ok_or_else(|| TransportFault::NoEndpoint(endpoint.to_owned()))
    }

    /// The endpoint that a notification comes from.
    pub(super) fn endpoint_of(&self, service: Uuid, characteristic: Uuid) -> Option<&Endpoint> {
        self.0
            .iter()
            .find(|(_, place)| place.service_uuid == service && place.uuid == characteristic)
            .map(|(endpoint, _)| endpoint)
    }
}

/// How a packet is written: as wanted where the characteristic takes it so, else in the way that it does take.
pub(super) fn write_type(wanted: WriteKind, properties: CharPropFlags) -> WriteType {
    let with = properties.contains(CharPropFlags::WRITE);
    let without = properties.contains(CharPropFlags::WRITE_WITHOUT_RESPONSE);
    match wanted {
        WriteKind::WithResponse if with || !without => WriteType::WithResponse,
        WriteKind::WithResponse => WriteType::WithoutResponse,
        WriteKind::WithoutResponse if without || !with => WriteType::WithoutResponse,
        WriteKind::WithoutResponse => WriteType::WithResponse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(uuid: u128, characteristics: &[u128]) -> Service {
        let uuid = Uuid::from_u128(uuid);
        let characteristics = characteristics.iter().map(|characteristic| Characteristic {
            uuid: Uuid::from_u128(*characteristic),
            service_uuid: uuid,
            properties: CharPropFlags::WRITE,
            descriptors: BTreeSet::new(),
        });
        Service { uuid, primary: true, characteristics: characteristics.collect() }
    }

    fn named(service: u128, endpoints: &[(&str, u128)]) -> (Uuid, Vec<(Endpoint, Uuid)>) {
        let endpoints = endpoints.iter().map(|(name, uuid)| (Endpoint::from(*name), Uuid::from_u128(*uuid)));
        (Uuid::from_u128(service), endpoints.collect())
    }

    #[test]
    fn endpoints_come_from_whichever_service_the_model_has() {
        let definition = vec![
            named(1, &[("tx", 11), ("rx", 12)]),
            named(2, &[("tx", 21), ("rx", 22)]),
            named(3, &[("rxblebattery", 31)]),
        ];
        let device = [service(2, &[21, 22]), service(3, &[31])].into();
        let (_, endpoints) = Endpoints::choose(&[definition], &device).unwrap();
        assert_eq!(endpoints.names(), ["rx", "rxblebattery", "tx"].map(Endpoint::from));
        assert_eq!(endpoints.characteristic("tx").unwrap().uuid, Uuid::from_u128(21));
        let from = endpoints.endpoint_of(Uuid::from_u128(2), Uuid::from_u128(22));
        assert_eq!(from.map(|endpoint| &**endpoint), Some("rx"));
        assert_eq!(
            endpoints.characteristic("firmware").unwrap_err(),
            TransportFault::NoEndpoint("firmware".into())
        );
    }

    #[test]
    fn of_two_protocols_with_one_name_the_device_is_the_one_whose_services_it_has() {
        const BATTERY: u128 = 0x0000_180f_0000_1000_8000_0080_5f9b_34fb;
        let battery = named(BATTERY, &[("battery", 3)]);
        let candidates =
            [vec![named(1, &[("tx", 11)]), battery.clone()], vec![named(2, &[("tx", 21)]), battery.clone()]];
        let choose = |device: &[Service]| {
            Endpoints::choose(&candidates, &device.iter().cloned().collect()).map(|(number, _)| number)
        };
        let (first, second, common) = (service(1, &[11]), service(2, &[21]), service(BATTERY, &[3]));
        assert_eq!(
            choose(&[second.clone(), common.clone()]),
            Ok(1),
            "the battery, which both have, tells nothing"
        );
        assert_eq!(choose(&[first, second]), Ok(0), "the better candidate, where both fit");
        assert!(choose(std::slice::from_ref(&common)).is_err());
        let alone = Endpoints::choose(&candidates[..1], &[common].into());
        assert_eq!(alone.map(|(number, _)| number), Ok(0), "nobody contests it");
    }

    #[test]
    fn a_device_with_nothing_of_it_says_what_it_has() {
        let definition = vec![named(1, &[("tx", 11)])];
        let error = Endpoints::choose(&[definition], &[service(0x180f, &[1])].into()).unwrap_err();
        assert!(error.to_string().contains("0000-00000000180f"), "{error}");
    }

    #[test]
    fn a_write_is_sent_in_a_way_that_the_characteristic_takes() {
        let (with, without) = (CharPropFlags::WRITE, CharPropFlags::WRITE_WITHOUT_RESPONSE);
        for (wanted, properties, sent) in [
            (WriteKind::WithResponse, with | without, WriteType::WithResponse),
            (WriteKind::WithoutResponse, with | without, WriteType::WithoutResponse),
            (WriteKind::WithResponse, without, WriteType::WithoutResponse),
            (WriteKind::WithoutResponse, with, WriteType::WithResponse),
            (WriteKind::WithResponse, CharPropFlags::NOTIFY, WriteType::WithResponse),
        ] {
            assert_eq!(write_type(wanted, properties), sent, "{wanted:?} on {properties:?}");
        }
    }
}
