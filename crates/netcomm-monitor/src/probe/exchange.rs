//! One request of a probe over a connection of its own.

use http::{HeaderName, StatusCode};
use netcomm_core::{AddressFamily, Dial, Env, Error, ErrorKind, Host, Io, Result, Target, TlsTarget};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::answer::{Head, judge};
use super::{Answer, Expect, Probe};

/// The largest head of an answer, in bytes. Whoever sends more is no probe's host.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The most header fields of an answer.
const MAX_HEADERS: usize = 100;
/// The most interim responses before the answer.
const MAX_INTERIM: usize = 8;

/// Asks once, over addresses of one family or of any.
pub(super) async fn ask(env: &Env, probe: &Probe, url: &Url, family: Option<AddressFamily>) -> Result<Answer> {
    let is_secure = url.scheme() == "https";
    let host = Host::parse(url.host_str().unwrap_or_default())?;
    let port = url.port_or_known_default().unwrap_or(if is_secure { 443 } else { 80 });
    let mut target = Target::tcp(host, port).with_timeout(probe.timeout).with_family(family);
    // The application named the host: it may be one of its own network, unless the policy forbids all of them.
    target = target.with_private_addresses(env.policy().private_addresses);
    if is_secure {
        target = target.with_tls(TlsTarget { alpn: vec![b"http/1.1".to_vec()], ..TlsTarget::default() });
    }
    let mut io = env.dialer().dial(&target).await?;
    let word = format!("{:016x}", env.random().next_u64());
    let request = request(&probe.expect, url, &word);
    io.write_all(request.as_bytes()).await.map_err(closed)?;
    io.flush().await.map_err(closed)?;
    let head = read(&mut io, &probe.expect, &word).await?;
    Ok(judge(&head, is_secure))
}

fn request(expect: &Expect, url: &Url, word: &str) -> String {
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\naccept: */*\r\ncache-control: no-store\r\n");
    if let Expect::Challenge { request: name, .. } = expect {
        request.push_str(&format!("{name}: {word}\r\n"));
    }
    request.push_str("connection: close\r\n\r\n");
    request
}

/// Reads up to the head of the final answer.
async fn read(io: &mut Io, expect: &Expect, word: &str) -> Result<Head> {
    let mut buffer = Vec::with_capacity(1024);
    for _ in 0..=MAX_INTERIM {
        let (head, length) = loop {
            if let Some(found) = parse(&buffer, expect, word)? {
                break found;
            }
            if buffer.len() >= MAX_HEAD_BYTES {
                return Err(protocol("the head of the answer is too large"));
            }
            if io.read_buf(&mut buffer).await.map_err(closed)? == 0 {
                return Err(Error::new(ErrorKind::Closed, "probe").with_detail("closed before an answer came"));
            }
        };
        if !head.status.is_informational() {
            return Ok(head);
        }
        buffer.drain(..length);
    }
    Err(protocol("too many interim responses"))
}

/// The head, and how long it is; `None` if it is not whole yet.
fn parse(buffer: &[u8], expect: &Expect, word: &str) -> Result<Option<(Head, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(protocol("the answer is not HTTP").with_source(error)),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| protocol("the answer has no status"))?;
    let field = |name: &HeaderName| {
        let mut fields = response.headers.iter();
        fields
            .find(|field| field.name.eq_ignore_ascii_case(name.as_str()))
            .and_then(|field| str::from_utf8(field.value).ok())
    };
    let knows_the_word = match expect {
        Expect::NoContent => None,
        Expect::Challenge { response, .. } => {
            let told = field(response).and_then(|value| value.trim().strip_prefix("response "));
            Some(told == Some(word))
        }
    };
    let has_body = field(&http::header::CONTENT_LENGTH) != Some("0");
    let location = field(&http::header::LOCATION).map(str::to_owned);
    Ok(Some((Head { status, location, knows_the_word, has_body }, length)))
}

fn protocol(detail: &'static str) -> Error {
    Error::new(ErrorKind::Protocol, "probe").with_detail(detail)
}

fn closed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Closed, "probe").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent() {
        let url = Url::parse("http://u:p@probe.example:8080/generate_204?x=1#f").expect("a URL");
        let plain = request(&Expect::NoContent, &url, "w");
        assert!(plain.starts_with("GET /generate_204?x=1 HTTP/1.1\r\nhost: probe.example:8080\r\n"), "{plain}");
        assert!(plain.ends_with("\r\n\r\n") && !plain.contains("u:p"));
        let (name, answer) = (HeaderName::from_static("x-c"), HeaderName::from_static("x-r"));
        let challenge = Expect::Challenge { request: name, response: answer };
        assert!(request(&challenge, &url, "0f0f").contains("\r\nx-c: 0f0f\r\n"));
    }

    #[test]
    fn what_comes_back() {
        let challenge =
            Expect::Challenge { request: HeaderName::from_static("x-c"), response: HeaderName::from_static("x-r") };
        let whole = b"HTTP/1.1 204 No Content\r\nX-R: response 0f0f\r\nContent-Length: 0\r\n\r\nrest";
        for cut in 0..whole.len() - "rest".len() {
            assert!(parse(&whole[..cut], &challenge, "0f0f").expect("a beginning").is_none(), "{cut}");
        }
        let (head, length) = parse(whole, &challenge, "0f0f").expect("HTTP").expect("whole");
        assert_eq!((head.status, head.knows_the_word, head.has_body), (StatusCode::NO_CONTENT, Some(true), false));
        assert_eq!(length, whole.len() - "rest".len());
        let (head, _) = parse(whole, &challenge, "other").expect("HTTP").expect("whole");
        assert_eq!(head.knows_the_word, Some(false));
        for bad in [&b"SSH-2.0-x\r\n"[..], b"HTTP/1.1 abc\r\n\r\n", b"\0\0\0\0"] {
            let error = parse(bad, &Expect::NoContent, "").err().expect("no HTTP");
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
    }
}
