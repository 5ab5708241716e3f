//! Which proxy stands before which target: a pure decision.

use std::fmt;
use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use netcomm_core::{Host, PrivateAddresses, Result, Secret, Target};

use crate::server::{Fault, Scheme, Server};

/// Which proxies are used, and who is reached without one. Cheap to clone. Passwords show
/// themselves to no `Debug`.
///
/// A proxy is written `scheme://user:password@host:port` with user and password percent-encoded.
/// Schemes:
///
/// | scheme | the proxy speaks | port | the target's name is resolved |
/// |---|---|---|---|
/// | `http`, or none | HTTP: a tunnel by CONNECT, or see below | 80 | by the proxy |
/// | `https` | the same over TLS | 443 | by the proxy |
/// | `socks5` | SOCKS version 5 (RFC 1928, RFC 1929) | 1080 | here |
/// | `socks5h` | the same | 1080 | by the proxy |
///
/// Callers that can speak to a forward proxy themselves get a connection to the HTTP proxy as it is
/// for targets without TLS, while the guard against private addresses is off.
///
/// While the guard against private addresses is on, the name is always resolved and checked here,
/// and the proxy is asked for a tunnel to the checked address. A proxy's own address is the
/// operator's word and is not checked.
#[derive(Clone)]
pub struct Proxies {
    rules: Arc<Rules>,
}

#[derive(Default)]
struct Rules {
    http: Option<Result<Server, Fault>>,
    https: Option<Result<Server, Fault>>,
    bypass: Option<Matcher>,
}

/// How a target is reached.
#[derive(Debug)]
pub(crate) enum Route<'a> {
    /// Without a proxy.
    Direct,
    /// By HTTP requests in absolute form, which the proxy forwards.
    Forward(&'a Server),
    /// By a tunnel through the proxy.
    Tunnel(&'a Server, Ask),
}

/// How the proxy is told where the tunnel shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// By the target's host as it stands.
    Host,
    /// By an address found here.
    Address,
}

impl Proxies {
    /// No proxy for anybody.
    #[must_use]
    pub fn none() -> Self {
        Self { rules: Arc::default() }
    }

    /// One proxy for all targets. `url` as described above.
    ///
    /// # Errors
    ///
    /// Kind [`Invalid`](netcomm_core::ErrorKind::Invalid) if the URL is malformed,
    /// [`Unsupported`](netcomm_core::ErrorKind::Unsupported) if its scheme is not one of those
    /// above.
    pub fn all(url: &str) -> Result<Self> {
        Self::builder().all(url).build()
    }

    /// Rules of one's own.
    pub fn builder() -> ProxiesBuilder {
        ProxiesBuilder::default()
    }

    /// What the process environment says, read once: `HTTPS_PROXY` for targets with TLS,
    /// `HTTP_PROXY` for others, `ALL_PROXY` for both where the former is missing, `NO_PROXY` for
    /// who needs none (see [`ProxiesBuilder::no_proxy`]); each also in lower case if the upper-case
    /// one is missing or empty.
    ///
    /// In a CGI program (`REQUEST_METHOD` is set) `HTTP_PROXY` is ignored: there it holds what a
    /// stranger sent as a header. A value that cannot be used is an error of the dials that it
    /// concerns; no connection bypasses it.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// The same with another source of variables.
    #[must_use]
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let first = |upper: &str, lower: &str| set(upper).or_else(|| set(lower));
        let read = |name: &'static str, value: Option<String>| {
            value.map(|url| Server::parse(&url).map_err(|fault| fault.of(format!("the variable {name}"))))
        };
        let http = if var("REQUEST_METHOD").is_some() { set("http_proxy") } else { first("HTTP_PROXY", "http_proxy") };
        let all = read("ALL_PROXY", first("ALL_PROXY", "all_proxy"));
        let http = read("HTTP_PROXY", http).or_else(|| all.clone());
        let https = read("HTTPS_PROXY", first("HTTPS_PROXY", "https_proxy")).or(all);
        let bypass = first("NO_PROXY", "no_proxy").map(|list| bypass(&list));
        Self { rules: Arc::new(Rules { http, https, bypass }) }
    }

    /// How `host`, the target's, is reached.
    pub(crate) fn route(&self, host: &Host, target: &Target) -> Result<Route<'_>> {
        let encrypted = target.tls.is_some();
        let server = match if encrypted { &self.rules.https } else { &self.rules.http } {
            Some(_) if self.bypasses(host) => return Ok(Route::Direct),
            Some(Ok(server)) => server,
            Some(Err(fault)) => return Err(fault.error()),
            None => return Ok(Route::Direct),
        };
        let guarded = target.private_addresses != PrivateAddresses::Allow;
        Ok(match server.scheme {
            // A forwarding proxy resolves the name itself, and again: what was checked here would
            // mean nothing.
            Scheme::Http | Scheme::Https if target.forward_proxy && !encrypted && !guarded => Route::Forward(server),
            Scheme::Http | Scheme::Https | Scheme::Socks5h if !guarded => Route::Tunnel(server, Ask::Host),
            Scheme::Http | Scheme::Https | Scheme::Socks5 | Scheme::Socks5h => Route::Tunnel(server, Ask::Address),
        })
    }

    fn bypasses(&self, host: &Host) -> bool {
        let Some(bypass) = &self.rules.bypass else {
            return false;
        };
        let uri = Uri::builder().scheme("http").authority(host.to_string()).path_and_query("/").build();
        uri.is_ok_and(|uri| bypass.intercept(&uri).is_none())
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rules { http, https, bypass } = &*self.rules;
        f.debug_struct("Proxies")
            .field("http", http)
            .field("https", https)
            .field("no_proxy", &bypass.is_some())
            .finish()
    }
}

/// Makes [`Proxies`]. Without a rule, no proxy is used.
#[derive(Clone, Default)]
#[must_use]
pub struct ProxiesBuilder {
    all: Option<String>,
    http: Option<String>,
    https: Option<String>,
    no_proxy: Option<String>,
    credentials: Option<(String, Secret)>,
}

impl ProxiesBuilder {
    /// The proxy for all targets that have none of their own below.
    pub fn all(mut self, url: impl Into<String>) -> Self {
        self.all = Some(url.into());
        self
    }

    /// The proxy for targets without TLS.
    pub fn http(mut self, url: impl Into<String>) -> Self {
        self.http = Some(url.into());
        self
    }

    /// The proxy for targets with TLS.
    pub fn https(mut self, url: impl Into<String>) -> Self {
        self.https = Some(url.into());
        self
    }

    /// Who is reached without a proxy, separated by commas: domains, which stand for their
    /// subdomains too (`a.example`, `.a.example`, `*.a.example`), addresses, networks
    /// (`10.0.0.0/8`), or `*` for everybody. Names are compared as they stand, without being
    /// resolved.
    pub fn no_proxy(mut self, list: impl Into<String>) -> Self {
        self.no_proxy = Some(list.into());
        self
    }

    /// User and password, as they are (not percent-encoded), for all proxies whose URL names none.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// The rules.
    ///
    /// # Errors
    ///
    /// Kind [`Invalid`](netcomm_core::ErrorKind::Invalid) if a URL is malformed,
    /// [`Unsupported`](netcomm_core::ErrorKind::Unsupported) if a scheme is not one of those that
    /// [`Proxies`] lists.
    pub fn build(self) -> Result<Proxies> {
        let read = |url: &Option<String>| -> Result<Option<Server>> {
            let Some(url) = url else { return Ok(None) };
            let server = Server::parse(url).and_then(|server| match &self.credentials {
                Some((user, password)) => server.or_credentials(user.clone(), password.clone()),
                None => Ok(server),
            });
            server.map(Some).map_err(|fault| fault.error())
        };
        let all = read(&self.all)?;
        let http = read(&self.http)?.or_else(|| all.clone()).map(Ok);
        let https = read(&self.https)?.or(all).map(Ok);
        Ok(Proxies { rules: Arc::new(Rules { http, https, bypass: self.no_proxy.as_deref().map(bypass) }) })
    }
}

impl fmt::Debug for ProxiesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URLs can hold passwords and are not parsed yet.
        f.debug_struct("ProxiesBuilder").finish_non_exhaustive()
    }
}

/// The one that knows the rules of `NO_PROXY`: it intercepts whoever is not on the list.
fn bypass(list: &str) -> Matcher {
    // Like Go's reading, `*.a.example` means `.a.example`.
    let plain = |entry: &'_ str| match entry.trim() {
        wild if wild.starts_with("*.") => wild[1..].to_owned(),
        entry => entry.to_owned(),
    };
    let list: Vec<String> = list.split(',').map(plain).collect();
    Matcher::builder().all("http://proxy.invalid").no(list.join(",")).build()
}

#[cfg(test)]
mod tests {
    use netcomm_core::{ErrorKind, TlsTarget};

    use super::*;

    const URL: &str = "http://user:hunter2@p.example:3128";

    fn vars(set: &'static [(&'static str, &'static str)]) -> Proxies {
        Proxies::from_vars(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned()))
    }

    fn target(url: &str) -> (Host, Target) {
        let (scheme, host) = url.split_once("://").expect("a url");
        let host = Host::parse(host).expect("a host");
        let target = Target::tcp(host.clone(), 1);
        (host, if scheme == "https" { target.with_tls(TlsTarget::default()) } else { target })
    }

    fn route(proxies: &Proxies, url: &str) -> String {
        let (host, target) = target(url);
        match proxies.route(&host, &target) {
            Ok(Route::Direct) => "direct".to_owned(),
            Ok(Route::Forward(server)) => format!("forward {}", server.host),
            Ok(Route::Tunnel(server, ask)) => format!("{} {ask:?}", server.host),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    #[test]
    fn variables() {
        let both = vars(&[("HTTP_PROXY", "a"), ("https_proxy", "http://b")]);
        assert_eq!((route(&both, "http://x").as_str(), route(&both, "https://x").as_str()), ("a Host", "b Host"));
        let all = vars(&[("ALL_PROXY", "socks5://c"), ("HTTPS_PROXY", " "), ("https_proxy", "d")]);
        assert_eq!((route(&all, "http://x").as_str(), route(&all, "https://x").as_str()), ("c Address", "d Host"));
        assert_eq!(route(&vars(&[]), "https://x"), "direct");
        let cgi = vars(&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil"), ("HTTPS_PROXY", "good")]);
        assert_eq!((route(&cgi, "http://x").as_str(), route(&cgi, "https://x").as_str()), ("direct", "good Host"));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_never_bypassed_in_silence() {
        let proxies = vars(&[("HTTPS_PROXY", "gopher://u:hunter2@p"), ("ALL_PROXY", "http://p:x"), ("NO_PROXY", "y")]);
        assert_eq!(route(&proxies, "https://x"), "Unsupported");
        assert_eq!(route(&proxies, "http://x"), "Invalid");
        assert_eq!(route(&proxies, "https://y"), "direct");
        let (host, target) = target("https://x");
        let error = proxies.route(&host, &target).expect_err("must fail");
        assert_eq!(error.detail(), Some("proxies by gopher:// are not supported, in the variable HTTPS_PROXY"));
        assert!(!format!("{proxies:?}{error:?}").contains("hunter2"));
    }

    #[test]
    fn who_needs_no_proxy() {
        let proxies = Proxies::builder()
            .all(URL)
            .no_proxy("a.example, .b.example,*.c.example, 10.0.0.0/8,192.0.2.7,2001:db8::/32,localhost")
            .build()
            .expect("rules");
        for (host, direct) in [
            ("a.example", true),
            ("x.a.example", true),
            ("A.EXAMPLE", true),
            ("xa.example", false),
            ("b.example", true),
            ("x.b.example", true),
            ("x.c.example", true),
            ("10.1.2.3", true),
            ("11.1.2.3", false),
            ("0xa.1", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("[2001:db8::1]", true),
            ("[2001:db9::1]", false),
            ("localhost", true),
            ("d.example", false),
        ] {
            assert_eq!(route(&proxies, &format!("http://{host}")) == "direct", direct, "{host}");
        }
        let nobody = Proxies::builder().all(URL).no_proxy("*").build().expect("rules");
        assert_eq!(route(&nobody, "https://a.example"), "direct");
    }

    #[test]
    fn how_a_proxy_is_used() {
        let (clear, tls) = ("http://x.example", "https://x.example");
        for (url, of, forward, guarded, expected) in [
            ("http://p", clear, false, false, "p Host"),
            ("http://p", clear, true, false, "forward p"),
            ("https://p", clear, true, false, "forward p"),
            ("http://p", tls, true, false, "p Host"),
            ("http://p", clear, true, true, "p Address"),
            ("http://p", tls, false, true, "p Address"),
            ("https://p", tls, false, true, "p Address"),
            ("socks5://p", clear, true, false, "p Address"),
            ("socks5h://p", clear, true, false, "p Host"),
            ("socks5://p", clear, false, true, "p Address"),
            ("socks5h://p", clear, false, true, "p Address"),
        ] {
            let proxies = Proxies::all(url).expect("a proxy");
            let (host, target) = target(of);
            let guard = if guarded { PrivateAddresses::Deny } else { PrivateAddresses::Allow };
            let target = target.with_forward_proxy(forward).with_private_addresses(guard);
            let got = match proxies.route(&host, &target).expect("a route") {
                Route::Direct => "direct".to_owned(),
                Route::Forward(server) => format!("forward {}", server.host),
                Route::Tunnel(server, ask) => format!("{} {ask:?}", server.host),
            };
            assert_eq!(got, expected, "{url} {of} {forward} {guarded}");
        }
    }

    #[test]
    fn rules_of_ones_own() {
        let rules = Proxies::builder().all("socks5://a").https("http://b").credentials("user", "hunter2");
        assert!(!format!("{rules:?}").contains("hunter2"));
        let proxies = rules.build().expect("rules");
        assert_eq!(
            (route(&proxies, "http://x").as_str(), route(&proxies, "https://x").as_str()),
            ("a Address", "b Host")
        );
        let shown = format!("{proxies:?} {:?}", Proxies::all(URL));
        assert!(!shown.contains("hunter2") && !shown.contains("user"), "{shown}");
        for (url, kind) in [("ftp://a", ErrorKind::Unsupported), ("http://", ErrorKind::Invalid)] {
            assert_eq!(Proxies::all(url).map_err(|error| error.kind()).err(), Some(kind));
        }
    }
}
