//! The real program against a fake service on a real socket: what it sends, what it prints, how it exits. The real service is tried
//! in the whole-system tests.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};

use ipc_schema::codec::{self, Encoding};
use ipc_schema::frame::{self, FrameDecoder};
use ipc_schema::v4::{self, ClientMessage, OutputType, Plain, ServerMessage};

/// A folder of this test alone, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("buttplugctl-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {error}", self.0.display());
        }
    }
}

fn ctl(socket: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_buttplugctl"))
        .arg("--socket")
        .arg(socket)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Serves one session: answers the handshake and questions for devices, hands all else to `answer`, and gives what was asked.
fn serve(
    socket: &Path,
    mut answer: impl FnMut(&ClientMessage) -> Vec<ServerMessage> + Send + 'static,
) -> JoinHandle<Vec<ClientMessage>> {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut frames = FrameDecoder::new(frame::DEFAULT_LIMIT);
        let mut asked = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) | Err(_) => return asked,
                Ok(length) => frames.push(&bytes[..length]),
            }
            while let Some(payload) = frames.next_frame().unwrap() {
                for message in codec::decode(payload, Encoding::MessagePack) {
                    let message = message.unwrap().request().unwrap();
                    let answers = match &message {
                        ClientMessage::RequestServerInfo(request) => vec![welcome(request)],
                        ClientMessage::RequestDeviceList(Plain { id }) => vec![devices(*id)],
                        other => {
                            let answers = answer(other);
                            asked.push(message);
                            answers
                        }
                    };
                    answers.iter().for_each(|answer| say(&mut stream, answer));
                }
            }
        }
    })
}

fn say(stream: &mut UnixStream, message: &ServerMessage) {
    let bytes = codec::encode_frame(std::slice::from_ref(message), frame::DEFAULT_LIMIT).unwrap();
    // The program may have all it wanted, and be gone.
    if let Err(error) = stream.write_all(&bytes) {
        eprintln!("{error}");
    }
}

fn welcome(request: &v4::RequestServerInfo) -> ServerMessage {
    ServerMessage::ServerInfo(v4::ServerInfo {
        id: request.id,
        server_name: "fake".into(),
        protocol_version_major: 4,
        protocol_version_minor: 0,
        max_ping_time: 0,
        extensions: request.extensions.clone(),
    })
}

/// Device 3 with two vibrators of 20 steps, and device 5, a stroker with positions and movements.
fn devices(id: u32) -> ServerMessage {
    let limits = |value, duration| v4::OutputProperties { value, duration };
    let feature = |index, outputs: &[(OutputType, v4::OutputProperties)]| {
        let feature = v4::Feature {
            feature_index: index,
            feature_description: String::new(),
            output: Some(outputs.iter().cloned().collect()),
            input: None,
        };
        (index, feature)
    };
    let vibrator = [(OutputType::Vibrate, limits([0, 20], None))];
    let device = v4::Device {
        device_index: 3,
        device_name: "Sample Vibrator".into(),
        device_display_name: None,
        device_message_timing_gap: 100,
        device_features: BTreeMap::from([feature(0, &vibrator), feature(1, &vibrator)]),
    };
    let slide = [
        (OutputType::Position, limits([0, 100], None)),
        (OutputType::HwPositionWithDuration, limits([0, 100], Some([0, 10_000]))),
    ];
    let stroker = v4::Device {
        device_index: 5,
        device_name: "Sample Stroker".into(),
        device_features: BTreeMap::from([feature(0, &slide)]),
        ..device.clone()
    };
    ServerMessage::DeviceList(v4::DeviceList { id, devices: BTreeMap::from([(3, device), (5, stroker)]) })
}

fn ok_to_all(message: &ClientMessage) -> Vec<ServerMessage> {
    let id = match message {
        ClientMessage::StopCmd(body) => body.id,
        ClientMessage::OutputCmd(body) => body.id,
        ClientMessage::SubscribeOutputs(body)
        | ClientMessage::StartScanning(body)
        | ClientMessage::StopScanning(body) => body.id,
        other => panic!("{other:?} was not expected"),
    };
    vec![ServerMessage::Ok(Plain { id })]
}

#[test]
fn without_a_service_the_status_is_3_and_the_text_says_how_to_start_it() {
    let folder = Folder::new("none");
    let output = ctl(&folder.socket(), &["stop"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("systemctl --user start buttplugd"), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn stop_stops_everything() {
    let folder = Folder::new("stop");
    let service = serve(&folder.socket(), ok_to_all);
    let output = ctl(&folder.socket(), &["stop"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "everything is stopped\n");
    match service.join().unwrap().as_slice() {
        [ClientMessage::StopCmd(stop)] => assert_eq!((stop.device_index, stop.outputs), (None, true)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_is_one_line_or_json_and_status_1() {
    let refuse = |message: &ClientMessage| {
        let ClientMessage::StopCmd(stop) = message else { panic!("{message:?}") };
        vec![ServerMessage::Error(v4::Error {
            id: stop.id,
            error_message: "device 3 did not take it".into(),
            error_code: 4,
            error_reason: Some("write-failed".into()),
        })]
    };
    let folder = Folder::new("refusal");
    let service = serve(&folder.socket(), refuse);
    let output = ctl(&folder.socket(), &["stop", "vibrator"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("buttplugctl: device 3 did not take it\n"), "{output:?}");
    service.join().unwrap();

    std::fs::remove_file(folder.socket()).unwrap();
    let service = serve(&folder.socket(), refuse);
    let output = ctl(&folder.socket(), &["--json", "stop", "3"]);
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["Error"]["Class"], "Device");
    assert_eq!(error["Error"]["Reason"], "write-failed");
    service.join().unwrap();
}

#[test]
fn devices_are_listed_for_people_and_for_scripts() {
    let folder = Folder::new("list");
    let service = serve(&folder.socket(), ok_to_all);
    let output = ctl(&folder.socket(), &["list"]);
    assert_eq!(
        text(&output.stdout),
        "  3  Sample Vibrator: 2x Vibrate\n  5  Sample Stroker: Position, HwPositionWithDuration\n"
    );
    service.join().unwrap();

    std::fs::remove_file(folder.socket()).unwrap();
    let service = serve(&folder.socket(), ok_to_all);
    let output = ctl(&folder.socket(), &["list", "--json"]);
    let list: Vec<v4::Device> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list[0].device_index, 3);
    service.join().unwrap();
}

#[test]
fn output_sets_all_vibrators_holds_and_stops_them() {
    let folder = Folder::new("output");
    let service = serve(&folder.socket(), ok_to_all);
    let output = ctl(&folder.socket(), &["output", "3", "50%", "--for", "10ms"]);
    assert!(output.status.success(), "{output:?}");
    let asked = service.join().unwrap();
    let value = v4::OutputCommand::Vibrate(v4::OutputValue { value: 10 });
    match asked.as_slice() {
        [
            ClientMessage::OutputCmd(first),
            ClientMessage::OutputCmd(second),
            ClientMessage::StopCmd(_),
            ClientMessage::StopCmd(_),
        ] => {
            assert_eq!((first.feature_index, first.command), (0, value));
            assert_eq!((second.feature_index, second.command), (1, value));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_time_for_the_movement_means_the_output_that_takes_one() {
    let folder = Folder::new("move");
    let service = serve(&folder.socket(), ok_to_all);
    let output = ctl(&folder.socket(), &["output", "stroker", "80%", "--within", "10ms"]);
    assert!(output.status.success(), "{output:?}");
    match service.join().unwrap().as_slice() {
        [ClientMessage::OutputCmd(command), ClientMessage::StopCmd(_)] => assert_eq!(
            command.command,
            v4::OutputCommand::HwPositionWithDuration(v4::TimedValue { value: 80, duration: 10 })
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_does_not_exist_is_refused_and_nothing_is_sent() {
    let folder = Folder::new("usage");
    for (arguments, status) in [
        (["output", "4", "50%"].as_slice(), 1),
        (&["output", "3", "50%", "--kind", "rotate"], 1),
        (&["read", "3"], 1),
        (&["output", "3", "50%", "--within", "1s"], 1),
        (&["output", "3", "50%", "--kind", "vibrate", "--within", "1s"], 2),
    ] {
        let service = serve(&folder.socket(), ok_to_all);
        let output = ctl(&folder.socket(), arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {output:?}");
        assert_eq!(service.join().unwrap(), [], "{arguments:?}");
        std::fs::remove_file(folder.socket()).unwrap();
    }
    let service = serve(&folder.socket(), ok_to_all);
    let output = ctl(&folder.socket(), &["output", "3", "21"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("21 is outside the range 0 to 20"), "{output:?}");
    assert_eq!(service.join().unwrap(), []);
}

#[test]
fn what_the_service_s_program_refuses_is_told_by_this_one() {
    let folder = Folder::new("refused");
    let own = folder.0.join("buttplugctl");
    let text_of_other = folder.0.join("text");
    std::fs::write(
        &text_of_other,
        "#!/bin/sh\necho 'buttplugd: no known device is called `7`' >&2\nexit 1\n",
    )
    .unwrap();
    // By a program of their own: what this process has written may be open in a child of another test, and is then not run.
    for (from, to) in
        [(Path::new(env!("CARGO_BIN_EXE_buttplugctl")), &own), (&*text_of_other, &folder.0.join("buttplugd"))]
    {
        assert!(Command::new("install").args(["-m", "755"]).arg(from).arg(to).status().unwrap().success());
    }
    let output = Command::new(own).args(["config", "deny", "7"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "buttplugctl: no known device is called `7`\n");
}

#[test]
fn watch_prints_lines_where_there_is_no_terminal_and_ends_with_the_service() {
    let state = |confirmed| v4::OutputState {
        device_index: 3,
        feature_index: 1,
        output: OutputType::Vibrate,
        wanted: Some(confirmed),
        confirmed: Some(confirmed),
        session_id: Some(12),
    };
    let folder = Folder::new("watch");
    let listener = UnixListener::bind(folder.socket()).unwrap();
    let service = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut frames = FrameDecoder::new(frame::DEFAULT_LIMIT);
        let mut bytes = [0; 4096];
        loop {
            let length = stream.read(&mut bytes).unwrap();
            frames.push(&bytes[..length]);
            while let Some(payload) = frames.next_frame().unwrap() {
                match codec::decode(payload, Encoding::MessagePack).remove(0).unwrap().request().unwrap() {
                    ClientMessage::RequestServerInfo(request) => say(&mut stream, &welcome(&request)),
                    ClientMessage::RequestDeviceList(Plain { id }) => say(&mut stream, &devices(id)),
                    ClientMessage::SubscribeOutputs(Plain { id }) => {
                        say(&mut stream, &ServerMessage::Ok(Plain { id }));
                    }
                    ClientMessage::RequestOutputs(Plain { id }) => {
                        say(
                            &mut stream,
                            &ServerMessage::Outputs(v4::Outputs { id, outputs: vec![state(0)] }),
                        );
                        let changed = v4::Outputs { id: 0, outputs: vec![state(7)] };
                        say(&mut stream, &ServerMessage::OutputsChanged(changed));
                        return;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    let output = ctl(&folder.socket(), &["watch"]);
    service.join().unwrap();
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(
        lines[..2],
        ["3 Sample Vibrator: feature 1 Vibrate 0/20", "3 Sample Vibrator: feature 1 Vibrate 7/20"]
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("the service has gone away"), "{output:?}");
}

#[test]
fn there_is_a_manual_page_for_the_command_and_each_subcommand() {
    let folder = Folder::new("manual");
    let pages = folder.0.join("man1");
    std::fs::create_dir(&pages).unwrap();
    let output = ctl(&folder.socket(), &["manual", pages.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("buttplugctl.1").contains("buttplugctl\\-output(1)"));
    assert!(page("buttplugctl-output.1").contains("\\-\\-within"));
}

#[test]
fn completions_and_help_need_no_service() {
    let folder = Folder::new("help");
    for arguments in [["completions", "bash"].as_slice(), &["--help"], &["help", "output"]] {
        let output = ctl(&folder.socket(), arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(text(&output.stdout).contains("buttplugctl"), "{arguments:?}");
    }
}
