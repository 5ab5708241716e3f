//! Whole dials on paused time, with a scripted resolver and a scripted network.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use netcomm_core::{Observe, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::clock::SystemClock;
use crate::fixtures::{Fate, Names, Net, ips, ms};
use crate::resolve::Answer;

const PUBLIC: [&str; 2] = ["2606:4700::1", "1.1.1.1"];

fn builder(names: &Names) -> DialerBuilder {
    Dialer::builder().resolver(names.clone()).proxies(Proxies::none())
}

fn to(host: &str) -> Target {
    Target::tcp(Host::parse(host).expect("a host"), 443)
}

fn guarded(host: &str) -> Target {
    to(host).with_private_addresses(PrivateAddresses::Deny)
}

/// Proxies that take each request for a tunnel, write down its first line, and answer it.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn net(&self, answer: impl Fn(&str) -> &'static str + Clone + Send + Sync + 'static) -> Net {
        let asked = self.clone();
        Net::open().serving(move |_, stream| {
            tokio::spawn(asked.clone().serve(stream, answer.clone()));
        })
    }

    async fn serve(self, mut stream: DuplexStream, answer: impl Fn(&str) -> &'static str) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).expect("ASCII");
        let line = head.lines().next().expect("a line").to_owned();
        let answer = answer(&line);
        self.0.lock().expect("no panic").push(line);
        if stream.write_all(answer.as_bytes()).await.is_ok() {
            drop(stream.read_u8().await);
        }
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

#[tokio::test(start_paused = true)]
async fn each_step_is_timed() {
    let names = Names::all(&PUBLIC).after(ms(5));
    let net = Net::new(|_| Fate::Opens(ms(20)));
    let parts = builder(&names).parts(net);
    let info = parts.dial(&guarded("a.example")).await.expect("a connection").info().clone();
    assert_eq!(info.peer.map(|peer| peer.to_string()).as_deref(), Some("[2606:4700::1]:443"));
    assert_eq!((info.steps.dns, info.steps.connect), (Some(ms(5)), Some(ms(20))));
    assert_eq!((info.steps.proxy, info.steps.tls, info.steps.total()), (None, None, ms(25)));

    let info = parts.dial(&to("1.1.1.1")).await.expect("a connection").info().clone();
    assert_eq!(info.steps.dns, None, "an address is not resolved");
    assert_eq!(names.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_family_alone() {
    for (family, expected) in [(AddressFamily::V4, "1.1.1.1:443"), (AddressFamily::V6, "[2606:4700::1]:443")] {
        let parts = builder(&Names::all(&PUBLIC)).parts(Net::open());
        let io = parts.dial(&to("a.example").with_family(Some(family))).await.expect("a connection");
        assert_eq!(io.info().peer.map(|peer| peer.to_string()).as_deref(), Some(expected));
    }
    let parts = builder(&Names::all(&["1.1.1.1"])).parts(Net::open());
    let error = parts.dial(&to("a.example").with_family(Some(AddressFamily::V6))).await.expect_err("no such address");
    assert_eq!(error.kind(), ErrorKind::Dns);
    assert!(error.to_string().contains("no IPv6 address"), "{error}");
    let error = parts.dial(&to("1.1.1.1").with_family(Some(AddressFamily::V6))).await.expect_err("not of that family");
    assert_eq!(error.kind(), ErrorKind::Dns);
}

#[tokio::test(start_paused = true)]
async fn the_time_runs_out_in_the_phase_under_way() {
    let blackhole = Net::new(|_| Fate::Silence);
    let parts = builder(&Names::all(&PUBLIC)).parts(blackhole.clone());
    let began = SystemClock.now();
    let error = parts.dial(&to("a.example")).await.expect_err("must time out");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Connect)));
    assert_eq!(error.detail(), Some("no connection within 10s"));
    assert_eq!(SystemClock.now() - began, ms(10_000));
    assert_eq!(blackhole.dialled(), ["[2606:4700::1]:443", "1.1.1.1:443"]);

    let slow = Names::all(&PUBLIC).after(ms(5_000));
    let parts = builder(&slow).parts(Net::open());
    let error = parts.dial(&to("a.example").with_timeout(ms(100))).await.expect_err("too slow");
    assert_eq!(error.phase(), Some(Phase::Dns));

    for url in ["http://10.0.0.1", "socks5://10.0.0.1"] {
        let proxies = Proxies::all(url).expect("a proxy");
        let parts = builder(&Names::all(&PUBLIC)).proxies(proxies).parts(Net::open());
        let error = parts.dial(&to("a.example")).await.expect_err("a silent proxy");
        assert_eq!(error.phase(), Some(Phase::Proxy), "{url}");
    }
}

#[cfg(feature = "tls")]
#[tokio::test(start_paused = true)]
async fn the_time_runs_out_in_a_handshake() {
    let parts = builder(&Names::all(&PUBLIC)).parts(Net::open());
    let target = to("a.example").with_tls(TlsTarget::default());
    let error = parts.dial(&target).await.expect_err("a silent server");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Tls)));
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_beyond_all_measure_is_none() {
    let parts = builder(&Names::all(&PUBLIC)).parts(Net::open());
    assert!(parts.dial(&to("a.example").with_timeout(Duration::MAX)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn every_address_that_failed_is_named() {
    let names = Names::new(|_, _| Ok((0..9).map(|last| [192, 0, 2, last].into()).collect::<Vec<_>>().into()));
    let parts = builder(&names).parts(Net::new(|_| Fate::Refused(ms(1))));
    let error = parts.dial(&to("a.example")).await.expect_err("must fail");
    assert_eq!(error.kind(), ErrorKind::Connect);
    let detail = error.detail().expect("a detail");
    assert!(detail.starts_with("192.0.2.0:443: connection refused, 192.0.2.1:443: "), "{detail}");
    assert!(detail.ends_with(", and 3 more"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn the_guard_reads_every_spelling() {
    let (names, net) = (Names::all(&PUBLIC), Net::open());
    let parts = builder(&names).parts(net.clone());
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[::7f00:1]",
        "169.254.169.254",
    ] {
        let error = parts.dial(&guarded(host)).await.expect_err("must be denied");
        assert_eq!(error.kind(), ErrorKind::Denied, "{host}");
        assert!(parts.dial(&to(host)).await.is_ok(), "without the guard {host} is an address like any other");
    }
    assert_eq!((names.begun(), net.dialled().len()), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn one_private_address_refuses_the_name() {
    let net = Net::open();
    let parts = builder(&Names::all(&["1.1.1.1", "10.0.0.1"])).parts(net.clone());
    let error = parts.dial(&guarded("a.example")).await.expect_err("must be denied");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(error.detail(), Some("a.example leads to 10.0.0.1, which is not public (private)"));
    assert_eq!(net.dialled(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let names = Names::new(|_, before| Ok(Answer::new(ips(if before == 0 { &["1.1.1.1"] } else { &["127.0.0.1"] }))));
    let net = Net::open();
    let parts = builder(&names).cached_names(0).parts(net.clone());
    assert!(parts.dial(&guarded("a.example")).await.is_ok());
    assert_eq!(names.begun(), 1, "what was checked is what is dialled");
    assert!(parts.dial(&guarded("a.example")).await.is_err_and(|error| error.is_denied()));
    assert_eq!(net.dialled(), ["1.1.1.1:443"]);
}

#[tokio::test(start_paused = true)]
async fn kept_addresses_are_checked_too() {
    let parts = builder(&Names::all(&["127.0.0.1"])).parts(Net::open());
    assert!(parts.dial(&to("a.example")).await.is_ok());
    assert!(parts.dial(&guarded("a.example")).await.is_err_and(|error| error.is_denied()));
}

fn two_names() -> Names {
    Names::new(|name, _| match name {
        "proxy.example" => Ok(ips(&["10.0.0.9"]).into()),
        "good.example" => Ok(ips(&["1.1.1.1"]).into()),
        "both.example" => Ok(ips(&PUBLIC).into()),
        "bad.example" => Ok(ips(&["10.0.0.1"]).into()),
        _ => Err(Error::new(ErrorKind::Dns, "script")),
    })
}

#[tokio::test(start_paused = true)]
async fn a_guarded_name_is_checked_here_and_the_proxy_gets_the_address() {
    let (asked, names) = (Asked::default(), two_names());
    let net = asked.net(|_| "HTTP/1.1 200 OK\r\n\r\n");
    let from_env = |name: &str| (name == "ALL_PROXY").then(|| "http://proxy.example:3128".to_owned());
    let parts = builder(&names).proxies(Proxies::from_vars(from_env)).parts(net.clone());

    let target = guarded("good.example").with_forward_proxy(true);
    let info = parts.dial(&target).await.expect("a tunnel").info().clone();
    assert!(info.forward_proxy.is_none() && info.steps.proxy.is_some());
    assert_eq!(info.peer.map(|peer| peer.to_string()).as_deref(), Some("10.0.0.9:3128"));
    assert_eq!(asked.lines(), ["CONNECT 1.1.1.1:443 HTTP/1.1"]);

    for host in ["bad.example", "127.1", "nobody.example"] {
        parts.dial(&guarded(host)).await.expect_err("must be refused");
    }
    assert_eq!(net.dialled(), ["10.0.0.9:3128"], "the proxy heard of none of them");

    parts.dial(&to("bad.example")).await.expect("a tunnel");
    assert_eq!(asked.lines().last().map(String::as_str), Some("CONNECT bad.example:443 HTTP/1.1"));
}

#[tokio::test(start_paused = true)]
async fn the_proxy_is_asked_for_the_next_address_if_it_does_not_reach_the_first() {
    let asked = Asked::default();
    let net = asked.net(|line| match line {
        line if line.contains('[') => "HTTP/1.1 502 No IPv6 here\r\n\r\n",
        _ => "HTTP/1.1 200 OK\r\n\r\n",
    });
    let proxies = Proxies::all("http://10.0.0.9").expect("a proxy");
    let parts = builder(&two_names()).proxies(proxies.clone()).parts(net);
    parts.dial(&guarded("both.example")).await.expect("a tunnel");
    assert_eq!(asked.lines(), ["CONNECT [2606:4700::1]:443 HTTP/1.1", "CONNECT 1.1.1.1:443 HTTP/1.1"]);

    let asked = Asked::default();
    let parts = builder(&two_names()).proxies(proxies).parts(asked.net(|_| "HTTP/1.1 403 No\r\n\r\n"));
    let error = parts.dial(&guarded("both.example")).await.expect_err("must be refused");
    assert_eq!((error.kind(), error.status().map(|status| status.as_u16())), (ErrorKind::Proxy, Some(403)));
    assert_eq!(asked.lines().len(), 1, "a refusal in principle is not asked about twice");
}

#[tokio::test(start_paused = true)]
async fn a_forward_proxy_is_announced_and_not_asked() {
    let (asked, names) = (Asked::default(), two_names());
    let proxies = Proxies::all("http://user:hunter2@proxy.example").expect("a proxy");
    let parts = builder(&names).proxies(proxies).parts(asked.net(|_| ""));
    let io = parts.dial(&to("good.example").with_forward_proxy(true)).await.expect("a connection");
    let authorization = io.info().forward_proxy.as_ref().and_then(|proxy| proxy.authorization.clone());
    let authorization = authorization.expect("credentials");
    assert!(authorization.is_sensitive() && authorization.to_str().is_ok_and(|text| text.starts_with("Basic ")));
    assert!(!format!("{io:?}").contains(authorization.to_str().expect("ASCII")));
    assert_eq!((asked.lines().len(), names.begun()), (0, 1), "only the proxy's name was looked up");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_away_is_a_failed_connection() {
    let proxies = Proxies::all("http://user:hunter2@10.0.0.9:3128").expect("a proxy");
    let parts = builder(&two_names()).proxies(proxies).parts(Net::new(|_| Fate::Refused(ms(1))));
    let error = parts.dial(&to("good.example")).await.expect_err("must fail");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.detail(), Some("proxy http://10.0.0.9:3128: 10.0.0.9:3128: connection refused"));
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Event>>>);

impl Observe for Seen {
    fn interest(&self) -> Interest {
        Interest::CONNECTION
    }
    fn observe(&self, observation: &Observation) {
        self.0.lock().expect("no panic").push(observation.event.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn lookups_are_observed() {
    let seen = Seen::default();
    let names = two_names().after(ms(7));
    let parts = builder(&names).tap(Tap::new(seen.clone())).parts(Net::open());
    for host in ["both.example", "both.example", "nobody.example", "1.1.1.1"] {
        drop(parts.dial(&to(host)).await);
    }
    let seen: Vec<_> = seen.0.lock().expect("no panic").iter().map(|event| format!("{event:?}")).collect();
    assert_eq!(
        seen,
        [
            r#"Resolved { host: "both.example", addresses: 2, cached: false, took: 7ms }"#,
            r#"Resolved { host: "both.example", addresses: 2, cached: true, took: 0ns }"#,
            r#"Resolved { host: "nobody.example", addresses: 0, cached: false, took: 7ms }"#,
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn no_password_is_shown() {
    let seen = Seen::default();
    let encoded = "dXNlcjpodW50ZXIy"; // user:hunter2
    for url in ["http://user:hunter2@proxy.example", "socks5://user:hunter2@proxy.example"] {
        let proxies = Proxies::all(url).expect("a proxy");
        let builder = builder(&two_names()).proxies(proxies).tap(Tap::new(seen.clone()));
        let mut shown = format!("{builder:?}");
        let parts = builder.parts(Asked::default().net(|_| "HTTP/1.1 407 No\r\n\r\n"));
        shown.push_str(&format!("{parts:?}"));
        let error = parts.dial(&to("good.example").with_timeout(ms(50))).await.expect_err("must fail");
        shown.push_str(&format!("{error} {error:?} {:?}", seen.0.lock().expect("no panic")));
        assert!(!shown.contains("hunter2") && !shown.contains(encoded), "{shown}");
    }
}

#[cfg(feature = "tls")]
#[tokio::test(start_paused = true)]
async fn what_tls_cannot_use_is_refused_before_anything_is_opened() {
    let (names, net) = (Names::all(&PUBLIC), Net::open());
    let parts = builder(&names).parts(net.clone());
    for tls in [
        TlsTarget { server_name: Some("a b".to_owned()), alpn: Vec::new() },
        TlsTarget { server_name: None, alpn: vec![Vec::new()] },
        TlsTarget { server_name: None, alpn: vec![vec![b'x'; 256]] },
    ] {
        let error = parts.dial(&to("a.example").with_tls(tls)).await.expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert_eq!((names.begun(), net.dialled().len()), (0, 0));
}

#[cfg(not(feature = "tls"))]
#[tokio::test(start_paused = true)]
async fn without_the_feature_tls_is_refused_before_anything_is_opened() {
    let (names, net) = (Names::all(&PUBLIC), Net::open());
    let parts = builder(&names).parts(net.clone());
    let error = parts.dial(&to("a.example").with_tls(TlsTarget::default())).await.expect_err("must be refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!((names.begun(), net.dialled().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_is_given_up_closes_what_it_opened() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed);
    let net = Net::open().serving(move |_, mut stream| {
        let count = Arc::clone(&count);
        tokio::spawn(async move {
            drop(stream.read_to_end(&mut Vec::new()).await);
            count.fetch_add(1, Ordering::SeqCst);
        });
    });
    let proxies = Proxies::all("http://10.0.0.9").expect("a proxy");
    let parts = builder(&two_names()).proxies(proxies).parts(net);
    let target = to("good.example");
    assert!(tokio::time::timeout(ms(50), parts.dial(&target)).await.is_err());
    assert!(parts.dial(&target.with_timeout(ms(50))).await.is_err());
    tokio::task::yield_now().await;
    assert_eq!(closed.load(Ordering::SeqCst), 2);
}
