//! Streams that say nothing.

use std::time::Duration;

use netcomm_core::{ErrorKind, Phase, Reconnect, Result};
use netcomm_sse::Notice;

use crate::stage::{SECOND, Server, Step, data, events, pass, stays, watch, word};

const MINUTE: Duration = Duration::from_secs(60);

fn at_once() -> Reconnect {
    Reconnect::default().first(Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn silence_of_five_minutes_is_a_dead_stream() -> Result<()> {
    let server = Server::new(|_| stays("id: 1\ndata: x\n\n"));
    let mut stream = server.builder().reconnect(at_once()).stream()?;
    let seen = watch(&mut stream, 16 * MINUTE).await;
    assert_eq!(server.gaps(), [300_000, 300_000, 300_000]);
    let cause = seen.iter().find_map(|notice| if let Notice::Lost { cause, .. } = notice { Some(cause) } else { None });
    let cause = cause.expect("lost");
    assert_eq!((cause.kind(), cause.phase()), (ErrorKind::Timeout, Some(Phase::Receive)));
    assert!(cause.to_string().contains("idle_timeout"), "{cause}");
    assert_eq!(server.ids()[1..], ["1", "1", "1"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn any_byte_is_a_sign_of_life() -> Result<()> {
    for sign in [":\n", "\n", "x", "data: y\n\n"] {
        let server = Server::new(move |_| {
            (0..100).fold(events(""), |reply, _| reply.wait(44 * SECOND).give(sign)).then(Step::Hang)
        });
        let mut stream = server.builder().reconnect(at_once()).idle_timeout(45 * SECOND).stream()?;
        watch(&mut stream, 4444 * SECOND).await;
        assert_eq!(server.times(), 1, "{sign:?}");
        watch(&mut stream, SECOND).await;
        assert_eq!(server.gaps(), [4_445_000], "45 s after the last of them");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_bound_has_none() -> Result<()> {
    for never in [None, Some(Duration::MAX)] {
        let server =
            Server::new(|_| events("data: a\n\n").wait(99 * 24 * 60 * MINUTE).give("data: b\n\n").then(Step::Hang));
        let mut stream = server.builder().idle_timeout(never).stream()?;
        let words: Vec<_> = watch(&mut stream, 100 * 24 * 60 * MINUTE).await.iter().map(word).collect();
        assert_eq!(words, ["connecting 1", "open 200", "event a", "event b"]);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_pauses_does_not_lose_what_came_meanwhile() -> Result<()> {
    let server =
        Server::new(|_| events("data: a\n\n").wait(SECOND).give("data: b\n\n").wait(9 * MINUTE).give("data: c\n\n"));
    let mut stream = server.builder().idle_timeout(10 * MINUTE).stream()?;
    assert_eq!(data(&mut stream).await, "a");
    pass(60 * MINUTE).await;
    assert_eq!(data(&mut stream).await, "b");
    assert_eq!(data(&mut stream).await, "c");
    assert_eq!(server.times(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn each_stream_has_its_silence_from_its_own_beginning() -> Result<()> {
    let server = Server::new(|asked| match asked.number {
        0 => events("").wait(40 * SECOND),
        _ => events("").wait(40 * SECOND).give(":\n").then(Step::Hang),
    });
    let mut stream = server.builder().reconnect(at_once()).idle_timeout(45 * SECOND).stream()?;
    watch(&mut stream, 200 * SECOND).await;
    assert_eq!(server.gaps()[..2], [40_000, 85_000]);
    Ok(())
}
