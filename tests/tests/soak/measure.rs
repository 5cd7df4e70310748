//! What must not grow.

use std::{collections::HashMap, fs};

use system_tests::{bus::Bus, service::Service};
use zbus::OwnedVariant;

/// Memory that may come on top, in KiB. A leak of 64 bytes a cycle is more than that in a full soak, one of 30 KiB in a short one.
const GROWTH_MAX_KIB: u64 = 6 * 1024;
/// What there may be at one measurement and not at the other, of a client or a link that is just going. A leak is hundreds.
const FILES_BESIDE: usize = 4;
const THREADS_BESIDE: u64 = 1;
const RULES_BESIDE: u32 = 2;

/// What the service has at one time.
#[derive(Debug)]
pub(crate) struct Measure {
    files: usize,
    threads: u64,
    memory_kib: u64,
    /// On each bus. Absent where a bus does not count them.
    match_rules: Vec<Option<u32>>,
}

impl Measure {
    /// Of a service that is on these buses.
    pub(crate) async fn of(service: &Service, buses: &[&Bus]) -> Self {
        let pid = service.pid().unwrap().as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        let mut rules = Vec::new();
        for bus in buses {
            rules.push(match_rules(bus, pid.get().unsigned_abs()).await);
        }
        Self {
            files: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
            threads: field("Threads:"),
            memory_kib: field("VmRSS:"),
            match_rules: rules,
        }
    }

    /// Fails if this is more than there was before.
    pub(crate) fn assert_no_more_than(&self, before: &Self) {
        let became = format!("{before:?} became {self:?}");
        assert!(self.files <= before.files + FILES_BESIDE, "{became}");
        assert!(self.threads <= before.threads + THREADS_BESIDE, "{became}");
        for (now, before) in self.match_rules.iter().zip(&before.match_rules) {
            assert!(*now <= before.map(|rules| rules + RULES_BESIDE), "{became}");
        }
        assert!(self.memory_kib <= before.memory_kib + GROWTH_MAX_KIB, "{became}");
        eprintln!("{became}");
    }
}

/// The match rules of all connections of a process, as the bus counts them.
async fn match_rules(bus: &Bus, pid: u32) -> Option<u32> {
    const NAME: &str = "org.freedesktop.DBus";
    let connection = bus.connect().await.unwrap();
    let proxy = zbus::fdo::DBusProxy::new(&connection).await.unwrap();
    let mut sum = 0;
    for name in proxy.list_names().await.unwrap() {
        if !name.starts_with(':')
            || proxy.get_connection_unix_process_id(name.clone().into()).await != Ok(pid)
        {
            continue;
        }
        let interface = "org.freedesktop.DBus.Debug.Stats";
        let path = "/org/freedesktop/DBus";
        let reply = connection
            .call_method(Some(NAME), path, Some(interface), "GetConnectionStats", &name.as_str())
            .await
            .ok()?;
        let stats: HashMap<String, OwnedVariant> = reply.body().deserialize().unwrap();
        sum += u32::try_from(stats.get("MatchRules")?).unwrap();
    }
    Some(sum)
}
