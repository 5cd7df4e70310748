//! Devices out of recordings: a bus that shows them, and a transport that answers as the recorded device did.
//!
//! A transfer is looked for from where the last one was found, then from the beginning, so that a client that drives a device
//! otherwise than the recorded one still gets its answers. Nothing here knows a protocol.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use engine::{
    protocol::{Endpoint, WriteKind},
    recording::{Recording, Step, What},
};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::{
    Access, Discovered, Discovery, Finds, FromTransport, Opened, Opener, ScanWish, Transport, TransportEvent,
    TransportFault, TransportState, TransportStatus,
    recording::{self, RecordingError, outcome, recorded_bus},
};

/// The name of the bus.
const NAME: &str = "replay";
/// Things said by a device that may wait for the service; with more, the device waits.
const EVENT_QUEUE: usize = 64;
/// The longest pause before something that a device says: a recording is played quickly.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Reads recordings.
///
/// # Errors
/// For the first file that is none.
pub fn load(files: &[impl AsRef<Path>]) -> Result<Vec<Recording>, RecordingError> {
    files.iter().map(|file| recording::load(file.as_ref())).collect()
}

/// Shows the recorded devices whenever a client scans, until nobody listens any more.
pub async fn run(mut discovery: Discovery, recordings: Vec<Recording>) {
    let recordings: Vec<_> = recordings.into_iter().map(Arc::new).collect();
    let status = TransportStatus {
        transport: NAME,
        finds: Finds::WhenAsked,
        state: TransportState::Ready,
        reason: String::new(),
        hint: String::new(),
    };
    if discovery.tell.send(FromTransport::Status(status)).await.is_err() {
        return;
    }
    loop {
        if *discovery.wish.borrow_and_update() == ScanWish::Scan {
            for (number, recording) in (1_u32..).zip(&recordings) {
                let found = FromTransport::Discovered(discovered(number, recording));
                if discovery.tell.send(found).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            changed = discovery.wish.changed() => if changed.is_err() { return },
            () = discovery.tell.closed() => return,
        }
    }
}

fn discovered(number: u32, recording: &Arc<Recording>) -> Discovered {
    let head = &recording.head;
    let place = format!("{NAME} {number}");
    Discovered {
        // The bus that it was on: pauses between packets depend on it.
        transport: recorded_bus(head),
        advertisement: head.shown.advertisement(&place),
        address: head.address.clone().unwrap_or(place),
        opener: Box::new(ReplayOpener { recording: Arc::clone(recording) }),
    }
}

struct ReplayOpener {
    recording: Arc<Recording>,
}

#[async_trait]
impl Opener for ReplayOpener {
    fn protocol(&self) -> Option<&str> {
        Some(self.recording.head.recognised_for()).filter(|protocol| !protocol.is_empty())
    }

    async fn open(self: Box<Self>, _: &Access) -> Result<Opened, TransportFault> {
        let (tell, events) = mpsc::channel(EVENT_QUEUE);
        let mut player = Player {
            recording: self.recording,
            at: 0,
            tell,
            saying: JoinSet::new(),
            surprise: Surprise::None,
        };
        // What the device said before anything was asked of it.
        player.say_from(0);
        Ok(Opened { transport: Box::new(player), events })
    }
}

/// A recorded device that is open.
struct Player {
    recording: Arc<Recording>,
    /// Where the next transfer is looked for.
    at: usize,
    tell: mpsc::Sender<TransportEvent>,
    /// What the device is about to say.
    saying: JoinSet<()>,
    surprise: Surprise,
}

/// Whether it was said that something is not in the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Surprise {
    None,
    Said,
}

impl Player {
    /// Finds a recorded transfer, and has the device say what it said after it.
    fn find(&mut self, wanted: impl Fn(&What) -> bool) -> Option<Step> {
        let recording = Arc::clone(&self.recording);
        let steps = &recording.steps;
        let fits = |at: &usize| steps.get(*at).is_some_and(|step| wanted(&step.what));
        // What failed does not fail for ever: a stop is tried until it is taken.
        let went_well = |at: &usize| steps.get(*at).is_some_and(|step| outcome(step).is_ok());
        let found = (self.at..steps.len())
            .find(fits)
            .or_else(|| (0..self.at).find(|at| fits(at) && went_well(at)))?;
        self.at = found + 1;
        self.say_from(self.at);
        steps.get(found).cloned()
    }

    /// Says what the device said from a step on, up to the next transfer.
    fn say_from(&mut self, first: usize) {
        while self.saying.try_join_next().is_some() {}
        let steps = &self.recording.steps;
        let mut before = first.checked_sub(1).and_then(|at| steps.get(at)).map_or(0, |step| step.at_ms);
        let mut events = Vec::new();
        for step in steps.iter().skip(first).take_while(|step| !step.what.is_transfer()) {
            let pause = Duration::from_millis(step.at_ms.saturating_sub(before)).min(PAUSE_MAX);
            before = step.at_ms;
            if let Some(event) = event(&step.what) {
                events.push((pause, event));
            }
        }
        if events.is_empty() {
            return;
        }
        let tell = self.tell.clone();
        self.saying.spawn(async move {
            for (pause, event) in events {
                sleep(pause).await;
                if tell.send(event).await.is_err() {
                    return;
                }
            }
        });
    }

    fn wonder(&mut self, what: &str, endpoint: &str) {
        if self.surprise == Surprise::None {
            self.surprise = Surprise::Said;
            tracing::warn!(
                endpoint,
                "a {what} is not in the recording and is answered ok; others will not be told"
            );
        }
    }
}

fn event(what: &What) -> Option<TransportEvent> {
    match what {
        What::Notify { endpoint, hex } => {
            Some(TransportEvent::Notified { endpoint: Endpoint::from(endpoint.as_str()), data: hex.clone() })
        }
        What::Lost { reason } => Some(TransportEvent::Lost(TransportFault::Disconnected(reason.clone()))),
        What::Write { .. }
        | What::Read { .. }
        | What::Subscribe { .. }
        | What::Unsubscribe { .. }
        | What::Missed { .. } => None,
    }
}

#[async_trait]
impl Transport for Player {
    fn endpoints(&self) -> Vec<Endpoint> {
        self.recording.head.endpoints.iter().map(|name| Endpoint::from(name.as_str())).collect()
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], _: WriteKind) -> Result<(), TransportFault> {
        let step = self.find(|what| {
            matches!(what, What::Write { endpoint: known, hex, .. } if known == endpoint && hex == data)
        });
        match step {
            Some(step) => outcome(&step),
            None => {
                self.wonder("packet", endpoint);
                Ok(())
            }
        }
    }

    async fn read(&mut self, endpoint: &str, _: u32) -> Result<Vec<u8>, TransportFault> {
        let step = self.find(|what| matches!(what, What::Read { endpoint: known, .. } if known == endpoint));
        match step {
            Some(step) => {
                outcome(&step)?;
                match step.what {
                    What::Read { hex, .. } => Ok(hex),
                    other => Err(TransportFault::Refused(format!("{other:?} is no read"))),
                }
            }
            None => Err(TransportFault::Refused(format!("the recording has no read of `{endpoint}`"))),
        }
    }

    async fn subscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        let step = self.find(|what| matches!(what, What::Subscribe { endpoint: known } if known == endpoint));
        match step {
            Some(step) => outcome(&step),
            None => {
                self.wonder("subscription", endpoint);
                Ok(())
            }
        }
    }

    async fn unsubscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        let step =
            self.find(|what| matches!(what, What::Unsubscribe { endpoint: known } if known == endpoint));
        // The end of a subscription is not worth a word.
        step.map_or(Ok(()), |step| outcome(&step))
    }

    async fn close(self: Box<Self>) {}
}

#[cfg(test)]
mod tests {
    use super::{super::dongle, *};

    const TEXT: &str = r#"{"format":"buttplugd-recording","version":1,"transport":"simulated","name":"s","endpoints":["tx","rx"],"protocol":"p","model":"m"}
{"at_ms":0,"notify":{"endpoint":"rx","hex":"00"}}
{"at_ms":1,"subscribe":{"endpoint":"rx"},"result":"ok"}
{"at_ms":5,"write":{"endpoint":"tx","hex":"01","response":false},"result":"ok"}
{"at_ms":25,"notify":{"endpoint":"rx","hex":"0a"}}
{"at_ms":9025,"notify":{"endpoint":"rx","hex":"0b"}}
{"at_ms":9026,"read":{"endpoint":"rx","hex":"55"},"result":"ok"}
{"at_ms":9030,"write":{"endpoint":"tx","hex":"02","response":false},"result":"refused: no"}
{"at_ms":9040,"write":{"endpoint":"tx","hex":"03","response":false},"result":"ok"}
{"at_ms":9050,"lost":{"reason":"out of range"}}
"#;
    const KIND: WriteKind = WriteKind::WithoutResponse;

    async fn open() -> Opened {
        let recording = Arc::new(Recording::parse(TEXT).unwrap());
        Box::new(ReplayOpener { recording }).open(&Access::Simulated).await.unwrap()
    }

    fn notified(data: u8) -> Option<TransportEvent> {
        Some(TransportEvent::Notified { endpoint: Endpoint::from("rx"), data: vec![data] })
    }

    #[test]
    fn a_device_is_shown_on_the_bus_that_it_was_on_and_as_what_it_was_recognised_for() {
        let shown = |members: &str| {
            let head = r#"{"format":"buttplugd-recording","version":1,"transport":"bluetooth","endpoints":["tx"],"model":"m","#;
            let recording = Recording::parse(&format!("{head}{members}}}")).unwrap();
            let shown = discovered(1, &Arc::new(recording));
            (shown.transport, shown.opener.protocol().map(str::to_owned))
        };
        assert_eq!(shown(r#""protocol":"p""#), ("bluetooth", Some("p".into())));
        assert_eq!(
            shown(r#""protocol":"p","opened_for":"q","bus":"lovense-dongle""#),
            (dongle::NAME, Some("q".into()))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_device_answers_as_it_was_recorded() {
        let Opened { mut transport, mut events } = open().await;
        assert_eq!(events.recv().await, notified(0));
        transport.subscribe("rx").await.unwrap();
        transport.write("tx", &[1], KIND).await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(events.recv().await, notified(10));
        assert_eq!(began.elapsed(), Duration::from_millis(20));
        assert_eq!(events.recv().await, notified(11));
        assert_eq!(began.elapsed(), Duration::from_millis(20) + PAUSE_MAX);
        assert_eq!(transport.read("rx", 20).await, Ok(vec![0x55]));
        assert_eq!(transport.write("tx", &[2], KIND).await, Err(TransportFault::Refused("no".into())));
        transport.write("tx", &[3], KIND).await.unwrap();
        let lost = TransportFault::Disconnected("out of range".into());
        assert_eq!(events.recv().await, Some(TransportEvent::Lost(lost)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_said_once_is_said_again_and_what_never_was_is_taken() {
        let Opened { mut transport, mut events } = open().await;
        assert_eq!(events.recv().await, notified(0));
        for _ in 0..2 {
            transport.write("tx", &[1], KIND).await.unwrap();
            assert_eq!(events.recv().await, notified(10));
            assert_eq!(events.recv().await, notified(11));
        }
        assert_eq!(transport.write("tx", &[2], KIND).await, Err(TransportFault::Refused("no".into())));
        assert_eq!(transport.write("tx", &[2], KIND).await, Ok(()), "a failure is no wall");
        assert_eq!(transport.write("tx", &[99], KIND).await, Ok(()));
        assert!(matches!(transport.read("other", 1).await, Err(TransportFault::Refused(_))));
    }
}
