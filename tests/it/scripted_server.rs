//! The scripted server of `netcomm_http::testing` does what its scripts say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use netcomm_core::Clock;
use netcomm_http::testing::{Gate, Reply, Script, ScriptedServer};
use netcomm_tests::{ManualClock, TestCa};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

/// A client's end of a connection that the server serves in memory.
fn connect(server: &ScriptedServer) -> DuplexStream {
    let (near, far) = tokio::io::duplex(4096);
    drop(tokio::spawn(server.serve(far)));
    near
}

async fn ask(client: &mut DuplexStream, request: &str, answer: &str) {
    client.write_all(request.as_bytes()).await.expect("the server reads");
    expect(client, answer).await;
}

async fn expect(client: &mut (impl AsyncReadExt + Unpin), answer: &str) {
    let mut read = vec![0; answer.len()];
    client.read_exact(&mut read).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&read), answer);
}

async fn expect_end(client: &mut DuplexStream) {
    assert_eq!(client.read(&mut [0; 1]).await.expect("an end"), 0);
}

#[tokio::test]
async fn routes_are_taken_in_turn_and_connections_kept() {
    let server = ScriptedServer::builder()
        .route("POST /a", Reply::status(201))
        .route_each("/a", [Reply::status(503), Reply::status(200).body("ok")])
        .handler(|request| Reply::status(200).body(request.target.clone()))
        .offline();
    let mut client = connect(&server);
    let get = "GET /a?q HTTP/1.1\r\nHost: x\r\n\r\n";
    ask(&mut client, get, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
    for _ in 0..2 {
        ask(&mut client, get, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    }
    let post = "POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
    ask(&mut client, post, "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await;
    let other = "GET http://y/b HTTP/1.1\r\nconnection: close\r\n\r\n";
    ask(&mut client, other, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhttp://y/b").await;
    expect_end(&mut client).await;
    assert_eq!((server.connections(), server.open_connections()), (1, 1));
    drop(client);
    server.until_open(0).await;

    let requests = server.take_requests();
    assert_eq!(requests.len(), 5);
    assert_eq!((requests[0].query(), requests[0].head.as_ref()), (Some("q"), get.as_bytes()));
    assert_eq!((requests[3].text().as_str(), requests[3].body_bytes), ("abc", 3));
    assert!(requests.iter().all(|request| request.complete && request.connection == 1));
    assert_eq!((server.requests().len(), server.request_count()), (0, 5));
}

#[tokio::test]
async fn bodies_of_all_framings_are_read() {
    let server = ScriptedServer::builder().kept_body_bytes(4).offline();
    let mut client = connect(&server);
    let not_found = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let chunked = "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n";
    ask(&mut client, chunked, not_found).await;
    let request = &server.requests()[0];
    assert_eq!((request.text().as_str(), request.body_bytes), ("abcd", 5));
    assert_eq!(request.trailers, [("T".to_owned(), "1".to_owned())]);

    let expecting = "PUT / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    ask(&mut client, expecting, "HTTP/1.1 100 Continue\r\n\r\n").await;
    ask(&mut client, "hi", not_found).await;

    client.write_all(b"PUT / HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf").await.expect("the server reads");
    drop(client);
    server.until_requests(3).await;
    let request = &server.requests()[2];
    assert_eq!((request.text().as_str(), request.complete), ("half", false));
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    for text in
        ["nonsense\r\n\r\n", "GET / HTTP/2\r\n\r\n", "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n"]
    {
        let server = ScriptedServer::builder().offline();
        let mut client = connect(&server);
        ask(&mut client, text, "HTTP/1.1 400 Bad Request\r\n").await;
        client.read_to_end(&mut Vec::new()).await.expect("an end");
    }
    let server = ScriptedServer::builder().head_bytes(100).offline();
    let mut client = connect(&server);
    ask(&mut client, &format!("GET /{} HTTP/1.1\r\n", "x".repeat(200)), "HTTP/1.1 400").await;
}

#[tokio::test]
async fn connections_play_their_own_scripts() {
    let server = ScriptedServer::builder()
        .on_connect([
            Script::new().send("first").half_close().request().close(),
            Script::new().head().send("later").repeat(),
        ])
        .offline();
    let mut client = connect(&server);
    expect(&mut client, "first").await;
    expect_end(&mut client).await;
    client.write_all(b"GET /after HTTP/1.1\r\n\r\n").await.expect("half of it is open");
    server.until_requests(1).await;
    for _ in 0..2 {
        let mut client = connect(&server);
        ask(&mut client, "GET / HTTP/1.1\r\n\r\n", "later").await;
        ask(&mut client, "GET / HTTP/1.1\r\n\r\n", "later").await;
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn pieces_and_pauses_go_by_the_clock() {
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let server = ScriptedServer::builder()
        .clock(Arc::new(clock.clone()) as Arc<dyn Clock>)
        .on_connect([Script::new().pause(second).send_in_pieces("abcde", 2, second).close()])
        .offline();
    let mut client = connect(&server);
    let reader = tokio::spawn(async move {
        let mut text = String::new();
        client.read_to_string(&mut text).await.map(|_| text)
    });
    clock.run_for(second * 3 - Duration::from_nanos(1)).await;
    assert!(!reader.is_finished());
    clock.run_for(Duration::from_nanos(1)).await;
    assert_eq!(reader.await.expect("no panic").expect("an end"), "abcde");
}

#[tokio::test]
async fn a_gate_holds_answers_back() {
    let gate = Gate::new();
    let server = ScriptedServer::builder().route("/", Reply::status(204).held_by(&gate)).offline();
    let mut clients = [connect(&server), connect(&server)];
    for client in &mut clients {
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("the server reads");
    }
    server.until_requests(2).await;
    tokio::task::yield_now().await;
    assert_eq!((gate.waiting(), gate.is_open()), (2, false));
    gate.open();
    for client in &mut clients {
        expect(client, "HTTP/1.1 204 No Content\r\n\r\n").await;
    }
}

#[tokio::test]
async fn what_is_generated_is_made_one_by_one() {
    let made = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = Arc::clone(&made);
    let endless = Script::new().generate(move |number| {
        counter.store(number, std::sync::atomic::Ordering::Relaxed);
        Some(Bytes::from_static(&[b'x'; 1024]))
    });
    let server = ScriptedServer::builder().on_connect([endless]).offline();
    let mut client = connect(&server);
    let mut data = vec![0; 100 * 1024];
    client.read_exact(&mut data).await.expect("it is endless");
    assert!(made.load(std::sync::atomic::Ordering::Relaxed) <= 110);
    drop(client);
    server.until_open(0).await;
}

#[tokio::test]
async fn a_stalled_connection_ends_with_the_client() {
    let server = ScriptedServer::builder().route("/", Reply::raw("half").then_stall()).offline();
    let mut client = connect(&server);
    ask(&mut client, "GET / HTTP/1.1\r\n\r\n", "half").await;
    assert_eq!(server.open_connections(), 1);
    drop(client);
    server.until_open(0).await;
}

#[tokio::test]
async fn on_a_socket_with_resets_and_an_end() {
    let server = ScriptedServer::builder()
        .route("/", Reply::status(200).body("hi"))
        .route("/reset", Reply::raw("HT").then_reset())
        .start()
        .await
        .expect("a port");
    assert_eq!(server.url("/x"), format!("http://{}/x", server.address()));
    let mut client = TcpStream::connect(server.address()).await.expect("it listens");
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("it reads");
    expect(&mut client, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    client.write_all(b"GET /reset HTTP/1.1\r\n\r\n").await.expect("it reads");
    let error = client.read_to_end(&mut Vec::new()).await.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    let mut client = TcpStream::connect(server.address()).await.expect("it listens");
    let address = server.address();
    server.until_connections(2).await;
    drop(server);
    // The server's end of the connection goes with its tasks, and so does the port.
    assert!(!matches!(client.read(&mut [0; 1]).await, Ok(1..)));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn over_tls() {
    let ca = TestCa::new();
    let identity = Arc::new(ca.server(&["127.0.0.1"]));
    let server = ScriptedServer::builder()
        .route("/", Reply::status(200).body("safe"))
        .over("https", move |stream| {
            let identity = Arc::clone(&identity);
            async move { identity.accept(stream, &[b"http/1.1"]).await }
        })
        .start()
        .await
        .expect("a port");
    assert!(server.url("/").starts_with("https://127.0.0.1:"));
    let stream = TcpStream::connect(server.address()).await.expect("it listens");
    let name = "127.0.0.1".try_into().expect("an address");
    let connector = tokio_rustls::TlsConnector::from(ca.client_config(&[b"http/1.1"]));
    let mut client = connector.connect(name, stream).await.expect("trusted");
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("it reads");
    expect(&mut client, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsafe").await;
}
