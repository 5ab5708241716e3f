//! A right to use the network that can only be narrowed: pure.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::uri::Authority;
use http::{Method, Uri};

use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::pattern::{Pattern, default_port};
use crate::policy::PrivateAddresses;
use crate::rate::Rate;
use crate::slots::Slots;

/// What may be reached, how, and how much: what an application hands to a plugin in place of its own client.
///
/// A scope is a list of layers, and all of them must agree: [`narrow`](Self::narrow) adds layers, nothing takes one
/// off. [`revoke`](Self::revoke) ends a layer for every handle that carries it, at once. Cheap to clone;
/// clones share budgets and revocation.
///
/// ```
/// use netcomm_core::Scope;
///
/// let plugin = Scope::builder("weather").allow("https://api.weather.example/v1/")?.methods(["GET"])?.build();
/// assert!(plugin.check(&http::Method::GET, &"https://api.weather.example/v1/today".parse()?).is_ok());
/// assert!(plugin.check(&http::Method::POST, &"https://api.weather.example/v1/today".parse()?).is_err());
/// plugin.revoke();
/// assert!(plugin.check(&http::Method::GET, &"https://api.weather.example/v1/today".parse()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Scope {
    /// Outermost first; `None` is the unlimited scope, which costs nothing.
    layers: Option<Arc<[Arc<Layer>]>>,
}

struct Layer {
    name: Arc<str>,
    rules: Rules,
    revoked: AtomicBool,
    requests: AtomicU64,
    /// What components keep of this layer: the state of its limits.
    slots: Slots,
}

#[derive(Clone, Debug, Default)]
struct Rules {
    allow: Option<Vec<Pattern>>,
    deny: Vec<Pattern>,
    methods: Option<Vec<Method>>,
    channels: Option<Vec<String>>,
    private_addresses: PrivateAddresses,
    max_requests: Option<u64>,
    rate: Option<Rate>,
    concurrency: Option<NonZeroUsize>,
    max_request_bytes: Option<u64>,
    max_response_bytes: Option<u64>,
    timeout: Option<Duration>,
}

impl Scope {
    /// The scope without any limit: the default.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Starts a scope; `name` is what observations and errors call it.
    pub fn builder(name: impl Into<Arc<str>>) -> ScopeBuilder {
        ScopeBuilder { name: name.into(), rules: Rules { allow: Some(Vec::new()), ..Rules::default() } }
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.layers.is_none()
    }

    /// The name of the innermost layer.
    #[must_use]
    pub fn name(&self) -> Option<&Arc<str>> {
        self.arcs().last().map(|layer| &layer.name)
    }

    /// The scope in which both this one and `other` agree.
    #[must_use]
    pub fn narrow(&self, other: &Self) -> Self {
        if self.layers.is_none() {
            return other.clone();
        }
        let mut layers: Vec<_> = self.arcs().cloned().collect();
        for layer in other.arcs() {
            if !layers.iter().any(|known| Arc::ptr_eq(known, layer)) {
                layers.push(Arc::clone(layer));
            }
        }
        Self { layers: Some(layers.into()) }
    }

    /// Ends this layer: whatever carries it, here or narrowed further, is refused from now on. Cannot be undone.
    pub fn revoke(&self) {
        if let Some(layer) = self.arcs().last() {
            layer.revoked.store(true, Ordering::Release);
        }
    }

    /// Whether a layer was revoked.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.arcs().any(|layer| layer.revoked.load(Ordering::Acquire))
    }

    /// Whether a request may be sent. Does not touch the budget.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] naming the layer and the reason; [`ErrorKind::Canceled`] if a layer was revoked;
    /// [`ErrorKind::Invalid`] for a URI without host.
    pub fn check(&self, method: &Method, uri: &Uri) -> Result<()> {
        if self.layers.is_none() {
            return Ok(());
        }
        let Some((scheme, authority)) = uri.scheme_str().zip(uri.authority()) else {
            return Err(Error::new(ErrorKind::Invalid, "check scope").with_detail("a URI needs scheme and host"));
        };
        let (host, port) = match host_and_port(authority) {
            (host, Some(port)) => (host, port),
            (host, None) if authority.as_str().ends_with(host) => (host, default_port(scheme).unwrap_or(0)),
            _ => return Err(Error::new(ErrorKind::Invalid, "check scope").with_detail("the port is not a number")),
        };
        // Parsed only if a rule asks for it; but what cannot be read is refused by every scope.
        let host = match !self.has_patterns() && Host::is_canonical(host) {
            true => None,
            false => Some(Host::parse(host)?),
        };
        for layer in self.arcs() {
            let refuse = |why: String| {
                Err(Error::new(ErrorKind::Denied, "check scope")
                    .with_detail(format!("scope {:?}: {why}", layer.name))
                    .with_url(&uri.to_string()))
            };
            layer.check_alive()?;
            let matches = |pattern: &Pattern| {
                host.as_ref().is_some_and(|host| pattern.matches_host(scheme, host, port, uri.path()))
            };
            if layer.rules.methods.as_ref().is_some_and(|methods| !methods.contains(method)) {
                return refuse(format!("method {method} is not allowed"));
            }
            if let Some(pattern) = layer.rules.deny.iter().find(|pattern| matches(pattern)) {
                return refuse(format!("the rule {pattern} denies it"));
            }
            if layer.rules.allow.as_ref().is_some_and(|allow| !allow.iter().any(&matches)) {
                return refuse("no rule allows the destination".into());
            }
        }
        Ok(())
    }

    /// Whether a named channel (bus, push) may be used.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn check_channel(&self, channel: &str) -> Result<()> {
        for layer in self.arcs() {
            layer.check_alive()?;
            if layer.rules.channels.as_ref().is_some_and(|channels| !channels.iter().any(|own| own == channel)) {
                return Err(Error::new(ErrorKind::Denied, "check scope")
                    .with_detail(format!("scope {:?}: channel {channel:?} is not allowed", layer.name)));
            }
        }
        Ok(())
    }

    /// Takes one request from the budget of every layer, or from none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] naming the layer whose budget is used up.
    pub fn spend_request(&self) -> Result<()> {
        for layer in self.arcs() {
            let Some(max) = layer.rules.max_requests else { continue };
            let spent = layer
                .requests
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| (used < max).then_some(used + 1));
            if spent.is_err() {
                for earlier in self.arcs().take_while(|earlier| !Arc::ptr_eq(earlier, layer)) {
                    if earlier.rules.max_requests.is_some() {
                        earlier.requests.fetch_sub(1, Ordering::AcqRel);
                    }
                }
                return Err(Error::new(ErrorKind::Busy, "check scope")
                    .with_detail(format!("scope {:?}: its {max} requests are used up", layer.name)));
            }
        }
        Ok(())
    }

    /// The guard: on if a layer turns it on.
    #[must_use]
    pub fn private_addresses(&self) -> PrivateAddresses {
        let denied = self.arcs().any(|layer| layer.rules.private_addresses == PrivateAddresses::Deny);
        if denied { PrivateAddresses::Deny } else { PrivateAddresses::Allow }
    }

    /// The least of the layers' bounds on the bytes of one request body.
    #[must_use]
    pub fn max_request_bytes(&self) -> Option<u64> {
        self.arcs().filter_map(|layer| layer.rules.max_request_bytes).min()
    }

    /// The least of the layers' bounds on the decoded bytes of one response body.
    #[must_use]
    pub fn max_response_bytes(&self) -> Option<u64> {
        self.arcs().filter_map(|layer| layer.rules.max_response_bytes).min()
    }

    /// The least of the layers' bounds on the time of one call.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.arcs().filter_map(|layer| layer.rules.timeout).min()
    }

    /// The layers, outermost first. Empty for the unlimited scope.
    ///
    /// For components that keep state of a layer, as of its [`rate`](ScopeBuilder::rate). An application has no use for it.
    pub fn layers(&self) -> impl Iterator<Item = ScopeLayer<'_>> {
        self.arcs().map(|layer| ScopeLayer { layer })
    }

    fn has_patterns(&self) -> bool {
        self.arcs().any(|layer| layer.rules.allow.is_some() || !layer.rules.deny.is_empty())
    }

    fn arcs(&self) -> impl Iterator<Item = &Arc<Layer>> {
        self.layers.iter().flat_map(|layers| layers.iter())
    }
}

/// One layer of a [`Scope`], as components see it.
#[derive(Clone, Copy)]
pub struct ScopeLayer<'a> {
    layer: &'a Arc<Layer>,
}

impl<'a> ScopeLayer<'a> {
    /// The name of the scope that brought this layer.
    #[must_use]
    pub fn name(&self) -> &'a Arc<str> {
        &self.layer.name
    }

    /// How often requests may be sent, all origins together.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.layer.rules.rate
    }

    /// How many requests may be under way at a time, all origins together.
    #[must_use]
    pub fn concurrency(&self) -> Option<NonZeroUsize> {
        self.layer.rules.concurrency
    }

    /// The one value of type `T` that belongs to this layer, which `make` makes when it is asked for first. Every scope that
    /// carries the layer sees the same one, and it lives as long as the layer does.
    ///
    /// A component names a type of its own here, so that nobody else can reach its state. Where two make one at the same
    /// time, one of the two stays and both are given that one.
    pub fn state<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        self.layer.slots.get_or_make(make)
    }
}

impl fmt::Debug for ScopeLayer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeLayer").field("name", &self.layer.name).field("rules", &self.layer.rules).finish()
    }
}

impl Layer {
    fn check_alive(&self) -> Result<()> {
        if self.revoked.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Canceled, "check scope")
                .with_detail(format!("scope {:?} was revoked", self.name)));
        }
        Ok(())
    }
}

/// What an authority names, found in one go where it has neither user information nor brackets.
fn host_and_port(authority: &Authority) -> (&str, Option<u16>) {
    let text = authority.as_str();
    match text.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))) {
        None => (text, None),
        Some(at) if text[at..].starts_with(':') && text[at + 1..].bytes().all(|byte| byte.is_ascii_digit()) => {
            (&text[..at], text[at + 1..].parse().ok())
        }
        Some(_) => (authority.host(), authority.port_u16()),
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for layer in self.arcs() {
            list.entry(&format_args!(
                "{:?} {:?} revoked={}",
                layer.name,
                layer.rules,
                layer.revoked.load(Ordering::Relaxed)
            ));
        }
        list.finish()
    }
}

/// Builds a [`Scope`]. What is not set is not limited, except hosts: a scope without [`allow`](Self::allow) and without
/// [`allow_all`](Self::allow_all) reaches nothing.
#[derive(Clone, Debug)]
#[must_use]
pub struct ScopeBuilder {
    name: Arc<str>,
    rules: Rules,
}

impl ScopeBuilder {
    /// Allows what a [`Pattern`] matches; call it again for more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it is no pattern.
    pub fn allow(mut self, pattern: &str) -> Result<Self> {
        let pattern = pattern.parse()?;
        if let Some(allow) = &mut self.rules.allow {
            allow.push(pattern);
        }
        Ok(self)
    }

    /// Allows every destination that no [`deny`](Self::deny) names, addresses and clear connections included.
    pub fn allow_all(mut self) -> Self {
        self.rules.allow = None;
        self
    }

    /// Denies what a [`Pattern`] matches, also where a rule allows it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it is no pattern.
    pub fn deny(mut self, pattern: &str) -> Result<Self> {
        self.rules.deny.push(pattern.parse()?);
        Ok(self)
    }

    /// Allows only these methods.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if one is no method.
    pub fn methods<'a>(mut self, methods: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let parse = |method: &str| {
            Method::from_bytes(method.as_bytes()).map_err(|error| {
                Error::new(ErrorKind::Invalid, "build scope").with_detail(format!("{method:?}")).with_source(error)
            })
        };
        self.rules.methods = Some(methods.into_iter().map(parse).collect::<Result<_>>()?);
        Ok(self)
    }

    /// Allows only these named channels (bus, push).
    pub fn channels(mut self, channels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.rules.channels = Some(channels.into_iter().map(Into::into).collect());
        self
    }

    /// Turns the guard against private addresses on.
    pub fn deny_private_addresses(mut self) -> Self {
        self.rules.private_addresses = PrivateAddresses::Deny;
        self
    }

    /// Requests that may be sent in the life of the scope, redirects and repetitions counted.
    pub fn max_requests(mut self, requests: u64) -> Self {
        self.rules.max_requests = Some(requests);
        self
    }

    /// How often requests may be sent, all origins together, redirects and repetitions counted. What comes too early waits
    /// its turn as long as its deadline allows.
    pub fn rate(mut self, rate: Rate) -> Self {
        self.rules.rate = Some(rate);
        self
    }

    /// How many requests may be under way at a time, all origins together, each until the end of its response's body. Others
    /// wait, first come first served, as long as their deadlines allow.
    pub fn concurrency(mut self, requests: NonZeroUsize) -> Self {
        self.rules.concurrency = Some(requests);
        self
    }

    /// Bytes of one request body.
    pub fn max_request_bytes(mut self, bytes: u64) -> Self {
        self.rules.max_request_bytes = Some(bytes);
        self
    }

    /// Decoded bytes of one response body.
    pub fn max_response_bytes(mut self, bytes: u64) -> Self {
        self.rules.max_response_bytes = Some(bytes);
        self
    }

    /// The most that one call may take, to the last byte of the body.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.rules.timeout = Some(timeout);
        self
    }

    /// The scope.
    #[must_use]
    pub fn build(self) -> Scope {
        let layer = Layer {
            name: self.name,
            rules: self.rules,
            revoked: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            slots: Slots::default(),
        };
        Scope { layers: Some(Arc::new([Arc::new(layer)])) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().expect(text)
    }

    fn scope(name: &str, allow: &[&str]) -> ScopeBuilder {
        allow.iter().fold(Scope::builder(name), |scope, pattern| scope.allow(pattern).expect(pattern))
    }

    #[test]
    fn a_scope_without_rules_reaches_nothing() {
        let none = Scope::builder("none").build();
        assert!(none.check(&Method::GET, &uri("https://a.example/")).is_err_and(|error| error.is_denied()));
        assert!(Scope::unlimited().check(&Method::GET, &uri("http://10.0.0.1/")).is_ok());
        assert!(Scope::builder("all").allow_all().build().check(&Method::GET, &uri("http://10.0.0.1/")).is_ok());
    }

    #[test]
    fn deny_beats_allow() {
        let scope = scope("s", &["*.example.com"]).deny("secret.example.com").expect("pattern").build();
        assert!(scope.check(&Method::GET, &uri("https://a.example.com/")).is_ok());
        assert!(scope.check(&Method::GET, &uri("https://secret.example.com/")).is_err());
    }

    #[test]
    fn narrowing_is_intersection() {
        let outer = scope("outer", &["a.example", "b.example"]).max_response_bytes(100).build();
        let inner = scope("inner", &["b.example", "c.example"]).max_response_bytes(1000).build();
        let both = outer.narrow(&inner);
        for (host, expected) in [("a", false), ("b", true), ("c", false)] {
            assert_eq!(both.check(&Method::GET, &uri(&format!("https://{host}.example/"))).is_ok(), expected, "{host}");
        }
        assert_eq!(both.max_response_bytes(), Some(100));
        assert_eq!(both.name().map(|name| &**name), Some("inner"));
        assert_eq!(both.narrow(&inner).layers().count(), 2);
    }

    #[test]
    fn revocation_reaches_every_handle_below_and_none_above() {
        let outer = scope("outer", &["a.example"]).build();
        let child = outer.narrow(&scope("child", &["a.example"]).build());
        let grandchild = child.narrow(&scope("grandchild", &["a.example"]).build());
        child.revoke();
        assert!(!outer.is_revoked() && child.is_revoked() && grandchild.is_revoked());
        let refused = grandchild.check(&Method::GET, &uri("https://a.example/"));
        assert!(refused.is_err_and(|error| error.kind() == ErrorKind::Canceled));
    }

    #[test]
    fn budgets_are_shared_and_taken_whole() {
        let outer = Scope::builder("outer").allow_all().max_requests(3).build();
        let one = outer.narrow(&Scope::builder("one").allow_all().max_requests(1).build());
        assert!(one.spend_request().is_ok());
        assert!(one.spend_request().is_err_and(|error| error.kind() == ErrorKind::Busy));
        assert!(outer.spend_request().is_ok());
        assert!(outer.spend_request().is_ok(), "the refused request took nothing from the outer budget");
        assert!(outer.spend_request().is_err());
    }

    #[test]
    fn what_a_component_keeps_of_a_layer_is_seen_by_all_who_carry_it() {
        let rate = Rate::per_second(std::num::NonZeroU32::MIN);
        let outer = Scope::builder("outer").allow_all().rate(rate).concurrency(NonZeroUsize::MIN).build();
        let inner = outer.narrow(&Scope::builder("inner").allow_all().build());
        let other = Scope::builder("outer").allow_all().build();
        let kept = |scope: &Scope| -> Vec<Arc<String>> {
            scope.layers().map(|layer| layer.state(|| Arc::new(layer.name().to_string()))).collect()
        };
        let (first, second, third) = (kept(&outer), kept(&inner), kept(&other));
        assert!(Arc::ptr_eq(&first[0], &second[0]) && !Arc::ptr_eq(&first[0], &third[0]));
        assert_eq!(second.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["outer", "inner"]);
        let limits: Vec<_> = inner.layers().map(|layer| (layer.rate(), layer.concurrency())).collect();
        assert_eq!(limits, [(Some(rate), Some(NonZeroUsize::MIN)), (None, None)]);
    }

    #[test]
    fn methods_and_channels() {
        let scope = Scope::builder("s").allow_all().methods(["GET"]).expect("methods").channels(["news"]).build();
        assert!(scope.check(&Method::POST, &uri("https://a.example/")).is_err());
        assert!(scope.check_channel("news").is_ok() && scope.check_channel("other").is_err());
    }

    #[test]
    fn an_authority_is_read_as_its_own_parser_reads_it() {
        for text in [
            "a.example",
            "a.example:80",
            "a.example:",
            "a.example:99999",
            "a.example:+80",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "u:p@a.example",
            "u:80@a.example:81",
            "u@[::1]:82",
            "a_b.example:80",
        ] {
            let authority: Authority = text.parse().expect(text);
            assert_eq!(host_and_port(&authority), (authority.host(), authority.port_u16()), "{text}");
        }
    }

    #[test]
    fn numbers_that_mean_an_address_are_that_address() {
        let scope = scope("s", &["http://*"]).build();
        for host in ["2130706433", "0x7f.1", "127.0.0.1", "[::1]"] {
            assert!(scope.check(&Method::GET, &uri(&format!("http://{host}/"))).is_err(), "{host}");
        }
    }
}
