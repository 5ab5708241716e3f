//! What a network that goes, comes and changes does.

use std::time::Duration;

use netcomm_core::{ErrorKind, Reach, Reconnect, Result};
use netcomm_sse::{EventStream, Notice, State};
use netcomm_tests::ManualConnectivity;
use tokio::time::Instant;

use crate::stage::{Reply, SECOND, Server, data, ends, env, events, pass, stays, watch, word};

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_while_offline_and_the_return_is_not_waited_for() -> Result<()> {
    let network = ManualConnectivity::offline();
    let server = Server::new(|_| stays("data: x\n\n"));
    let mut stream = server.builder_in(&env().with_connectivity(network.shared())).stream()?;
    let seen = watch(&mut stream, 1000 * SECOND).await;
    let [Notice::Waiting { attempt: 0, wait: None, cause }] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((cause.kind(), server.times()), (ErrorKind::Offline, 0));
    assert!(matches!(stream.state(), State::Backoff { until: None, .. }));
    let before = Instant::now();
    network.set_metered(true);
    assert!(watch(&mut stream, Duration::from_millis(1)).await.is_empty(), "that is no network");
    network.set_reach(Reach::Captive);
    assert_eq!(data(&mut stream).await, "x");
    assert!(before.elapsed() <= Duration::from_millis(2), "{:?}", before.elapsed());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_offline_goes_on_until_there_is_a_network() -> Result<()> {
    let network = ManualConnectivity::online();
    let server = Server::replies([Reply::Fail(ErrorKind::Connect), stays("data: x\n\n")]);
    let mut stream = server.builder_in(&env().with_connectivity(network.shared())).stream()?;
    while !matches!(ends(stream.notice()).await, Some(Notice::Waiting { .. })) {}
    network.set_reach(Reach::Offline);
    watch(&mut stream, 1000 * SECOND).await;
    let State::Backoff { attempt: 1, until: None, cause } = stream.state() else { panic!("{:?}", stream.state()) };
    assert_eq!((cause.kind(), server.times()), (ErrorKind::Connect, 1), "what ended the last try");
    let before = Instant::now();
    network.set_reach(Reach::Online);
    assert_eq!(data(&mut stream).await, "x");
    assert_eq!(before.elapsed(), Duration::ZERO);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn this_machine_is_there_without_a_network() -> Result<()> {
    let env = env().with_connectivity(ManualConnectivity::offline().shared());
    for host in ["localhost", "localhost.", "app.localhost", "127.0.0.1", "127.9.9.9:80", "[::1]:8080", "LOCALHOST:1"] {
        let server = Server::new(|_| stays("data: x\n\n"));
        let mut stream = EventStream::builder(&env, format!("http://{host}/")).transport(server).stream()?;
        assert_eq!(data(&mut stream).await, "x", "{host}");
    }
    let server = Server::new(|_| stays("data: x\n\n"));
    let mut stream = EventStream::builder(&env, "http://localhost.test/").transport(server.clone()).stream()?;
    watch(&mut stream, SECOND).await;
    assert_eq!(server.times(), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn another_network_makes_a_new_stream_that_goes_on() -> Result<()> {
    let network = ManualConnectivity::online();
    let server = Server::new(|asked| stays(format!("id: {0}\ndata: {0}\n\n", asked.number)));
    let mut stream = server.builder_in(&env().with_connectivity(network.shared())).stream()?;
    assert_eq!(data(&mut stream).await, "0");
    watch(&mut stream, 10 * SECOND).await;
    network.set_metered(true);
    watch(&mut stream, 10 * SECOND).await;
    assert_eq!(server.times(), 1, "the same network");
    network.roam();
    let seen = watch(&mut stream, Duration::from_millis(252)).await;
    let words: Vec<_> = seen.iter().map(word).collect();
    assert_eq!(words, ["network changed", "lost Closed", "waiting 0", "connecting 1", "open 200", "event 1"]);
    assert_eq!((server.ids(), server.streams()), (vec!["-".to_owned(), "0".to_owned()], 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_cut_short_by_another_network_but_not_below_what_was_asked() -> Result<()> {
    for (retry_after, least, most) in [(None, 0, 252), (Some("60"), 60_000, 80_000)] {
        let network = ManualConnectivity::online();
        let server = Server::new(move |_| {
            let refusal = crate::stage::status(503);
            if let Some(wait) = retry_after { refusal.header("retry-after", wait) } else { refusal }
        });
        let reconnect = Reconnect::default().floor(50 * SECOND).first(50 * SECOND);
        let env = env().with_connectivity(network.shared());
        let mut stream = server.builder_in(&env).reconnect(reconnect).stream()?;
        while !matches!(ends(stream.notice()).await, Some(Notice::Waiting { .. })) {}
        network.roam();
        while server.times() < 2 {
            ends(stream.notice()).await;
        }
        let gap = server.gaps()[0];
        assert!((least..=most).contains(&gap), "{gap} ms with {retry_after:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_streams_once_stays_where_it_is() -> Result<()> {
    let network = ManualConnectivity::online();
    let server = Server::new(|_| events("data: a\n\n").wait(10 * SECOND).give("data: b\n\n"));
    let env = env().with_connectivity(network.shared());
    let mut stream = server.builder_in(&env).post_json("?").stream()?;
    assert_eq!(data(&mut stream).await, "a");
    network.roam();
    assert_eq!(data(&mut stream).await, "b");
    assert_eq!(server.times(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn going_offline_breaks_nothing_by_itself() -> Result<()> {
    let network = ManualConnectivity::online();
    let server = Server::new(|_| events("data: a\n\n").wait(10 * SECOND).give("data: b\n\n"));
    let mut stream = server.builder_in(&env().with_connectivity(network.shared())).stream()?;
    assert_eq!(data(&mut stream).await, "a");
    network.set_reach(Reach::Offline);
    pass(SECOND).await;
    network.set_reach(Reach::Online);
    assert_eq!(data(&mut stream).await, "b");
    assert_eq!(server.times(), 1);
    Ok(())
}
