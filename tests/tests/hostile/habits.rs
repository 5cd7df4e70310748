//! Those who do it too often, too slowly, or half.

use super::*;

#[tokio::test]
async fn a_thousand_messages_in_one_frame_are_answered_one_by_one() {
    let mut stage = Stage::set().await;
    for door in BOTH {
        let mut peer = stage.peer(door).await;
        peer.open("busy").await.unwrap();
        let messages: Vec<Value> = (1..=1_000).map(|id| json!({ "Ping": { "Id": id } })).collect();
        peer.send_batch(&Value::Array(messages)).await.unwrap();
        let mut refused = 0;
        for id in 1..=1_000 {
            let reply = peer.reply(id).await.unwrap();
            refused += u32::from(reply.get("Error").is_some());
        }
        assert_eq!(refused, 1_000 - 256, "what is over the limit is refused, and said to be");
        peer.request("Ping", json!({})).await.unwrap();
    }
    stage.others_noticed_nothing("a thousand messages").await;
    stage.beside.end().await;
}

#[tokio::test]
async fn a_stop_behind_a_thousand_messages_in_one_frame_is_not_refused() {
    let mut stage = Stage::set().await;
    let mut peer = stage.peer(Door::Socket).await;
    peer.open("busy").await.unwrap();
    let mut messages: Vec<Value> =
        (1..=1_000).map(|id| json!({ "RequestDeviceList": { "Id": id } })).collect();
    messages.push(json!({ "StopCmd": { "Id": 1_001 } }));
    peer.send_batch(&Value::Array(messages)).await.unwrap();
    let reply = peer.reply(1_001).await.unwrap();
    assert!(reply.get("Ok").is_some(), "{reply}");
    stage.others_noticed_nothing("a stop behind a thousand messages").await;
    stage.beside.end().await;
}

#[tokio::test]
async fn every_one_of_many_requests_with_one_id_is_answered() {
    let stage = Stage::set().await;
    for door in BOTH {
        let mut peer = stage.peer(door).await;
        peer.open("double").await.unwrap();
        let one = json!({ "RequestDeviceList": { "Id": 7 } });
        peer.send_batch(&json!([one, one, { "Ping": { "Id": 7 } }])).await.unwrap();
        for _ in 0..3 {
            let reply = peer.reply(7).await.unwrap();
            assert!(reply.get("Error").is_none(), "{reply}");
        }
    }
    stage.beside.end().await;
}

#[tokio::test]
async fn floods_of_pings_are_answered_and_keep_nobody_waiting() {
    let mut stage = Stage::set().await;
    for door in BOTH {
        let mut peer = stage.peer(door).await;
        peer.open("eager").await.unwrap();
        for _ in 0..20 {
            let mut last = 0;
            for _ in 0..200 {
                last = peer.send("Ping", json!({})).await.unwrap();
            }
            peer.reply(last).await.unwrap();
        }
        stage.others_noticed_nothing("a flood of pings").await;
    }
    let mut stream = stage.upgraded().await;
    stream.write_all(&websocket_frame(TEXT, hello(1, 4).to_string().as_bytes())).await.unwrap();
    let pings = websocket_frame(PING, b"there?").repeat(10_000);
    let last = websocket_frame(BINARY, b"[{\"Ping\":{\"Id\":4242}}]");
    let mut heard = Vec::new();
    let (mut read, mut write) = stream.split();
    let sent = async { write.write_all(&[pings, last].concat()).await.unwrap() };
    let answered = async {
        while !holds(&heard[heard.len().saturating_sub(8_192)..], "{\"Ok\":{\"Id\":4242}}") {
            assert_ne!(timeout(PATIENCE, read.read_buf(&mut heard)).await.unwrap().unwrap(), 0, "closed");
        }
    };
    tokio::join!(sent, answered);
    stage.others_noticed_nothing("a flood of pings of WebSocket").await;
    stage.beside.end().await;
}

#[tokio::test]
async fn a_writer_that_trickles_is_served_after_its_handshake_and_let_go_before() {
    let mut stage = Stage::set().await;
    let greeting = rmp_serde::to_vec_named(&hello(1, 4)).unwrap();

    // One byte at a time, at the speed of the machine: slow for the service, which sees each of them alone.
    let mut slow = stage.socket().await;
    for byte in socket_frame(&greeting) {
        slow.write_all(&[byte]).await.unwrap();
    }
    let mut heard = Vec::new();
    while !holds(&heard, "ServerInfo") {
        assert_ne!(timeout(PATIENCE, slow.read_buf(&mut heard)).await.unwrap().unwrap(), 0, "closed");
    }

    // So slowly that the handshake is never done in time. Each byte is progress, and none of them buys time.
    let mut trickles = stage.socket().await;
    let mut request = b"GET / HTTP/1.1\r\nX-Long: ".iter().chain(std::iter::repeat(&b'x'));
    let begin = Instant::now();
    loop {
        let byte = request.next().unwrap();
        let written = trickles.write_all(&[*byte]).await.is_ok();
        let mut buffer = [0; 64];
        let heard = timeout(Duration::from_millis(20), trickles.read(&mut buffer)).await;
        if !written || matches!(heard, Ok(Ok(0) | Err(_))) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "it is let trickle for ever");
    }
    stage.others_noticed_nothing("a writer that trickles").await;
    stage.beside.end().await;
}

#[tokio::test]
async fn a_reader_that_stops_is_closed_and_the_log_says_so() {
    let mut stage = Stage::set().await;
    for (times, door) in (1..).zip(BOTH) {
        let mut deaf = stage.peer(door).await;
        deaf.open("deaf").await.unwrap();
        let flood = async { while deaf.send("RequestDeviceList", json!({})).await.is_ok() {} };
        timeout(PATIENCE, flood).await.expect("it is closed");
        let said = async {
            while stage.service.log().matches("does not read").count() < times {
                stage.beside.round_trips("a reader that stops").await;
            }
        };
        timeout(PATIENCE, said).await.expect("the log says why");
        stage.others_noticed_nothing("a reader that stops").await;
    }
    stage.beside.end().await;
}

#[tokio::test]
async fn those_who_go_amid_a_write_leave_nothing_behind() {
    let mut stage = Stage::set().await;
    let list = json!([{ "RequestDeviceList": { "Id": 5 } }]);
    for _ in 0..50 {
        for door in BOTH {
            // With an answer on its way that nobody takes.
            let mut peer = stage.peer(door).await;
            peer.open("hasty").await.unwrap();
            peer.send_batch(&list).await.unwrap();
        }
        // In the middle of a frame, of a message and of a handshake.
        let mut stream = stage.socket().await;
        stream.write_all(&[100, 0, 0, 0, 0x91, 0x81]).await.unwrap();
        let mut stream = stage.upgraded().await;
        stream.write_all(&websocket_frame(TEXT_TO_BE_CONTINUED, b"[{\"RequestServer")).await.unwrap();
        let mut stream = stage.tcp().await;
        stream.write_all(b"GET / HT").await.unwrap();
    }
    stage.others_noticed_nothing("going amid a write").await;
    nobody_is_left(&mut stage).await;
    stage.beside.end().await;
}

#[tokio::test]
async fn five_hundred_that_come_and_go_leave_nothing_behind() {
    let mut stage = Stage::set().await;
    for round in 0..500 {
        match round % 5 {
            0 => drop(stage.tcp().await),
            1 => drop(stage.socket().await),
            2 => drop(stage.upgraded().await),
            3 => drop(stage.peer(Door::Socket).await.open("hasty").await.unwrap()),
            _ => stage.socket().await.write_all(&[0x30, 0, 0, 0, 0x91]).await.unwrap(),
        }
        if round % 50 == 0 {
            stage.others_noticed_nothing("coming and going").await;
        }
    }
    nobody_is_left(&mut stage).await;
    stage.beside.end().await;
}
