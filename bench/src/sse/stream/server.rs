//! The server that all clients read from: one thread that writes one kind of events in pieces of 16 KiB, each a chunk
//! (RFC 9112 §7.1) and a write of its own, or one event and then nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::error::{Error, Result, fail};
use crate::sse::corpus::Kind;
use crate::{child, files};

/// Held in a chunk.
const PIECE_BYTES: usize = 16 * 1024;
const LONGEST_HEAD: usize = 8 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";

/// Where so many bytes of that kind are, or a little more. The answer never ends: a client counts.
pub(super) fn path(kind: Kind, bytes: usize) -> String {
    format!("/{kind}/{bytes}")
}

/// The chunks of each path that was asked for so far.
type Made = RefCell<HashMap<String, Rc<[Vec<u8>]>>>;

/// Serves until the process that started this one is gone. Prints where it listens.
pub(super) fn serve() -> Result<()> {
    child::end_with_parent();
    files::raise_the_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        accept(listener).await
    })
}

/// Answers whoever comes.
pub(super) async fn accept(listener: TcpListener) -> Result<()> {
    let made = Rc::new(Made::default());
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let made = made.clone();
                tokio::task::spawn_local(async move {
                    // A client that goes away is no error here.
                    answer(stream, &made).await.ok();
                });
            }
        })
        .await
}

async fn answer(mut stream: TcpStream, made: &Made) -> Result<()> {
    let head = head(&mut stream).await?;
    let chunks = chunks_of(made, path_of(&head)?)?;
    stream.write_all(ANSWER).await?;
    for chunk in chunks.iter() {
        stream.write_all(chunk).await?;
    }
    drop(chunks);
    // Silence, until the client goes away.
    stream.read_u8().await?;
    Ok(())
}

async fn head(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(END_OF_HEAD) {
        if head.len() > LONGEST_HEAD || stream.read_buf(&mut head).await? == 0 {
            return fail("a head without an end");
        }
    }
    Ok(head)
}

fn path_of(head: &[u8]) -> Result<&str> {
    let line = std::str::from_utf8(head)?.lines().next();
    line.and_then(|line| line.split(' ').nth(1)).ok_or_else(|| Error::from("a request without a path"))
}

fn chunks_of(made: &Made, path: &str) -> Result<Rc<[Vec<u8>]>> {
    if let Some(chunks) = made.borrow().get(path) {
        return Ok(chunks.clone());
    }
    let (kind, bytes) = path[1..].split_once('/').ok_or_else(|| Error::from("a path without a size"))?;
    let corpus = kind.parse::<Kind>()?.corpus(bytes.parse()?);
    let chunks: Rc<[Vec<u8>]> = corpus.text.chunks(PIECE_BYTES).map(chunk).collect();
    made.borrow_mut().insert(path.to_owned(), chunks.clone());
    Ok(chunks)
}

/// A chunk as it is on the wire.
fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_chunks() {
        let made = Made::default();
        let request = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", path(Kind::Tick, 20_000));
        let chunks = chunks_of(&made, path_of(request.as_bytes()).unwrap()).unwrap();
        assert_eq!(chunks.len(), 2);
        assert!(chunks[0].starts_with(b"4000\r\nevent: tick\n") && chunks[1].ends_with(b"}\n\n\r\n"));
        assert!(Rc::ptr_eq(&chunks, &chunks_of(&made, "/tick/20000").unwrap()));
        assert!(chunks_of(&made, "/x").is_err());
    }
}
