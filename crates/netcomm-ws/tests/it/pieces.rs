//! Messages in pieces, and readers and writers that leave in the middle.

use std::time::Duration;

use netcomm_core::{ErrorKind, Result};
use netcomm_tests::{Fault, Way};
use netcomm_ws::{Kind, Limits, Message};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::pair::{QUIET, Setup, frame};

const WHILE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_skips_its_message_and_no_other() -> Result<()> {
    let (mut client, mut server, _) = QUIET.open().await;
    let sender = tokio::spawn(async move {
        for n in 0..20_u8 {
            server.send(vec![n; 200_000]).await?;
            server.send(format!("after {n}")).await?;
        }
        Ok::<_, netcomm_core::Error>(())
    });
    for n in 0..20 {
        let mut incoming = client.recv_stream().await?.expect("a message");
        for _ in 0..n % 4 {
            let piece = incoming.next().await?.expect("a piece");
            assert!(piece.iter().all(|byte| *byte == n));
        }
        drop(incoming);
        assert_eq!(client.recv().await?, Some(Message::text(format!("after {n}"))));
    }
    sender.await.expect("no panic")
}

/// What is skipped goes while the socket sends; what comes behind it stays.
#[tokio::test(start_paused = true)]
async fn a_sender_that_reads_meanwhile_skips_one_message_and_no_other() -> Result<()> {
    let (mut client, mut server, wire) = QUIET.open().await;
    server.feed(vec![1; 50_000]).await?;
    let (first, flushed) = tokio::join!(
        async {
            let mut incoming = client.recv_stream().await?.expect("a message");
            incoming.next().await
        },
        timeout(WHILE, server.flush())
    );
    assert!(first?.is_some());
    drop(flushed);
    wire.now(Way::Out, Fault::Stall);
    let talk = async {
        for n in 0..5 {
            server.send(format!("{n}")).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok::<_, netcomm_core::Error>(())
    };
    let (stuck, talked) = tokio::join!(timeout(WHILE, client.send("stuck")), talk);
    talked?;
    assert!(stuck.is_err());
    for n in 0..5 {
        assert_eq!(client.recv().await?, Some(Message::text(format!("{n}"))));
    }
    Ok(())
}

/// The first fragment came while nobody streamed; its sender says no more before it is answered.
#[tokio::test(start_paused = true)]
async fn the_beginning_of_a_message_does_not_wait_for_the_rest() -> Result<()> {
    let (mut client, mut far, wire) = QUIET.open_raw().await;
    wire.now(Way::Out, Fault::Stall);
    let mut bytes = frame(0x01, "first é".as_bytes());
    bytes.pop();
    bytes[1] -= 1;
    far.write_all(&bytes).await.expect("written");
    assert!(timeout(WHILE, client.send("stuck")).await.is_err());
    let mut incoming = timeout(WHILE, client.recv_stream()).await.expect("at once")?.expect("a message");
    assert_eq!(incoming.next().await?.as_deref(), Some(&b"first "[..]), "text is cut between characters");
    far.write_all(&frame(0x80, "é".as_bytes()[1..].as_ref())).await.expect("written");
    assert_eq!(incoming.next().await?.as_deref(), Some("é".as_bytes()));
    assert_eq!(incoming.next().await?, None);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn messages_in_one_packet_are_each_as_they_are_asked_for() -> Result<()> {
    let setup =
        Setup { client: |connect| (QUIET.client)(connect).limits(Limits::default().with_message_bytes(100)), ..QUIET };
    let (mut client, mut far, _) = setup.open_raw().await;
    let mut bytes = Vec::new();
    for n in 0..50 {
        // Too large but for a reader of pieces; and small ones in between.
        bytes.extend(frame(0x82, &[n; 150]));
        bytes.extend(frame(0x82, &[n; 100]));
    }
    far.write_all(&bytes).await.expect("written");
    for n in 0..50 {
        let mut incoming = client.recv_stream().await?.expect("a message");
        let mut seen = 0;
        while let Some(piece) = incoming.next().await? {
            seen += piece.len();
        }
        assert_eq!(seen, 150);
        drop(incoming);
        assert_eq!(client.recv().await?, Some(Message::from(vec![n; 100])));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_collected_comes_in_pieces_too() -> Result<()> {
    let (mut client, mut server, wire) = QUIET.open().await;
    wire.now(Way::Out, Fault::Stall);
    let text = "é€x".repeat(100_000);
    let whole = text.clone();
    let sender = tokio::spawn(async move {
        server.send("a").await?;
        let mut outgoing = server.send_stream(Kind::Text).await?;
        outgoing.write(whole).await?;
        tokio::time::sleep(2 * WHILE).await;
        outgoing.finish().await?;
        tokio::time::sleep(2 * WHILE).await;
        Ok::<_, netcomm_core::Error>(())
    });
    assert!(timeout(WHILE, client.send("stuck")).await.is_err());
    assert_eq!(client.recv().await?, Some(Message::text("a")));
    let mut incoming = client.recv_stream().await?.expect("a message");
    let mut seen = String::new();
    while let Some(piece) = incoming.next().await? {
        assert!(piece.len() <= 64 * 1024);
        seen.push_str(std::str::from_utf8(&piece).expect("cut between characters"));
    }
    assert_eq!(seen, text);
    drop(incoming);
    drop(client);
    drop(sender.await);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_leaves_keeps_its_message_open() -> Result<()> {
    let (mut client, mut server, _) = QUIET.open().await;
    let mut outgoing = client.send_stream(Kind::Binary).await?;
    outgoing.write(vec![1; 10]).await?;
    assert_eq!(client.send("next").await.expect_err("open").kind(), ErrorKind::Invalid);
    assert_eq!(client.send_stream(Kind::Text).await.map(drop).expect_err("open").kind(), ErrorKind::Invalid);
    let mut incoming = server.recv_stream().await?.expect("a message");
    assert_eq!(incoming.next().await?.map(|piece| piece.len()), Some(10));
    drop(incoming);
    let (closed, end) = tokio::join!(client.close(netcomm_ws::CloseCode::NORMAL, ""), server.recv());
    assert!(closed?.clean);
    assert_eq!(end?, None);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_leaked_reader_tears_no_message() -> Result<()> {
    let (mut client, mut server, _) = QUIET.open().await;
    let sender = tokio::spawn(async move {
        server.send(vec![1; 300_000]).await?;
        server.send("next").await?;
        Ok::<_, netcomm_core::Error>(server)
    });
    let incoming = client.recv_stream().await?.expect("a message");
    std::mem::forget(incoming);
    assert_eq!(client.recv().await?, Some(Message::text("next")));
    sender.await.expect("no panic").map(drop)
}
