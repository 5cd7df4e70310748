//! Who wants devices to be looked for, and whether any bus can look. The first wish starts a scan, the last one ends it.

use std::collections::{BTreeMap, BTreeSet};

use ipc_schema::error::Reason;

use crate::{
    fault::Fault,
    monitor::{Finds, ScanWish, TransportState, TransportStatus},
    vocabulary::SessionId,
};

/// The wishes, and the buses.
#[derive(Debug, Default)]
pub(super) struct Scan {
    wishes: BTreeSet<SessionId>,
    transports: BTreeMap<&'static str, TransportStatus>,
    /// The buses that have nothing more to find in the scan that is running.
    ended: BTreeSet<&'static str>,
}

impl Scan {
    /// What the buses are to do.
    pub(super) fn wish(&self) -> ScanWish {
        if self.wishes.is_empty() { ScanWish::Rest } else { ScanWish::Scan }
    }

    /// Whether this session wants a scan.
    pub(super) fn wish_of(&self, session: SessionId) -> ScanWish {
        if self.wishes.contains(&session) { ScanWish::Scan } else { ScanWish::Rest }
    }

    pub(super) fn transports(&self) -> impl Iterator<Item = &TransportStatus> {
        self.transports.values()
    }

    /// A session wants a scan.
    ///
    /// # Errors
    /// No bus can look; with what each of them says about it.
    pub(super) fn start(&mut self, session: SessionId) -> Result<(), Fault> {
        if !self.is_served() {
            return Err(self.unavailable());
        }
        if self.wishes.is_empty() {
            self.ended.clear();
        }
        self.wishes.insert(session);
        Ok(())
    }

    /// A session no longer wants it; whether it did before.
    pub(super) fn stop(&mut self, session: SessionId) -> bool {
        self.wishes.remove(&session)
    }

    /// A bus has nothing more to find. Gives the sessions whose wish ends with the scan.
    pub(super) fn ended(&mut self, transport: &'static str) -> BTreeSet<SessionId> {
        if !self.wishes.is_empty() {
            self.ended.insert(transport);
        }
        self.end_if_over()
    }

    /// A bus is doing otherwise. Gives the sessions whose wish ends with the scan.
    pub(super) fn status(&mut self, status: TransportStatus) -> BTreeSet<SessionId> {
        self.ended.remove(status.transport);
        self.transports.insert(status.transport, status);
        self.end_if_over()
    }

    fn end_if_over(&mut self) -> BTreeSet<SessionId> {
        let is_over = !self.is_served() || self.all_ended();
        if is_over { std::mem::take(&mut self.wishes) } else { BTreeSet::new() }
    }

    /// Whether every bus that scans and can has nothing more to find.
    fn all_ended(&self) -> bool {
        let mut ready = self.searching().filter(|status| status.state == TransportState::Ready).peekable();
        ready.peek().is_some() && ready.all(|status| self.ended.contains(status.transport))
    }

    /// Whether a scan makes sense. Where a bus that would scan is broken, a bus that finds its devices by itself is no answer to
    /// whoever asks for a scan: it would go on without an end and find nothing.
    fn is_served(&self) -> bool {
        if self.searching().any(|status| status.state == TransportState::Ready) {
            return true;
        }
        self.searching().all(|status| status.state == TransportState::Off)
            && self.transports.values().any(|status| status.state == TransportState::Ready)
    }

    fn searching(&self) -> impl Iterator<Item = &TransportStatus> {
        self.transports.values().filter(|status| status.finds == Finds::WhenAsked)
    }

    fn unavailable(&self) -> Fault {
        if self.transports.is_empty() {
            return Fault::new(
                Reason::NoTransport,
                "the service runs without any bus that could find a device",
            );
        }
        let mut text = String::from("no bus can find a device");
        let mended = self.transports.values().filter(|status| status.state != TransportState::Ready);
        for (position, status) in mended.enumerate() {
            let state = match status.state {
                TransportState::Ready => "ready",
                TransportState::Off => "off",
                TransportState::Unavailable => "unavailable",
            };
            text.push_str(if position == 0 { ": " } else { "; " });
            text.push_str(status.transport);
            text.push_str(" is ");
            text.push_str(state);
            for detail in [&status.reason, &status.hint] {
                if !detail.is_empty() {
                    text.push_str(", ");
                    text.push_str(detail);
                }
            }
        }
        Fault::new(Reason::TransportUnavailable, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: SessionId = SessionId(1);
    const BOB: SessionId = SessionId(2);

    fn status(transport: &'static str, state: TransportState) -> TransportStatus {
        let finds = if transport == "serial" { Finds::Unasked } else { Finds::WhenAsked };
        TransportStatus { transport, finds, state, reason: String::new(), hint: String::new() }
    }

    #[test]
    fn a_bus_that_finds_its_devices_by_itself_is_no_answer_to_a_scan_that_another_cannot_serve() {
        let mut scan = Scan::default();
        scan.status(status("serial", TransportState::Ready));
        assert_eq!(scan.start(ANN), Ok(()), "there is no other");
        assert_eq!(scan.status(status("bluetooth", TransportState::Unavailable)), BTreeSet::from([ANN]));
        let fault = scan.start(ANN).unwrap_err();
        assert_eq!(fault.text, "no bus can find a device: bluetooth is unavailable");
        assert_eq!(scan.status(status("bluetooth", TransportState::Off)), BTreeSet::new());
        assert_eq!(scan.start(ANN), Ok(()), "the user does not want the other");
        assert_eq!(scan.status(status("bluetooth", TransportState::Ready)), BTreeSet::new());
        assert_eq!(scan.ended("bluetooth"), BTreeSet::from([ANN]));
    }

    #[test]
    fn a_scan_runs_while_anyone_wants_it() {
        let mut scan = Scan::default();
        scan.status(status("bluetooth", TransportState::Ready));
        assert_eq!(scan.start(ANN), Ok(()));
        assert_eq!(scan.start(BOB), Ok(()));
        assert!(scan.stop(ANN));
        assert!(!scan.stop(ANN));
        assert_eq!(scan.wish(), ScanWish::Scan);
        assert!(scan.stop(BOB));
        assert_eq!(scan.wish(), ScanWish::Rest);
    }

    #[test]
    fn a_scan_is_over_when_every_ready_bus_has_nothing_more_to_find() {
        let mut scan = Scan::default();
        for name in ["bluetooth", "simulated"] {
            scan.status(status(name, TransportState::Ready));
        }
        scan.status(status("hid", TransportState::Off));
        assert_eq!(scan.start(ANN), Ok(()));
        assert_eq!(scan.ended("simulated"), BTreeSet::new());
        assert_eq!(scan.ended("bluetooth"), BTreeSet::from([ANN]));
        assert_eq!(scan.wish(), ScanWish::Rest);
        assert_eq!(scan.start(BOB), Ok(()), "and can be started again");
        assert_eq!(scan.ended("simulated"), BTreeSet::new());
    }

    #[test]
    fn a_scan_is_over_when_the_last_bus_is_switched_off() {
        let mut scan = Scan::default();
        scan.status(status("bluetooth", TransportState::Ready));
        assert_eq!(scan.start(ANN), Ok(()));
        assert_eq!(scan.status(status("bluetooth", TransportState::Off)), BTreeSet::from([ANN]));
    }

    #[test]
    fn a_scan_that_no_bus_can_serve_says_why() {
        let mut scan = Scan::default();
        assert_eq!(scan.start(ANN).unwrap_err().reason, Reason::NoTransport);
        scan.status(TransportStatus {
            transport: "bluetooth",
            finds: Finds::WhenAsked,
            state: TransportState::Unavailable,
            reason: "no adapter".into(),
            hint: "plug one in".into(),
        });
        let fault = scan.start(ANN).unwrap_err();
        assert_eq!(fault.reason, Reason::TransportUnavailable);
        assert_eq!(fault.text, "no bus can find a device: bluetooth is unavailable, no adapter, plug one in");
        assert_eq!(scan.wish(), ScanWish::Rest);
    }
}
