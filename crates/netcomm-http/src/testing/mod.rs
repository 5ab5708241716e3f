//! For tests of code that talks HTTP: a server that does what a script says, and a transport that records what was said
//! and says it again.
//!
//! - [`ScriptedServer`] answers on a loopback port, or on any stream of bytes without a socket. It can misbehave in all
//!   the ways real servers do: slow pieces, half answers, resets, endless headers, silence.
//! - [`Recorder`] wraps a transport and keeps its exchanges, without the secrets; [`Replayer`] is a transport that
//!   answers from such a [`Recording`], without a network.
//!
//! Everything is bounded, nothing sleeps unless the script says so, and dropping the server ends all its tasks.
//!
//! # Examples
//!
//! ```
//! use netcomm_http::testing::{Reply, ScriptedServer};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let server = ScriptedServer::builder()
//!     .route("/hello", Reply::status(200).header("content-type", "text/plain").body("hello"))
//!     .route_each("/flaky", [Reply::status(503), Reply::status(200)])
//!     .start()
//!     .await?;
//!
//! // Any client will do.
//! let mut client = tokio::net::TcpStream::connect(server.address()).await?;
//! client.write_all(b"GET /hello HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n").await?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await?;
//!
//! assert!(answer.ends_with("\r\n\r\nhello"));
//! assert_eq!(server.requests()[0].header("Host"), Some("a.example"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod gate;
mod play;
mod received;
mod recorder;
mod recording;
mod replayer;
mod reply;
mod script;
mod server;
mod wire;

pub use gate::Gate;
pub use received::ReceivedRequest;
pub use recorder::Recorder;
pub use recording::Recording;
pub use replayer::Replayer;
pub use reply::Reply;
pub use script::Script;
pub use server::{ScriptedServer, ScriptedServerBuilder};
