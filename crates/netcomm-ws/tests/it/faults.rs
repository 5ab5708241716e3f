//! Wires that break.

use std::io;
use std::time::Duration;

use netcomm_core::{ErrorKind, Result};
use netcomm_tests::{Fault, Way};
use netcomm_ws::{CloseCode, Closed, Closer, Message};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use crate::pair::{QUIET, frame};

fn source<T: std::error::Error + 'static>(error: &netcomm_core::Error) -> Option<&T> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_ends_or_is_reset_in_a_frame_is_told_once() -> Result<()> {
    for fault in [Fault::End, Fault::Reset] {
        for at in 6..20 {
            let (mut client, mut far, wire) = QUIET.open_raw().await;
            // "one" is whole after five bytes.
            wire.after(at, Way::In, fault);
            let mut bytes = frame(0x81, b"one");
            bytes.extend(frame(0x82, &[1; 300]));
            far.write_all(&bytes).await.expect("written");
            assert_eq!(client.recv().await?, Some(Message::text("one")));
            let error = client.recv().await.expect_err("broken");
            assert_eq!(error.kind(), ErrorKind::Closed);
            match fault {
                Fault::End => assert_eq!(source::<Closed>(&error).map(|closed| closed.code), Some(CloseCode::ABNORMAL)),
                _ => assert_eq!(source::<io::Error>(&error).map(io::Error::kind), Some(io::ErrorKind::ConnectionReset)),
            }
            let closed = client.closed().cloned().expect("ended");
            assert_eq!((closed.by, closed.code, closed.clean), (Closer::Nobody, CloseCode::ABNORMAL, false));
            assert_eq!(client.recv().await?, None, "once");
            assert_eq!(client.send("late").await.expect_err("over").kind(), ErrorKind::Closed);
            assert_eq!(client.close(CloseCode::NORMAL, "").await?, closed, "at once");
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_write_failed_can_be_had() -> Result<()> {
    for fault in [Fault::End, Fault::Reset] {
        let (mut client, mut server, wire) = QUIET.open().await;
        server.send("before").await?;
        wire.now(Way::Out, fault);
        assert_eq!(client.send("lost").await.expect_err("broken").kind(), ErrorKind::Closed);
        assert_eq!(client.recv().await?, Some(Message::text("before")));
        assert_eq!(client.recv().await.expect_err("told").kind(), ErrorKind::Closed);
        assert_eq!(client.recv().await?, None);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_hidden_by_a_write_that_failed_is_found() -> Result<()> {
    let (mut client, mut far, wire) = QUIET.open_raw().await;
    far.write_all(&frame(0x88, b"\x0f\xa0go away")).await.expect("written");
    wire.now(Way::Out, Fault::Reset);
    assert!(client.send("lost").await.is_err());
    assert_eq!(client.recv().await?, None);
    let closed = client.closed().expect("ended");
    assert_eq!((closed.by, closed.code.get(), &*closed.reason, closed.clean), (Closer::Peer, 4000, "go away", false));
    Ok(())
}

/// A stream that takes bytes and hands them on later, as TLS does.
#[tokio::test(start_paused = true)]
async fn a_flush_that_waits_for_the_stream_beneath_ends_when_that_has() -> Result<()> {
    let (mut client, mut server, wire) = QUIET.open().await;
    client.feed("held back").await?;
    // The bytes pass, the flush behind them does not.
    wire.after(6 + 9, Way::Out, Fault::Stall);
    let healed = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        wire.heal(Way::Out);
    };
    let start = Instant::now();
    let flushed =
        async { timeout(Duration::from_secs(5), client.flush()).await.map(|flushed| (flushed, start.elapsed())) };
    let (flushed, ()) = tokio::join!(flushed, healed);
    let (flushed, after) = flushed.expect("in time");
    flushed?;
    assert_eq!(after, Duration::from_secs(1));
    assert_eq!(server.recv().await?, Some(Message::text("held back")));
    Ok(())
}
