//! `EventSource`: a source on a task of its own, with listeners.

mod audience;
mod listeners;
mod log;
mod subscription;
mod task;

use std::fmt;
use std::sync::Arc;

use netcomm_core::{Env, Error, ErrorKind, Listening, Result, Slow, Subscription};
use tokio::sync::{mpsc, watch};

use crate::builder::Builder;
use crate::select::Select;
use crate::state::{End, Notice, State};
#[cfg(feature = "json")]
use crate::typed::TypedSubscription;
use listeners::Listeners;
pub use subscription::EventSubscription;
use task::{Order, Task};

/// The events of one source for any number of listeners, each with its own queue.
///
/// A handle, cheap to clone; the source lives on a task of its own, until [`close`](Self::close) is called, the last handle is
/// dropped, or nothing promises that another try would go better. It starts with its first listener, unless it is
/// [lazy](Builder::lazy). Events of types that nobody listens to are left out before anything is done with their data.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> netcomm_core::Result<()> {
/// use netcomm_core::Listening;
/// use netcomm_sse::{EventSource, Select};
///
/// let source = EventSource::builder(&netcomm_dial::env(), "https://server.example/events").lazy().open()?;
/// let mut added = source.subscribe("add", Listening::default());
/// let mut users = source.subscribe(Select::prefix("user/"), Listening::default());
/// source.start();
/// while let Some(Ok(event)) = added.next().await {
///     println!("{}", event.data);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EventSource {
    handle: Arc<Handle>,
}

/// The last one closes the source.
struct Handle {
    listeners: Arc<Listeners>,
    orders: mpsc::UnboundedSender<Order>,
    state: watch::Receiver<State>,
    is_lazy: bool,
}

impl EventSource {
    /// Prepares a source of an `http` or `https` URL.
    pub fn builder(env: &Env, url: impl AsRef<str>) -> Builder {
        Builder::new(env, url.as_ref())
    }

    pub(crate) fn spawn(builder: Builder) -> Result<Self> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Unsupported, "open event source")
                .with_detail("outside of a runtime")
                .with_source(error)
        })?;
        let is_lazy = builder.is_lazy;
        let (orders, received) = mpsc::unbounded_channel();
        let (told, state) = watch::channel(State::Idle);
        let listeners = Arc::new(Listeners::default());
        let task = Task::new(builder.stream()?, Arc::clone(&listeners), received, told);
        // Its end is told through the state.
        drop(runtime.spawn(task.run()));
        Ok(Self { handle: Arc::new(Handle { listeners, orders, state, is_lazy }) })
    }

    /// Listens to events of some type, or of all types, from now on.
    #[must_use]
    pub fn subscribe(&self, select: impl Into<Select>, listening: Listening) -> EventSubscription {
        let (subscription, feed) = EventSubscription::new(listening);
        self.handle.listeners.add(select.into(), feed);
        self.order(if self.handle.is_lazy { Order::Look } else { Order::Start });
        let orders = self.handle.orders.downgrade();
        subscription.with_leave(move || {
            if let Some(orders) = orders.upgrade() {
                // Without a task there is nothing to look after.
                let _gone = orders.send(Order::Look);
            }
        })
    }

    /// The same, read as JSON. Needs the feature `json`.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn subscribe_as<T>(&self, select: impl Into<Select>, listening: Listening) -> TypedSubscription<T>
    where
        T: serde::de::DeserializeOwned,
    {
        TypedSubscription::new(self.subscribe(select, listening))
    }

    /// Listens to what happens to the source, its events aside, from now on: the last 64 things, unless `listening` says
    /// otherwise. What happens does not wait to be heard: [`Slow::Wait`] is read as [`Slow::DropOldest`].
    #[must_use]
    pub fn notices(&self, listening: impl Into<Option<Listening>>) -> Subscription<Notice> {
        let few = Listening::default().with_items(64).with_slow(Slow::DropOldest);
        let mut listening = listening.into().unwrap_or(few);
        if listening.slow == Slow::Wait {
            listening.slow = Slow::DropOldest;
        }
        let (subscription, feed) = Subscription::new(listening);
        self.handle.listeners.add_notices(feed);
        subscription
    }

    /// Where it stands now.
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.state.borrow().clone()
    }

    /// Waits until events flow, be it for a moment.
    ///
    /// # Errors
    ///
    /// What made the source give up, or `Closed`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ready(&self) -> Result<()> {
        let listeners = &self.handle.listeners;
        let before = listeners.opened();
        match self.until(|state| state.is_open() || state.is_closed() || listeners.opened() > before).await {
            State::Closed(End::Failed(error)) => Err(error),
            State::Closed(_) => Err(Error::new(ErrorKind::Closed, "open event source")),
            _ => Ok(()),
        }
    }

    /// Waits until it is over, and tells how it ended.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn closed(&self) -> End {
        match self.until(State::is_closed).await {
            State::Closed(end) => end,
            _ => End::Owner,
        }
    }

    /// Where it stands, and word of each change.
    #[must_use]
    pub fn states(&self) -> States {
        States { state: self.handle.state.clone() }
    }

    /// Starts a source that is [lazy](Builder::lazy), or has no listener yet.
    pub fn start(&self) {
        self.order(Order::Start);
    }

    /// Lets the stream of now go and opens another at once, with the last event id; ends a wait. One that is over stays so.
    pub fn restart(&self) {
        self.order(Order::Restart);
    }

    /// Ends the source, once the last id is [kept](Builder::keep_id). Listeners get what waits for them, and then the end.
    pub fn close(&self) {
        self.order(Order::Close);
    }

    fn order(&self, order: Order) {
        // Without a task there is nothing to be ordered.
        let _gone = self.handle.orders.send(order);
    }

    async fn until(&self, is_it: impl Fn(&State) -> bool) -> State {
        let mut state = self.handle.state.clone();
        match state.wait_for(|state| is_it(state)).await {
            Ok(state) => state.clone(),
            Err(_) => State::Closed(End::Owner),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _gone = self.orders.send(Order::Close);
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSource").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// Where a source stands, and word of each change.
#[derive(Clone, Debug)]
pub struct States {
    state: watch::Receiver<State>,
}

impl States {
    /// Where it stands now.
    #[must_use]
    pub fn current(&mut self) -> State {
        self.state.borrow_and_update().clone()
    }

    /// Waits for it to stand elsewhere than when it was last asked; passes over what it only went through. `None` when nothing
    /// will change any more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn changed(&mut self) -> Option<State> {
        self.state.changed().await.ok()?;
        Some(self.current())
    }
}
