//! Who listens to what, and what slow listeners do.

use std::sync::{Arc, Mutex};

use netcomm_core::{ErrorKind, Result};
use netcomm_ws::{
    AcceptOptions, CloseCode, Connection, Event, Heartbeat, JsonDialect, Lagged, Listening, Message, Outbound, Slow,
    Socket, State,
};

use super::stage::{SECOND, URL, ends, heard, pass, texts, until};
use crate::world::World;

/// A server that writes down what it hears, and is told what to say.
fn server(world: &World) -> (Arc<Mutex<Vec<String>>>, tokio::sync::broadcast::Sender<String>) {
    let log = Arc::<Mutex<Vec<String>>>::default();
    let (say, _) = tokio::sync::broadcast::channel::<String>(1024);
    let server = (Arc::clone(&log), say.clone());
    world.serve_all(move |mut socket: Socket| {
        let (log, mut said) = (Arc::clone(&server.0), server.1.subscribe());
        async move {
            loop {
                tokio::select! {
                    message = socket.recv() => match message {
                        Ok(Some(message)) => log.lock().expect("no panic").push(message.as_text().expect("text").to_owned()),
                        _ => return,
                    },
                    text = said.recv() => match text.expect("no lag").as_str() {
                        "leave" => return,
                        text => socket.send(text).await.expect("sent"),
                    },
                }
            }
        }
    });
    (log, say)
}

fn taken(log: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut *log.lock().expect("no panic"))
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_asked_for_by_its_first_listener_and_given_up_by_its_last() -> Result<()> {
    let world = World::new();
    let (log, say) = server(&world);
    let (connection, mut messages) = Connection::builder(&world.env, URL).dialect(JsonDialect).open()?;
    let mut events = connection.events(None);
    let mut first = connection.subscribe("news", Listening::default());
    ends(connection.ready()).await?;
    let mut second = connection.subscribe("news", Listening::default());
    let other = connection.subscribe("other", Listening::default());
    pass(SECOND).await;
    assert_eq!(taken(&log), [r#"{"subscribe":"news"}"#, r#"{"subscribe":"other"}"#]);
    for text in [r#"{"topic":"news","data":1}"#, r#"{"topic":"nobody","data":2}"#, r#"{"data":3}"#] {
        say.send(text.to_owned()).expect("heard");
    }
    assert_eq!(texts(&mut first, 1).await, ["1"]);
    assert_eq!(texts(&mut second, 1).await, ["1"]);
    assert_eq!(texts(&mut messages, 1).await, ["3"], "those of topics are not for all");
    assert!(other.is_empty());
    drop(first);
    pass(SECOND).await;
    assert!(taken(&log).is_empty(), "one is left");
    drop((second, other));
    pass(SECOND).await;
    assert_eq!(taken(&log), [r#"{"unsubscribe":"news"}"#, r#"{"unsubscribe":"other"}"#]);
    say.send(r#"{"topic":"news","data":4}"#.to_owned()).expect("heard");
    pass(SECOND).await;
    let again = connection.subscribe("news", Listening::default());
    pass(SECOND).await;
    assert_eq!(taken(&log), [r#"{"subscribe":"news"}"#]);
    assert!(again.is_empty());
    drop(connection);
    let mut unclaimed = Vec::new();
    while let Some(Ok(event)) = ends(events.next()).await {
        if let Event::Unclaimed { topic } = event {
            unclaimed.push(topic.expect("a topic").to_string());
        }
    }
    assert_eq!(unclaimed, ["nobody", "news"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn topics_are_asked_for_again_and_those_given_up_meanwhile_are_not() -> Result<()> {
    let world = World::new();
    let (log, say) = server(&world);
    let (connection, _messages) = Connection::builder(&world.env, URL).dialect(JsonDialect).open()?;
    let mut kept = connection.subscribe("kept", Listening::default());
    let left = connection.subscribe("left", Listening::default());
    ends(connection.ready()).await?;
    pass(SECOND).await;
    assert_eq!(taken(&log).len(), 2);
    for _ in 0..8 {
        world.dialer.fail_next(ErrorKind::Connect);
    }
    say.send("leave".to_owned()).expect("heard");
    until(&connection, |state| matches!(state, State::Backoff { .. })).await;
    connection.send("1").await?;
    drop(left);
    // What came and went while there was no connection is of no interest to the next.
    for _ in 0..1000 {
        drop(connection.subscribe("fleeting", Listening::default()));
    }
    ends(connection.ready()).await?;
    pass(SECOND).await;
    assert_eq!(taken(&log), [r#"{"subscribe":"kept"}"#, r#"{"data":1}"#]);
    say.send(r#"{"topic":"kept","data":5}"#.to_owned()).expect("heard");
    assert_eq!(texts(&mut kept, 1).await, ["5"]);
    ends(connection.close(CloseCode::NORMAL, "")).await?;
    assert!(ends(kept.next()).await.is_none());
    assert!(ends(connection.subscribe("late", Listening::default()).next()).await.is_none());
    assert!(ends(connection.messages(Listening::default()).next()).await.is_none());
    assert!(ends(connection.events(None).next()).await.is_none());
    Ok(())
}

/// Says numbers as fast as it may; counts how many it got rid of.
fn flood(world: &World, count: usize) -> Arc<Mutex<usize>> {
    let said = Arc::<Mutex<usize>>::default();
    let server = Arc::clone(&said);
    world.dialer.set_buffer_bytes(1024);
    // It has all the time in the world: one that asks for signs of life hangs up on those who do not read.
    let options = AcceptOptions::new(&world.env).heartbeat(Heartbeat::OFF);
    world.dialer.serve_all(move |stream| {
        let (said, options) = (Arc::clone(&server), options.clone());
        async move {
            let mut socket = Socket::accept(stream, &options).await.expect("a handshake");
            for nth in 0..count {
                if socket.send(format!("{nth:0100}")).await.is_err() {
                    return;
                }
                *said.lock().expect("no panic") += 1;
            }
            while let Ok(Some(_)) = socket.recv().await {}
        }
    });
    said
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_makes_the_peer_wait() -> Result<()> {
    const ALL: usize = 10_000;
    let world = World::new();
    let said = flood(&world, ALL);
    let (connection, mut messages) = Connection::builder(&world.env, URL)
        .connect(|connect| connect.deflate(None))
        .listening(Listening::default().with_items(10))
        .open()?;
    pass(1000 * SECOND).await;
    // Ten that wait, 64 KiB that were read ahead, and what the wire holds.
    let waiting = *said.lock().expect("no panic");
    assert!((10..700).contains(&waiting), "{waiting}");
    assert_eq!(messages.len(), 10);
    assert!(connection.state().is_ready(), "who does not listen cannot tell that the peer is gone");
    // It writes all the same.
    let mut receipt = connection.send("meanwhile").await?;
    assert_eq!(ends(receipt.written()).await, netcomm_ws::Status::Written);
    for nth in 0..ALL {
        assert_eq!(texts(&mut messages, 1).await, [format!("{nth:0100}")]);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_leaves_frees_the_others() -> Result<()> {
    let world = World::new();
    let said = flood(&world, 5000);
    let (connection, mut messages) =
        Connection::builder(&world.env, URL).connect(|connect| connect.deflate(None)).open()?;
    let slow = connection.messages(Listening::default().with_items(1));
    let reader = tokio::spawn(async move { texts(&mut messages, 5000).await.len() });
    pass(SECOND).await;
    assert!(*said.lock().expect("no panic") < 5000);
    drop(slow);
    assert_eq!(ends(reader).await.expect("no panic"), 5000);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_lags_is_told_by_how_much() -> Result<()> {
    let world = World::new();
    flood(&world, 5000);
    let (connection, mut messages) = Connection::builder(&world.env, URL).open()?;
    let limits = Listening::default().with_items(10);
    let mut oldest = connection.messages(limits.with_slow(Slow::DropOldest));
    let mut newest = connection.messages(limits.with_slow(Slow::DropNewest));
    assert_eq!(texts(&mut messages, 5000).await.len(), 5000);
    assert_eq!(ends(oldest.next()).await, Some(Err(Lagged(4990))));
    let (first, last) = (texts(&mut oldest, 10).await, texts(&mut newest, 10).await);
    assert_eq!((&*first[0], &*last[9]), (&*format!("{:0100}", 4990), &*format!("{:0100}", 9)));
    assert_eq!(ends(newest.next()).await, Some(Err(Lagged(4990))));
    assert!(oldest.is_empty() && newest.is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_happens_does_not_wait_to_be_heard() -> Result<()> {
    let world = World::new();
    world.dialer.hang_all();
    let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
    let mut few = connection.events(Listening::default().with_items(3));
    let mut usual = connection.events(None);
    until(&connection, |state| matches!(state, State::Connecting { .. })).await;
    for _ in 0..100 {
        connection.send(Outbound::new("v").volatile()).await?;
    }
    assert_eq!((few.len(), usual.len()), (3, 64), "none grows for ever");
    let Some(Err(Lagged(lagged))) = ends(few.next()).await else { panic!("it lags") };
    assert!(lagged >= 97);
    assert!(matches!(ends(usual.next()).await, Some(Err(Lagged(_)))));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_full_stays_so_over_losses() -> Result<()> {
    let world = World::new();
    world.serve_all(|mut socket: Socket| async move {
        for nth in 0..100 {
            if socket.send(nth.to_string()).await.is_err() {
                return;
            }
        }
        pass(20 * SECOND).await;
    });
    let (connection, messages) =
        Connection::builder(&world.env, URL).listening(Listening::default().with_items(5)).open()?;
    for round in 1..=20 {
        ends(world.dialer.until_dials(round)).await;
        until(&connection, State::is_ready).await;
        pass(SECOND).await;
        assert_eq!(messages.len(), 5);
        connection.renew();
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_the_dialect_cannot_read_is_given_on_as_it_is() -> Result<()> {
    #[derive(Debug)]
    struct Picky;
    impl netcomm_ws::Dialect for Picky {
        fn read(&self, message: Message) -> Result<netcomm_ws::Reading> {
            match message.as_text() {
                Some("garbled") => Err(netcomm_core::Error::new(ErrorKind::Decode, "read message")),
                _ => Ok(netcomm_ws::Reading::plain(message)),
            }
        }
    }
    let world = World::new();
    world.serve_all(|mut socket: Socket| async move {
        heard(&mut socket).await;
        for text in ["garbled", "clear"] {
            socket.send(text).await.expect("sent");
        }
        while let Ok(Some(_)) = socket.recv().await {}
    });
    let (connection, mut messages) = Connection::builder(&world.env, URL).dialect(Picky).open()?;
    let mut events = connection.events(None);
    connection.send("go").await?;
    assert_eq!(texts(&mut messages, 2).await, ["garbled", "clear"]);
    let misread = loop {
        if let Event::Misread { cause } = ends(events.next()).await.expect("open").expect("no lag") {
            break cause;
        }
    };
    assert_eq!(misread.kind(), ErrorKind::Decode);
    Ok(())
}
