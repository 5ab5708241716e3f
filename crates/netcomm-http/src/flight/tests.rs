//! Stories first; then a model: callers run by hand in any order, also from within the exchange's own poll, which is
//! where another thread may come between; then the same with threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use http::{HeaderMap, HeaderValue, Response, StatusCode};
use proptest::prelude::*;

use super::state::TURNS;
use super::window::WINDOW_BYTES;
use super::*;

type Run = Flights<&'static str, u32>;

/// What all bodies are pieces of: so equal bytes can be told by their address.
static CONTENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![7; 8 * WINDOW_BYTES]));

/// One act of a scripted exchange.
#[derive(Clone, Debug)]
enum Act {
    Head,
    /// A head that has all of this body with it.
    Whole(&'static str),
    Refuse,
    Data(usize),
    /// The last data, after which the body says that it is over.
    Last(usize),
    Trailers,
    Break,
    End,
    Panic,
}

type Hook = Box<dyn FnMut() + Send>;

/// An exchange that acts when it is told to, and calls its waker once for that, as exchanges do.
#[derive(Default)]
struct Script {
    acts: Mutex<VecDeque<Act>>,
    /// How many acts it has been let do.
    ready: AtomicUsize,
    waker: Mutex<Option<Waker>>,
    /// What others do while it is polled.
    meanwhile: Mutex<Option<Hook>>,
    given: AtomicUsize,
    polls: AtomicUsize,
    over: AtomicBool,
    /// The future and the body, as far as they are there.
    parts: AtomicUsize,
    /// The whole length, if it is announced.
    length: Mutex<Option<u64>>,
}

impl Script {
    fn new(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self { acts: Mutex::new(acts.into_iter().collect()), ..Self::default() })
    }

    fn exchange(self: &Arc<Self>) -> Exchange<u32> {
        Box::pin(self.part())
    }

    fn part(self: &Arc<Self>) -> Scripted {
        self.parts.fetch_add(1, Ordering::Relaxed);
        Scripted(Arc::clone(self))
    }

    /// Lets the exchange do one act more.
    fn give(&self) {
        self.ready.fetch_add(1, Ordering::Release);
        let waker = self.waker.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }

    fn act(&self, cx: &Context<'_>) -> Poll<Option<Act>> {
        assert!(!self.over.load(Ordering::Relaxed), "polled after its end");
        self.polls.fetch_add(1, Ordering::Relaxed);
        *self.waker.lock().unwrap() = Some(cx.waker().clone());
        let hook = self.meanwhile.lock().unwrap().take();
        if let Some(mut hook) = hook {
            hook();
            *self.meanwhile.lock().unwrap() = Some(hook);
        }
        if self.ready.load(Ordering::Acquire) == 0 {
            return Poll::Pending;
        }
        self.ready.fetch_sub(1, Ordering::Relaxed);
        *self.waker.lock().unwrap() = None;
        let act = self.acts.lock().unwrap().pop_front();
        Poll::Ready(act)
    }

    fn is_dropped(&self) -> bool {
        self.parts.load(Ordering::Relaxed) == 0
    }
}

struct Scripted(Arc<Script>);

impl Future for Scripted {
    type Output = Result<(Response<Body>, u32)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let script = Arc::clone(&self.0);
        let body = match ready!(script.act(cx)).expect("a head") {
            Act::Head => Body::boxed(Box::pin(ScriptedBody(script.part()))),
            Act::Whole(text) => text.into(),
            Act::Refuse => return Poll::Ready(Err(Error::new(ErrorKind::Connect, "x").with_source("inner"))),
            Act::Panic => panic!("as scripted"),
            act => panic!("{act:?} before the head"),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::ACCEPTED;
        Poll::Ready(Ok((response, 5)))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.0.parts.fetch_sub(1, Ordering::Relaxed);
    }
}

struct ScriptedBody(Scripted);

impl HttpBody for ScriptedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let script = &self.0.0;
        let act = ready!(script.act(cx)).unwrap_or(Act::End);
        let over = matches!(act, Act::Last(_) | Act::Break | Act::End);
        script.over.store(over, Ordering::Relaxed);
        Poll::Ready(match act {
            Act::Data(bytes) | Act::Last(bytes) => {
                let start = script.given.fetch_add(bytes, Ordering::Relaxed);
                Some(Ok(Frame::data(CONTENT.slice(start..start + bytes))))
            }
            Act::Trailers => Some(Ok(Frame::trailers(trailers()))),
            Act::Break => Some(Err(Error::new(ErrorKind::Closed, "x").with_source("inner"))),
            Act::End => None,
            act => panic!("{act:?} after the head"),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.0.over.load(Ordering::Relaxed)
    }

    fn size_hint(&self) -> SizeHint {
        let length = *self.0.0.length.lock().unwrap();
        let given = self.0.0.given.load(Ordering::Relaxed) as u64;
        length.map_or_else(SizeHint::default, |length| SizeHint::with_exact(length - given))
    }
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))])
}

fn join(flights: &Arc<Run>, script: &Arc<Script>) -> Joined<&'static str, u32> {
    flights.join("key", || script.exchange())
}

fn open(flights: &Arc<Run>) -> usize {
    flights.open().len()
}

/// Polls once, without anybody to wake.
fn look<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn landed(joined: &mut Joined<&'static str, u32>) -> Landed<u32> {
    look(joined).expect("the head has come").expect("no error")
}

/// The length of the next data, if there is one.
fn chunk(body: &mut Body) -> Option<Result<Option<usize>>> {
    let chunk = look(&mut Box::pin(body.chunk()))?;
    Some(chunk.map(|chunk| chunk.map(|chunk| chunk.len())))
}

fn bytes(body: &mut Body) -> usize {
    chunk(body).expect("not pending").expect("no error").expect("not the end")
}

#[test]
fn one_exchange_answers_all() {
    let (flights, script) = (Arc::new(Run::default()), Script::new([Act::Whole("hello")]));
    let mut all: Vec<_> = (0..3).map(|_| join(&flights, &script)).collect();
    assert_eq!((look(&mut all[1]).is_none(), open(&flights)), (true, 1));
    script.give();
    let all: Vec<_> = all.iter_mut().map(landed).collect();
    assert_eq!(all.iter().map(|landed| landed.collapsed).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(script.polls.load(Ordering::Relaxed), 2);
    for landed in &all {
        assert_eq!((landed.response.status(), landed.facts), (StatusCode::ACCEPTED, 5));
        let bytes = landed.response.body().as_bytes().expect("in memory");
        assert_eq!((&bytes[..], bytes.as_ptr()), (&b"hello"[..], all[0].response.body().as_bytes().unwrap().as_ptr()));
    }
    assert_eq!((open(&flights), script.is_dropped()), (0, true));
}

#[test]
fn a_leader_that_leaves_hands_over_before_the_head() {
    for polled in [false, true] {
        let (flights, script) = (Arc::new(Run::default()), Script::new([Act::Whole("x")]));
        let (mut leader, mut other) = (join(&flights, &script), join(&flights, &script));
        if polled {
            assert!(look(&mut leader).is_none());
        }
        drop(leader);
        assert!(look(&mut other).is_none());
        script.give();
        assert!(landed(&mut other).collapsed);
        assert_eq!(script.polls.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn a_leader_that_leaves_hands_over_after_the_head() {
    let script = Script::new([Act::Head, Act::Data(3), Act::Data(4), Act::End]);
    let flights = Arc::new(Run::default());
    let (mut leader, mut other) = (join(&flights, &script), join(&flights, &script));
    script.give();
    script.give();
    let mut first = landed(&mut leader).response.into_body();
    assert_eq!(bytes(&mut first), 3);
    assert!(chunk(&mut first).is_none());
    drop(first);
    assert!(!script.is_dropped(), "the other has not even looked");
    let mut second = landed(&mut other).response.into_body();
    assert_eq!(bytes(&mut second), 3);
    script.give();
    assert_eq!(bytes(&mut second), 4);
    script.give();
    assert_eq!(chunk(&mut second).expect("ready").expect("end"), None);
    assert!(script.is_dropped());
}

#[test]
fn the_last_to_leave_calls_it_off() {
    for acts in 0..3 {
        let script = Script::new([Act::Head, Act::Data(3), Act::End]);
        let flights = Arc::new(Run::default());
        let mut all = [join(&flights, &script), join(&flights, &script)];
        (0..acts).for_each(|_| script.give());
        let mut bodies: Vec<_> =
            all.iter_mut().filter_map(look).map(|landed| landed.expect("no error").response.into_body()).collect();
        for body in &mut bodies {
            let _ignored = chunk(body);
        }
        drop(all);
        bodies.pop();
        assert_eq!(script.is_dropped(), acts == 0);
        drop(bodies);
        assert_eq!((script.is_dropped(), open(&flights)), (true, 0), "after {acts} acts");
    }
}

#[test]
fn an_error_is_told_to_all() {
    let script = Script::new([Act::Refuse]);
    let flights = Arc::new(Run::default());
    let mut all = [join(&flights, &script), join(&flights, &script)];
    script.give();
    for joined in &mut all {
        let error = look(joined).expect("ready").err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string).as_deref(), Some("inner"));
    }
    assert_eq!(open(&flights), 0);

    let script = Script::new([Act::Head, Act::Data(3), Act::Break]);
    let mut all = [join(&flights, &script), join(&flights, &script)];
    (0..3).for_each(|_| script.give());
    for joined in &mut all {
        let mut body = landed(joined).response.into_body();
        assert_eq!(bytes(&mut body), 3, "what came before the break is given first");
        assert_eq!(chunk(&mut body).expect("ready").expect_err("broken").kind(), ErrorKind::Closed);
        assert_eq!(chunk(&mut body).expect("ready").expect("over"), None);
    }
    assert_eq!((open(&flights), script.is_dropped()), (0, true));
}

#[test]
fn a_late_joiner_gets_all_or_begins_anew() {
    let script = || Script::new([Act::Head, Act::Data(3), Act::Data(4), Act::End]);
    let flights = Arc::new(Run::default());
    let first = script();
    let (mut one, mut two) = (join(&flights, &first), join(&flights, &first));
    (0..2).for_each(|_| first.give());
    let mut one = landed(&mut one).response.into_body();
    assert_eq!(bytes(&mut one), 3);
    // The second has not begun to read, so all is still there.
    let mut late = landed(&mut join(&flights, &script())).response.into_body();
    assert_eq!(bytes(&mut late), 3);
    let mut two = landed(&mut two).response.into_body();
    assert_eq!((bytes(&mut two), open(&flights)), (3, 0));
    let second = script();
    let mut anew = join(&flights, &second);
    assert!(look(&mut anew).is_none() && !anew.collapsed);
    (0..2).for_each(|_| first.give());
    for mut body in [one, two, late] {
        assert_eq!(bytes(&mut body), 4);
        assert_eq!(chunk(&mut body).expect("ready").expect("end"), None);
    }
    assert_eq!((first.is_dropped(), second.is_dropped(), open(&flights)), (true, false, 1));
}

#[test]
fn a_body_that_has_ended_is_joined_by_nobody() {
    for last in [Act::Last(4), Act::Break, Act::End] {
        let script = Script::new([Act::Head, Act::Data(3), last]);
        let flights = Arc::new(Run::default());
        let (mut one, _two) = (join(&flights, &script), join(&flights, &script));
        (0..3).for_each(|_| script.give());
        let mut body = landed(&mut one).response.into_body();
        assert_eq!((bytes(&mut body), open(&flights)), (3, 1));
        let _ignored = chunk(&mut body);
        assert_eq!((open(&flights), script.is_dropped()), (0, true), "the second still has all before it");
    }
}

#[test]
fn who_falls_behind_is_told_so_and_holds_nobody_up() {
    const FRAME: usize = WINDOW_BYTES / 4;
    let script = Script::new([const { Act::Data(FRAME) }; 20]);
    script.acts.lock().unwrap().push_front(Act::Head);
    let flights = Arc::new(Run::default());
    let mut all = [join(&flights, &script), join(&flights, &script), join(&flights, &script)];
    (0..22).for_each(|_| script.give());
    let mut bodies = all.each_mut().map(|joined| landed(joined).response.into_body());
    let [fast, slow, _never] = &mut bodies;
    assert_eq!((0..4).map(|_| bytes(fast)).sum::<usize>(), WINDOW_BYTES);
    assert_eq!(bytes(slow), FRAME);
    for falls_off in ["the one that never read", "the slow one"] {
        let turns = std::iter::repeat_with(|| chunk(fast)).take_while(Option::is_none).count();
        assert_eq!(turns, TURNS as usize, "it stands back for {falls_off}, but not for ever");
    }
    assert_eq!((0..14).map(|_| bytes(fast)).sum::<usize>(), 14 * FRAME, "alone it is never held up");
    while !matches!(chunk(fast), Some(Ok(None) | Err(_))) {}
    assert_eq!((script.given.load(Ordering::Relaxed), script.is_dropped()), (20 * FRAME, true));
    for body in &mut bodies[1..] {
        let error = chunk(body).expect("ready").expect_err("fell behind");
        assert_eq!(error.kind(), ErrorKind::Incomplete);
        assert!(error.detail().expect("detail").contains("1048576 bytes"), "{error}");
        assert_eq!(chunk(body).expect("ready").expect("over"), None);
    }
}

#[test]
fn readers_of_one_executor_wait_for_each_other() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let script = Script::new([const { Act::Data(WINDOW_BYTES / 3) }; 24]);
    script.acts.lock().unwrap().push_front(Act::Head);
    // Always ready: no reader ever has to wait for the source.
    script.ready.store(usize::MAX, Ordering::Relaxed);
    let flights = Arc::new(Run::default());
    let all: Vec<_> = (0..5)
        .map(|_| {
            let joined = join(&flights, &script);
            runtime.spawn(async move {
                let mut body = joined.await.expect("head").response.into_body();
                let mut bytes = 0;
                while let Some(chunk) = body.chunk().await.expect("nobody falls off") {
                    bytes += chunk.len();
                }
                bytes
            })
        })
        .collect();
    for task in all {
        assert_eq!(runtime.block_on(task).expect("no panic"), WINDOW_BYTES / 3 * 24);
    }
}

#[test]
fn lengths_and_ends_are_each_readers_own() {
    let script = Script::new([Act::Head, Act::Data(3), Act::Last(4)]);
    *script.length.lock().unwrap() = Some(7);
    let flights = Arc::new(Run::default());
    let (mut one, mut two) = (join(&flights, &script), join(&flights, &script));
    (0..3).for_each(|_| script.give());
    let mut one = landed(&mut one).response.into_body();
    assert_eq!(one.len(), Some(7));
    bytes(&mut one);
    let mut two = landed(&mut two).response.into_body();
    assert_eq!([one.len(), two.len()], [Some(4), Some(7)]);
    bytes(&mut one);
    assert_eq!([one.is_end_stream(), two.is_end_stream()], [true, false]);
    assert_eq!([one.len(), two.len()], [Some(0), Some(7)]);
    assert_eq!([bytes(&mut two), bytes(&mut two)], [3, 4]);
    assert!(two.is_end_stream());
}

#[test]
fn trailers_come_to_all() {
    let script = Script::new([Act::Head, Act::Data(3), Act::Trailers, Act::End]);
    let flights = Arc::new(Run::default());
    let mut all = [join(&flights, &script), join(&flights, &script)];
    (0..4).for_each(|_| script.give());
    for joined in &mut all {
        let mut body = landed(joined).response.into_body();
        bytes(&mut body);
        let frame = look(&mut std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)));
        assert_eq!(frame.flatten().expect("a frame").expect("no error").into_trailers().ok(), Some(trailers()));
    }
}

#[test]
fn a_panic_ends_the_flight_for_all() {
    for acts in [vec![Act::Panic], vec![Act::Head, Act::Panic]] {
        let ready = acts.len();
        let script = Script::new(acts);
        let flights = Arc::new(Run::default());
        let (mut one, two) = (join(&flights, &script), join(&flights, &script));
        (0..ready).for_each(|_| script.give());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ignored = chunk(landed(&mut one).response.body_mut());
        }));
        assert!(panicked.is_err());
        let mut two = Box::pin(read_all(two, 0));
        assert_eq!(look(&mut two).expect("told").expect_err("panicked").kind(), ErrorKind::Canceled);
        assert_eq!((open(&flights), script.is_dropped()), (0, true));
    }
}

#[test]
fn a_flight_may_be_begun_from_within() {
    let (flights, script) = (Arc::new(Run::default()), Script::new([Act::Whole("x")]));
    let mut inner = None;
    let mut outer = flights.join("key", || {
        inner = Some(join(&flights, &script));
        script.exchange()
    });
    script.give();
    assert!(landed(&mut outer).collapsed);
    assert!(!landed(&mut inner.expect("begun")).collapsed);
    assert_eq!(open(&flights), 0);
}

#[test]
fn a_waker_may_poll_and_drop_others_at_once() {
    struct Busy(Mutex<Vec<Joined<&'static str, u32>>>);

    impl Wake for Busy {
        fn wake(self: Arc<Self>) {
            let others = std::mem::take(&mut *self.0.lock().unwrap());
            for mut other in others {
                let _ignored = look(&mut other);
            }
        }
    }

    let script = Script::new([Act::Head, Act::End]);
    let flights = Arc::new(Run::default());
    let mut all = [join(&flights, &script), join(&flights, &script)];
    let others = vec![join(&flights, &script), join(&flights, &script)];
    let busy = Waker::from(Arc::new(Busy(Mutex::new(others))));
    assert!(Pin::new(&mut all[0]).poll(&mut Context::from_waker(&busy)).is_pending());
    script.give();
    assert!(landed(&mut all[1]).collapsed);
    drop(all);
    assert_eq!((open(&flights), script.is_dropped()), (0, true));
}

#[test]
fn ten_thousand_callers() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let acts = [Act::Head, Act::Data(3), Act::Data(4), Act::Data(5), Act::End];
    let (count, script) = (acts.len(), Script::new(acts));
    let flights = Arc::new(Run::default());
    let all: Vec<_> = (0..10_000).map(|_| runtime.spawn(read_all(join(&flights, &script), 0))).collect();
    runtime.block_on(async {
        for _ in 0..count {
            tokio::task::yield_now().await;
            script.give();
        }
        for task in all {
            assert_eq!(task.await.expect("no panic").expect("no error"), Got { bytes: 12, trailers: false });
        }
    });
    assert_eq!((open(&flights), script.is_dropped()), (0, true));
    let polls = script.polls.load(Ordering::Relaxed);
    assert!(polls <= 2 * count, "{polls} polls: each act is polled for once, not by each caller");
}

/// What a caller has got in the end.
#[derive(Debug, PartialEq)]
struct Got {
    bytes: usize,
    trailers: bool,
}

/// Reads an answer to its end, with pauses after some of the frames; checks that each piece is the right one.
async fn read_all(joined: Joined<&'static str, u32>, pauses: u8) -> Result<Got> {
    let mut body = joined.await?.response.into_body();
    let mut got = Got { bytes: 0, trailers: false };
    let total = body.len();
    for count in 0.. {
        let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else { break };
        match frame?.into_data() {
            Ok(data) => {
                assert_eq!(data.as_ptr(), CONTENT[got.bytes..].as_ptr(), "not the piece that is next");
                got.bytes += data.len();
                if let (Some(total), Some(left)) = (total, body.len()) {
                    assert_eq!(left, total - got.bytes as u64);
                }
            }
            Err(_) => got.trailers = true,
        }
        if pauses & (1 << (count % 8)) != 0 {
            pause().await;
        }
    }
    Ok(got)
}

async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Callers that are polled only when they were woken, as an executor does it, but in an order that is told.
struct World {
    flights: Arc<Run>,
    acts: Vec<Act>,
    length: Option<u64>,
    scripts: Mutex<Vec<Arc<Script>>>,
    callers: Mutex<Vec<Caller>>,
    /// What happens inside the polls of exchanges, in order.
    inside: Mutex<VecDeque<Vec<Deed>>>,
}

struct Caller {
    /// `None` while it is polled, and when it is over.
    task: Option<Pin<Box<dyn Future<Output = Result<Got>> + Send>>>,
    woken: Arc<Woken>,
    got: Option<Result<Got>>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    /// A caller comes, who pauses in this pattern.
    Join(u8),
    Poll(usize),
    Drop(usize),
    /// All exchanges may act once more.
    Give,
    /// All exchanges call for nothing.
    Wake,
}

impl World {
    fn new(acts: &[Act], length: Option<u64>, inside: Vec<Vec<Deed>>) -> Arc<Self> {
        Arc::new(Self {
            flights: Arc::default(),
            acts: acts.to_vec(),
            length,
            scripts: Mutex::default(),
            callers: Mutex::default(),
            inside: Mutex::new(inside.into()),
        })
    }

    fn join(self: &Arc<Self>, pauses: u8) {
        let joined = self.flights.join("key", || {
            let script = Script::new(self.acts.iter().cloned());
            *script.length.lock().unwrap() = self.length;
            let world = Arc::downgrade(self);
            let hook = move || {
                let Some(world) = world.upgrade() else { return };
                let deeds = world.inside.lock().unwrap().pop_front();
                deeds.into_iter().flatten().for_each(|deed| world.act(deed));
            };
            *script.meanwhile.lock().unwrap() = Some(Box::new(hook));
            self.scripts.lock().unwrap().push(Arc::clone(&script));
            script.exchange()
        });
        self.callers.lock().unwrap().push(Caller {
            task: Some(Box::pin(read_all(joined, pauses))),
            woken: Arc::new(Woken(AtomicBool::new(true))),
            got: None,
        });
    }

    fn act(self: &Arc<Self>, deed: Deed) {
        match deed {
            Deed::Join(pauses) => self.join(pauses),
            Deed::Poll(caller) => {
                self.poll(caller);
            }
            Deed::Drop(caller) => {
                let task = self.callers.lock().unwrap().get_mut(caller).and_then(|caller| caller.task.take());
                drop(task);
            }
            Deed::Give => self.scripts().iter().for_each(|script| script.give()),
            Deed::Wake => self.scripts().iter().for_each(|script| {
                let waker = script.waker.lock().unwrap().take();
                waker.into_iter().for_each(Waker::wake);
            }),
        }
    }

    fn scripts(&self) -> Vec<Arc<Script>> {
        self.scripts.lock().unwrap().clone()
    }

    /// Polls a caller if it was woken, and says whether it was.
    fn poll(self: &Arc<Self>, index: usize) -> bool {
        let mut callers = self.callers.lock().unwrap();
        let Some(caller) = callers.get_mut(index) else { return false };
        if caller.task.is_none() || !caller.woken.0.swap(false, Ordering::AcqRel) {
            return false;
        }
        let Some(mut task) = caller.task.take() else { return false };
        let waker = Waker::from(Arc::clone(&caller.woken));
        drop(callers);
        let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
        let caller = &mut self.callers.lock().unwrap()[index];
        match polled {
            Poll::Pending => caller.task = Some(task),
            Poll::Ready(got) => caller.got = Some(got),
        }
        true
    }

    /// Lets everything come to its end and checks what came of it.
    fn finish(self: &Arc<Self>) -> Result<(), TestCaseError> {
        self.inside.lock().unwrap().clear();
        loop {
            let count = self.callers.lock().unwrap().len();
            let mut moved = false;
            for index in 0..count {
                moved |= self.poll(index);
            }
            if !moved {
                let waiting = self.scripts().iter().any(|script| script.waker.lock().unwrap().is_some());
                if !waiting {
                    break;
                }
                self.act(Deed::Give);
            }
        }
        let total: usize = self.acts.iter().map(|act| if let Act::Data(n) | Act::Last(n) = act { *n } else { 0 }).sum();
        let trailers = self.acts.iter().any(|act| matches!(act, Act::Trailers));
        for caller in self.callers.lock().unwrap().iter() {
            prop_assert!(caller.task.is_none(), "a caller was never woken");
            match &caller.got {
                None => {}
                Some(Ok(got)) => {
                    prop_assert_eq!(got, &Got { bytes: total, trailers });
                    prop_assert!(!self.acts.iter().any(|act| matches!(act, Act::Break | Act::Refuse)));
                }
                Some(Err(error)) => match error.kind() {
                    ErrorKind::Incomplete => prop_assert!(total > WINDOW_BYTES / 2, "{}", error),
                    ErrorKind::Closed => prop_assert!(self.acts.iter().any(|act| matches!(act, Act::Break))),
                    kind => prop_assert_eq!(kind, ErrorKind::Connect),
                },
            }
        }
        prop_assert_eq!(open(&self.flights), 0);
        prop_assert!(self.scripts().iter().all(|script| script.is_dropped()));
        Ok(())
    }
}

/// All orders in which three callers may be polled and dropped around the acts of an exchange, to some depth.
#[test]
fn no_wake_up_is_lost_in_any_order() {
    const DEEDS: [Deed; 8] = [
        Deed::Poll(0),
        Deed::Poll(1),
        Deed::Poll(2),
        Deed::Drop(0),
        Deed::Drop(1),
        Deed::Give,
        Deed::Wake,
        Deed::Join(1),
    ];
    const DEPTH: u32 = 4;
    let acts = [Act::Head, Act::Data(3), Act::Data(4), Act::End];
    for run in 0..DEEDS.len().pow(DEPTH) {
        let deeds = (0..DEPTH).map(|place| DEEDS[run / DEEDS.len().pow(place) % DEEDS.len()]);
        // The same deeds, one after the other, and then inside the first polls of the exchange.
        for split in 0..=2 {
            let deeds: Vec<_> = deeds.clone().collect();
            let (outside, inside) = deeds.split_at(if split == 0 { deeds.len() } else { split });
            let world = World::new(&acts, None, inside.chunks(2).map(<[Deed]>::to_vec).collect());
            (0..3).for_each(|_| world.join(0));
            outside.iter().for_each(|deed| world.act(*deed));
            if let Err(error) = world.finish() {
                panic!("{deeds:?} split at {split}: {error}");
            }
        }
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        1 => any::<u8>().prop_map(Deed::Join),
        6 => (0..6_usize).prop_map(Deed::Poll),
        1 => (0..6_usize).prop_map(Deed::Drop),
        4 => Just(Deed::Give),
        1 => Just(Deed::Wake),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let size = prop_oneof![0..9_usize, 0..WINDOW_BYTES / 2, Just(WINDOW_BYTES + 1)];
    let end = prop_oneof![
        Just(vec![Act::End]),
        Just(vec![Act::Trailers, Act::End]),
        Just(vec![Act::Last(9)]),
        Just(vec![Act::Break])
    ];
    let streamed = (prop::collection::vec(size.prop_map(Act::Data), 0..7), end).prop_map(|(data, end)| {
        let mut acts = vec![Act::Head];
        acts.extend(data);
        acts.extend(end);
        acts
    });
    prop_oneof![20 => streamed, 1 => Just(vec![Act::Refuse])]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_order_every_reader_gets_the_bytes_of_the_source(
        acts in acts(),
        announced in any::<bool>(),
        before in prop::collection::vec(any::<u8>(), 1..5),
        outside in prop::collection::vec(deed(), 0..60),
        inside in prop::collection::vec(prop::collection::vec(deed(), 0..4), 0..30),
    ) {
        let total: usize = acts.iter().map(|act| if let Act::Data(n) | Act::Last(n) = act { *n } else { 0 }).sum();
        let world = World::new(&acts, announced.then_some(total as u64), inside);
        before.into_iter().for_each(|pauses| world.join(pauses));
        outside.into_iter().for_each(|deed| world.act(deed));
        world.finish()?;
    }
}

/// The same with threads that come between each other where they like.
#[test]
fn threads() {
    const ROUNDS: usize = 300;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let flights = Arc::new(Run::default());
    runtime.block_on(async {
        for round in 0..ROUNDS {
            let mut acts = vec![Act::Head];
            acts.extend((0..round % 9).map(|n| Act::Data(n * 1000)));
            acts.push(if round % 2 == 0 { Act::End } else { Act::Last(1) });
            let total: usize = acts.iter().map(|act| if let Act::Data(n) | Act::Last(n) = act { *n } else { 0 }).sum();
            let scripts: Arc<Mutex<Vec<Arc<Script>>>> = Arc::default();
            let callers: Vec<_> = (0..16_u8)
                .map(|caller| {
                    let (flights, scripts, acts) = (Arc::clone(&flights), Arc::clone(&scripts), acts.clone());
                    tokio::spawn(async move {
                        for _ in 0..caller % 4 {
                            tokio::task::yield_now().await;
                        }
                        let joined = flights.join("key", || {
                            let script = Script::new(acts);
                            scripts.lock().unwrap().push(Arc::clone(&script));
                            script.exchange()
                        });
                        read_all(joined, caller).await
                    })
                })
                .collect();
            let giver = tokio::spawn({
                let scripts = Arc::clone(&scripts);
                async move {
                    loop {
                        tokio::task::yield_now().await;
                        let scripts = scripts.lock().unwrap().clone();
                        scripts.iter().for_each(|script| script.give());
                    }
                }
            });
            for (index, caller) in callers.into_iter().enumerate() {
                if index % 5 == round % 5 {
                    caller.abort();
                }
                match tokio::time::timeout(std::time::Duration::from_secs(30), caller).await.expect("a lost wake-up") {
                    Ok(got) => assert_eq!(got.expect("no error").bytes, total),
                    Err(error) => assert!(error.is_cancelled(), "{error}"),
                }
            }
            giver.abort();
            let _ignored = giver.await;
            assert_eq!(open(&flights), 0);
        }
    });
}
