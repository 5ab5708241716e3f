//! The owner's part in each try: where to and with what, and which id to go on from.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use netcomm_core::{Attempt, Result};

use crate::request::Request;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Says anew at each try what to ask for: URL, header fields, tokens, body.
///
/// Closures of that shape do it too.
///
/// ```no_run
/// use netcomm_core::Attempt;
/// use netcomm_sse::{EventSource, Request};
///
/// async fn token(fresh: bool) -> netcomm_core::Result<String> {
///     Ok(if fresh { "new" } else { "kept" }.to_owned())
/// }
///
/// # fn example(env: &netcomm_core::Env) {
/// EventSource::builder(env, "https://server.example/").prepare(|request: Request, attempt: Attempt| async move {
///     let token = token(attempt.refresh).await?;
///     Ok(request.header("authorization", format!("Bearer {token}")))
/// });
/// # }
/// ```
pub trait Prepare: Send + Sync + 'static {
    /// Changes what was set when the source was built. An error counts as a failed try; which are worth another one
    /// [`Reconnect`](netcomm_core::Reconnect) says.
    fn prepare(&self, request: Request, attempt: Attempt) -> impl Future<Output = Result<Request>> + Send;
}

impl<F, R> Prepare for F
where
    F: Fn(Request, Attempt) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Request>> + Send,
{
    fn prepare(&self, request: Request, attempt: Attempt) -> impl Future<Output = Result<Request>> + Send {
        self(request, attempt)
    }
}

/// Keeps the last event id beyond the life of a source: in a file, in a database.
///
/// An id is handed over to be kept once the events up to it were taken by whoever reads the source, so that after a crash
/// at most those come again that had been taken since. While one is being kept the next ones are passed over, but for the
/// newest. The listeners of an [`EventSource`](crate::EventSource) have taken what stands in their queues: with small ones
/// little is lost in a crash, and who may lose nothing reads an [`EventStream`](crate::EventStream).
pub trait KeepId: Send + Sync + 'static {
    /// The id to begin with; `None` if none was kept. Asked once. An error ends the source: without its id it would miss events.
    fn load(&self) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Keeps `id`; an empty one means that there is none any more. An error is told ([`Notice::NotKept`](crate::Notice::NotKept))
    /// and ends nothing.
    fn save(&self, id: String) -> impl Future<Output = Result<()>> + Send;
}

macro_rules! erased {
    ($any:ident, $dynamic:ident, $open:ident { $(fn $name:ident($($argument:ident: $kind:ty),*) -> $out:ty;)+ }) => {
        /// Any of them, without a type parameter.
        #[derive(Clone)]
        pub(crate) struct $any(Arc<dyn $dynamic>);

        trait $dynamic: Send + Sync {
            $(fn $name(&self, $($argument: $kind),*) -> BoxFuture<'_, $out>;)+
        }

        impl<T: $open> $dynamic for T {
            $(fn $name(&self, $($argument: $kind),*) -> BoxFuture<'_, $out> {
                Box::pin($open::$name(self, $($argument),*))
            })+
        }

        impl $any {
            pub(crate) fn new(open: impl $open) -> Self {
                Self(Arc::new(open))
            }

            $(pub(crate) async fn $name(&self, $($argument: $kind),*) -> $out {
                self.0.$name($($argument),*).await
            })+
        }

        impl fmt::Debug for $any {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($open))
            }
        }
    };
}

erased!(AnyPrepare, PrepareDyn, Prepare {
    fn prepare(request: Request, attempt: Attempt) -> Result<Request>;
});

erased!(AnyKeep, KeepDyn, KeepId {
    fn load() -> Result<Option<String>>;
    fn save(id: String) -> Result<()>;
});
