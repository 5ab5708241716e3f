//! `Live`: a local copy of a server's document, kept in step.

mod builder;
mod change;
mod document;
mod events;
mod fetch;
mod follow;
mod limits;
mod number;
mod order;
mod patch;
mod snapshot;
#[cfg(feature = "ws")]
mod socket;
mod task;

use std::fmt;
use std::sync::Arc;

pub use builder::LiveBuilder;
pub use change::Change;
pub use events::EventChanges;
pub use follow::{Follow, Following, News};
pub use limits::LiveLimits;
pub use patch::Patch;
pub use snapshot::{LiveState, Snapshot};
#[cfg(feature = "ws")]
pub use socket::SocketChanges;

use netcomm_core::{Clock, Env, Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use crate::state::End;
use snapshot::View;
use task::{Orders, Plan, Task};

/// A local copy of a server's document, kept in step.
///
/// The document is fetched by `GET`, and its answer says which change is the last one in it, in the field `sequence-number` (or
/// [elsewhere](LiveBuilder::sequence_member)). Then the changes behind that number are asked for, as an
/// [event stream](EventChanges) of merge patches (RFC 7396), JSON patches (RFC 6902) and whole documents, or from
/// [anywhere else](Follow). A gap in the numbers, a change that does not apply, a server that begins to count anew, or a
/// document that cannot be read any more mean that it is fetched again: with `If-None-Match` where no change has been applied
/// since, and no more often than [`reconnect`](LiveBuilder::reconnect) allows.
///
/// Readers see whole documents, each as of one change and shared between them. Without a network they keep the last one, which
/// [knows its age](Snapshot::age). A handle, cheap to clone; the copy lives on a task until [`close`](Self::close) is called,
/// the last handle is dropped, or nothing promises that another try would go better.
///
/// Numbers and fetch close the gap between document and stream: whatever changed after the answer was made has a higher
/// number, and is sent by the stream; what the answer holds already is passed over by its number. What no number can tell is
/// a server that lost its log, counts anew, and comes back at exactly the number that was asked for: such a server has to begin with a
/// number that it never used, or answer the stream with 410, upon which the document is fetched.
///
/// # Examples
///
/// ```no_run
/// # async fn example(env: &netcomm_core::Env) -> netcomm_core::Result<()> {
/// use netcomm_sse::Live;
///
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     theme: String,
/// }
///
/// let mut live: Live<Settings> =
///     Live::builder(env, "https://server.example/settings").events("https://server.example/settings/changes").open()?;
/// println!("{}", live.ready().await?.theme);
/// while live.changed().await.is_some() {
///     if let Some(settings) = live.current() {
///         println!("{}, in step: {}, {:?} old", settings.theme, settings.is_in_step(), settings.age());
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Live<T> {
    handle: Arc<Handle>,
    view: watch::Receiver<View<T>>,
}

/// The last one closes the copy.
struct Handle {
    close: mpsc::Sender<()>,
    refresh: mpsc::Sender<()>,
    clock: Arc<dyn Clock>,
}

impl<T: DeserializeOwned + Send + Sync + 'static> Live<T> {
    /// Prepares a copy of the document at an `http` or `https` URL.
    pub fn builder(env: &Env, url: impl AsRef<str>) -> LiveBuilder<T> {
        LiveBuilder::new(env, url.as_ref())
    }

    fn spawn(plan: Plan) -> Result<Self> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Unsupported, "open live document")
                .with_detail("outside of a runtime")
                .with_source(error)
        })?;
        let (close, closed) = mpsc::channel(1);
        let (refresh, refreshed) = mpsc::channel(1);
        let (shown, view) = watch::channel(View::new());
        let handle = Arc::new(Handle { close, refresh, clock: Arc::clone(plan.env.clock()) });
        // Its end is told through the view.
        drop(runtime.spawn(Task::run(plan, shown, Orders { close: closed, refresh: refreshed })));
        Ok(Self { handle, view })
    }
}

impl<T> Live<T> {
    /// The document as it is known now, with its age; `None` before the first one came.
    #[must_use]
    pub fn current(&self) -> Option<Snapshot<T>> {
        self.view.borrow().snapshot(self.handle.clock.now())
    }

    /// Where the copy stands now.
    #[must_use]
    pub fn state(&self) -> LiveState {
        match (self.view.borrow().state.clone(), self.view.has_changed()) {
            // The runtime has dropped the task.
            (state, Err(_)) if !state.is_closed() => LiveState::Closed(End::Owner),
            (state, _) => state,
        }
    }

    /// Waits for another document, or for the copy to stand elsewhere, than when this handle was last asked; passes over what
    /// was in between. `None` when nothing will change any more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn changed(&mut self) -> Option<LiveState> {
        self.view.changed().await.ok()?;
        Some(self.view.borrow_and_update().state.clone())
    }

    /// Waits for the first document.
    ///
    /// # Errors
    ///
    /// What made the copy give up, or `Closed`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ready(&self) -> Result<Snapshot<T>> {
        let mut view = self.view.clone();
        let closed = || Error::new(ErrorKind::Closed, "open live document");
        let is_it = |view: &View<T>| view.shown.is_some() || view.state.is_closed();
        let view = view.wait_for(is_it).await.map_err(|_| closed())?;
        match (view.snapshot(self.handle.clock.now()), &view.state) {
            (Some(snapshot), _) => Ok(snapshot),
            (None, LiveState::Closed(End::Failed(error))) => Err(error.clone()),
            (None, _) => Err(closed()),
        }
    }

    /// Waits until nothing changes any more, and tells why.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn closed(&self) -> End {
        let mut view = self.view.clone();
        match view.wait_for(|view| view.state.is_closed()).await.map(|view| view.state.clone()) {
            Ok(LiveState::Closed(end)) => end,
            _ => End::Owner,
        }
    }

    /// Fetches the document now, whatever is known of it; ends a wait. Asked twice before it is done, it is done once.
    pub fn refresh(&self) {
        // Full: it is asked for already. Closed: there is nobody to be asked.
        let _asked = self.handle.refresh.try_send(());
    }

    /// Ends it: the document that is known stays as it is.
    pub fn close(&self) {
        let _asked = self.handle.close.try_send(());
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle), view: self.view.clone() }
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("state", &self.state()).finish_non_exhaustive()
    }
}
