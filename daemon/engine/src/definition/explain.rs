//! Why an advertisement is taken for what it is taken for, in lines for people.

use std::fmt::Write as _;

use super::{
    access::Refusal,
    catalogue::{Candidate, Catalogue},
    matching::Way,
};
use crate::advertisement::Advertisement;

impl Catalogue {
    /// Which definitions would match, best first, why, and what would come of it; one line each, details indented by two blanks.
    #[must_use]
    pub fn explain(&self, advertisement: &Advertisement, address: Option<&str>) -> Vec<String> {
        let candidates = self.find(advertisement);
        if candidates.is_empty() {
            return self.explain_nothing(advertisement);
        }
        let several = candidates.len() > 1;
        let mut lines = Vec::new();
        for (number, candidate) in candidates.iter().enumerate() {
            lines.push(heading(number + 1, candidate));
            self.explain_candidate(candidate, advertisement, address, &mut lines);
        }
        if several {
            lines.push("the device is taken for the first of these whose services it has".to_owned());
        }
        lines
    }

    fn explain_candidate(
        &self,
        candidate: &Candidate,
        advertisement: &Advertisement,
        address: Option<&str>,
        lines: &mut Vec<String>,
    ) {
        let entry = &candidate.protocol;
        let id = entry.id();
        match &candidate.way {
            Way::Bluetooth(services) => {
                let services: Vec<String> = services.keys().map(ToString::to_string).collect();
                let one_of = if services.len() == 1 { "the service" } else { "one of the services" };
                lines.push(format!("  it must have {one_of} {}", services.join(", ")));
            }
            Way::Serial(settings) => lines.push(format!("  at {} baud", settings.baud_rate)),
            Way::Hid(one) => {
                let parts = [
                    one.interface.map(|interface| format!("interface {interface}")),
                    one.usage_page.map(|page| format!("usage page {page:#06x}")),
                    one.usage.map(|usage| format!("usage {usage:#06x}")),
                ];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                if !parts.is_empty() {
                    lines.push(format!("  through {}", parts.join(", ")));
                }
            }
            Way::WebSocket | Way::Gamepad | Way::Simulated => {}
        }
        lines.push(match &entry.library {
            Some(library) => format!("  run by the library {library}, beside {}", entry.file),
            None if *entry.file == *candidate.file => "  run by its template".to_owned(),
            None => format!("  run by the template in {}", entry.file),
        });
        let identifier = advertisement.name().unwrap_or_default();
        // The address is compared as a whole, so the empty one is that of no device.
        match self.resolve(id, identifier, address.unwrap_or_default()) {
            Ok(resolved) => {
                let how = if self.is_listed(id, identifier) { "listed as" } else { "no model is listed as" };
                let mut line = format!("  {how} `{identifier}`: {}", resolved.name);
                if let Some(name) = &resolved.display_name {
                    // Writing to a String cannot fail.
                    write!(line, ", called {name}").unwrap_or_default();
                }
                lines.push(line);
                if !self.is_listed(id, identifier) {
                    lines.push("  (the device may say that it is another model once it is asked)".to_owned());
                }
            }
            Err(
                refusal @ (Refusal::Denied { .. } | Refusal::NotAllowed { .. } | Refusal::Quarantined { .. }),
            ) => {
                lines.push(format!("  not offered: {refusal}"));
            }
            Err(refusal @ Refusal::UnknownProtocol { .. }) => lines.push(format!("  {refusal}")),
        }
    }

    fn explain_nothing(&self, advertisement: &Advertisement) -> Vec<String> {
        let mut lines = vec!["nothing matches".to_owned()];
        match advertisement {
            Advertisement::Serial { port, .. } => lines.push(format!(
                "  a serial device is known by its USB ids or its port: add a [[model]] with [[model.serial]] and port = \"{port}\""
            )),
            Advertisement::Bluetooth { name: Some(name), .. } => {
                let wanted = name.trim().to_lowercase();
                let alike = |one: &&str| {
                    let stem = one.trim_end_matches('*').trim().to_lowercase();
                    if one.ends_with('*') { wanted.starts_with(&stem) } else { wanted == stem }
                };
                let protocols = self.protocols();
                for entry in protocols {
                    let names = entry.definition.bluetooth.iter().flat_map(|one| &one.names).map(String::as_str);
                    lines.extend(names.filter(alike).map(|close| {
                        format!("  `{close}` of {} is close: upper and lower case, and blanks at the ends, count", entry.id())
                    }));
                }
            }
            Advertisement::Bluetooth { name: None, .. }
            | Advertisement::Hid { .. }
            | Advertisement::WebSocket { .. }
            | Advertisement::Gamepad { .. }
            | Advertisement::Simulated { .. } => {}
        }
        lines
    }
}

fn heading(number: usize, candidate: &Candidate) -> String {
    let entry = &candidate.protocol;
    format!(
        "{number}. {} ({}), {} {}: {}",
        entry.id(),
        entry.definition.default.name,
        candidate.layer.name(),
        candidate.file,
        candidate.sign
    )
}
