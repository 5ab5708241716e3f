//! The request that the options describe.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use netcomm::http::{Client, RequestBuilder, multipart};
use netcomm::{Body, Error, ErrorKind, Result, Secret};
use tokio::io::{AsyncRead, ReadBuf};

use crate::args::{Fetch, Outgoing};
use crate::client;

/// Starts the request.
///
/// # Errors
///
/// Kind `Invalid` for options that mean nothing, `Io` for files that cannot be read. What was wrong with a header or a
/// secret is told without its text.
pub(crate) async fn build(client: &Client, method: Method, args: &Fetch) -> Result<RequestBuilder> {
    let outgoing = &args.outgoing;
    let mut request = client.request(method, args.url.as_str()).headers(headers(&outgoing.headers).await?);
    if !outgoing.query.is_empty() {
        request = request.query(&pairs(&outgoing.query, "--query")?);
    }
    request = authorize(request, outgoing).await?;
    if let Some(mode) = args.caching.cache_mode {
        request = request.cache_mode(mode);
    }
    if let Some(ttl) = args.caching.cache_ttl {
        request = request.cache_ttl(ttl);
    }
    request = match &args.guards.idempotency_key {
        Some(Some(key)) => request.idempotency_key(key),
        Some(None) => request.new_idempotency_key(),
        None => request,
    };
    if let Some(data) = &outgoing.data {
        return Ok(request.body(body(data)?));
    }
    if let Some(data) = &outgoing.json_body {
        return Ok(request.header("content-type", "application/json").body(body(data)?));
    }
    if !outgoing.form.is_empty() {
        return Ok(request.form(&pairs(&outgoing.form, "--form")?));
    }
    if !outgoing.multipart.is_empty() {
        return Ok(request.multipart(parts(&outgoing.multipart)?));
    }
    Ok(request)
}

async fn authorize(request: RequestBuilder, outgoing: &Outgoing) -> Result<RequestBuilder> {
    if let Some(token) = &outgoing.bearer {
        return Ok(request.bearer_auth(token.read().await?));
    }
    let Some(user) = &outgoing.user else { return Ok(request) };
    let user = user.read().await?;
    match user.expose().split_once(':') {
        Some((user, password)) => Ok(request.basic_auth(user, Secret::from(password))),
        None => Err(invalid("--user wants USER:PASSWORD".to_owned())),
    }
}

/// Header fields as they are given, one to an option or one to a line of a file.
///
/// # Errors
///
/// As [`build`].
pub(crate) async fn headers(given: &[String]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in given {
        match line.strip_prefix('@') {
            None => add_header(&mut headers, line)?,
            Some(file) => {
                let text = client::read(Path::new(file)).await?;
                let text = String::from_utf8_lossy(&text);
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    add_header(&mut headers, line)?;
                }
            }
        }
    }
    Ok(headers)
}

fn add_header(headers: &mut HeaderMap, line: &str) -> Result<()> {
    let Some((name, value)) = line.split_once(':') else {
        return Err(invalid("--header wants NAME: VALUE".to_owned()));
    };
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|error| invalid("not the name of a header".to_owned()).with_source(error))?;
    let value = HeaderValue::from_str(value.trim())
        .map_err(|error| invalid(format!("not a value for header {name}")).with_source(error))?;
    headers.append(name, value);
    Ok(())
}

fn pairs<'a>(given: &'a [String], option: &str) -> Result<Vec<(&'a str, &'a str)>> {
    let split = |pair: &'a String| pair.split_once('=').ok_or_else(|| invalid(format!("{option} wants NAME=VALUE")));
    given.iter().map(split).collect()
}

fn parts(given: &[String]) -> Result<multipart::Form> {
    let mut form = multipart::Form::new();
    for (name, value) in pairs(given, "--multipart")? {
        form = match value.strip_prefix('@') {
            None => form.text(name, value),
            Some(file) => {
                let path = Path::new(file);
                let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let part = multipart::Part::stream(file_body(path)?).file_name(file_name);
                form.part(name, part)
            }
        };
    }
    Ok(form)
}

/// A body as it is given: text, `@FILE`, or `-` for stdin, which can be sent once.
///
/// # Errors
///
/// Kind `Io` for a file that cannot be read.
pub(crate) fn body(data: &str) -> Result<Body> {
    match data.strip_prefix('@') {
        _ if data == "-" => Ok(Body::from_reader(tokio::io::stdin(), None)),
        Some(file) => file_body(Path::new(file)),
        None => Ok(data.to_owned().into()),
    }
}

/// The content of a file, opened anew whenever it has to be sent again.
fn file_body(file: &Path) -> Result<Body> {
    let failed = |error: io::Error| {
        Error::new(ErrorKind::Io, "read file").with_detail(file.display().to_string()).with_source(error)
    };
    let metadata = std::fs::metadata(file).map_err(failed)?;
    let length = metadata.is_file().then_some(metadata.len());
    let file: PathBuf = file.to_owned();
    Ok(Body::replayable(move || Body::from_reader(Opened::new(&file), length)))
}

/// A file, or the reason why there is none: told when it is read.
enum Opened {
    File(tokio::fs::File),
    Failed(Option<io::Error>),
}

impl Opened {
    fn new(file: &Path) -> Self {
        match std::fs::File::open(file) {
            Ok(file) => Self::File(tokio::fs::File::from_std(file)),
            Err(error) => Self::Failed(Some(error)),
        }
    }
}

impl AsyncRead for Opened {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::File(file) => Pin::new(file).poll_read(cx, buffer),
            Self::Failed(error) => Poll::Ready(error.take().map_or(Ok(()), Err)),
        }
    }
}

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::Invalid, "read options").with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_header_is_told_without_its_value() {
        let mut headers = HeaderMap::new();
        assert!(add_header(&mut headers, "X-Plain:  a: b ").is_ok());
        assert_eq!(headers["x-plain"], "a: b");
        for line in ["hunter2", "x y: hunter2", "x-key: hunter2\u{1}"] {
            let error = add_header(&mut headers, line).expect_err(line);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn pairs_split_at_the_first_sign() {
        let given = ["a=b=c".to_owned(), "d=".to_owned()];
        assert_eq!(pairs(&given, "--form").ok(), Some(vec![("a", "b=c"), ("d", "")]));
        assert!(pairs(&["a".to_owned()], "--form").is_err());
    }
}
