//! A source on a task: its listeners, its states, its end.

use netcomm_core::{Error, ErrorKind, Lagged, Listening, Result, Slow};
use netcomm_sse::{
    Builder, Counts, End, Event, EventSource, EventStream, EventSubscription, Notice, Opened, Parser, Request, Select,
    State, States, TypedSubscription,
};

use crate::stage::{Reply, SECOND, Server, ends, env, events, pass, status, stays, until, wire, word};

/// The data of all events that come until the end.
async fn all(subscription: &mut EventSubscription) -> Vec<String> {
    let mut datas = Vec::new();
    while let Some(event) = ends(subscription.next()).await {
        datas.push(event.expect("no lag").data.to_string());
    }
    datas
}

const SAID: &str = "event: add\ndata: 1\n\nevent: user/a\ndata: 2\n\ndata: 3\n\nevent: user/b\ndata: 4\n\n";

#[tokio::test(start_paused = true)]
async fn each_listener_hears_what_it_wants() -> Result<()> {
    let server = Server::replies([events(SAID), status(204)]);
    let source = server.builder().lazy().open()?;
    let wants = [Select::all(), Select::exact("add"), Select::prefix("user/"), "message".into(), "nothing".into()];
    let mut listeners: Vec<_> = wants.map(|select| source.subscribe(select, Listening::default())).into();
    pass(100 * SECOND).await;
    assert_eq!(server.times(), 0, "it is lazy");
    assert!(matches!(source.state(), State::Idle));
    source.start();
    let mut heard = Vec::new();
    for listener in &mut listeners {
        heard.push(all(listener).await.join(" "));
    }
    assert_eq!(heard, ["1 2 3 4", "1", "2 4", "3", ""]);
    assert!(matches!(ends(source.closed()).await, End::NoContent));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_first_listener_starts_it() -> Result<()> {
    let server = Server::new(|_| stays(SAID));
    let source = server.builder().open()?;
    pass(100 * SECOND).await;
    assert_eq!(server.times(), 0);
    let mut listener = source.subscribe(Select::all(), Listening::default());
    assert_eq!(ends(listener.next()).await.expect("one").expect("no lag").data, "1");
    ends(source.ready()).await
}

#[tokio::test(start_paused = true)]
async fn values_are_read_and_what_cannot_be_ends_nothing() -> Result<()> {
    let server = Server::replies([events("data: 1\n\ndata: x\n\nid: 9\ndata: \"y\"\n\ndata: 4\n\n"), status(204)]);
    let source = server.builder().open()?;
    let mut numbers: TypedSubscription<u32> = source.subscribe_as("message", Listening::default());
    assert_eq!(ends(numbers.next()).await.expect("one")?, 1);
    for place in ["id \"\"", "id \"9\""] {
        let error = ends(numbers.next()).await.expect("one").expect_err("no number");
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains(place), "{error}");
    }
    assert_eq!(ends(numbers.next()).await.expect("one")?, 4);
    assert!(ends(numbers.next()).await.is_none());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_a_typed_listener_missed_is_told() -> Result<()> {
    let server = Server::replies([events("data: 1\n\ndata: 2\n\ndata: 3\n\n"), status(204)]);
    let source = server.builder().open()?;
    let short = Listening::default().with_items(1).with_slow(Slow::DropOldest);
    let mut numbers: TypedSubscription<u32> = source.subscribe_as(Select::all(), short);
    ends(source.closed()).await;
    let error = ends(numbers.next()).await.expect("one").expect_err("two are gone");
    let lagged = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Lagged>());
    assert_eq!((error.kind(), lagged), (ErrorKind::Busy, Some(&Lagged(2))));
    assert_eq!(ends(numbers.next()).await.expect("one")?, 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn states_change_when_it_stands_elsewhere_and_not_else() -> Result<()> {
    let (writer, reply) = wire();
    let server = Server::replies([reply, stays("")]);
    let source = server.builder().comments(true).open()?;
    let mut states = source.states();
    source.start();
    until(&source, State::is_open).await;
    assert!(states.current().is_open());
    for said in [": a comment\n", "retry: 2000\n", "id: 7\n\n", "data: x\n\n"] {
        writer.send(said.into()).expect("read");
        let change = tokio::time::timeout(SECOND, states.changed()).await;
        assert!(change.is_err(), "{said:?} led to {change:?}");
    }
    drop(writer);
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(State::Open)) {
        seen.push(ends(states.changed()).await.expect("it lives"));
    }
    assert!(
        matches!(
            seen[..],
            [State::Backoff { .. }, State::Connecting { .. }, State::Open] | [State::Backoff { .. }, State::Open]
        ),
        "{seen:?}"
    );
    source.close();
    assert!(matches!(ends(states.changed()).await, Some(State::Closed(End::Owner))));
    assert!(ends(states.changed()).await.is_none(), "nothing changes any more");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn notices_tell_all_but_events() -> Result<()> {
    let server = Server::replies([Reply::Fail(ErrorKind::Connect), events(SAID), status(204)]);
    let source = server.builder().open()?;
    let mut notices = source.notices(None);
    source.start();
    let mut words = Vec::new();
    while let Some(notice) = ends(notices.next()).await {
        words.push(word(&notice.expect("no lag")));
    }
    let expected = [
        "connecting 1",
        "waiting 1",
        "connecting 2",
        "open 200",
        "lost Closed",
        "waiting 2",
        "connecting 3",
        "closed NoContent",
    ];
    assert_eq!(words, expected);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn its_error_is_told_to_who_waits_for_it() -> Result<()> {
    let server = Server::new(|_| status(404));
    let source = server.builder().open()?;
    let mut listener = source.subscribe(Select::all(), Listening::default());
    let error = ends(source.ready()).await.expect_err("no stream");
    assert_eq!(error.kind(), ErrorKind::Status);
    assert!(matches!(ends(source.closed()).await, End::Failed(_)));
    assert!(ends(listener.next()).await.is_none());
    let mut late = source.subscribe(Select::all(), Listening::default());
    assert!(ends(late.next()).await.is_none(), "who comes late finds the end");
    assert!(ends(source.notices(None).next()).await.is_none());
    assert_eq!(server.times(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_close_ends_it_in_each_state() -> Result<()> {
    for reply in [|| Reply::Hang, || status(503).header("retry-after", "99"), || stays("data: x\n\n")] {
        let server = Server::new(move |_| reply());
        let source = server.builder().open()?;
        let mut listener = source.subscribe(Select::all(), Listening::default());
        pass(SECOND).await;
        source.close();
        assert!(matches!(ends(source.closed()).await, End::Owner));
        assert_eq!(ends(source.ready()).await.expect_err("closed").kind(), ErrorKind::Closed);
        all(&mut listener).await;
        assert_eq!((server.times(), server.streams()), (1, 0));
    }
    let server = Server::new(|_| Reply::Hang);
    let source = server.builder().lazy().open()?;
    source.close();
    assert!(matches!(ends(source.closed()).await, End::Owner), "one that was never started");
    assert_eq!(server.times(), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes_it() -> Result<()> {
    let server = Server::new(|_| stays(SAID));
    let source = server.builder().open()?;
    let mut listener = source.subscribe(Select::all(), Listening::default());
    let another = source.clone();
    ends(source.ready()).await?;
    drop(source);
    pass(SECOND).await;
    assert_eq!(server.streams(), 1);
    let mut states = another.states();
    drop(another);
    assert_eq!(all(&mut listener).await, ["1", "2", "3", "4"], "what waits is still heard");
    assert_eq!(server.streams(), 0);
    assert!(states.current().is_closed());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn restarted_it_goes_on_behind_what_it_had() -> Result<()> {
    let server = Server::new(|asked| match asked.number {
        0 => stays("id: 1\ndata: a\n\n"),
        1 => status(503).header("retry-after", "99"),
        _ => stays("data: c\n\n"),
    });
    let source = server.builder().open()?;
    let mut listener = source.subscribe(Select::all(), Listening::default());
    assert_eq!(ends(listener.next()).await.expect("one").expect("no lag").data, "a");
    source.restart();
    until(&source, |state| matches!(state, State::Backoff { .. })).await;
    source.restart();
    assert_eq!(ends(listener.next()).await.expect("one").expect("no lag").data, "c");
    assert_eq!((server.ids(), server.gaps()), (vec!["-".into(), "1".into(), "1".into()], vec![0, 0]));
    Ok(())
}

#[test]
fn without_a_runtime_there_is_no_task() {
    let server = Server::replies([]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("built");
    let builder = runtime.block_on(async { server.builder() });
    let error = builder.open().expect_err("no runtime");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_runtime_that_goes_takes_it_along() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("built");
    let (source, mut listener) = runtime.block_on(async {
        let source = Server::new(|_| stays(SAID)).builder().open().expect("opened");
        let listener = source.subscribe("add", Listening::default());
        source.ready().await.expect("open");
        (source, listener)
    });
    drop(runtime);
    assert!(source.state().is_closed());
    let other = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("built");
    other.block_on(async {
        while let Some(event) = ends(listener.next()).await {
            assert_eq!(event.expect("no lag").data, "1");
        }
        assert!(matches!(ends(source.closed()).await, End::Owner));
    });
}

#[test]
fn all_that_is_public_can_be_sent_and_shared() {
    fn both<T: Send + Sync>() {}
    fn stream<T: Send + Sync + Unpin>() {}
    // With a body in them, as all requests and answers of the house: for one owner at a time.
    fn alone<T: Send + Unpin>() {}
    alone::<EventStream>();
    alone::<Builder>();
    alone::<Request>();
    stream::<TypedSubscription<std::cell::Cell<u8>>>();
    stream::<EventSubscription>();
    both::<EventSource>();
    both::<Notice>();
    both::<(State, States, End, Opened, Counts, Event)>();
    both::<(Parser, netcomm_sse::Block, netcomm_sse::StatusPolicy, Error)>();
}

#[tokio::test(start_paused = true)]
async fn its_types_are_those_of_its_listeners() -> Result<()> {
    let (writer, reply) = wire();
    let server = Server::replies([reply]);
    let env = env();
    let observer = netcomm_tests::CollectingObserver::with_interest(netcomm_core::Interest::MESSAGE);
    let source = server.builder_in(&env.with_tap(observer.tap())).open()?;
    let mut added = source.subscribe("add", Listening::default());
    let say = |text: &str| writer.send(text.to_owned().into()).expect("read");
    say(SAID);
    assert_eq!(ends(added.next()).await.expect("one").expect("no lag").data, "1");
    pass(SECOND).await;
    assert_eq!(observer.events().len(), 1, "nobody wants the others");
    let mut all = source.subscribe(Select::all(), Listening::default());
    pass(SECOND).await;
    say(SAID);
    pass(SECOND).await;
    assert_eq!((observer.events().len(), all.len()), (5, 4));
    drop(added);
    assert_eq!(ends(all.next()).await.expect("one").expect("no lag").data, "1");
    drop(all);
    pass(SECOND).await;
    say(SAID);
    pass(SECOND).await;
    assert_eq!(observer.events().len(), 5, "nobody wants any");
    assert!(source.state().is_open(), "it stays");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_happens_does_not_wait_to_be_heard() -> Result<()> {
    let server = Server::new(|_| events("data: x\n\n"));
    let source = server.builder().open()?;
    let few = Listening::default().with_items(2).with_slow(Slow::Wait);
    let mut notices = source.notices(few);
    source.start();
    pass(100 * SECOND).await;
    assert!(server.times() > 5, "{}", server.times());
    assert!(matches!(ends(notices.next()).await, Some(Err(Lagged(10..)))));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_over_at_once_was_ready() -> Result<()> {
    let source = Server::new(|_| events("data: x\n\n")).builder().open()?;
    source.start();
    // Each of them has ended before anybody could look.
    for _ in 0..3 {
        ends(source.ready()).await?;
    }
    Ok(())
}
