//! Whether the peer is still there.

use std::time::Duration;

use netcomm_core::{ErrorKind, Result};
use netcomm_tests::{Fault, Way};
use netcomm_ws::{CloseCode, Closer, Heartbeat, Limits, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::pair::{QUIET, Setup, frame, read_frame};

const BEATING: Setup = Setup { client: |connect| connect.deflate(None).heartbeat(Heartbeat::default()), ..QUIET };

#[tokio::test(start_paused = true)]
async fn a_link_with_one_end_is_dead_in_the_time_said() -> Result<()> {
    let (mut client, _server, wire) = BEATING.open().await;
    wire.now(Way::Out, Fault::Lose);
    wire.now(Way::In, Fault::Lose);
    let start = Instant::now();
    let error = client.recv().await.expect_err("dead");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // 20 to 30 s of silence, and 20 s for the pong.
    let after = start.elapsed();
    assert!((Duration::from_secs(40)..=Duration::from_secs(50)).contains(&after), "{after:?}");
    let closed = client.closed().expect("ended");
    assert_eq!((closed.by, closed.code, closed.clean), (Closer::Nobody, CloseCode::ABNORMAL, false));
    assert_eq!(client.recv().await?, None);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_sender_too_learns_that_the_link_is_dead() -> Result<()> {
    let (mut client, _server, wire) = BEATING.open().await;
    wire.now(Way::Out, Fault::Stall);
    wire.now(Way::In, Fault::Stall);
    let start = Instant::now();
    let error = client.send("hello").await.expect_err("dead");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(start.elapsed() <= Duration::from_secs(50), "{:?}", start.elapsed());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn pings_go_in_silence_alone_and_tell_the_round_trip() -> Result<()> {
    let (mut client, mut far, _) = BEATING.open_raw().await;
    let peer = async {
        for _ in 0..100 {
            sleep(Duration::from_secs(5)).await;
            far.write_all(&frame(0x81, b"still here")).await.expect("written");
        }
        let talked_until = Instant::now();
        assert!(timeout(Duration::ZERO, far.read_u8()).await.is_err(), "a ping while there was talk");
        let (first, payload) = read_frame(&mut far).await.expect("a frame");
        assert_eq!(first, 0x89);
        let silence = talked_until.elapsed();
        assert!((20..=30).contains(&silence.as_secs()), "{silence:?}");
        sleep(Duration::from_millis(80)).await;
        far.write_all(&frame(0x8a, &payload)).await.expect("written");
        far.write_all(&frame(0x81, b"last")).await.expect("written");
    };
    let reader = async {
        assert_eq!(client.rtt(), None);
        while client.recv().await?.is_some_and(|message| message.as_text() != Some("last")) {}
        Ok::<_, netcomm_core::Error>(client.rtt().expect("measured"))
    };
    let ((), rtt) = tokio::join!(peer, reader);
    let rtt = rtt?;
    assert_eq!((rtt.last.as_millis(), rtt.samples), (80, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn off_means_no_ping() {
    let (mut client, mut far, _) = QUIET.open_raw().await;
    let hours = Duration::from_secs(10 * 3600);
    let (received, seen) = tokio::join!(timeout(hours, client.recv()), timeout(hours, far.read_u8()));
    assert!(received.is_err() && seen.is_err());
}

/// An upload of minutes to a peer that says nothing but pongs: the wire is never empty, and yet the ping went.
#[tokio::test(start_paused = true)]
async fn a_long_upload_to_a_silent_peer_is_no_death() -> Result<()> {
    let setup = Setup {
        wire_bytes: 4096,
        client: |connect| (BEATING.client)(connect).limits(Limits::default().with_fragment_bytes(16 * 1024)),
        ..QUIET
    };
    let (mut client, mut server, wire) = setup.open().await;
    wire.trickle(Way::Out, 2048);
    let total = 4 << 20;
    let upload = async {
        let start = Instant::now();
        client.send(vec![1; total]).await?;
        Ok::<_, netcomm_core::Error>(start.elapsed())
    };
    let peer = async {
        // About 16 KiB each second.
        let mut incoming = server.recv_stream().await?.expect("a message");
        let mut seen = 0;
        while let Some(piece) = incoming.next().await? {
            seen += piece.len();
            sleep(Duration::from_millis(piece.len() as u64 / 16)).await;
        }
        Ok::<_, netcomm_core::Error>(seen)
    };
    let (took, seen) = tokio::join!(upload, peer);
    assert!(took? > Duration::from_secs(120));
    assert_eq!(seen?, total);
    assert!(client.rtt().is_some(), "measured meanwhile");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_pong_nobody_asked_for_is_nothing() -> Result<()> {
    let (mut client, mut far, _) = BEATING.open_raw().await;
    far.write_all(&frame(0x8a, b"unasked")).await.expect("written");
    far.write_all(&frame(0x81, b"hi")).await.expect("written");
    assert_eq!(client.recv().await?, Some(Message::text("hi")));
    assert_eq!(client.rtt(), None);
    Ok(())
}
