//! Goodbyes: codes, reasons, both at once, in the middle of something, and none at all.

use std::time::Duration;

use netcomm_core::{ErrorKind, Result};
use netcomm_tests::{Fault, Way};
use netcomm_ws::{CloseCode, Closer, Kind, Message, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::pair::{QUIET, Setup, frame, read_frame};

async fn to_the_end(socket: &mut Socket) -> Vec<Message> {
    let mut seen = Vec::new();
    while let Some(message) = socket.recv().await.expect("no error") {
        seen.push(message);
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn codes_and_reasons_go_both_ways() -> Result<()> {
    for code in [1000, 1001, 1003, 1011, 1014, 3000, 4999].map(CloseCode::new) {
        for client_closes in [true, false] {
            let (client, server, _) = QUIET.open().await;
            let (mut who, mut whom) = if client_closes { (client, server) } else { (server, client) };
            let reason = "é".repeat(61);
            let (ours, _) = tokio::join!(who.close(code, reason.as_str()), to_the_end(&mut whom));
            let ours = ours?;
            let theirs = whom.closed().expect("closed");
            assert_eq!((ours.by, ours.code, ours.clean), (Closer::Us, code, true), "{client_closes}");
            assert_eq!((theirs.by, theirs.code, theirs.clean), (Closer::Peer, code, true), "{client_closes}");
            assert_eq!((&*ours.reason, &*theirs.reason), (&*reason, &*reason));
            assert_eq!(who.close(CloseCode::NORMAL, "again").await?, ours, "the first word counts");
            let error = whom.send("late").await.expect_err("over");
            assert_eq!(error.kind(), ErrorKind::Closed);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_code_is_echoed_and_what_comes_after_a_goodbye_is_not_heard() -> Result<()> {
    let (mut client, mut far, _) = QUIET.open_raw().await;
    let mut bytes = frame(0x81, b"before");
    bytes.extend(frame(0x88, b"\x0b\xb8bye"));
    bytes.extend(frame(0x81, b"after"));
    bytes.extend([0xff; 100]);
    far.write_all(&bytes).await.expect("written");
    assert_eq!(client.recv().await?, Some(Message::text("before")));
    let (end, echo) = tokio::join!(client.recv(), async {
        let echo = read_frame(&mut far).await;
        far.shutdown().await.expect("ended");
        echo
    });
    assert_eq!(end?, None);
    assert_eq!(echo, Some((0x88, b"\x0b\xb8".to_vec())));
    assert_eq!(client.closed().map(|closed| (closed.code.get(), closed.clean)), Some((3000, true)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_without_a_code_is_answered_in_kind() -> Result<()> {
    let (mut client, mut far, _) = QUIET.open_raw().await;
    far.write_all(&frame(0x88, b"")).await.expect("written");
    let (end, echo) = tokio::join!(client.recv(), async {
        let echo = read_frame(&mut far).await;
        drop(far);
        echo
    });
    assert_eq!(end?, None);
    assert_eq!(echo, Some((0x88, Vec::new())));
    assert_eq!(client.closed().map(|closed| closed.code), Some(CloseCode::NO_STATUS));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn both_at_once_end_clean() -> Result<()> {
    let (mut client, mut server, _) = QUIET.open().await;
    let (ours, theirs) = tokio::join!(client.close(CloseCode::NORMAL, "a"), server.close(CloseCode::GOING_AWAY, "b"));
    let (ours, theirs) = (ours?, theirs?);
    assert!(ours.clean && theirs.clean);
    assert_eq!((ours.by, theirs.by), (Closer::Us, Closer::Us));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_goes_before_the_goodbye_and_what_comes_can_be_had_after_it() -> Result<()> {
    let (mut client, mut server, _) = Setup { wire_bytes: 1000, ..QUIET }.open().await;
    client.feed(vec![1; 300_000]).await?;
    let (closed, seen) = tokio::join!(client.close(CloseCode::NORMAL, ""), async {
        server.send("on its way").await.expect("sent");
        to_the_end(&mut server).await
    });
    assert!(closed?.clean);
    assert_eq!(seen, [Message::from(vec![1; 300_000])]);
    assert_eq!(client.recv().await?, Some(Message::text("on its way")));
    assert_eq!(client.recv().await?, None);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn messages_beyond_the_read_ahead_are_dropped_while_closing() -> Result<()> {
    let (mut client, mut server, _) = QUIET.open().await;
    let (closed, ()) = tokio::join!(client.close(CloseCode::NORMAL, ""), async {
        for at in 0..1000_u32 {
            if server.send(vec![at as u8; 1000]).await.is_err() {
                break;
            }
        }
        to_the_end(&mut server).await;
    });
    assert!(closed?.clean);
    let mut seen = 0;
    while let Some(message) = client.recv().await? {
        assert_eq!(message, Message::from(vec![seen as u8; 1000]), "the first ones");
        seen += 1;
    }
    assert!(seen <= 70, "{seen}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_is_waited_for_no_longer_than_said() -> Result<()> {
    let setup = Setup { client: |connect| (QUIET.client)(connect).close_timeout(Duration::from_secs(3)), ..QUIET };
    for stalls in [false, true] {
        let (mut client, _far, wire) = setup.open_raw().await;
        if stalls {
            wire.now(Way::Out, Fault::Stall);
        }
        let start = Instant::now();
        let closed = client.close(CloseCode::NORMAL, "hello?").await?;
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        assert_eq!((closed.by, closed.clean, &*closed.reason), (Closer::Us, false, "hello?"));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_patience_without_end_is_no_panic() -> Result<()> {
    let setup = Setup { client: |connect| (QUIET.client)(connect).close_timeout(Duration::MAX), ..QUIET };
    let (mut client, mut server, _) = setup.open().await;
    let (closed, _) = tokio::join!(client.close(CloseCode::NORMAL, ""), to_the_end(&mut server));
    assert!(closed?.clean);
    Ok(())
}

/// Whoever goes on talking after the end was said does not put it off.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_stop_is_left_after_a_second() -> Result<()> {
    let (mut client, far, _) = QUIET.open_raw().await;
    let (mut read, mut write) = tokio::io::split(far);
    let flood = tokio::spawn(async move {
        write.write_all(&frame(0x88, b"\x03\xe8")).await.expect("written");
        while write.write_all(&[0; 4096]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let drain = tokio::spawn(async move { while read.read_u8().await.is_ok() {} });
    let start = Instant::now();
    assert_eq!(client.recv().await?, None);
    assert!((1000..1010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    drop(client);
    flood.await.expect("ended");
    drain.await.expect("ended");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_that_cannot_be_answered_is_not_clean() -> Result<()> {
    let (mut client, mut far, wire) = QUIET.open_raw().await;
    wire.now(Way::Out, Fault::Stall);
    far.write_all(&frame(0x88, b"\x03\xe8")).await.expect("written");
    assert_eq!(client.recv().await?, None);
    let closed = client.closed().expect("closed");
    assert_eq!((closed.by, closed.code, closed.clean), (Closer::Peer, CloseCode::NORMAL, false));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_for_the_wire_learns_of_a_goodbye_at_once() -> Result<()> {
    let (mut client, mut far, _) = Setup { wire_bytes: 1000, ..QUIET }.open_raw().await;
    let start = Instant::now();
    let (sent, ()) = tokio::join!(client.send(vec![0; 1 << 20]), async {
        far.write_all(&frame(0x88, b"\x03\xe9")).await.expect("written");
    });
    assert_eq!(sent.expect_err("over").kind(), ErrorKind::Closed);
    assert_eq!(start.elapsed(), Duration::ZERO);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_may_come_in_the_middle_of_a_message() -> Result<()> {
    let (mut client, mut server, _) = QUIET.open().await;
    let (closed, end) = tokio::join!(
        async {
            let mut outgoing = client.send_stream(Kind::Text).await?;
            outgoing.write("half of").await?;
            client.close(CloseCode::GOING_AWAY, "").await
        },
        async {
            let mut incoming = server.recv_stream().await?.expect("a message");
            assert_eq!(incoming.next().await?.as_deref(), Some(&b"half of"[..]));
            incoming.next().await
        }
    );
    assert_eq!(end.expect_err("half").kind(), ErrorKind::Incomplete);
    drop(closed);
    assert_eq!(server.closed().map(|closed| closed.code), Some(CloseCode::GOING_AWAY));
    Ok(())
}
