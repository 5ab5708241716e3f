//! The handshake over a connection that speaks HTTP/1.1: one request, one head.

use std::io;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::TRANSFER_ENCODING;
use netcomm_core::{Error, ErrorKind, Phase, Refused, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::patience::Patience;
use crate::handshake::{BODY_BYTES, Head, OPERATION, Scan, chunked_start, length_of};

/// As much as is read at a time. Heads are smaller than that, as a rule.
const STEP_BYTES: usize = 1024;

/// Bounds on what a peer sends before the connection is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) header_bytes: usize,
    pub(crate) headers: usize,
    /// Interim answers before the final one.
    pub(crate) interim: usize,
}

/// Sends the request and reads the head of the answer, skipping interim ones (RFC 9110 §15.2). What came behind the head
/// stays in `buffer`.
pub(super) async fn ask(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
    buffer: &mut BytesMut,
    bounds: Bounds,
    patience: &Patience<'_>,
) -> Result<Head> {
    patience.within(Phase::Send, send(io, request)).await?;
    patience
        .within(Phase::Wait, async {
            for _ in 0..=bounds.interim {
                let end = read_head(io, buffer, bounds.header_bytes).await?;
                let head = Head::parse(&buffer.split_to(end), bounds.headers)?;
                if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Ok(head);
                }
            }
            Err(Error::new(ErrorKind::TooLarge, OPERATION)
                .with_detail(format!("more than {} interim answers (limit interim)", bounds.interim)))
        })
        .await
}

/// Writes all of it.
pub(crate) async fn send(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<()> {
    let outcome = async {
        io.write_all(bytes).await?;
        io.flush().await
    };
    outcome.await.map_err(lost)
}

/// Reads until a head is whole, and gives its length. What has come already stands in `buffer`.
pub(crate) async fn read_head(io: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut, limit: usize) -> Result<usize> {
    let mut scan = Scan::default();
    loop {
        if let Some(end) = scan.find_end(buffer, limit)? {
            return Ok(end);
        }
        buffer.reserve(STEP_BYTES);
        if io.read_buf(buffer).await.map_err(lost)? == 0 {
            let why = match buffer.len() {
                0 => "closed without an answer".into(),
                came => format!("closed after {came} bytes of a head"),
            };
            return Err(Error::new(ErrorKind::Closed, OPERATION).with_detail(why));
        }
    }
}

/// What the server says beside its refusal: the beginning of the body, as far as it comes soon.
pub(super) async fn refused(
    io: &mut (impl AsyncRead + Unpin),
    head: Head,
    mut buffer: BytesMut,
    patience: &Patience<'_>,
) -> Refused {
    let is_chunked = head.headers.contains_key(TRANSFER_ENCODING);
    let most = match length_of(head.status, &head.headers) {
        Some(length) => length.min(BODY_BYTES),
        // Room for the sizes of chunks too.
        None if is_chunked => 2 * BODY_BYTES,
        None => BODY_BYTES,
    };
    let is_whole = |bytes: &[u8]| bytes.len() >= most || (is_chunked && chunked_start(bytes).1);
    let reading = async {
        while !is_whole(&buffer) {
            buffer.reserve(STEP_BYTES);
            // A connection that breaks now ends the body, and that is all.
            if io.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                break;
            }
        }
    };
    let _ = patience.soon(reading).await;
    let body = if is_chunked { chunked_start(&buffer).0.into() } else { Bytes::from(buffer) };
    let body = Bytes::copy_from_slice(&body[..body.len().min(most).min(BODY_BYTES)]);
    Refused::new(head.status, head.headers, body)
}

/// What came behind the head, in no more memory than it needs: none as a rule.
pub(crate) fn rest(buffer: &BytesMut) -> BytesMut {
    if buffer.is_empty() { BytesMut::new() } else { BytesMut::from(&buffer[..]) }
}

fn lost(error: io::Error) -> Error {
    Error::new(ErrorKind::Closed, OPERATION).with_source(error)
}
