//! Peers that send too much of something.

use allocation_counter::measure;
use netcomm_core::{ErrorKind, Result};
use netcomm_ws::{AcceptOptions, CloseCode, Connect, Limits, Message, Socket, Violation};
use tokio::io::AsyncWriteExt;

use crate::pair::{QUIET, Setup, frame, read_frame};

fn violation(error: &netcomm_core::Error) -> Option<&Violation> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}

#[tokio::test(start_paused = true)]
async fn the_last_of_many_pings_is_answered() -> Result<()> {
    let (mut client, far, _) = QUIET.open_raw().await;
    let (read, mut write) = tokio::io::split(far);
    let flood = async {
        for n in 0..100_000_u32 {
            write.write_all(&frame(0x89, &n.to_be_bytes())).await.expect("written");
        }
        write.write_all(&frame(0x81, b"done")).await.expect("written");
    };
    // Nobody reads the pongs meanwhile: they take the place of each other.
    let ((), done) = tokio::join!(flood, client.recv());
    assert_eq!(done?, Some(Message::text("done")));
    let pongs = async {
        let mut last = None;
        let mut far = read.unsplit(write);
        while let Some((first, payload)) = read_frame(&mut far).await {
            if first == 0x81 {
                break;
            }
            assert_eq!(first, 0x8a);
            last = Some(payload);
        }
        last
    };
    let (sent, last) = tokio::join!(client.send("enough"), pongs);
    sent?;
    assert_eq!(last, Some(99_999_u32.to_be_bytes().to_vec()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_message_of_empty_fragments_is_too_large() -> Result<()> {
    let (mut client, mut far, _) = QUIET.open_raw().await;
    let flood = async {
        far.write_all(&frame(0x01, b"")).await.expect("written");
        // A connection that was ended takes no more.
        for _ in 0..1_000 {
            if far.write_all(&frame(0x00, b"").repeat(1000)).await.is_err() {
                break;
            }
        }
        read_frame(&mut far).await
    };
    let (goodbye, error) = tokio::join!(flood, client.recv());
    let error = error.expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(violation(&error), Some(&Violation::EmptyFragments(1000)));
    assert!(error.to_string().contains("1000"), "{error}");
    assert_eq!(goodbye, Some((0x88, b"\x03\xf0".to_vec())));
    assert_eq!(client.closed().map(|closed| closed.code), Some(CloseCode::POLICY));
    Ok(())
}

fn small(connect: Connect) -> Connect {
    connect.limits(Limits::default().with_message_bytes(100_000))
}

#[tokio::test(start_paused = true)]
async fn a_bomb_ends_at_the_limit() -> Result<()> {
    let setup = Setup { client: small, server: |options: AcceptOptions| options, ..QUIET };
    let (mut client, mut server, _) = setup.open().await;
    assert!(client.is_compressed());
    server.feed(vec![0; 100_000]).await?;
    server.feed(vec![0; 16 << 20]).await?;
    server.flush().await?;
    assert_eq!(client.recv().await?.map(|message| message.len()), Some(100_000), "exactly the limit is none");
    let server = tokio::spawn(async move {
        drop(server.recv().await);
        server.closed().cloned()
    });
    let mut outcome = None;
    let memory = {
        let mut recv = std::pin::pin!(client.recv());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        measure(|| {
            if let std::task::Poll::Ready(ready) = recv.as_mut().poll(&mut cx) {
                outcome = Some(ready);
            }
        })
    };
    let error = match outcome {
        Some(ready) => ready,
        None => client.recv().await,
    }
    .expect_err("too large");
    assert!(memory.bytes_max < 300_000, "{memory:?}");
    assert_eq!(violation(&error), Some(&Violation::MessageTooLarge(100_000)));
    assert_eq!(server.await.expect("no panic").map(|closed| closed.code), Some(CloseCode::TOO_LARGE));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_bomb_may_be_read_in_pieces() -> Result<()> {
    let setup = Setup { client: small, server: |options: AcceptOptions| options, ..QUIET };
    let (mut client, mut server, _) = setup.open().await;
    server.feed(vec![0; 4 << 20]).await?;
    server.feed("after").await?;
    server.flush().await?;
    assert_eq!(in_pieces(&mut client).await?, 4 << 20);
    assert_eq!(client.recv().await?, Some(Message::text("after")));
    Ok(())
}

async fn in_pieces(socket: &mut Socket) -> Result<usize> {
    let mut incoming = socket.recv_stream().await?.expect("a message");
    let mut total = 0;
    while let Some(piece) = incoming.next().await? {
        assert!(piece.len() <= 64 * 1024, "{}", piece.len());
        total += piece.len();
    }
    Ok(total)
}
