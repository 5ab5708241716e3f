//! What a source tells of its life: notices, restarts, closes, limits, counts.

use netcomm_core::{ErrorKind, Reconnect, Result};
use netcomm_sse::{Limits, Notice, Oversize, State};

use crate::stage::{
    Reply, SECOND, Server, Step, data, ends, events, fails, pass, status, stays, story, watch, wire, word,
};

#[tokio::test(start_paused = true)]
async fn a_life_in_notices() -> Result<()> {
    let server = Server::replies([
        Reply::Fail(ErrorKind::Dns),
        events(": hello\nretry: 2000\nid: 1\n\ndata: a\n\n"),
        stays(":\ndata: b\n\n"),
    ]);
    let mut stream = server.builder().comments(true).stream()?;
    assert!(matches!(stream.state(), State::Idle));
    let words: Vec<_> = watch(&mut stream, 10 * SECOND).await.iter().map(word).collect();
    let expected = [
        "connecting 1",
        "waiting 1",
        "connecting 2",
        "open 200",
        "comment  hello",
        "retry 2000",
        "id 1",
        "event a",
        "lost Closed",
        "waiting 2",
        "connecting 3",
        "open 200",
        "comment ",
        "event b",
    ];
    assert_eq!(words, expected);
    assert!(stream.state().is_open());
    let counts = stream.counts();
    assert_eq!((counts.attempts, counts.streams, counts.events, counts.skipped), (3, 2, 2, 0));
    assert_eq!(counts.bytes, 36 + 11);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn comments_are_told_only_where_they_are_wanted() -> Result<()> {
    let server = Server::new(|_| stays(": a\n\ndata: x\n\n"));
    let mut stream = server.stream();
    let words: Vec<_> = watch(&mut stream, SECOND).await.iter().map(word).collect();
    assert_eq!(words, ["connecting 1", "open 200", "event x"]);
    Ok(())
}

fn limits(oversize: Oversize) -> Limits {
    Limits::default().with_event_bytes(8).with_oversize(oversize)
}

const LARGE: &str = "id: 1\ndata: small\n\nid: 2\ndata: far too large\n\nid: 3\ndata: again\n\n";

#[tokio::test(start_paused = true)]
async fn what_is_too_large_ends_the_source() -> Result<()> {
    let server = Server::new(|_| stays(LARGE));
    let mut stream = server.builder().limits(limits(Oversize::Fail)).stream()?;
    assert_eq!(data(&mut stream).await, "small");
    let error = fails(&mut stream).await;
    assert_eq!((error.kind(), server.times(), server.streams()), (ErrorKind::TooLarge, 1, 0));
    assert!(error.to_string().contains("event_bytes"), "{error}");
    assert_eq!(stream.last_event_id(), "1");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_can_be_left_out() -> Result<()> {
    let server = Server::new(|_| stays(LARGE));
    let mut stream = server.builder().limits(limits(Oversize::Skip)).stream()?;
    let words: Vec<_> = watch(&mut stream, SECOND).await.iter().map(word).collect();
    assert_eq!(words[2..], ["event small", "skipped TooLarge", "id 2", "event again"]);
    assert_eq!((stream.counts().skipped, stream.counts().events), (1, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_new_stream_is_not_barred_by_what_the_old_one_said() -> Result<()> {
    let server = Server::replies([events("data: far too large\n\n"), stays("data: small\n\n")]);
    let again = Reconnect::default().classify(|_| Some(netcomm_core::Verdict::Retry));
    let mut stream = server.builder().limits(limits(Oversize::Fail)).reconnect(again).stream()?;
    assert_eq!(data(&mut stream).await, "small");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn restarted_anywhere_it_opens_at_once() -> Result<()> {
    // Before its first poll, on the way, open, waiting.
    let server = Server::new(|asked| match asked.number {
        0 => Reply::Hang,
        1 => stays("id: 1\ndata: 1\n\n"),
        2 => status(503).header("retry-after", "200"),
        _ => stays("data: 3\n\n"),
    });
    let mut stream = server.stream();
    stream.restart();
    watch(&mut stream, SECOND).await;
    assert!(matches!(stream.state(), State::Connecting { attempt: 1 }));
    stream.restart();
    assert_eq!(data(&mut stream).await, "1");
    watch(&mut stream, 9 * SECOND).await;
    stream.restart();
    let words: Vec<_> = watch(&mut stream, SECOND).await.iter().map(word).collect();
    assert_eq!(words, ["lost Canceled", "connecting 1", "waiting 1"]);
    stream.restart();
    assert_eq!(data(&mut stream).await, "3");
    assert_eq!((server.gaps(), server.streams()), (vec![1000, 9000, 1000], 1));
    assert_eq!(server.ids(), ["-", "-", "1", "1"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_end_is_none_for_who_starts_again() -> Result<()> {
    let server = Server::replies([status(404), stays("id: 1\ndata: a\n\n"), status(204), stays("data: b\n\n")]);
    let mut stream = server.stream();
    fails(&mut stream).await;
    stream.restart();
    assert_eq!(data(&mut stream).await, "a");
    stream.close();
    assert!(ends(stream.next()).await.is_none());
    stream.restart();
    assert!(ends(stream.next()).await.is_none(), "the server says so");
    stream.restart();
    assert_eq!(data(&mut stream).await, "b");
    assert_eq!(server.ids(), ["-", "-", "1", "1"]);
    // Between the word and its telling.
    stream.close();
    stream.restart();
    watch(&mut stream, SECOND).await;
    assert_eq!(server.times(), 5);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_after_a_close() -> Result<()> {
    let server = Server::new(|_| stays("data: a\n\ndata: b\n\n"));
    let mut never_polled = server.stream();
    never_polled.close();
    assert_eq!(story(&mut never_polled).await, ["closed Owner"]);
    assert_eq!(server.times(), 0);

    let mut open = server.stream();
    assert_eq!(data(&mut open).await, "a");
    open.close();
    assert_eq!(server.streams(), 0, "it is let go at once");
    assert!(ends(open.next()).await.is_none(), "though the other one has arrived");
    assert!(ends(open.notice()).await.is_none());
    assert!(matches!(open.state(), State::Closed(netcomm_sse::End::Owner)));
    pass(1000 * SECOND).await;
    assert_eq!(server.times(), 1);

    for reply in [|| Reply::Hang, || status(503).header("retry-after", "100")] {
        let server = Server::new(move |_| reply());
        let mut stream = server.stream();
        watch(&mut stream, SECOND).await;
        stream.close();
        stream.close();
        assert_eq!(story(&mut stream).await, ["closed Owner"]);
        assert_eq!(server.times(), 1);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_pauses_lets_others_live() -> Result<()> {
    // A hundred thousand chunks without an event in them, all there at once.
    let server = Server::new(|_| (0..100_000).fold(events(""), |reply, _| reply.give(":\n")).then(Step::Hang));
    let mut stream = server.stream();
    let others = async {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = stream.next() => unreachable!("there is no event"),
        () = others => {}
    }
    let bytes = stream.counts().bytes;
    assert!(bytes <= 11 * 64 * 2, "{bytes} before others had ten turns");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn trailing_errors_and_wires_that_end_are_losses() -> Result<()> {
    for kind in [ErrorKind::Closed, ErrorKind::Incomplete, ErrorKind::Protocol, ErrorKind::Decode, ErrorKind::Timeout] {
        let server =
            Server::replies([events("id: 1\ndata: a\n\ndata: b").then(Step::Fail(kind)), stays("data: c\n\n")]);
        let mut stream = server.stream();
        assert_eq!((data(&mut stream).await, data(&mut stream).await), ("a".to_owned(), "c".to_owned()), "{kind:?}");
    }
    for kind in [ErrorKind::Denied, ErrorKind::TooLarge, ErrorKind::Canceled] {
        let server = Server::replies([events("").then(Step::Fail(kind)), stays("data: c\n\n")]);
        assert_eq!(fails(&mut server.stream()).await.kind(), kind);
    }
    let (writer, reply) = wire();
    let server = Server::replies([reply, stays("data: b\n\n")]);
    let mut stream = server.stream();
    writer.send("data: a\n\n".into()).expect("read");
    assert_eq!(data(&mut stream).await, "a");
    drop(writer);
    while !matches!(ends(stream.notice()).await, Some(Notice::Lost { .. })) {}
    assert_eq!(data(&mut stream).await, "b");
    Ok(())
}
