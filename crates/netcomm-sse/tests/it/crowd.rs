//! Many tasks on many threads at one source, over sockets.

use netcomm_core::{Listening, Result, Slow};
use netcomm_sse::{Block, EventSource, Select};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Serves numbers behind the id it is asked for, and breaks off now and then.
async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        drop(tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let head = String::from_utf8(head).expect("text").to_lowercase();
            let id = head.split("last-event-id: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let first = id.map_or(0, |id| id.parse::<u64>().expect("a number") + 1);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nretry: 1\n\n").await?;
            for number in first..first + 2000 {
                let event_type = ["even", "odd"][(number % 2) as usize];
                let block = Block::new().event_type(event_type).id(number.to_string()).data(number.to_string());
                stream.write_all(&block.encode().expect("valid")).await?;
            }
            std::io::Result::Ok(())
        }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn listeners_come_and_go_while_others_hear_all() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let server = tokio::spawn(serve(listener));
    let at_once = netcomm_core::Reconnect::default()
        .first(std::time::Duration::ZERO)
        .floor(std::time::Duration::ZERO)
        .backoff(netcomm_core::Backoff::new(std::time::Duration::from_millis(1), std::time::Duration::from_millis(2)));
    let source = EventSource::builder(&netcomm_dial::env(), url).reconnect(at_once).lazy().open()?;
    let steady: Vec<_> = [("odd", 1), ("even", 0)]
        .map(|(event_type, first)| {
            let mut listener = source.subscribe(event_type, Listening::default().with_items(16));
            tokio::spawn(async move {
                for number in (first..10_000).step_by(2) {
                    let event = listener.next().await.expect("more").expect("none is missing");
                    assert_eq!(event.data, number.to_string().as_str());
                }
            })
        })
        .into();
    source.start();
    let fickle: Vec<_> = (0..8)
        .map(|number| {
            let source = source.clone();
            tokio::spawn(async move {
                for round in 0..50 {
                    let slow = [Slow::Wait, Slow::DropOldest, Slow::DropNewest][(number + round) % 3];
                    let listening = Listening::default().with_items(1 + round % 5).with_slow(slow);
                    let mut listener = source.subscribe(Select::all(), listening);
                    let mut last = None;
                    for _ in 0..round {
                        match listener.next().await {
                            Some(Ok(event)) => {
                                let number = event.data.parse::<u64>().expect("a number");
                                assert!(last < Some(number), "{last:?} before {number}");
                                last = Some(number);
                            }
                            Some(Err(_)) => {}
                            None => return,
                        }
                    }
                }
            })
        })
        .collect();
    for task in steady {
        task.await.expect("all of them");
    }
    source.close();
    for task in fickle {
        task.await.expect("in their order");
    }
    source.closed().await;
    server.abort();
    Ok(())
}
