//! nginx over HTTP/1.1, in the clear, over TLS and over a Unix-domain socket.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG, IF_NONE_MATCH, LOCATION, RANGE};
use http::{Method, StatusCode, Version};
use netcomm_core::{ErrorKind, Limits};
use netcomm_dial::{Dialer, Identity, Proxies};
use netcomm_http::{Client, Credentials, Redirects};
use netcomm_tests::TestCa;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::process::{Folder, Peer};
use super::{client, client_over, client_trusting, noise, trusting};

const HELLO: &str = "hello from nginx\n";
const LARGE_BYTES: usize = 16 * 1024 * 1024;

/// Starts nginx with that content of its `server` block, where `PORT` stands for the port that it gets.
pub(super) async fn start(program: &Path, folder: Folder, server: &str) -> Peer {
    folder.write("www/hello.txt", HELLO);
    fs::create_dir_all(folder.path().join("temp")).expect("a folder is made");
    Peer::start_on_port(folder, |port, folder| {
        let server = server.replace("PORT", &port.to_string());
        let conf = folder.write("nginx.conf", CONF.replace("SERVER", &server));
        let mut command = Command::new(program);
        command.arg("-p").arg(folder.path()).arg("-c").arg(conf);
        command
    })
    .await
}

const CONF: &str = r#"
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events { worker_connections 512; }
http {
    log_format plain '$connection $connection_requests $request_method $uri $status';
    access_log access.log plain;
    client_body_temp_path temp/body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;
    types { text/plain txt; }
    default_type application/octet-stream;
    root www;
    server { SERVER }
}
"#;

const PLAIN: &str = "listen 127.0.0.1:PORT;";

/// The content of a `server` block for TLS, with that identity's files.
pub(super) fn tls(folder: &Folder, ca: &TestCa, listen: &str) -> String {
    let identity = ca.server(&["127.0.0.1"]);
    folder.write("server.pem", identity.pem());
    folder.write("server.key", identity.key_pem());
    format!("listen 127.0.0.1:PORT {listen}; ssl_certificate server.pem; ssl_certificate_key server.key;")
}

/// The lines of the access log.
fn access_log(nginx: &Peer) -> Vec<String> {
    let log = fs::read_to_string(nginx.folder().path().join("access.log")).expect("nginx writes its log");
    log.lines().map(str::to_owned).collect()
}

async fn hello(client: &Client, url: &str) -> u64 {
    let response = client.get(url).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let connection = response.connection().expect("a connection of the pool");
    assert_eq!(response.text().await.expect("a body"), HELLO);
    connection
}

#[tokio::test]
async fn a_file_its_head_and_what_is_not_there_come_over_one_connection() {
    let program = program_or_skip!("nginx");
    let nginx = start(&program, Folder::new(), PLAIN).await;
    let client = client().build().expect("a client");

    let file = client.get(nginx.url("/hello.txt")).send().await.expect("an answer");
    assert_eq!((file.status(), file.version()), (StatusCode::OK, Version::HTTP_11));
    assert_eq!(file.peer(), Some(nginx.address()));
    let tag = file.headers()[ETAG].clone();
    let connection = file.connection();
    assert_eq!(file.text().await.expect("a body"), HELLO);

    let head = client.head(nginx.url("/hello.txt")).send().await.expect("an answer");
    assert_eq!(head.headers()["content-length"], HELLO.len().to_string());
    assert_eq!(head.connection(), connection);
    assert_eq!(head.bytes().await.expect("no body"), Bytes::new());

    let unchanged = client.get(nginx.url("/hello.txt")).header(IF_NONE_MATCH, tag).send().await.expect("an answer");
    assert_eq!((unchanged.status(), unchanged.connection()), (StatusCode::NOT_MODIFIED, connection));
    assert_eq!(unchanged.bytes().await.expect("no body"), Bytes::new());

    let missing = client.get(nginx.url("/missing")).send().await.expect("an answer");
    assert_eq!((missing.status(), missing.connection()), (StatusCode::NOT_FOUND, connection));
    let error = missing.error_for_status().expect_err("a status of 404");
    assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn gzip_is_asked_for_and_taken_off() {
    let program = program_or_skip!("nginx");
    let folder = Folder::new();
    let text = "the same line again and again\n".repeat(4000);
    folder.write("www/text.txt", &text);
    let nginx = start(&program, folder, &format!("{PLAIN} gzip on; gzip_types text/plain;")).await;
    let client = client().build().expect("a client");

    let decoded = client.get(nginx.url("/text.txt")).send().await.expect("an answer");
    assert_eq!((decoded.headers().get(CONTENT_ENCODING), decoded.content_length()), (None, None));
    assert_eq!(decoded.text().await.expect("a body"), text);

    let got = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&got);
    let request = client.get(nginx.url("/text.txt")).on_download(move |progress| {
        seen.store(progress.bytes, Ordering::Relaxed);
    });
    assert_eq!(request.send().await.expect("an answer").text().await.expect("a body"), text);
    let on_the_wire = got.load(Ordering::Relaxed);
    assert!((1..text.len() as u64 / 10).contains(&on_the_wire), "{on_the_wire} bytes came for {}", text.len());

    let plain = client.get(nginx.url("/text.txt")).decode(false).send().await.expect("an answer");
    assert_eq!(plain.headers().get(CONTENT_ENCODING), None);
    assert_eq!(plain.content_length(), Some(text.len() as u64));
}

#[tokio::test]
async fn a_chunked_body_is_whole_and_its_connection_is_used_again() {
    let program = program_or_skip!("nginx");
    let folder = Folder::new();
    let text = "0123456789".repeat(20_000);
    folder.write("www/page.txt", format!("{text}<!--# echo var=\"request_method\" -->"));
    // Server-side includes leave nginx without a length.
    let nginx = start(&program, folder, &format!("{PLAIN} ssi on; ssi_types text/plain;")).await;
    let client = client().build().expect("a client");
    let mut connections = Vec::new();
    for _ in 0..3 {
        let response = client.get(nginx.url("/page.txt")).send().await.expect("an answer");
        assert_eq!(response.headers()["transfer-encoding"], "chunked");
        connections.push(response.connection());
        assert_eq!(response.text().await.expect("a body"), format!("{text}GET"));
    }
    assert_eq!(connections, [connections[0]; 3]);
}

#[tokio::test]
async fn ranges() {
    let program = program_or_skip!("nginx");
    let folder = Folder::new();
    let content = noise(10_000);
    folder.write("www/noise", &content);
    let nginx = start(&program, folder, PLAIN).await;
    let client = client().build().expect("a client");
    let range = |range: &'static str| client.get(nginx.url("/noise")).header(RANGE, range).send();

    let part = range("bytes=100-199").await.expect("an answer");
    assert_eq!((part.status(), part.content_length()), (StatusCode::PARTIAL_CONTENT, Some(100)));
    assert_eq!(part.headers()[CONTENT_RANGE], "bytes 100-199/10000");
    assert_eq!(part.bytes().await.expect("a body"), content.slice(100..200));
    let last = range("bytes=-10").await.expect("an answer");
    assert_eq!(last.bytes().await.expect("a body"), content.slice(9990..));
    let beyond = range("bytes=10000-").await.expect("an answer");
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let several = range("bytes=0-0,5-5").await.expect("an answer");
    assert_eq!(several.status(), StatusCode::PARTIAL_CONTENT);
    assert!(several.bytes().await.expect("a body").starts_with(b"\r\n--"));
}

#[tokio::test]
async fn a_large_file_comes_whole() {
    let program = program_or_skip!("nginx");
    let folder = Folder::new();
    let content = noise(LARGE_BYTES);
    folder.write("www/large", &content);
    let nginx = start(&program, folder, PLAIN).await;
    let client = client().build().expect("a client");
    let response = client.get(nginx.url("/large")).send().await.expect("an answer");
    assert_eq!(response.content_length(), Some(LARGE_BYTES as u64));
    assert!(response.bytes().await.expect("a body") == content, "the bytes differ");

    let limits = Limits::default().with_buffered_bytes(LARGE_BYTES - 1);
    let response = client.get(nginx.url("/large")).limits(limits).send().await.expect("an answer");
    let error = response.bytes().await.expect_err("one byte too many");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

/// Passes connections on to `target`; the first `cuts` of them end after that many bytes of the answer.
async fn cutting_relay(target: std::net::SocketAddr, cuts: usize, after_bytes: u64) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("an address");
    drop(tokio::spawn(async move {
        let mut accepted = 0;
        while let Ok((near, _)) = listener.accept().await {
            accepted += 1;
            let bytes = if accepted <= cuts { after_bytes } else { u64::MAX };
            drop(tokio::spawn(async move {
                let (mut from_client, mut to_client) = near.into_split();
                let (from_server, mut to_server) =
                    TcpStream::connect(target).await.expect("nginx listens").into_split();
                let mut answer = from_server.take(bytes);
                tokio::select! {
                    _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                    _ = tokio::io::copy(&mut answer, &mut to_client) => {}
                }
                // An end, not a reset: what was sent arrives.
                drop(to_client.shutdown().await);
            }));
        }
    }));
    address
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_from_where_it_stood() {
    let program = program_or_skip!("nginx");
    let folder = Folder::new();
    let content = noise(1_000_000);
    folder.write("www/noise", &content);
    let nginx = start(&program, folder, PLAIN).await;
    let relay = cutting_relay(nginx.address(), 3, 200_000).await;
    let url = format!("http://{relay}/noise");

    let error = client().build().expect("a client").get(&url).send().await.expect("a head").bytes().await;
    assert_eq!(error.expect_err("the break").kind(), ErrorKind::Incomplete);
    let client = client().resume(2).build().expect("a client");
    let response = client.get(&url).send().await.expect("a head");
    assert!(response.bytes().await.expect("a body, in three parts") == content, "the bytes differ");

    let statuses: Vec<_> =
        access_log(&nginx).iter().filter_map(|line| line.split(' ').nth(4).map(str::to_owned)).collect();
    assert!(statuses.ends_with(&["206".to_owned()]), "{statuses:?}");
}

#[tokio::test]
async fn redirects() {
    let program = program_or_skip!("nginx");
    let server = "
        location = /old { return 301 /older; }
        location = /older { return 302 hello.txt; }
        location = /loop { return 302 /loop; }
        location = /temporary { return 307 /accept; }
        location = /see { return 303 /accept; }
        location = /accept { return 200 '$request_method $content_length'; }
        absolute_redirect off;";
    let nginx = start(&program, Folder::new(), &format!("{PLAIN}{server}")).await;
    let client = client().build().expect("a client");

    let response = client.get(nginx.url("/old")).send().await.expect("an answer");
    assert_eq!(response.uri().to_string(), nginx.url("/hello.txt"));
    let passed: Vec<_> = response.redirects().iter().map(ToString::to_string).collect();
    assert_eq!(passed, [nginx.url("/old"), nginx.url("/older")]);
    assert_eq!(response.text().await.expect("a body"), HELLO);

    let error = client.get(nginx.url("/loop")).send().await.expect_err("no end");
    assert_eq!(error.kind(), ErrorKind::Redirect);
    let manual = client.get(nginx.url("/loop")).redirects(Redirects::Manual).send().await.expect("an answer");
    assert_eq!((manual.status(), &manual.headers()[LOCATION]), (StatusCode::FOUND, &"/loop".parse().expect("a value")));

    for (path, expected) in [("/temporary", "POST 5"), ("/see", "GET ")] {
        let response = client.post(nginx.url(path)).body("12345").send().await.expect("an answer");
        assert_eq!(response.text().await.expect("a body"), expected, "{path}");
    }
}

#[tokio::test]
async fn a_server_that_closes_without_an_answer() {
    let program = program_or_skip!("nginx");
    let nginx = start(&program, Folder::new(), &format!("{PLAIN} location = /nothing {{ return 444; }}")).await;
    let client = client().build().expect("a client");
    let asked = |method: &str| {
        let line = format!(" {method} /nothing 444");
        access_log(&nginx).iter().filter(|entry| entry.ends_with(&line)).count()
    };
    let nothing = |method| client.request(method, nginx.url("/nothing")).send();

    let error = nothing(Method::GET).await.expect_err("no answer");
    assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Closed, false));
    assert_eq!(asked("GET"), 1, "a fresh connection cannot have been stale");

    hello(&client, &nginx.url("/hello.txt")).await;
    let error = nothing(Method::POST).await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(asked("POST"), 1, "what is not idempotent is sent once");

    hello(&client, &nginx.url("/hello.txt")).await;
    let error = nothing(Method::GET).await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(asked("GET"), 3, "once more, in case the used connection was stale");
}

#[tokio::test]
async fn basic_authentication_in_every_way_to_give_it() {
    let program = program_or_skip!("nginx");
    let folder = Folder::new();
    folder.write("users", "alice:{PLAIN}p@ss w/rd\n");
    let server = "location = /hello.txt { auth_basic private; auth_basic_user_file users; }";
    let nginx = start(&program, folder, &format!("{PLAIN}{server}")).await;
    let url = nginx.url("/hello.txt");
    let plain = client().build().expect("a client");
    let status = async |request: netcomm_http::RequestBuilder| request.send().await.expect("an answer").status();

    assert_eq!(status(plain.get(&url)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(plain.get(&url).basic_auth("alice", "wrong")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(plain.get(&url).basic_auth("alice", "p@ss w/rd")).await, StatusCode::OK);
    let in_the_url = url.replace("://", "://alice:p%40ss%20w%2Frd@");
    assert_eq!(status(plain.get(&in_the_url)).await, StatusCode::OK);

    let credentials = Credentials::basic("alice", &"p@ss w/rd".into()).expect("credentials");
    let here = plain.with_credentials("http://127.0.0.1:*", credentials.clone()).expect("an audience");
    assert_eq!(status(here.get(&url)).await, StatusCode::OK);
    let elsewhere = plain.with_credentials("http://127.0.0.1:1", credentials).expect("an audience");
    assert_eq!(status(elsewhere.get(&url)).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn connections_closed_after_a_number_of_requests_fail_no_call() {
    const CALLS: u64 = 30;
    let program = program_or_skip!("nginx");
    for most in [1, 2, 3, 7] {
        let nginx = start(&program, Folder::new(), &format!("{PLAIN} keepalive_requests {most};")).await;
        let client = client().build().expect("a client");
        let mut last = 0;
        for _ in 0..CALLS {
            last = hello(&client, &nginx.url("/hello.txt")).await;
        }
        assert_eq!(last, CALLS.div_ceil(most), "each connection is used as often as it can be");
        let mut calls = JoinSet::new();
        for _ in 0..CALLS {
            let (client, url) = (client.clone(), nginx.url("/hello.txt"));
            drop(calls.spawn(async move { hello(&client, &url).await }));
        }
        calls.join_all().await;
    }
}

#[tokio::test]
async fn connections_closed_while_idle_fail_no_call() {
    let program = program_or_skip!("nginx");
    // The time is not announced: the client learns of the end by the end.
    let nginx = start(&program, Folder::new(), &format!("{PLAIN} keepalive_timeout 15ms;")).await;
    let client = client().build().expect("a client");
    let mut last = 0;
    for pause in 0..40 {
        // Growing pauses bring calls right before, into and after the moment at which nginx closes.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        last = hello(&client, &nginx.url("/hello.txt")).await;
    }
    assert!((2..=40).contains(&last), "{last} connections");
}

#[tokio::test]
async fn an_announced_end_of_idleness_is_kept_clear_of() {
    let program = program_or_skip!("nginx");
    for (server, expected) in [("keepalive_timeout 1s 1s;", 3), ("keepalive_timeout 60s 60s;", 1)] {
        let nginx = start(&program, Folder::new(), &format!("{PLAIN}{server}")).await;
        let client = client().build().expect("a client");
        let mut last = 0;
        for _ in 0..3 {
            last = hello(&client, &nginx.url("/hello.txt")).await;
        }
        assert_eq!(last, expected, "{server}");
    }
}

#[tokio::test]
async fn a_refusal_is_heard_while_the_body_is_being_sent() {
    let program = program_or_skip!("nginx");
    let server = "client_max_body_size 1k; location = /upload { return 200 ok; }";
    let nginx = start(&program, Folder::new(), &format!("{PLAIN}{server}")).await;
    let client = client().build().expect("a client");
    let response = client.post(nginx.url("/upload")).body(noise(8_000_000)).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    drop(response);
    hello(&client, &nginx.url("/hello.txt")).await;
}

#[tokio::test]
async fn a_unix_domain_socket_serves_every_host() {
    let program = program_or_skip!("nginx");
    let server = "listen unix:socket; location = /host { return 200 $http_host; }";
    let nginx = start(&program, Folder::new(), &format!("{PLAIN}{server}")).await;
    let client = client().unix_socket(nginx.folder().path().join("socket")).build().expect("a client");
    for host in ["a.example", "b.example:8080"] {
        let response = client.get(format!("http://{host}/host")).send().await.expect("an answer");
        assert_eq!(response.peer(), None);
        assert_eq!(response.text().await.expect("a body"), host);
    }
    hello(&client, "http://a.example/hello.txt").await;
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let program = program_or_skip!("nginx");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let (folder, ca) = (Folder::new(), TestCa::new());
        let server = format!("{} ssl_protocols {version};", tls(&folder, &ca, "ssl"));
        let nginx = start(&program, folder, &server).await;
        let client = client_trusting(&ca).build().expect("a client");
        let response = client.get(nginx.secure_url("/hello.txt")).send().await.expect("an answer");
        assert_eq!(response.tls().expect("TLS").version, version);
        assert_eq!(response.version(), Version::HTTP_11, "nginx was not told to speak HTTP/2");
        assert_eq!(response.text().await.expect("a body"), HELLO);
    }
}

#[tokio::test]
async fn a_certificate_is_accepted_from_its_authority_and_for_its_name_alone() {
    let program = program_or_skip!("nginx");
    let (folder, ca) = (Folder::new(), TestCa::new());
    let server = tls(&folder, &ca, "ssl");
    let nginx = start(&program, folder, &server).await;
    let client = client_trusting(&ca).build().expect("a client");
    hello(&client, &nginx.secure_url("/hello.txt")).await;

    let stranger = client_trusting(&TestCa::new()).build().expect("a client");
    let error = stranger.get(nginx.secure_url("/hello.txt")).send().await.expect_err("another authority");
    assert!(error.is_tls() && error.is_unsent(), "{error:?}");
    let by_another_name = nginx.secure_url("/").replace("127.0.0.1", "localhost");
    let error = client.get(by_another_name).send().await.expect_err("another name");
    assert!(error.is_tls(), "{error:?}");
}

#[tokio::test]
async fn client_certificates_are_shown_and_checked() {
    let program = program_or_skip!("nginx");
    let (folder, ca) = (Folder::new(), TestCa::new());
    folder.write("ca.pem", ca.pem());
    let checks =
        "ssl_verify_client on; ssl_client_certificate ca.pem; location = /who { return 200 $ssl_client_s_dn; }";
    let server = format!("{}{checks}", tls(&folder, &ca, "ssl"));
    let nginx = start(&program, folder, &server).await;
    let known = |identity: &netcomm_tests::TestIdentity| {
        let identity = Identity::from_pem(identity.pem(), identity.key_pem()).expect("an identity");
        let dialer = Dialer::builder().proxies(Proxies::none()).tls(trusting(&ca).with_client_certificate(identity));
        client_over(dialer).build().expect("a client")
    };

    let response = known(&ca.client("alice")).get(nginx.secure_url("/who")).send().await.expect("an answer");
    assert_eq!((response.status(), response.text().await.expect("a body")), (StatusCode::OK, "CN=alice".to_owned()));
    // nginx lets the handshake pass and refuses the request.
    let nobody = client_trusting(&ca).build().expect("a client");
    for client in [nobody, known(&TestCa::new().client("mallory"))] {
        let response = client.get(nginx.secure_url("/who")).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_redirect_may_lead_up_to_tls_and_not_down() {
    let program = program_or_skip!("nginx");
    let (folder, ca) = (Folder::new(), TestCa::new());
    let up_and_down = "
        error_page 497 = @up;
        location @up { return 301 https://$http_host$request_uri; }
        location = /down { return 302 http://$http_host/hello.txt; }";
    let server = format!("{}{up_and_down}", tls(&folder, &ca, "ssl"));
    let nginx = start(&program, folder, &server).await;
    let client = client_trusting(&ca).build().expect("a client");
    let response = client.get(nginx.url("/hello.txt")).send().await.expect("an answer");
    assert_eq!(response.uri().to_string(), nginx.secure_url("/hello.txt"));
    assert_eq!(response.text().await.expect("a body"), HELLO);
    let error = client.get(nginx.secure_url("/down")).send().await.expect_err("a downgrade");
    assert_eq!(error.kind(), ErrorKind::Redirect);
}
