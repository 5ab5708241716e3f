//! Bodies in content codings, whole and broken.

use async_compression::tokio::write::GzipEncoder;
use tokio::io::AsyncWriteExt;

/// The bytes as one gzip member.
pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut encoder = GzipEncoder::new(Vec::new());
        encoder.write_all(data).await.expect("memory takes it");
        encoder.shutdown().await.expect("memory takes it");
        encoder.into_inner()
    })
}

/// The bytes in gzip so many times over.
pub(super) fn gzip_layers(data: &[u8], layers: usize) -> Vec<u8> {
    (0..layers).fold(data.to_vec(), |data, _| gzip(&data))
}

/// Zeros of that length in gzip: a thousandth of it, about.
pub(super) fn bomb(bytes: usize) -> Vec<u8> {
    gzip(&vec![0; bytes])
}

/// A response with that body and `Content-Encoding`.
pub(super) fn coded(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut response =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n", body.len())
            .into_bytes();
    response.extend_from_slice(body);
    response
}
