//! At least once: numbers, acknowledgements, repetitions.

use std::sync::{Arc, Mutex};

use netcomm_core::{Error, Result};
use netcomm_ws::{
    Ack, AtLeastOnce, CloseCode, Connection, Dialect, Dropped, Event, Greet, Greeting, JsonDialect, Link, Message,
    Outbound, Overflow, QueueLimits, Reading, Resume, Socket, State, Status, Writing,
};

use super::stage::{SECOND, URL, ends, heard, listen, pass, until};
use crate::world::World;

/// Numbers before a bar: `5|hello`, `5!|hello` if it was sent before; `+5` acknowledges one, `<5` all up to it; `#5|hi` wants
/// an acknowledgement. Refuses to write what says so.
#[derive(Debug)]
pub(super) struct Bars;

impl Dialect for Bars {
    fn read(&self, message: Message) -> Result<Reading> {
        let text = message.as_text().unwrap_or_default();
        let number = |text: &str| text.parse().expect("a number");
        let reading = match text.split_at_checked(1) {
            Some(("+", rest)) => Reading::default().with_ack(Ack::One(number(rest))),
            Some(("<", rest)) => Reading::default().with_ack(Ack::UpTo(number(rest))),
            Some(("#", rest)) => {
                let (sequence, text) = rest.split_once('|').expect("a bar");
                Reading::plain(Message::text(text)).with_sequence(number(sequence))
            }
            _ => Reading::plain(message),
        };
        Ok(reading)
    }

    fn write(&self, writing: Writing<'_>) -> Result<Message> {
        let text = writing.message.as_text().unwrap_or_default();
        if text == "unspeakable" {
            return Err(Error::new(netcomm_core::ErrorKind::Invalid, "write"));
        }
        let mark = if writing.redelivered { "!" } else { "" };
        Ok(match writing.sequence {
            Some(sequence) => Message::text(format!("{sequence}{mark}|{text}")),
            None => writing.message.clone(),
        })
    }

    fn acknowledge(&self, sequence: u64) -> Option<Message> {
        Some(Message::text(format!("+{sequence}")))
    }

    fn subscribe(&self, topic: &str) -> Option<Message> {
        Some(Message::text(format!("subscribe {topic}")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_window_fills_the_queue() -> Result<()> {
    let world = World::new();
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    world.serve_all({
        let gone = Arc::new(Mutex::new(Some(gone)));
        move |mut socket| {
            let gone = gone.lock().expect("no panic").take().expect("one connection");
            async move {
                for expected in ["1|a", "2|b", "3|c"] {
                    assert_eq!(heard(&mut socket).await, expected);
                }
                gone.await.expect("told");
                socket.send("+2").await.expect("sent");
                socket.send("<1").await.expect("sent");
                for expected in ["4|d", "5|e"] {
                    assert_eq!(heard(&mut socket).await, expected);
                }
                socket.send("<999").await.expect("sent");
                listen(socket).await;
            }
        }
    });
    let queue = QueueLimits::default().with_messages(2).with_overflow(Overflow::Reject);
    let (connection, _messages) = Connection::builder(&world.env, URL)
        .dialect(Bars)
        .queue(queue)
        .at_least_once(AtLeastOnce::default().with_window(3))
        .open()?;
    ends(connection.ready()).await?;
    let mut receipts = Vec::new();
    for text in ["a", "b", "c", "d", "e"] {
        receipts.push(connection.send(text).await?);
        pass(SECOND).await;
    }
    assert!(connection.send("f").await.is_err_and(|rejected| rejected.why == Dropped::Full));
    let snapshot = connection.snapshot();
    assert_eq!((snapshot.unacknowledged, snapshot.queued), (3, 2));
    let before: Vec<_> = receipts.iter().map(netcomm_ws::Receipt::status).collect();
    assert_eq!(before, [Status::Written, Status::Written, Status::Written, Status::Queued, Status::Queued]);
    go.send(()).expect("heard");
    for receipt in &mut receipts {
        assert_eq!(ends(receipt.settled()).await, Status::Acknowledged);
    }
    assert!(ends(connection.drained()).await);
    assert_eq!(connection.snapshot().unacknowledged, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_comes_again_marked_and_first() -> Result<()> {
    let world = World::new();
    world.serve_next(|mut socket| async move {
        for expected in ["1|a", "2|b", "3|c", "v"] {
            assert_eq!(heard(&mut socket).await, expected);
        }
        socket.send("+2").await.expect("sent");
        pass(SECOND).await;
    });
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    world.serve_all(move |mut socket| {
        let told = told.clone();
        async move {
            while let Ok(Some(message)) = socket.recv().await {
                let text = message.as_text().expect("text").to_owned();
                if let Some((number, _)) = text.split_once('|') {
                    socket.send(format!("+{}", number.trim_end_matches('!'))).await.expect("sent");
                }
                told.send(text).expect("told");
            }
        }
    });
    let (connection, _messages) =
        Connection::builder(&world.env, URL).dialect(Bars).at_least_once(AtLeastOnce::default()).open()?;
    let mut events = connection.events(None);
    ends(connection.ready()).await?;
    let mut receipts = Vec::new();
    for text in ["a", "b", "c"] {
        receipts.push(connection.send(text).await?);
    }
    let mut volatile = connection.send(Outbound::new("v").volatile()).await?;
    assert_eq!(ends(volatile.written()).await, Status::Written, "not numbered");
    until(&connection, |state| matches!(state, State::Backoff { .. })).await;
    receipts.push(connection.send(Outbound::new("d").priority(netcomm_ws::Priority::High)).await?);
    let mut wire = Vec::new();
    for _ in 0..3 {
        wire.push(ends(tells.recv()).await.expect("heard"));
    }
    assert_eq!(wire, ["1!|a", "3!|c", "4|d"]);
    for receipt in &mut receipts {
        assert_eq!(ends(receipt.settled()).await, Status::Acknowledged);
    }
    let counts = connection.snapshot().counts;
    assert_eq!((counts.sent, counts.resent, counts.unknown), (7, 2, 0));
    drop(connection);
    let mut resent = Vec::new();
    while let Some(Ok(event)) = ends(events.next()).await {
        if let Event::Ready { resent: count, .. } = event {
            resent.push(count);
        }
    }
    assert_eq!(resent, [0, 2]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_volatile_message_that_is_lost_on_its_way_is_told_of() -> Result<()> {
    let world = World::new();
    world.dialer.set_buffer_bytes(512);
    world.serve_next(|socket| async move {
        pass(5 * SECOND).await;
        drop(socket);
    });
    world.dialer.hang_all();
    let (connection, _messages) = Connection::builder(&world.env, URL)
        .connect(|connect| connect.deflate(None))
        .at_least_once(AtLeastOnce::default())
        .dialect(Bars)
        .open()?;
    ends(connection.ready()).await?;
    let mut lost = connection.send(Outbound::new("x".repeat(100_000)).volatile()).await?;
    let request = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request(Outbound::new("r").volatile(), 1000 * SECOND).await }
    });
    assert_eq!(ends(lost.settled()).await, Status::Unknown);
    let error = ends(request).await.expect("no panic").expect_err("lost");
    assert_eq!(error.kind(), netcomm_core::ErrorKind::Closed);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_has_no_words_leaves_no_gap() -> Result<()> {
    let world = World::new();
    world.serve_all(|mut socket| async move {
        for expected in ["1|a", "2|b"] {
            assert_eq!(heard(&mut socket).await, expected);
        }
        socket.send("<2").await.expect("sent");
        listen(socket).await;
    });
    for at_least_once in [true, false] {
        let mut builder = Connection::builder(&world.env, URL).dialect(Bars);
        if at_least_once {
            builder = builder.at_least_once(AtLeastOnce::default());
        }
        let (connection, _messages) = builder.open()?;
        let mut refused = connection.send("unspeakable").await?;
        assert_eq!(ends(refused.settled()).await, Status::Dropped(Dropped::Refused));
        assert!(ends(connection.drained()).await, "nothing is left");
        if at_least_once {
            let mut first = connection.send("a").await?;
            connection.send("unspeakable").await?;
            let mut second = connection.send("b").await?;
            assert_eq!(ends(first.settled()).await, Status::Acknowledged);
            assert_eq!(ends(second.settled()).await, Status::Acknowledged);
            assert!(ends(connection.drained()).await);
        }
    }
    Ok(())
}

/// The session, what came, what was not acknowledged.
type Seen = (Option<String>, Option<u64>, Option<u64>);

/// Takes up sessions, and remembers what it could have taken up.
#[derive(Clone, Default)]
struct Sessions {
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Greet for Sessions {
    async fn greet(&self, link: &mut Link<'_>, resume: &Resume) -> Result<Greeting> {
        let session = resume.session.as_ref().map(ToString::to_string);
        link.send(format!("hello {}", session.as_deref().unwrap_or("nobody"))).await?;
        self.seen.lock().expect("no panic").push((session, resume.received_up_to, resume.unacknowledged_from));
        // What is not for the greeting comes in between.
        let answer = loop {
            let message = link.recv().await?;
            let text = message.as_text().expect("text").to_owned();
            match text.strip_prefix("welcome ") {
                Some(rest) => break rest.to_owned(),
                None => link.keep(message)?,
            }
        };
        let mut words = answer.split(' ');
        let greeting = Greeting::new().with_session(words.next().expect("a name"));
        let greeting = greeting.with_recovered(words.next() == Some("again"));
        Ok(match words.next() {
            Some(number) => greeting.with_acknowledged_up_to(number.parse().expect("a number")),
            None => greeting,
        })
    }
}

async fn expect(socket: &mut Socket, expected: &[&str]) {
    for expected in expected {
        assert_eq!(heard(socket).await, *expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_greeting_takes_up_the_session() -> Result<()> {
    let world = World::new();
    world.serve_next(|mut socket| async move {
        expect(&mut socket, &["hello nobody"]).await;
        socket.send("welcome s1").await.expect("sent");
        expect(&mut socket, &["subscribe t", "1|a", "2|b", "3|c"]).await;
        for text in ["#1|x", "#2|y", "<1"] {
            socket.send(text).await.expect("sent");
        }
        expect(&mut socket, &["+1", "+2"]).await;
    });
    world.serve_next(|mut socket| async move {
        expect(&mut socket, &["hello s1"]).await;
        // Nobody else says anything before the greeting ends.
        pass(SECOND).await;
        for text in ["#2|y", "#3|z", "welcome s1 again 2"] {
            socket.send(text).await.expect("sent");
        }
        expect(&mut socket, &["subscribe t", "+2", "+3", "3!|c", "4|d"]).await;
    });
    world.serve_all(|mut socket| async move {
        expect(&mut socket, &["hello s1"]).await;
        for text in ["welcome s2", "#1|anew", "<9"] {
            socket.send(text).await.expect("sent");
        }
        expect(&mut socket, &["subscribe t", "3!|c", "4!|d"]).await;
        listen(socket).await;
    });
    let sessions = Sessions::default();
    let (connection, mut messages) = Connection::builder(&world.env, URL)
        .dialect(Bars)
        .greet(sessions.clone())
        .at_least_once(AtLeastOnce::default())
        .open()?;
    let _topic = connection.subscribe("t", netcomm_ws::Listening::default());
    for text in ["a", "b", "c"] {
        connection.send(text).await?;
    }
    let mut deliveries = Vec::new();
    for nth in 0..5 {
        let delivery = ends(messages.next()).await.expect("open").expect("no lag");
        deliveries.push((delivery.message.as_text().expect("text").to_owned(), delivery.sequence, delivery.duplicate));
        if nth == 1 {
            until(&connection, |state| matches!(state, State::Backoff { .. })).await;
            connection.send("d").await?;
        }
    }
    let expected = [("x", 1, false), ("y", 2, false), ("y", 2, true), ("z", 3, false), ("anew", 1, false)];
    assert_eq!(deliveries, expected.map(|(text, sequence, is_double)| (text.to_owned(), Some(sequence), is_double)));
    assert!(ends(connection.drained()).await);
    let seen = sessions.seen.lock().expect("no panic").clone();
    let name = || Some("s1".to_owned());
    assert_eq!(seen, [(None, None, None), (name(), Some(2), Some(2)), (name(), Some(3), Some(3))]);
    assert_eq!(connection.snapshot().counts.duplicates, 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_acknowledges_by_hand_says_when() -> Result<()> {
    let world = World::new();
    world.serve_next(|mut socket| async move {
        expect(&mut socket, &["hello nobody"]).await;
        for text in ["welcome s1", "#1|x", "#2|y", "#3|z"] {
            socket.send(text).await.expect("sent");
        }
        expect(&mut socket, &["+2"]).await;
    });
    world.serve_next(|mut socket| async move {
        expect(&mut socket, &["hello s1"]).await;
        socket.send("welcome s1 again").await.expect("sent");
        // It was said while nobody was there to hear.
        expect(&mut socket, &["+1"]).await;
    });
    world.serve_all(|mut socket| async move {
        expect(&mut socket, &["hello s1"]).await;
        for text in ["welcome s2", "#3|other"] {
            socket.send(text).await.expect("sent");
        }
        // The number that was given by another session is not taken for this one's.
        expect(&mut socket, &["done"]).await;
        listen(socket).await;
    });
    let (connection, mut messages) = Connection::builder(&world.env, URL)
        .dialect(Bars)
        .greet(Sessions::default())
        .at_least_once(AtLeastOnce::default().with_acknowledges(false))
        .open()?;
    let mut deliveries = Vec::new();
    for _ in 0..3 {
        deliveries.push(ends(messages.next()).await.expect("open").expect("no lag"));
    }
    connection.acknowledge(&deliveries[1]);
    until(&connection, |state| matches!(state, State::Backoff { .. })).await;
    connection.acknowledge(&deliveries[0]);
    let other = ends(messages.next()).await.expect("open").expect("no lag");
    assert_eq!(other.sequence, Some(3));
    connection.acknowledge(&deliveries[2]);
    connection.send(Outbound::new("done").volatile()).await?;
    pass(SECOND).await;
    assert_eq!(world.dialer.dials(), 3);
    ends(connection.close(CloseCode::NORMAL, "")).await?;
    connection.acknowledge(&other);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_dialect_in_json_acknowledges_by_hand_too() -> Result<()> {
    let world = World::new();
    world.serve_all(|mut socket| async move {
        socket.send(r#"{"seq":7,"data":"x"}"#).await.expect("sent");
        expect(&mut socket, &[r#"{"ack":7}"#]).await;
        socket.send("\"thanks\"").await.expect("sent");
        listen(socket).await;
    });
    let (connection, mut messages) = Connection::builder(&world.env, URL).dialect(JsonDialect).open()?;
    let delivery = ends(messages.next()).await.expect("open").expect("no lag");
    connection.acknowledge(&delivery);
    let thanks = ends(messages.next()).await.expect("open").expect("no lag");
    assert_eq!(thanks.message.as_text(), Some("\"thanks\""));
    Ok(())
}
