//! Recording of a device's transfers: a transport around the device's own, and the tape that it writes on.
//!
//! Every device has a tape. It keeps the bring-up, since a recording without it cannot be played; after that it takes nothing down
//! until somebody records. Where the lines go is the business of the device's task.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use engine::{
    protocol::{Endpoint, WriteKind},
    recording::{Head, Redaction, Step, What, line},
};
use tokio::time::Instant;

use super::{Transport, TransportEvent, TransportFault, recording::result};

/// Steps of a bring-up that are kept: several times as many as any protocol needs.
const BRING_UP_MAX: usize = 256;
/// Steps that may wait to be told. They are told after each thing that happens to the device, so that few ever do.
const WAITING_MAX: usize = 1024;

/// What is taken down of one device. Clones are the same tape.
#[derive(Debug, Clone)]
pub struct Tape(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    phase: Phase,
    bring_up: Vec<Step>,
    /// What was recorded and not told.
    waiting: Vec<Step>,
    /// What the device sent while a transfer was under way; it stands behind that in the file.
    behind: Vec<Step>,
    transfer: Transfer,
    /// Steps that were too many since the last one that was kept.
    missed: u64,
    redaction: Redaction,
    /// The first line, until it is told.
    head: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    BringUp,
    /// Nothing is taken down.
    Off,
    Recording,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transfer {
    None,
    Underway,
}

impl Tape {
    /// An empty tape, which begins with the bring-up.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            began: Instant::now(),
            phase: Phase::BringUp,
            bring_up: Vec::new(),
            waiting: Vec::new(),
            behind: Vec::new(),
            transfer: Transfer::None,
            missed: 0,
            redaction: Redaction::default(),
            head: None,
        })))
    }

    /// Has a transport write on this tape.
    #[must_use]
    pub fn around(&self, transport: Box<dyn Transport>) -> Box<dyn Transport> {
        Box::new(Recorded { transport, tape: self.clone() })
    }

    /// The device is ready: nothing more is taken down until somebody records.
    pub fn bring_up_ended(&self) {
        let mut inner = self.lock();
        if inner.phase == Phase::BringUp {
            inner.phase = Phase::Off;
            // Each recording has the bring-up, and what is missing in it.
            let missed = missed(std::mem::take(&mut inner.missed), inner.at_ms());
            inner.bring_up.extend(missed);
        }
    }

    /// Begins a recording, with the bring-up.
    pub fn start(&self, head: &Head, redaction: Redaction) {
        self.bring_up_ended();
        let mut inner = self.lock();
        inner.phase = Phase::Recording;
        inner.waiting = inner.bring_up.clone();
        // What the last recording has left behind.
        (inner.behind, inner.missed) = (Vec::new(), 0);
        inner.head = line(head);
        inner.redaction = redaction;
    }

    /// Ends it.
    pub fn stop(&self) {
        let mut inner = self.lock();
        inner.phase = Phase::Off;
        inner.waiting = Vec::new();
        inner.head = None;
    }

    /// Takes down what the device sent; nothing is the end of its path.
    pub fn heard(&self, event: Option<&TransportEvent>) {
        let mut inner = self.lock();
        if inner.phase == Phase::Off {
            return;
        }
        let what = match event {
            Some(TransportEvent::Notified { endpoint, data }) => {
                What::Notify { endpoint: endpoint.to_string(), hex: data.clone() }
            }
            Some(TransportEvent::Lost(fault)) => What::Lost { reason: fault.to_string() },
            None => What::Lost { reason: "the path was closed".to_owned() },
            Some(TransportEvent::Rssi(_)) => return,
        };
        let step = Step { at_ms: inner.at_ms(), what, result: None };
        match inner.transfer {
            Transfer::Underway if inner.behind.len() < WAITING_MAX => inner.behind.push(step),
            Transfer::Underway => inner.missed += 1,
            Transfer::None => inner.keep(step),
        }
    }

    /// The lines that have come since the last time.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut inner = self.lock();
        if inner.phase != Phase::Recording {
            return Vec::new();
        }
        let head = inner.head.take();
        let waiting = std::mem::take(&mut inner.waiting);
        head.into_iter().chain(waiting.iter().filter_map(|step| step.line(&inner.redaction))).collect()
    }

    /// Notes that a transfer begins; `None` when nothing is taken down.
    fn begin(&self) -> Option<Underway<'_>> {
        let mut inner = self.lock();
        if inner.phase == Phase::Off {
            return None;
        }
        inner.transfer = Transfer::Underway;
        Some(Underway { tape: self, at_ms: inner.at_ms(), given_up: None })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn at_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn keep(&mut self, step: Step) {
        let (kept, most) = match self.phase {
            Phase::BringUp => (&mut self.bring_up, BRING_UP_MAX),
            Phase::Recording => (&mut self.waiting, WAITING_MAX),
            Phase::Off => return,
        };
        if kept.len() >= most {
            self.missed += 1;
            return;
        }
        kept.extend(missed(std::mem::take(&mut self.missed), step.at_ms));
        kept.push(step);
    }
}

/// What says that steps are missing, if any are.
fn missed(steps: u64, at_ms: u64) -> Option<Step> {
    (steps > 0).then_some(Step { at_ms, what: What::Missed { steps }, result: None })
}

/// A transfer that is under way. One whose caller waits no more is taken down as such.
struct Underway<'a> {
    tape: &'a Tape,
    at_ms: u64,
    /// What it is, until its end is known.
    given_up: Option<What>,
}

impl Underway<'_> {
    fn end(&mut self, what: What, result: String) {
        self.given_up = None;
        let mut inner = self.tape.lock();
        inner.transfer = Transfer::None;
        inner.keep(Step { at_ms: self.at_ms, what, result: Some(result) });
        for step in std::mem::take(&mut inner.behind) {
            inner.keep(step);
        }
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if let Some(what) = self.given_up.take() {
            let waited = self.tape.lock().at_ms().saturating_sub(self.at_ms);
            self.end(what, result::<()>(&Err(TransportFault::TimedOut(waited))));
        }
    }
}

/// A transport that writes down what passes.
struct Recorded {
    transport: Box<dyn Transport>,
    tape: Tape,
}

#[async_trait]
impl Transport for Recorded {
    fn endpoints(&self) -> Vec<Endpoint> {
        self.transport.endpoints()
    }

    fn candidate(&self) -> usize {
        self.transport.candidate()
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], kind: WriteKind) -> Result<(), TransportFault> {
        let Some(mut underway) = self.tape.begin() else {
            return self.transport.write(endpoint, data, kind).await;
        };
        let what = What::write(endpoint, data, kind);
        underway.given_up = Some(what.clone());
        let outcome = self.transport.write(endpoint, data, kind).await;
        underway.end(what, result(&outcome));
        outcome
    }

    async fn read(&mut self, endpoint: &str, max_len: u32) -> Result<Vec<u8>, TransportFault> {
        let Some(mut underway) = self.tape.begin() else {
            return self.transport.read(endpoint, max_len).await;
        };
        underway.given_up = Some(What::Read { endpoint: endpoint.to_owned(), hex: Vec::new() });
        let outcome = self.transport.read(endpoint, max_len).await;
        let hex = outcome.clone().unwrap_or_default();
        underway.end(What::Read { endpoint: endpoint.to_owned(), hex }, result(&outcome));
        outcome
    }

    async fn subscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        let Some(mut underway) = self.tape.begin() else {
            return self.transport.subscribe(endpoint).await;
        };
        let what = What::Subscribe { endpoint: endpoint.to_owned() };
        underway.given_up = Some(what.clone());
        let outcome = self.transport.subscribe(endpoint).await;
        underway.end(what, result(&outcome));
        outcome
    }

    async fn unsubscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        let Some(mut underway) = self.tape.begin() else {
            return self.transport.unsubscribe(endpoint).await;
        };
        let what = What::Unsubscribe { endpoint: endpoint.to_owned() };
        underway.given_up = Some(what.clone());
        let outcome = self.transport.unsubscribe(endpoint).await;
        underway.end(what, result(&outcome));
        outcome
    }

    async fn close(self: Box<Self>) {
        self.transport.close().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::advertisement::Advertisement;
    use tokio::time::timeout;

    use super::*;

    /// Refuses packets that begin with 9, and never ends those that begin with 8.
    struct Dummy;

    #[async_trait]
    impl Transport for Dummy {
        fn endpoints(&self) -> Vec<Endpoint> {
            vec![Endpoint::from("tx")]
        }

        async fn write(&mut self, _: &str, data: &[u8], _: WriteKind) -> Result<(), TransportFault> {
            match data.first() {
                Some(9) => Err(TransportFault::Refused("no".into())),
                Some(8) => std::future::pending().await,
                _ => Ok(()),
            }
        }

        async fn read(&mut self, _: &str, _: u32) -> Result<Vec<u8>, TransportFault> {
            Ok(vec![85])
        }

        async fn subscribe(&mut self, _: &str) -> Result<(), TransportFault> {
            Ok(())
        }

        async fn unsubscribe(&mut self, _: &str) -> Result<(), TransportFault> {
            Ok(())
        }

        async fn close(self: Box<Self>) {}
    }

    fn head() -> Head {
        Head::new(&Advertisement::Simulated { name: "s".into() }, &Redaction::default())
    }

    fn notified() -> TransportEvent {
        TransportEvent::Notified { endpoint: Endpoint::from("rx"), data: vec![7] }
    }

    #[tokio::test(start_paused = true)]
    async fn a_recording_has_the_bring_up_and_what_comes_after_its_start_and_nothing_between() {
        let tape = Tape::new();
        let mut device = tape.around(Box::new(Dummy));
        let kind = WriteKind::WithoutResponse;
        device.subscribe("rx").await.unwrap();
        device.read("rx", 1).await.unwrap();
        tape.bring_up_ended();
        device.write("tx", &[1], kind).await.unwrap();
        tape.heard(Some(&notified()));
        assert!(tape.lines().is_empty(), "nobody records");
        tape.start(&head(), Redaction::default());
        tokio::time::advance(Duration::from_millis(20)).await;
        device.write("tx", &[9], kind).await.unwrap_err();
        tape.heard(Some(&notified()));
        tape.heard(None);
        let lines = tape.lines();
        assert!(lines[0].contains("buttplugd-recording"), "{lines:?}");
        assert_eq!(
            lines[1..],
            [
                r#"{"at_ms":0,"subscribe":{"endpoint":"rx"},"result":"ok"}"#,
                r#"{"at_ms":0,"read":{"endpoint":"rx","hex":"55"},"result":"ok"}"#,
                r#"{"at_ms":20,"write":{"endpoint":"tx","hex":"09","response":false},"result":"refused: no"}"#,
                r#"{"at_ms":20,"notify":{"endpoint":"rx","hex":"07"}}"#,
                r#"{"at_ms":20,"lost":{"reason":"the path was closed"}}"#,
            ]
        );
        assert!(tape.lines().is_empty(), "told once");
        tape.stop();
        device.write("tx", &[1], kind).await.unwrap();
        assert!(tape.lines().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_heard_amid_a_transfer_stands_behind_it_and_one_that_is_given_up_is_there() {
        let tape = Tape::new();
        tape.start(&head(), Redaction::default());
        let mut device = tape.around(Box::new(Dummy));
        let write = device.write("tx", &[8], WriteKind::WithResponse);
        let hearing = async {
            tape.heard(Some(&notified()));
            std::future::pending::<()>().await;
        };
        let both = async {
            tokio::select! { biased; result = write => result, () = hearing => Ok(()) }
        };
        assert!(timeout(Duration::from_millis(30), both).await.is_err());
        let lines = tape.lines();
        assert!(lines[1].contains("write") && lines[1].contains("timed-out: 30"), "{lines:?}");
        assert!(lines[2].contains("notify"), "{lines:?}");
    }

    #[tokio::test]
    async fn a_tape_has_an_end_and_says_what_is_missing() {
        let tape = Tape::new();
        tape.start(&head(), Redaction::default());
        for _ in 0..WAITING_MAX + 5 {
            tape.heard(Some(&notified()));
        }
        assert_eq!(tape.lines().len(), WAITING_MAX + 1);
        tape.heard(Some(&notified()));
        assert!(tape.lines()[0].contains(r#""missed":{"steps":5}"#));
    }

    #[tokio::test]
    async fn a_recording_says_what_is_missing_in_itself_and_in_the_bring_up_and_not_in_the_one_before() {
        let tape = Tape::new();
        for _ in 0..BRING_UP_MAX + 3 {
            tape.heard(Some(&notified()));
        }
        tape.bring_up_ended();
        let missed = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|line| line.contains("missed")).cloned().collect()
        };
        for _ in 0..2 {
            tape.start(&head(), Redaction::default());
            let lines = tape.lines();
            assert!(lines[BRING_UP_MAX + 1].contains(r#""missed":{"steps":3}"#), "{:?}", missed(&lines));
            for _ in 0..WAITING_MAX + 5 {
                tape.heard(Some(&notified()));
            }
            assert!(missed(&tape.lines()).is_empty());
            tape.stop();
        }
        tape.start(&head(), Redaction::default());
        assert_eq!(tape.lines().len(), 1 + BRING_UP_MAX + 1);
        tape.heard(Some(&notified()));
        assert!(missed(&tape.lines()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_amid_a_transfer_of_one_recording_is_not_in_the_next() {
        let tape = Tape::new();
        tape.start(&head(), Redaction::default());
        let mut device = tape.around(Box::new(Dummy));
        let write = device.write("tx", &[8], WriteKind::WithResponse);
        let recordings = async {
            tape.heard(Some(&notified()));
            tape.stop();
            tape.start(&head(), Redaction::default());
            std::future::pending::<()>().await;
        };
        let both = async {
            tokio::select! { biased; result = write => result, () = recordings => Ok(()) }
        };
        assert!(timeout(Duration::from_millis(30), both).await.is_err());
        let lines = tape.lines();
        assert!(lines[1].contains("write") && lines.len() == 2, "{lines:?}");
    }
}
