//! The promises of the service, and how everything is let come to rest.

use super::*;

impl World {
    /// What holds at every moment.
    pub(crate) fn check(&self) {
        let wanted = self.clients.values().any(|client| !client.over && client.wants_scan);
        assert_eq!(self.wish == ScanWish::Scan, wanted, "the wish to scan");
        for state in self.router.outputs() {
            if let Some(owner) = state.owner {
                assert!(!self.clients[&owner].over, "an output of a dead session: {state:?}");
            }
        }
        let listed: Vec<_> = self.router.devices().keys().copied().collect();
        let ready: Vec<_> =
            self.machines.iter().filter(|(_, machine)| machine.ready).map(|(index, _)| *index).collect();
        assert_eq!(listed, ready, "the list of devices");
    }

    /// Lets everything that is under way come to its end, with hardware that works.
    pub(crate) fn settle(&mut self) {
        for _ in 0..500 {
            for index in self.machines.keys().copied().collect::<Vec<_>>() {
                self.finish(index, Ok(()), true);
            }
            // Too short for a ping to be missed while everyone pings.
            for place in 0..self.clients.len() {
                if self.who(place).is_some_and(|id| self.clients[&id].greeted) {
                    self.run(Op::Ping(place));
                }
            }
            self.pass(self.now + Duration::from_millis(20));
            // A device without a deadline has nothing left to try.
            let busy = |machine: &Machine| machine.transfer.is_some() || machine.device.deadline().is_some();
            let busy = self.machines.values().any(busy);
            let missing = self.clients.values().any(|client| !client.over && !client.missing.is_empty());
            if !busy && !missing {
                break;
            }
        }
        for (id, client) in self.clients.iter().filter(|(_, client)| !client.over) {
            assert!(client.missing.is_empty(), "session {id} has no reply to {:?}", client.missing);
        }
        assert!(self.outside.is_empty(), "a stop without a session was not answered");
        for (index, machine) in &self.machines {
            for ((feature, kind), value) in &machine.hardware {
                let whose = |id: &SessionId, client: &Client| !client.over && value_of(*id) == *value;
                let lives = self.clients.iter().any(|(id, client)| whose(id, client));
                assert!(
                    kind.is_position() || *value == 0 || lives,
                    "feature {feature} of device {index} runs at {value} for a session that has ended"
                );
            }
        }
    }
}
