//! Where the response goes: stdout, or a file.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use netcomm::http::Response;
use netcomm::{Error, ErrorKind, Result};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::partial::Place;

/// Writes text to stdout.
///
/// # Errors
///
/// Kind `Io`, with the system's error beneath.
pub(crate) fn print(text: &str) -> Result<()> {
    put(text.as_bytes())
}

/// Writes bytes to stdout.
///
/// # Errors
///
/// As [`print`].
pub(crate) fn put(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| failed("stdout", error))
}

/// Writes text to stderr; whether somebody reads it matters to nobody.
pub(crate) fn tell(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

/// The head of the response as text. What a terminal could take for a command is shown as escape.
pub(crate) fn head(response: &Response) -> String {
    let mut text = format!("{:?} {}\n", response.version(), response.status());
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        writeln!(text, "{name}: {}", escaped(&value)).expect("a string takes all text");
    }
    text.push('\n');
    text
}

/// The text with escapes for what a terminal could take for a command.
pub(crate) fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|char| {
            let escaped = char.is_control() && char != '\t';
            let plain = (!escaped).then_some(char);
            escaped.then(|| char.escape_default()).into_iter().flatten().chain(plain)
        })
        .collect()
}

/// Writes the body to stdout as it comes. Binary is not written to a terminal unless `insisted`.
///
/// # Errors
///
/// What the body fails with; kind `Invalid` for binary on a terminal; kind `Io`.
pub(crate) async fn to_stdout(mut response: Response, insisted: bool) -> Result<u64> {
    let mut careful = !insisted && io::stdout().is_terminal();
    let mut stdout = tokio::io::stdout();
    let mut written = 0;
    while let Some(chunk) = response.chunk().await? {
        if std::mem::take(&mut careful) && is_binary(&chunk) {
            return Err(Error::new(ErrorKind::Invalid, "write body")
                .with_detail("binary, and stdout is a terminal: -o FILE writes a file, -o - insists"));
        }
        let outcome = match stdout.write_all(&chunk).await {
            Ok(()) => stdout.flush().await,
            failed => failed,
        };
        outcome.map_err(|error| failed("stdout", error))?;
        written += chunk.len() as u64;
    }
    Ok(written)
}

/// Writes the body to a file as it comes; gives the file's length.
///
/// # Errors
///
/// What the body fails with: what came before stays in the file. Kind `Io`.
pub(crate) async fn to_file(mut response: Response, file: &Path, place: &Place) -> Result<u64> {
    let name = file.display().to_string();
    let failed = |error| failed(&name, error);
    let (mut sink, mut length) = match *place {
        Place::Anew => (File::create(file).await.map_err(failed)?, 0),
        Place::Behind(offset) => (OpenOptions::new().append(true).open(file).await.map_err(failed)?, offset),
        Place::Whole(length) => return Ok(length),
    };
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                sink.write_all(&chunk).await.map_err(failed)?;
                length += chunk.len() as u64;
            }
            end => {
                flush(&mut sink).await.map_err(failed)?;
                return end.map(|_| length);
            }
        }
    }
}

async fn flush(sink: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    sink.flush().await
}

/// Whether a chunk, the first of a body, is something else than text in UTF-8.
fn is_binary(chunk: &[u8]) -> bool {
    // A character that is cut at the end of the chunk is none of the chunk's fault.
    let is_text = std::str::from_utf8(chunk).map_or_else(|error| error.error_len().is_none(), |_| true);
    !is_text || chunk.contains(&0)
}

fn failed(name: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "write output").with_detail(name.to_owned()).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary() {
        assert!(!is_binary(b""));
        assert!(!is_binary("grün".as_bytes()));
        assert!(!is_binary(&"grü".as_bytes()[..3]));
        assert!(is_binary(b"\x89PNG\r\n"));
        assert!(is_binary(b"a\0b"));
    }
}
