//! How long a source waits before it comes back, and when it gives up.

use std::time::Duration;

use netcomm_core::{Backoff, ErrorKind, GaveUp, Jitter, Reconnect, Result};
use netcomm_sse::{Notice, State};

use crate::stage::{Reply, SECOND, Server, data, ends, events, fails, pass, status, stays, watch};

const HOUR: Duration = Duration::from_secs(3600);

/// The bounds themselves are the waits, the first one aside, which is none.
fn exact() -> Reconnect {
    let backoff = Backoff::new(SECOND, 20 * SECOND).with_jitter(Jitter::None);
    Reconnect::default().first(Duration::ZERO).backoff(backoff)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_and_breaks_is_not_hammered() -> Result<()> {
    for said in ["", "data: x\n\n", "retry: 0\n\n", "retry: 20\ndata: x\n\n"] {
        let server = Server::new(move |_| events(said));
        let mut stream = server.stream();
        watch(&mut stream, HOUR).await;
        let times = server.times();
        // Anywhere from half a second to twenty: about one in ten seconds.
        assert!((250..=500).contains(&times), "{times} in an hour after {said:?}");
        assert_eq!(stream.counts().attempts, times as u64);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn waits_grow_from_what_the_server_says() -> Result<()> {
    for (said, expected) in [
        ("", [0, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]),
        ("retry: 3000\n\n", [3000, 6000, 12_000, 20_000, 20_000, 20_000, 20_000, 20_000]),
        ("retry: 3000", [0, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]),
        ("retry: 0\n", [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]),
        ("retry: 60000\n", [60_000; 8]),
        ("retry: 99999999999999999999999\n", [300_000; 8]),
        ("retry: +5\nretry: 1.5\nretry:\nretry: x\n", [0, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]),
        ("retry: 9000\nretry: nonsense\n", [9000, 18_000, 20_000, 20_000, 20_000, 20_000, 20_000, 20_000]),
    ] {
        let server = Server::new(move |_| events(said));
        let mut stream = server.builder().reconnect(exact()).stream()?;
        watch(&mut stream, HOUR).await;
        assert_eq!(server.gaps()[..8], expected, "{said:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_lasted_begins_anew_and_what_the_server_said_stays() -> Result<()> {
    let server = Server::new(|asked| match asked.number {
        4 => events("data: x\n\n").wait(5 * SECOND),
        9 => events("retry: 2000\n").wait(HOUR),
        _ => events(""),
    });
    let mut stream = server.builder().reconnect(exact()).idle_timeout(None).stream()?;
    watch(&mut stream, 2 * HOUR).await;
    assert_eq!(
        server.gaps()[..14],
        [0, 1000, 2000, 4000, 5000, 1000, 2000, 4000, 8000, 3_602_000, 4000, 8000, 16_000, 20_000]
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn not_quite_lasting_is_not_lasting() -> Result<()> {
    let server = Server::new(|_| events("data: x\n\n").wait(5 * SECOND - Duration::from_millis(1)));
    let mut stream = server.builder().reconnect(exact()).stream()?;
    watch(&mut stream, HOUR).await;
    assert_eq!(server.gaps()[..4], [4999, 5999, 6999, 8999]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_heeded() -> Result<()> {
    // The civil time of the clock begins there.
    let date = "Thu, 01 Jan 2026 00:00:30 GMT";
    for (code, field, expected) in [
        (503, "7", 7000),
        (429, "120", 120_000),
        (429, "0", 0),
        (503, date, 30_000),
        (503, "Mon, 01 Jan 2024 00:00:00 GMT", 0),
        (503, "soon", 0),
        (500, "9", 9000),
        (503, "86400", 300_000),
    ] {
        let server = Server::replies([status(code).header("retry-after", field), stays("data: x\n\n")]);
        let mut stream = server.builder().reconnect(exact()).stream()?;
        assert_eq!(data(&mut stream).await, "x");
        assert_eq!(server.gaps(), [expected], "{code}, {field}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn tries_end() -> Result<()> {
    let server = Server::new(|_| Reply::Fail(ErrorKind::Connect));
    let mut stream = server.builder().reconnect(Reconnect::default().max_attempts(3)).stream()?;
    let error = fails(&mut stream).await;
    assert_eq!((error.kind(), error.gave_up(), server.times()), (ErrorKind::Connect, Some(GaveUp::Attempts), 3));
    assert!(stream.state().is_closed());

    let server = Server::new(|_| Reply::Fail(ErrorKind::Connect));
    let mut stream = server.builder().reconnect(exact().max_elapsed(10 * SECOND)).stream()?;
    let error = fails(&mut stream).await;
    assert_eq!((error.gave_up(), server.times()), (Some(GaveUp::Elapsed), 5), "at 0, 0, 1, 3, 7 s, and not at 15 s");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn streams_that_last_do_not_use_tries_up() -> Result<()> {
    let server = Server::new(|asked| if asked.number < 50 { events("").wait(6 * SECOND) } else { events("") });
    let mut stream = server.builder().reconnect(Reconnect::default().max_attempts(2)).stream()?;
    let error = fails(&mut stream).await;
    assert_eq!((error.kind(), server.times()), (ErrorKind::Closed, 52), "the loss of a stable one is no try");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_wait_can_be_seen_and_ended() -> Result<()> {
    let server = Server::replies([status(503).header("retry-after", "100"), stays("data: x\n\n")]);
    let mut stream = server.builder().reconnect(exact()).stream()?;
    let seen = watch(&mut stream, SECOND).await;
    let Some(Notice::Waiting { attempt: 1, wait: Some(wait), cause }) = seen.last() else { panic!("{seen:?}") };
    assert_eq!((*wait, cause.status().map(|status| status.as_u16())), (100 * SECOND, Some(503)));
    assert!(matches!(stream.state(), State::Backoff { attempt: 1, until: Some(_), .. }));
    stream.restart();
    assert_eq!(data(&mut stream).await, "x");
    assert_eq!(server.gaps(), [1000]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_try_that_hangs_ends() -> Result<()> {
    let server = Server::replies([
        Reply::Hang,
        Reply::Late(Duration::from_millis(2500), Box::new(stays("data: late\n\n"))),
        stays("data: x\n\n"),
    ]);
    let mut stream = server.builder().open_timeout(2 * SECOND).reconnect(exact()).stream()?;
    assert_eq!(data(&mut stream).await, "x");
    assert_eq!(server.gaps(), [2000, 3000]);
    pass(HOUR).await;
    assert_eq!(server.streams(), 1);
    assert!(
        ends(async {
            stream.close();
            stream.next().await
        })
        .await
        .is_none()
    );
    assert_eq!(server.streams(), 0);
    Ok(())
}
