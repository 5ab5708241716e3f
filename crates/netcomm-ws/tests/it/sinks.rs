//! A socket as a stream and a sink.

use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use netcomm_core::{Error, ErrorKind, Result};
use netcomm_ws::{CloseCode, Message};

use crate::pair::{QUIET, Setup};

#[tokio::test(start_paused = true)]
async fn forward_sends_all_and_closes() -> Result<()> {
    let (client, server, _) = Setup { wire_bytes: 500, ..QUIET }.open().await;
    let messages: Vec<_> = (0..100_u8).map(|n| Message::from(vec![n; 1000])).collect();
    let source = stream::iter(messages.clone().into_iter().map(Ok::<_, Error>));
    let (forwarded, seen) = tokio::join!(source.forward(client), server.try_collect::<Vec<_>>());
    forwarded?;
    assert_eq!(seen?, messages);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_echo_is_one_line() -> Result<()> {
    let (mut client, server, _) = QUIET.open().await;
    let echo = tokio::spawn(async move {
        let (sink, stream) = server.split();
        stream.forward(sink).await
    });
    for n in 0..10 {
        SinkExt::send(&mut client, Message::text(format!("{n}"))).await?;
        assert_eq!(client.next().await.transpose()?, Some(Message::text(format!("{n}"))));
    }
    SinkExt::close(&mut client).await?;
    assert_eq!(client.closed().map(|closed| (closed.code, closed.clean)), Some((CloseCode::NORMAL, true)));
    assert!(client.next().await.is_none());
    assert!(echo.await.expect("no panic").is_ok(), "the end of a stream closes the sink, and that is no error");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_was_not_asked_tears_no_message() -> Result<()> {
    let (mut client, mut server, _) = Setup { wire_bytes: 500, ..QUIET }.open().await;
    client.feed(vec![1; 3 << 20]).await?;
    let error = std::pin::Pin::new(&mut client);
    let error = futures_util::Sink::start_send(error, Message::text("too soon")).expect_err("no room");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let (flushed, whole) = tokio::join!(client.flush(), server.recv());
    flushed?;
    assert_eq!(whole?, Some(Message::from(vec![1; 3 << 20])));
    Ok(())
}
