//! The rules for what a device is recognised by.

use std::collections::BTreeSet;

use super::{
    super::model::{BluetoothMatch, HidMatch, NameMatch, SerialMatch},
    words::{Report, check_text, is_word},
};

/// Whether a Bluetooth match must name the services.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Services {
    Needed,
    FromProtocol,
}

pub(super) fn check_bluetooth(
    matches: &[BluetoothMatch],
    services: Services,
    at: &str,
    report: &mut Report<'_>,
) {
    check_names(matches.iter().map(|one| one.names.as_slice()), &format!("{at}.bluetooth"), report);
    for (number, one) in matches.iter().enumerate() {
        let at = format!("{at}.bluetooth[{number}]");
        if one.names.is_empty() && one.manufacturer_data.is_empty() && one.advertised_services.is_empty() {
            report(
                at.clone(),
                "matches nothing: give `names`, `manufacturer_data` or `advertised_services`".into(),
            );
        }
        if one.services.is_empty() && services == Services::Needed {
            report(at.clone(), "needs `services`, with the characteristics of the endpoints".into());
        }
        for (service, endpoints) in &one.services {
            if endpoints.is_empty() {
                report(format!("{at}.services.{service}"), "has no endpoint".into());
            }
            for endpoint in endpoints.keys() {
                if !is_word(endpoint) {
                    report(
                        format!("{at}.services.{service}.{endpoint}"),
                        "an endpoint is named with lower-case letters and digits".into(),
                    );
                }
            }
        }
        for (number, service) in one.advertised_services.iter().enumerate() {
            if one.advertised_services.iter().take(number).any(|other| other == service) {
                report(format!("{at}.advertised_services[{number}]"), format!("`{service}` is there twice"));
            }
        }
        for (number, data) in one.manufacturer_data.iter().enumerate() {
            if one.manufacturer_data.iter().take(number).any(|other| other == data) {
                report(format!("{at}.manufacturer_data[{number}]"), "is there twice".into());
            }
        }
    }
}

pub(super) fn check_serial(matches: &[SerialMatch], at: &str, report: &mut Report<'_>) {
    for (number, one) in matches.iter().enumerate() {
        let at = format!("{at}.serial[{number}]");
        check_text(&one.port, &format!("{at}.port"), report);
        if one.baud_rate == 0 {
            report(format!("{at}.baud_rate"), "is 0".into());
        }
        if !(5..=8).contains(&one.data_bits) {
            report(format!("{at}.data_bits"), "is not between 5 and 8".into());
        }
        if !(1..=2).contains(&one.stop_bits) {
            report(format!("{at}.stop_bits"), "is neither 1 nor 2".into());
        }
    }
}

pub(super) fn check_hid(matches: &[HidMatch], at: &str, report: &mut Report<'_>) {
    for (number, one) in matches.iter().enumerate() {
        if one.ids.is_empty() {
            report(format!("{at}.hid[{number}].ids"), "is empty: it matches nothing".into());
        }
        if one.usage.is_some() && one.usage_page.is_none() {
            report(format!("{at}.hid[{number}].usage"), "says nothing without `usage_page`".into());
        }
    }
}

pub(super) fn check_name_lists(matches: &[NameMatch], at: &str, report: &mut Report<'_>) {
    check_names(matches.iter().map(|one| one.names.as_slice()), at, report);
    for (number, one) in matches.iter().enumerate() {
        if one.names.is_empty() {
            report(format!("{at}[{number}].names"), "is empty: it matches nothing".into());
        }
    }
}

/// Names that are no names, that are there twice, or that a pattern beside them covers, so that they never decide anything.
pub(super) fn check_names<'a>(lists: impl Iterator<Item = &'a [String]>, at: &str, report: &mut Report<'_>) {
    let names: Vec<(usize, usize, &str)> = lists
        .enumerate()
        .flat_map(|(list, names)| {
            names.iter().enumerate().map(move |(number, name)| (list, number, name.as_str()))
        })
        .collect();
    let patterns: Vec<&str> = names.iter().filter_map(|(_, _, name)| name.strip_suffix('*')).collect();
    let mut known = BTreeSet::new();
    for (list, number, name) in names {
        let at = format!("{at}[{list}].names[{number}]");
        let stem = name.strip_suffix('*').unwrap_or(name);
        if stem.is_empty() {
            report(at, format!("`{name}` would take every device"));
        } else if stem.contains('*') {
            report(at, format!("`{name}` has a `*` before its end; only one at the end stands for any rest"));
        } else if !known.insert(name) {
            report(at, format!("`{name}` is there twice"));
        } else if let Some(pattern) =
            patterns.iter().find(|pattern| name != format!("{pattern}*") && stem.starts_with(**pattern))
        {
            report(at, format!("`{name}` decides nothing: `{pattern}*` beside it covers it"));
        }
    }
}
