//! The server that all peers talk to: one thread that gives back what it gets. It reads on while it cannot write, so
//! that a client may send a whole window before it reads.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::rc::Rc;

use bytes::{Buf, BytesMut};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::echo::Echo;
use crate::error::{Error, Result, fail};
use crate::{child, files};

/// Read at a time.
const PIECE_BYTES: usize = 64 * 1024;
const LONGEST_HEAD: usize = 8 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Serves until the process that started this one is gone. Prints where it listens.
pub(super) fn serve() -> Result<()> {
    child::end_with_parent();
    files::raise_the_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        let piece = Rc::new(RefCell::new(vec![0; PIECE_BYTES]));
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let piece = piece.clone();
            tokio::task::spawn_local(async move {
                // A client that goes away is no error here.
                converse(&stream, &piece).await.ok();
            });
        }
    })
}

async fn converse(stream: &TcpStream, piece: &RefCell<Vec<u8>>) -> Result<()> {
    let mut output = BytesMut::new();
    let mut head = Some(Vec::new());
    let mut echo = Echo::default();
    loop {
        let interest = if output.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        stream.ready(interest).await?;
        {
            let mut piece = piece.borrow_mut();
            match or_later(stream.try_read(&mut piece))? {
                Some(0) => return Ok(()),
                Some(length) => match &mut head {
                    None => echo.push(&piece[..length], &mut output)?,
                    Some(so_far) => {
                        so_far.extend_from_slice(&piece[..length]);
                        if let Some(end) = so_far.windows(END_OF_HEAD.len()).position(|four| four == END_OF_HEAD) {
                            output.extend_from_slice(answer(&so_far[..end])?.as_bytes());
                            echo.push(&so_far[end + END_OF_HEAD.len()..], &mut output)?;
                            head = None;
                        } else if so_far.len() > LONGEST_HEAD {
                            return fail("a head without an end");
                        }
                    }
                },
                None => {}
            }
        }
        while !output.is_empty() {
            let Some(length) = or_later(stream.try_write(&output))? else {
                break;
            };
            output.advance(length);
        }
    }
}

fn or_later(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// The answer to a handshake (RFC 6455 §4.2.2), without extensions.
fn answer(head: &[u8]) -> Result<String> {
    let head = std::str::from_utf8(head)?;
    let key = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim()));
    let key = key.ok_or_else(|| Error::from("a handshake without a key"))?;
    let accept = derive_accept_key(key.as_bytes());
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_of_the_rfc_is_answered() {
        // RFC 6455 §1.3.
        let answer = answer(b"GET / HTTP/1.1\r\nHost: x\r\nsec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n").unwrap();
        assert!(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(super::answer(b"GET / HTTP/1.1").is_err());
    }
}
