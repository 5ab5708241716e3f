//! Whether the peer is still there.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use netcomm_core::{Clock, Env, ErrorKind, Result, Sleep};
use netcomm_tests::{Fault, ScriptedDialer, TokioClock, Way};
use netcomm_ws::{CloseCode, Closer, Heartbeat, Limits, Message, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::pair::{QUIET, Setup, frame, polled, read_frame};
use crate::world::World;

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
async fn a_link_that_went_to_another_task_is_found_dead_there() -> Result<()> {
    let (mut client, _server, wire) = BEATING.open().await;
    wire.now(Way::Out, Fault::Lose);
    wire.now(Way::In, Fault::Lose);
    let asked = tokio::spawn(async move {
        assert!(polled(2, client.recv()).await.is_none());
        client
    });
    let mut client = asked.await.expect("no panic");
    let received = timeout(Duration::from_secs(60), client.recv()).await.expect("the timer wakes who waits now");
    assert_eq!(received.expect_err("dead").kind(), ErrorKind::Timeout);
    Ok(())
}

/// A clock that counts how often its sleeps are asked.
#[derive(Debug)]
struct Asked {
    clock: TokioClock,
    times: Arc<AtomicUsize>,
}

impl Clock for Asked {
    fn now(&self) -> std::time::Instant {
        self.clock.now()
    }

    fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Sleep {
        let (mut sleep, times) = (self.clock.sleep_until(deadline), Arc::clone(&self.times));
        Box::pin(poll_fn(move |cx| {
            times.fetch_add(1, Ordering::Relaxed);
            sleep.as_mut().poll(cx)
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn timers_that_did_not_ring_are_not_asked_again() -> Result<()> {
    let times = Arc::new(AtomicUsize::new(0));
    let dialer = ScriptedDialer::new();
    let clock = Asked { clock: TokioClock::new(), times: Arc::clone(&times) };
    let world = World { env: Env::new(dialer.clone(), clock), dialer };
    world.serve_next(|mut server| async move {
        while let Ok(Some(message)) = server.recv().await {
            server.send(message).await.expect("sent");
        }
    });
    let mut client = Socket::builder(&world.env, "ws://server.test/").connect().await?;
    let mut asked = Vec::new();
    for _ in 0..20 {
        client.send("hello").await?;
        client.recv().await?;
        asked.push(times.load(Ordering::Relaxed));
    }
    assert_eq!(asked[1], asked[19], "{asked:?}");
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
