//! Whether and when it comes back.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use netcomm_core::{Env, Error, ErrorKind, GaveUp, Io, Random, Result};
use netcomm_tests::{ScriptedDialer, TokioClock};
use netcomm_ws::{
    Attempt, CloseCode, Closed, Connect, Connection, ConnectionBuilder, Event, Reconnect, Refused, State, Verdict,
};
use tokio::time::Instant;

use super::stage::{Nod, SECOND, URL, accept, answer, echo, ends, listen, pass, until};
use crate::world::World;

/// The error that a connection gave up with.
async fn end(connection: &Connection) -> Error {
    match until(connection, State::is_closed).await {
        State::Closed { cause: Some(cause), .. } => cause,
        other => panic!("{other:?}"),
    }
}

fn name(state: &State) -> String {
    match state {
        State::Connecting { attempt } => format!("connecting {attempt}"),
        State::Backoff { attempt, until, cause } => {
            format!("backoff {attempt} {} {}", until.is_some(), cause.kind().as_str())
        }
        State::Closed { closed, cause } => format!("closed {} {}", closed.is_some(), cause.is_some()),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[tokio::test(start_paused = true)]
async fn its_states_come_in_order() -> Result<()> {
    let world = World::new();
    // A dial that takes as long as any.
    world.dialer.with_next(|_| async {
        pass(SECOND).await;
        Err(Error::new(ErrorKind::Connect, "dial").with_unsent())
    });
    world.serve_all(listen);
    let (connection, _messages) =
        Connection::builder(&world.env, URL).lazy(true).greet(Nod { takes: SECOND, agrees: true }).open()?;
    let mut states = connection.states();
    let seen = tokio::spawn(async move {
        let mut seen = vec![name(&states.current())];
        while let Some(state) = states.changed().await {
            seen.push(name(&state));
        }
        seen
    });
    let mut events = connection.events(None);
    pass(SECOND).await;
    connection.start();
    ends(connection.ready()).await?;
    pass(SECOND).await;
    let closed = ends(connection.close(CloseCode::NORMAL, "bye")).await?.expect("there was a connection");
    assert_eq!(closed.reason, "bye");
    let seen = ends(seen).await.expect("no panic");
    let expected = [
        "idle",
        "connecting 1",
        "backoff 1 true could not connect",
        "connecting 2",
        "open",
        "ready",
        "closing",
        "closed true false",
    ];
    assert_eq!(seen, expected);
    let mut told = Vec::new();
    while let Some(Ok(event)) = ends(events.next()).await {
        told.push(match event {
            Event::Connecting { attempt } => format!("connecting {attempt}"),
            Event::Waiting { attempt, wait: Some(wait), .. } if wait <= SECOND / 2 => format!("waiting {attempt}"),
            Event::Ready { recovered: false, resent: 0 } => "ready".to_owned(),
            Event::Closed { closed: Some(_), cause: None } => "closed".to_owned(),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(told, ["connecting 1", "waiting 1", "connecting 2", "ready", "closed"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_first_try_comes_soon_and_further_ones_within_their_bounds() -> Result<()> {
    for seed in 0..20 {
        let dialer = ScriptedDialer::new();
        let env = Env::new(dialer.clone(), TokioClock::new()).with_random(Random::seeded(seed));
        let (_connection, _messages) = Connection::builder(&env, URL).open()?;
        ends(dialer.until_dials(1)).await;
        for (nth, bound) in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0].into_iter().enumerate() {
            let before = Instant::now();
            ends(dialer.until_dials(nth + 2)).await;
            let wait = before.elapsed();
            // The clock of the runtime counts milliseconds.
            assert!(wait <= Duration::from_secs_f64(bound + 0.002), "{nth}: {wait:?}");
            assert!(nth == 0 || wait >= SECOND / 2, "{nth}: {wait:?}");
        }
    }
    Ok(())
}

/// How often a server is dialled in 10 000 s that takes connections and breaks them after `uptime`.
async fn dials(uptime: Duration, change: impl FnOnce(ConnectionBuilder) -> ConnectionBuilder) -> usize {
    let world = World::new();
    world.serve_all(move |mut socket| async move {
        pass(uptime).await;
        drop(socket.close(CloseCode::GOING_AWAY, "").await);
    });
    let env = world.env.with_random(Random::seeded(7));
    let (_connection, _messages) = change(Connection::builder(&env, URL)).open().expect("opened");
    pass(10_000 * SECOND).await;
    world.dialer.dials()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_what_it_takes_is_not_hammered() {
    // Waits fall anywhere from half a second to twenty: one in about 10.25 s.
    let hammered = dials(Duration::ZERO, |builder| builder).await;
    assert!((850..1150).contains(&hammered), "{hammered}");
    // A server that is there for long enough is come back to soon: one in about 6.25 s.
    let stable = dials(6 * SECOND, |builder| builder).await;
    assert!((1500..1700).contains(&stable), "{stable}");
    // Not so where it was not of use.
    let unfriendly = dials(60 * SECOND, |builder| builder.greet(Nod { takes: 6 * SECOND, agrees: false })).await;
    assert!((550..700).contains(&unfriendly), "{unfriendly}");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_helps_it_ends() -> Result<()> {
    for code in [1002, 1003, 1007, 1008, 1009, 1010] {
        let world = World::new();
        world.serve_all(move |mut socket| async move {
            drop(socket.close(CloseCode::new(code), "no").await);
        });
        let (connection, mut messages) = Connection::builder(&world.env, URL).open()?;
        let cause = end(&connection).await;
        assert_eq!(cause.gave_up(), Some(GaveUp::Final), "{code}");
        let closed = cause.source().and_then(|source| source.downcast_ref::<Closed>()).expect("how it was closed");
        assert_eq!((closed.code.get(), &*closed.reason), (code, "no"));
        let State::Closed { closed: Some(closed), .. } = connection.state() else { panic!("how it was closed") };
        assert_eq!(closed.code.get(), code);
        assert!(ends(messages.next()).await.is_none());
        assert_eq!(world.dialer.dials(), 1);
        assert!(connection.ready().await.is_err());
    }
    for status in ["400 Bad Request", "404 Not Found", "410 Gone", "301 Moved Permanently", "501 Not Implemented"] {
        let world = World::new();
        world.dialer.serve_all(move |stream| async move {
            answer(stream, &format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nLocation: /\r\n\r\n")).await;
        });
        let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
        let cause = end(&connection).await;
        assert_eq!((cause.gave_up(), world.dialer.dials()), (Some(GaveUp::Final), 1), "{status}");
    }
    for kind in [ErrorKind::Tls, ErrorKind::Denied, ErrorKind::Invalid] {
        let world = World::new();
        world.dialer.fail_all(kind);
        let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
        let cause = end(&connection).await;
        assert_eq!((cause.kind(), cause.gave_up(), world.dialer.dials()), (kind, Some(GaveUp::Final), 1));
    }
    // An answer to another key: whatever that is, it is no server of ours.
    let world = World::new();
    world.dialer.serve_all(|stream| async move {
        answer(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )
        .await;
    });
    let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
    assert_eq!((end(&connection).await.kind(), world.dialer.dials()), (ErrorKind::Protocol, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_may_be_otherwise_is_tried_again() -> Result<()> {
    for code in [1000, 1001, 1011, 1012, 1013, 1014, 3000, 4999] {
        let world = World::new();
        world.serve_next(move |mut socket| async move {
            drop(socket.close(CloseCode::new(code), "").await);
        });
        world.serve_all(listen);
        let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
        ends(world.dialer.until_dials(2)).await;
        until(&connection, State::is_ready).await;
    }
    let world = World::new();
    for kind in [ErrorKind::Connect, ErrorKind::Dns, ErrorKind::Timeout, ErrorKind::Io] {
        world.dialer.fail_next(kind);
    }
    for status in [408, 425, 429, 500, 502, 503, 504] {
        world.dialer.serve_next(move |stream| async move {
            answer(stream, &format!("HTTP/1.1 {status} Oops\r\nContent-Length: 0\r\n\r\n")).await;
        });
    }
    // One that breaks off within the handshake, one that breaks off with half an answer, one that resets a frame.
    world.dialer.serve_next(|stream| async move { drop(stream) });
    world.dialer.serve_next(|stream| async move {
        answer(stream, "HTTP/1.1 101 Switching").await;
    });
    world.serve_next(|socket| async move { drop(socket) });
    world.serve_all(listen);
    let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
    ends(world.dialer.until_dials(15)).await;
    until(&connection, State::is_ready).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_ends_is_given_up() -> Result<()> {
    let world = World::new();
    world.dialer.serve_next(|stream| async move {
        let mut stream = stream;
        super::stage::head(&mut stream).await;
        std::future::pending::<()>().await;
    });
    world.serve_all(listen);
    let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
    let before = Instant::now();
    let State::Backoff { attempt: 1, cause, .. } =
        until(&connection, |state| matches!(state, State::Backoff { .. })).await
    else {
        panic!("one try");
    };
    let (took, kind) = (before.elapsed(), cause.kind());
    assert_eq!(kind, ErrorKind::Timeout);
    assert!((10 * SECOND..11 * SECOND).contains(&took), "{took:?}");
    ends(connection.ready()).await
}

/// A server that knows one token.
fn guarded(world: &World, token: &'static str) {
    let env = world.env.clone();
    world.dialer.serve_all(move |stream| {
        let env = env.clone();
        async move {
            let options = netcomm_ws::AcceptOptions::new(&env).check(move |request| {
                let is_known = request.headers().get("authorization").is_some_and(|sent| sent == token);
                if is_known { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) }
            });
            if let Ok(socket) = netcomm_ws::Socket::accept(stream, &options).await {
                listen(socket).await;
            }
        }
    });
}

/// What each try was told: its number, whether to refresh, the status that the last one had.
type Told = Arc<Mutex<Vec<(u32, bool, Option<u16>)>>>;

/// Gives a token that is no good, and on demand a fresh one.
fn with_token(builder: ConnectionBuilder, fresh: &'static str) -> (ConnectionBuilder, Told) {
    let told = Told::default();
    let log = Arc::clone(&told);
    let builder = builder.prepare(move |connect: Connect, attempt: Attempt| {
        let status = attempt.cause.as_ref().and_then(Error::status).map(|status| status.as_u16());
        log.lock().expect("no panic").push((attempt.number, attempt.refresh, status));
        async move { Ok(connect.header("authorization", if attempt.refresh { fresh } else { "stale" })) }
    });
    (builder, told)
}

#[tokio::test(start_paused = true)]
async fn credentials_are_renewed_once() -> Result<()> {
    let world = World::new();
    guarded(&world, "fresh");
    let (builder, told) = with_token(Connection::builder(&world.env, URL), "fresh");
    let (connection, _messages) = builder.open()?;
    ends(connection.ready()).await?;
    assert_eq!(*told.lock().expect("no panic"), [(1, false, None), (2, true, Some(401))]);

    let world = World::new();
    guarded(&world, "unknown");
    let (builder, told) = with_token(Connection::builder(&world.env, URL), "fresh");
    let (connection, _messages) = builder.open()?;
    let cause = end(&connection).await;
    assert_eq!((cause.status(), cause.gave_up()), (Some(StatusCode::UNAUTHORIZED), Some(GaveUp::Final)));
    assert!(cause.source().is_some_and(|source| source.is::<Refused>()));
    assert_eq!(told.lock().expect("no panic").len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn new_credentials_are_asked_for_until_they_are_had() -> Result<()> {
    // Where they come from may be as hard to reach as the server.
    let world = World::new();
    guarded(&world, "fresh");
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let prepare = move |connect: Connect, attempt: Attempt| {
        let nth = {
            let mut log = log.lock().expect("no panic");
            log.push(attempt.refresh);
            log.len()
        };
        async move {
            match nth {
                2 => Err(Error::new(ErrorKind::Io, "fetch token")),
                _ => Ok(connect.header("authorization", if attempt.refresh { "fresh" } else { "stale" })),
            }
        }
    };
    let (connection, _messages) = Connection::builder(&world.env, URL).prepare(prepare).open()?;
    ends(connection.ready()).await?;
    assert_eq!(*told.lock().expect("no panic"), [false, true, true]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_is_left_alone_for_as_long_as_it_asks() -> Result<()> {
    for (head, least) in [
        ("503 Service Unavailable\r\nRetry-After: 7", 7),
        ("429 Too Many Requests\r\nRetry-After: 90", 90),
        ("503 Service Unavailable\r\nRetry-After: 100000", 300),
    ] {
        let world = World::new();
        world.dialer.serve_next(move |stream| async move {
            answer(stream, &format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n")).await;
        });
        world.serve_all(listen);
        let before = Instant::now();
        let (_connection, _messages) = Connection::builder(&world.env, URL).open()?;
        ends(world.dialer.until_dials(2)).await;
        let wait = before.elapsed();
        let range = Duration::from_secs(least)..Duration::from_secs(least) + Duration::from_millis(510);
        assert!(range.contains(&wait), "{wait:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_user_decides_first() -> Result<()> {
    let world = World::new();
    world.dialer.fail_next(ErrorKind::Tls);
    world.serve_all(|mut socket| async move {
        drop(socket.close(CloseCode::new(4001), "you are banned").await);
    });
    let reconnect = Reconnect::default().classify(|error| {
        let closed = error.source().and_then(|source| source.downcast_ref::<Closed>());
        match closed.map(|closed| closed.code.get()) {
            Some(4001) => Some(Verdict::Fatal),
            _ => error.is_tls().then_some(Verdict::RetryAfter(100 * SECOND)),
        }
    });
    let before = Instant::now();
    let (connection, _messages) = Connection::builder(&world.env, URL).reconnect(reconnect).open()?;
    let cause = end(&connection).await;
    assert_eq!((cause.gave_up(), world.dialer.dials()), (Some(GaveUp::Final), 2));
    assert!(before.elapsed() >= 100 * SECOND);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn tries_and_their_time_may_be_bounded() -> Result<()> {
    let world = World::new();
    let (connection, _messages) =
        Connection::builder(&world.env, URL).reconnect(Reconnect::default().max_attempts(3)).open()?;
    let cause = end(&connection).await;
    assert_eq!((cause.gave_up(), world.dialer.dials()), (Some(GaveUp::Attempts), 3));

    let world = World::new();
    let before = Instant::now();
    let (connection, _messages) =
        Connection::builder(&world.env, URL).reconnect(Reconnect::default().max_elapsed(60 * SECOND)).open()?;
    let cause = end(&connection).await;
    assert_eq!(cause.gave_up(), Some(GaveUp::Elapsed));
    assert!(before.elapsed() <= 60 * SECOND && world.dialer.dials() > 3);

    for is_made in [false, true] {
        let world = World::new();
        if is_made {
            world.serve_all(|mut socket| async move {
                pass(60 * SECOND).await;
                drop(socket.close(CloseCode::GOING_AWAY, "").await);
            });
        }
        let (connection, _messages) = Connection::builder(&world.env, URL).reconnect(Reconnect::never()).open()?;
        end(&connection).await;
        assert_eq!(world.dialer.dials(), 1);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_renewal_counts_as_no_failure() -> Result<()> {
    let world = World::new();
    world.serve_next(echo);
    let (connection, _messages) =
        Connection::builder(&world.env, URL).reconnect(Reconnect::default().max_attempts(2)).open()?;
    ends(connection.ready()).await?;
    pass(60 * SECOND).await;
    connection.renew();
    // The tries that follow, and no more.
    let cause = end(&connection).await;
    assert_eq!((cause.gave_up(), world.dialer.dials()), (Some(GaveUp::Attempts), 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_takes_its_time_does_not_delay_a_goodbye() -> Result<()> {
    let world = World::new();
    let env = world.env.clone();
    world.dialer.with_all(move |_| {
        let env = env.clone();
        async move {
            pass(5 * SECOND).await;
            let (near, far) = tokio::io::duplex(1024);
            drop(tokio::spawn(async move { listen(accept(&env, far).await).await }));
            Ok(Io::new(near, netcomm_core::ConnectInfo::default()))
        }
    });
    let (connection, _messages) = Connection::builder(&world.env, URL).open()?;
    let before = Instant::now();
    pass(SECOND).await;
    ends(connection.close(CloseCode::NORMAL, "")).await?;
    assert_eq!(before.elapsed(), SECOND);
    Ok(())
}
