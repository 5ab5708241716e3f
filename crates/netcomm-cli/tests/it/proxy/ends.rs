//! How the proxy begins and ends.

use netcomm::http::testing::{Gate, Script, ScriptedServer};
use tokio::io::AsyncBufReadExt as _;
use tokio::time::timeout;

use super::{Proxy, get};
use crate::stage::{LIMIT, command, friendly, start};

#[tokio::test]
async fn the_first_line_tells_where_it_listens() {
    let mut child = command(["proxy", "--json"]).spawn().expect("a process");
    let mut stdout = tokio::io::BufReader::new(child.stdout.take().expect("stdout"));
    let mut line = String::new();
    timeout(LIMIT, stdout.read_line(&mut line)).await.expect("a line").expect("text");
    let object: serde_json::Value = serde_json::from_str(&line).expect("an object");
    let address: std::net::SocketAddr = object["address"].as_str().and_then(|text| text.parse().ok()).expect("address");
    assert!(address.ip().is_loopback() && address.port() > 0);
    assert_eq!(object["url"], format!("http://{address}"));
}

#[tokio::test]
async fn more_clients_than_places_wait() {
    let server = friendly().await;
    let proxy = Proxy::start(&format!("--to {} --max-connections 1", server.url(""))).await;
    let mut first = proxy.connect().await;
    first.say(get("/1")).await;
    assert_eq!(first.answer().await.text(), "ok");
    let mut second = proxy.connect().await;
    second.say(get("/2")).await;
    first.say(get("/3")).await;
    assert_eq!(first.answer().await.text(), "ok");
    drop(first);
    assert_eq!(second.answer().await.text(), "ok");
    let paths: Vec<_> = server.take_requests().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(paths, ["/1", "/3", "/2"]);
}

#[cfg(unix)]
mod signals {
    use super::*;

    async fn signal(proxy: &Proxy, name: &str) {
        let id = proxy.child.id().expect("a process");
        let kill = tokio::process::Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status();
        assert!(timeout(LIMIT, kill).await.expect("an end").expect("a shell").success());
    }

    async fn ends_well(mut proxy: Proxy) {
        let status = timeout(LIMIT, proxy.child.wait()).await.expect("an end").expect("a process");
        assert_eq!(status.code(), Some(0));
        let mut rest = String::new();
        proxy.stdout.read_line(&mut rest).await.expect("text");
        assert_eq!(rest, "");
    }

    #[tokio::test]
    async fn what_is_under_way_is_done() {
        for name in ["TERM", "INT"] {
            let gate = Gate::new();
            let script = Script::new()
                .request()
                .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
                .wait_for(&gate)
                .send("world");
            let server = start(ScriptedServer::builder().on_connect([script])).await;
            let proxy = Proxy::before(&server).await;
            let mut idle = proxy.connect().await;
            let mut talk = proxy.connect().await;
            talk.say(get("/")).await;
            talk.head().await;
            signal(&proxy, name).await;
            // That the other connection ends shows that the signal has come.
            assert!(idle.has_ended().await);
            gate.open();
            assert_eq!(talk.exactly(10).await, b"helloworld");
            assert!(talk.has_ended().await);
            ends_well(proxy).await;
        }
    }

    #[tokio::test]
    async fn what_does_not_end_is_cut() {
        let script = Script::new().request().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").stall();
        for (grace, signals) in [("0.2", 1), ("60", 2)] {
            let server = start(ScriptedServer::builder().on_connect([script.clone()])).await;
            let proxy = Proxy::start(&format!("--to {} --grace {grace}", server.url(""))).await;
            let mut idle = proxy.connect().await;
            let mut talk = proxy.connect().await;
            talk.say(get("/")).await;
            talk.head().await;
            signal(&proxy, "TERM").await;
            assert!(idle.has_ended().await);
            if signals > 1 {
                signal(&proxy, "TERM").await;
            }
            drop(talk.rest().await);
            ends_well(proxy).await;
        }
    }
}
