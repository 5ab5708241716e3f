//! What a change of the network does, and a machine that was asleep.

use std::time::Duration;

use netcomm_core::{Env, ErrorKind, Reach, Result};
use netcomm_tests::{ManualClock, ManualConnectivity, ScriptedDialer};
use netcomm_ws::{Connection, Event, State};
use tokio::time::Instant;

use super::stage::{SECOND, URL, accept, accept_and_vanish, ends, listen, pass, until};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn nothing_is_dialled_while_offline() -> Result<()> {
    let network = ManualConnectivity::offline();
    let world = World::new();
    world.serve_all(listen);
    let env = world.env.with_connectivity(network.shared());
    let (connection, _messages) = Connection::builder(&env, URL).open()?;
    pass(1000 * SECOND).await;
    let State::Backoff { attempt: 0, until: None, cause } = connection.state() else {
        panic!("{:?}", connection.state())
    };
    assert_eq!((cause.kind(), world.dialer.dials()), (ErrorKind::Offline, 0));
    let before = Instant::now();
    network.set_reach(Reach::Online);
    ends(connection.ready()).await?;
    assert_eq!((before.elapsed(), world.dialer.dials()), (Duration::ZERO, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_offline_goes_on_until_there_is_a_network() -> Result<()> {
    let network = ManualConnectivity::online();
    let world = World::new();
    let env = world.env.with_connectivity(network.shared());
    let (connection, _messages) = Connection::builder(&env, URL).open()?;
    until(&connection, |state| matches!(state, State::Backoff { attempt: 3.., .. })).await;
    network.set_reach(Reach::Offline);
    let State::Backoff { cause, .. } =
        until(&connection, |state| matches!(state, State::Backoff { until: None, .. })).await
    else {
        panic!("it waits");
    };
    assert_eq!(cause.kind(), ErrorKind::Connect, "what ended the last try");
    let dials = world.dialer.dials();
    pass(1000 * SECOND).await;
    assert_eq!(world.dialer.dials(), dials);
    world.serve_all(listen);
    let before = Instant::now();
    network.set_reach(Reach::Online);
    ends(connection.ready()).await?;
    assert_eq!(before.elapsed(), Duration::ZERO);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn another_network_makes_the_next_try_come_soon() -> Result<()> {
    let network = ManualConnectivity::online();
    let world = World::new();
    let env = world.env.with_connectivity(network.shared());
    let (connection, _messages) = Connection::builder(&env, URL).open()?;
    let mut events = connection.events(None);
    until(&connection, |state| matches!(state, State::Backoff { attempt: 9.., .. })).await;
    for _ in 0..20 {
        let dials = world.dialer.dials();
        let before = Instant::now();
        network.roam();
        ends(world.dialer.until_dials(dials + 1)).await;
        assert!(before.elapsed() <= Duration::from_millis(252), "{:?}", before.elapsed());
        until(&connection, |state| matches!(state, State::Backoff { .. })).await;
    }
    drop(connection);
    let mut changes = 0;
    while let Some(event) = ends(events.next()).await {
        changes += usize::from(matches!(event, Ok(Event::NetworkChanged)));
    }
    assert!(changes > 10, "{changes}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn after_a_change_of_the_network_the_peer_has_to_show_life() -> Result<()> {
    let network = ManualConnectivity::online();
    let world = World::new();
    let env = world.env.with_connectivity(network.shared());
    world.dialer.serve_next(accept_and_vanish);
    world.serve_all(listen);
    let (connection, _messages) = Connection::builder(&env, URL).open()?;
    ends(connection.ready()).await?;
    pass(SECOND).await;
    let before = Instant::now();
    network.roam();
    let State::Backoff { cause, .. } = until(&connection, |state| matches!(state, State::Backoff { .. })).await else {
        panic!("it waits");
    };
    assert_eq!((before.elapsed(), cause.kind()), (5 * SECOND, ErrorKind::Timeout));
    // One that answers is kept.
    ends(connection.ready()).await?;
    for _ in 0..10 {
        network.roam();
        pass(SECOND).await;
    }
    pass(100 * SECOND).await;
    assert!(connection.state().is_ready());
    assert_eq!(world.dialer.dials(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_network_that_goes_takes_silent_connections_with_it() -> Result<()> {
    let network = ManualConnectivity::online();
    let world = World::new();
    let env = world.env.with_connectivity(network.shared());
    world.dialer.serve_all(accept_and_vanish);
    let (connection, _messages) = Connection::builder(&env, URL).open()?;
    ends(connection.ready()).await?;
    network.set_reach(Reach::Offline);
    until(&connection, |state| matches!(state, State::Backoff { until: None, .. })).await;
    pass(1000 * SECOND).await;
    assert_eq!((world.dialer.dials(), world.dialer.open_connections()), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_machine_that_wakes_asks_at_once() -> Result<()> {
    const HOUR: Duration = Duration::from_secs(3600);
    for is_alive in [true, false] {
        let (dialer, clock) = (ScriptedDialer::new(), ManualClock::new());
        let env = Env::new(dialer.clone(), clock.clone());
        let server = env.clone();
        if is_alive {
            dialer.serve_all(move |stream| {
                let env = server.clone();
                async move { listen(accept(&env, stream).await).await }
            });
        } else {
            dialer.serve_all(accept_and_vanish);
        }
        let (connection, _messages) = Connection::builder(&env, URL).open()?;
        connection.ready().await?;
        let mut events = connection.events(None);
        clock.run_for(SECOND).await;
        clock.advance(HOUR);
        clock.run_for(Duration::from_millis(4900)).await;
        assert!(connection.state().is_ready());
        clock.run_for(Duration::from_millis(200)).await;
        if is_alive {
            assert!(connection.state().is_ready());
            assert!(connection.snapshot().rtt.is_some_and(|rtt| rtt.samples == 1), "it answered");
            assert_eq!(dialer.dials(), 1);
        } else {
            let Some(Ok(Event::Lost { cause, .. })) = events.next().await else { panic!("it was lost") };
            assert_eq!(cause.kind(), ErrorKind::Timeout);
        }
    }
    Ok(())
}
