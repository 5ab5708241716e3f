//! A download into a file that can be continued by a later run: the file so far, and a note beside it.

use std::io;
use std::path::{Path, PathBuf};

use http::header::{CONTENT_RANGE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};
use netcomm::core::redact_url;
use netcomm::http::{RequestBuilder, Response};
use netcomm::{Error, ErrorKind, Result};

/// A download that may be continued.
pub(crate) struct Partial {
    note: PathBuf,
    /// The URL without what may be secret in it.
    url: String,
    begun: Option<Begun>,
}

/// What an earlier run has left.
struct Begun {
    /// Bytes that are there.
    offset: u64,
    /// What makes sure that the rest is of the same representation (RFC 9110 §13.1.5).
    validator: String,
}

/// Where the body of a response goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To the beginning of an empty file.
    Anew,
    /// Behind the bytes that are there.
    Behind(u64),
    /// Nowhere: the file is whole.
    Whole(u64),
}

impl Partial {
    /// Looks for what an earlier run has left.
    ///
    /// # Errors
    ///
    /// Kind `Io` if a note is there and cannot be read.
    pub(crate) async fn find(file: &Path, url: &str) -> Result<Self> {
        let mut name = file.as_os_str().to_owned();
        name.push(".netcomm");
        let note = PathBuf::from(name);
        let url = redact_url(url);
        let text = match tokio::fs::read_to_string(&note).await {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { note, url, begun: None });
            }
            Err(error) => return Err(failed(&note, error)),
        };
        let offset = tokio::fs::metadata(file).await.map_or(0, |metadata| metadata.len());
        let begun = match text.lines().collect::<Vec<_>>()[..] {
            [noted, validator] if noted == url && offset > 0 => Some(Begun { offset, validator: validator.to_owned() }),
            _ => None,
        };
        Ok(Self { note, url, begun })
    }

    /// Bytes that are there already.
    pub(crate) fn offset(&self) -> u64 {
        self.begun.as_ref().map_or(0, |begun| begun.offset)
    }

    /// Asks for the rest, if there is a beginning.
    pub(crate) fn ask(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.begun {
            Some(begun) => {
                request.header("range", format!("bytes={}-", begun.offset)).header("if-range", begun.validator.as_str())
            }
            None => request,
        }
    }

    /// Decides where the body goes, and takes a note for the next run.
    ///
    /// # Errors
    ///
    /// Kind `Status` for a response that is no part of the resource: what was downloaded stays. Kind `Protocol` for
    /// another part than the one asked for. Kind `Io` if the note cannot be written.
    pub(crate) async fn place(&self, response: &Response) -> Result<Place> {
        let place = place(self.offset(), response.status(), response.headers())?;
        let validator = validator(response.headers());
        match (&place, validator) {
            (Place::Anew, Some(validator)) => {
                let note = format!("{}\n{validator}\n", self.url);
                tokio::fs::write(&self.note, note).await.map_err(|error| failed(&self.note, error))?;
            }
            // What cannot be continued must not be taken for the beginning of something.
            (Place::Anew, None) | (Place::Whole(_), _) => self.forget().await?,
            (Place::Behind(_), _) => {}
        }
        Ok(place)
    }

    /// Takes the note away: the download is whole.
    ///
    /// # Errors
    ///
    /// Kind `Io`.
    pub(crate) async fn forget(&self) -> Result<()> {
        match tokio::fs::remove_file(&self.note).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&self.note, error)),
            _ => Ok(()),
        }
    }
}

fn place(offset: u64, status: StatusCode, headers: &HeaderMap) -> Result<Place> {
    let range = headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    match status {
        StatusCode::OK => Ok(Place::Anew),
        StatusCode::PARTIAL_CONTENT if offset > 0 => {
            if range.starts_with(&format!("bytes {offset}-")) {
                return Ok(Place::Behind(offset));
            }
            Err(Error::new(ErrorKind::Protocol, "continue download").with_detail("the server sent another part"))
        }
        StatusCode::RANGE_NOT_SATISFIABLE if range == format!("bytes */{offset}") => Ok(Place::Whole(offset)),
        other => Err(Error::new(ErrorKind::Status, "continue download")
            .with_detail(format!("{other}; the file is as it was"))
            .with_status(other)),
    }
}

/// A strong entity tag, else a date.
fn validator(headers: &HeaderMap) -> Option<&str> {
    let strong = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    strong.or_else(|| headers.get(LAST_MODIFIED))?.to_str().ok()
}

fn failed(file: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "note download").with_detail(file.display().to_string()).with_source(error)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn places() {
        let at = |offset, status: StatusCode, range: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, HeaderValue::from_static(range));
            place(offset, status, &headers).map_err(|error| error.kind())
        };
        let (ok, part) = (StatusCode::OK, StatusCode::PARTIAL_CONTENT);
        assert_eq!(at(0, ok, ""), Ok(Place::Anew));
        assert_eq!(at(5, ok, ""), Ok(Place::Anew));
        assert_eq!(at(5, part, "bytes 5-9/10"), Ok(Place::Behind(5)));
        assert_eq!(at(5, part, "bytes 4-9/10"), Err(ErrorKind::Protocol));
        assert_eq!(at(10, StatusCode::RANGE_NOT_SATISFIABLE, "bytes */10"), Ok(Place::Whole(10)));
        assert_eq!(at(11, StatusCode::RANGE_NOT_SATISFIABLE, "bytes */10"), Err(ErrorKind::Status));
        assert_eq!(at(5, StatusCode::NOT_FOUND, ""), Err(ErrorKind::Status));
    }
}
