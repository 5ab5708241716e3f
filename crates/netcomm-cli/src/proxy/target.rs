//! Where a request goes: pure.

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri};
use netcomm::{Error, ErrorKind, Result};

use super::hop::Answers;
use super::refusal::Refusal;

/// Which requests go where.
#[derive(Clone, Debug)]
pub(super) enum Aim {
    /// All to one origin: a reverse proxy.
    Origin(Scheme, Authority),
    /// Each to the origin that its target names: a forward proxy.
    Named,
}

impl Aim {
    /// Reads the origin that the command line names.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` for what is no origin.
    pub(super) fn parse(origin: Option<&str>) -> Result<Self> {
        let Some(origin) = origin else { return Ok(Self::Named) };
        let refuse = |why: &'static str| Err(Error::new(ErrorKind::Invalid, "read origin").with_detail(why));
        let Ok(uri) = origin.parse::<Uri>() else { return refuse("not a URL") };
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return refuse("an origin is a scheme and a host: http://127.0.0.1:8080");
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return refuse("the scheme is neither http nor https");
        }
        if authority.as_str().contains('@') {
            return refuse("an origin has no user information");
        }
        if parts.path_and_query.is_some_and(|path| path != "/") || origin.contains('#') {
            return refuse("an origin has no path: that of each request is passed on as it is");
        }
        Ok(Self::Origin(scheme, authority))
    }

    /// The address of a request with that target; who answers it where that is not the server there.
    ///
    /// # Errors
    ///
    /// What says why it goes nowhere.
    pub(super) fn address(&self, method: &Method, target: &Uri) -> Result<(Uri, Answers), Refusal> {
        if method == Method::CONNECT {
            return Err(Refusal::new(
                StatusCode::NOT_IMPLEMENTED,
                "CONNECT is not served: a tunnel would pass by the client, its cache and its limits",
            ));
        }
        let is_asterisk = target.path() == "*" && target.authority().is_none();
        let mut parts = target.clone().into_parts();
        match self {
            _ if is_asterisk => return Ok((target.clone(), Answers::Here)),
            // The name by which the client knows this server is not that of the origin.
            Self::Origin(scheme, authority) => {
                (parts.scheme, parts.authority) = (Some(scheme.clone()), Some(authority.clone()));
            }
            Self::Named if parts.authority.is_none() => {
                return Err(Refusal::bad(
                    "a forward proxy wants the absolute form, as in GET http://host/path; with --to it is a reverse proxy",
                ));
            }
            Self::Named if !matches!(target.scheme_str(), Some("http" | "https")) => {
                return Err(Refusal::bad("the scheme of the target is neither http nor https"));
            }
            Self::Named => {}
        }
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        let address = Uri::from_parts(parts).map_err(|_| Refusal::bad("the target is not a URI"))?;
        Ok((address, Answers::Next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(aim: &Aim, method: &Method, target: &str) -> Result<String, u16> {
        match aim.address(method, &target.parse().expect(target)) {
            Ok((uri, Answers::Next)) => Ok(uri.to_string()),
            Ok((_, Answers::Here)) => Ok("here".to_owned()),
            Err(refusal) => Err(refusal.status.as_u16()),
        }
    }

    #[test]
    fn addresses() {
        let (get, options) = (Method::GET, Method::OPTIONS);
        let origin = Aim::parse(Some("http://inner.example:81/")).expect("an origin");
        for (method, target, expected) in [
            (&get, "/a/../b?c", Ok("http://inner.example:81/a/../b?c")),
            (&get, "//a//", Ok("http://inner.example:81//a//")),
            (&get, "http://outer.example/a?b", Ok("http://inner.example:81/a?b")),
            (&get, "http://outer.example", Ok("http://inner.example:81/")),
            (&options, "*", Ok("here")),
            (&Method::CONNECT, "a.example:443", Err(501)),
        ] {
            assert_eq!(address(&origin, method, target), expected.map(str::to_owned), "{target}");
        }
        for (method, target, expected) in [
            (&get, "http://a.example/b?c", Ok("http://a.example/b?c")),
            (&get, "https://a.example:444/b", Ok("https://a.example:444/b")),
            (&get, "http://a.example", Ok("http://a.example/")),
            (&get, "/a", Err(400)),
            (&get, "ftp://a.example/b", Err(400)),
            (&options, "*", Ok("here")),
            (&Method::CONNECT, "a.example:443", Err(501)),
        ] {
            assert_eq!(address(&Aim::Named, method, target), expected.map(str::to_owned), "{target}");
        }
    }

    #[test]
    fn what_is_no_origin() {
        for text in
            ["", "127.0.0.1:80", "/x", "ftp://a", "http://u:hunter2@a", "http://a/x", "http://a/?x", "http://a/#x"]
        {
            let error = Aim::parse(Some(text)).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
        assert!(matches!(Aim::parse(None), Ok(Aim::Named)));
    }
}
