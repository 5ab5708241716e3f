//! What can be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use netcomm::http::cache::CacheMode;
use netcomm::http::{Concurrency, Rate};

use crate::secret::SecretSource;
use crate::{exit, trying};

/// HTTP calls, WebSockets and event streams from the shell, a monitor of the network, a proxy for other programs, and a tour of
/// what the client survives
#[derive(Parser)]
#[command(name = "netcomm", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Fetches a resource
    Get(Box<Fetch>),
    /// Fetches the head of a resource
    Head(Box<Fetch>),
    /// Sends data to a resource
    Post(Box<Fetch>),
    /// Puts a resource in its place
    Put(Box<Fetch>),
    /// Changes a resource in part
    Patch(Box<Fetch>),
    /// Deletes a resource
    Delete(Box<Fetch>),
    /// Sends a request of any method
    Request(Box<AnyMethod>),
    /// Talks over a WebSocket that comes back: a line typed or piped in is a message, a message that comes is a line
    ///
    /// A connection that is lost is made again, and lines wait for it in order; a line that was not written in the end is told
    /// of, and makes the exit code other than 0. After the end of stdin it waits until no message came for --wait, then says
    /// goodbye; a server that says goodbye with 1000 ends it, too. Ctrl-C says goodbye, a second one does not.
    Ws(Box<Ws>),
    /// Reads an event stream that comes back: the data of each event become a line
    ///
    /// A stream that ended or is lost is opened again, behind the last event that came. A stream asked for with --post is not:
    /// its end is the end. 204 of the server ends it too. Ctrl-C ends it at once.
    Sse(Box<Sse>),
    /// Shows what the network is like, and what happens on it, while it happens
    ///
    /// It learns from the system's paths, from a probe if one is named, and from traffic: that of the URLs which it asks every so
    /// often, and with --proxy that of other programs. On a terminal it draws; otherwise changes become lines. Nobody is asked
    /// who was not named. `?` shows the keys.
    Monitor(Monitor),
    /// Lets other programs use the client, by a change of address
    ///
    /// With --to it is a reverse proxy: all requests go to that origin, whatever host they name. Without it is a forward
    /// proxy, as HTTP_PROXY wants one: requests come with the whole URL as target, http or https; CONNECT is not served.
    /// Bodies stream through in both directions. Ctrl-C or SIGTERM ends it once what is under way is done.
    Proxy(Box<Proxy>),
    /// Looks into a folder of stored responses
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Lets an embedded origin misbehave, and shows how the client comes through
    Tour(Tour),
    /// Event sources that a harness of contract tests steers over HTTP, on loopback
    #[command(hide = true)]
    SseContractService(SseContractService),
}

#[derive(Args)]
pub(crate) struct SseContractService {
    /// The port to listen on; 0 for any. The address is the first line of stdout
    #[arg(long, value_name = "N")]
    pub(crate) port: u16,
}

#[derive(Args)]
pub(crate) struct AnyMethod {
    /// The method
    pub(crate) method: String,
    #[command(flatten)]
    pub(crate) fetch: Fetch,
}

#[derive(Args)]
pub(crate) struct Tour {
    /// Plays this scene alone: its number or its name
    #[arg(long, value_name = "SCENE")]
    pub(crate) scene: Option<String>,
    /// Writes one JSON object to stdout in place of the story
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Sse {
    /// The URL
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) ask: SseAsk,
    #[command(flatten)]
    pub(crate) show: SseShow,
    #[command(flatten)]
    pub(crate) bounds: SseBounds,
    #[command(flatten)]
    pub(crate) way: Way,
}

#[derive(Args)]
#[command(next_help_heading = "What is sent")]
pub(crate) struct SseAsk {
    /// A header field; `@FILE` reads fields from a file, one to a line
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// A bearer token, `@FILE`, or `env:VARIABLE`
    #[arg(long, value_name = "TOKEN")]
    pub(crate) bearer: Option<SecretSource>,
    /// Asks by POST with this body: text, `@FILE`, or `-` for stdin; JSON unless -H says otherwise
    #[arg(long, value_name = "DATA")]
    pub(crate) post: Option<String>,
    /// Begins behind the event of this id
    #[arg(long, value_name = "ID")]
    pub(crate) last_event_id: Option<String>,
    /// Begins behind the id in this file, if it is there, and keeps the last one in it
    #[arg(long, value_name = "FILE", conflicts_with = "last_event_id")]
    pub(crate) id_file: Option<PathBuf>,
}

#[derive(Args)]
#[command(next_help_heading = "Events")]
pub(crate) struct SseShow {
    /// Shows events of this type alone; `PREFIX*` for all that begin so. May be given again
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// Writes a JSON object in each line of stdout: for each event, each change of state, and the end
    #[arg(long)]
    pub(crate) json: bool,
    /// Shows comments too: on stderr, or as objects
    #[arg(long)]
    pub(crate) comments: bool,
    /// Ends after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Ends with the event whose data are this, such as [DONE]; it is not shown
    #[arg(long, value_name = "DATA")]
    pub(crate) done_when: Option<String>,
    /// Tells no change of state on stderr
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Tells on stderr what happens to each request
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct SseBounds {
    /// A stream that ended or is lost is not opened again
    #[arg(long, conflicts_with = "retry_max_time")]
    pub(crate) no_reconnect: bool,
    /// No attempt to come back begins later than that after the loss [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) retry_max_time: Option<Duration>,
    /// Takes the stream for dead after so much silence [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) idle: Option<Duration>,
    /// Bytes of one event; 10m are 10 MiB. Larger ones are left out [default: 16m]
    #[arg(long, value_name = "BYTES", value_parser = message_bytes)]
    pub(crate) max_event: Option<usize>,
    /// Reads answers that do not say that they are event streams
    #[arg(long)]
    pub(crate) any_content_type: bool,
    /// For a connection: name, TCP, proxy and TLS together [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) connect_timeout: Option<Duration>,
    /// Refuses loopback, private and reserved addresses, also behind names
    #[arg(long)]
    pub(crate) deny_private: bool,
}

#[derive(Args)]
pub(crate) struct Ws {
    /// The URL: ws or wss, also http or https for the same
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) terms: WsTerms,
    #[command(flatten)]
    pub(crate) talk: WsTalk,
    #[command(flatten)]
    pub(crate) bounds: WsBounds,
    #[command(flatten)]
    pub(crate) way: Way,
}

#[derive(Args)]
#[command(next_help_heading = "The handshake")]
pub(crate) struct WsTerms {
    /// A header field; `@FILE` reads fields from a file, one to a line
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// A bearer token, `@FILE`, or `env:VARIABLE`
    #[arg(long, value_name = "TOKEN")]
    pub(crate) bearer: Option<SecretSource>,
    /// A subprotocol to ask for, most wanted first
    #[arg(long = "subprotocol", value_name = "NAME")]
    pub(crate) subprotocols: Vec<String>,
    /// Does not ask for compression (RFC 7692)
    #[arg(long)]
    pub(crate) no_compress: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct WsTalk {
    /// Sends binary messages: each line one, all of stdin one, or each with its length before it, 4 bytes, the highest
    /// first; with `length` what comes is written so, too
    #[arg(long, value_name = "lines|whole|length", value_parser = framing())]
    pub(crate) binary: Option<Framing>,
    /// Writes a JSON object in each line of stdout: for each message, each change of state, and the end
    #[arg(long)]
    pub(crate) json: bool,
    /// After the end of stdin: how long no message has to come before it ends [default: 1, on a terminal 0]
    #[arg(long, value_name = "SECONDS|forever", value_parser = patience)]
    pub(crate) wait: Option<Patience>,
    /// Ends after so many messages have come, once what was read from stdin is written
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Tells no change of state on stderr
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Tells on stderr what happens to each connection
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct WsBounds {
    /// A connection that is lost stays lost
    #[arg(long, conflicts_with = "retry_max_time")]
    pub(crate) no_reconnect: bool,
    /// No attempt to come back begins later than that after the loss [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) retry_max_time: Option<Duration>,
    /// After how much silence the server is asked for a sign of life [default: 20]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) ping: Option<Duration>,
    /// Bytes of one message, inflated, and of one line; 10m are 10 MiB [default: 16m]
    #[arg(long, value_name = "BYTES", value_parser = message_bytes)]
    pub(crate) max_message: Option<usize>,
    /// For a connection: name, TCP, proxy, TLS and handshake together [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) connect_timeout: Option<Duration>,
    /// Refuses loopback, private and reserved addresses, also behind names
    #[arg(long)]
    pub(crate) deny_private: bool,
}

/// How bytes of stdin become binary messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Lines,
    Whole,
    Length,
}

/// How long no message has to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    For(Duration),
    Forever,
}

#[derive(Args)]
pub(crate) struct Monitor {
    /// Asked every so often by GET, so that there is traffic to judge by; a ws or wss URL is listened to
    #[arg(value_name = "URL")]
    pub(crate) urls: Vec<String>,
    /// Asked whether the network leads anywhere: an http URL that answers 204
    #[arg(long, value_name = "URL")]
    pub(crate) probe: Option<String>,
    /// With --probe: the answer has to repeat a random word, as no portal does (X-Netcomm-Challenge, X-Netcomm-Response)
    #[arg(long, requires = "probe")]
    pub(crate) challenge: bool,
    /// From one question to a URL to the next: 5, 5s, 500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "5s")]
    pub(crate) every: Duration,
    /// Lends the client to other programs at this loopback address, as `netcomm proxy` does, and shows what they do
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) proxy: Option<SocketAddr>,
    /// Writes what was recorded to this file as HAR 1.2, at the end and on `h`
    #[arg(long, value_name = "FILE")]
    pub(crate) har: Option<PathBuf>,
    /// Writes a JSON object in each line of stdout: for each state, change of quality, call and message, and the end
    #[arg(long)]
    pub(crate) json: bool,
    /// Waits for the first verdict, at most 10 s, tells it and ends: 0 if online, 1 if not
    #[arg(long)]
    pub(crate) once: bool,
    /// Counts this machine and private addresses as hosts that everybody can reach: their answers tell of the network
    #[arg(long)]
    pub(crate) private_hosts: bool,
    /// Goes by probe and traffic alone, whatever the system says of paths
    #[arg(long)]
    pub(crate) ignore_paths: bool,
    /// Certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Proxy {
    /// Where to listen; port 0 takes a free one. The first line on stdout is the URL that came of it
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Allows an address that is not loopback: whoever reaches it can use the proxy
    #[arg(long)]
    pub(crate) expose: bool,
    /// The origin to which all requests go [default: the one that each request names]
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) to: Option<String>,
    /// Keeps answers for later requests (RFC 9111): in memory, at most 64 MiB, or in a folder, at most 1 GiB
    #[arg(long, value_name = "memory|DIR")]
    pub(crate) cache: Option<CachePlace>,
    /// With --cache: one cache for all users, so that what is private to one of them is not kept
    #[arg(long, requires = "cache")]
    pub(crate) shared: bool,
    /// With --cache: a targeted field to obey in place of Cache-Control (RFC 9213), the first one first; `none` for none
    /// [default: CDN-Cache-Control with --to and --shared, else none]
    #[arg(long = "target", value_name = "FIELD", requires = "cache")]
    pub(crate) targets: Vec<String>,
    /// Sends equal GETs and HEADs that are under way at the same time once; all get that answer, Set-Cookie included
    #[arg(long)]
    pub(crate) deduplicate: bool,
    /// Tells the origin who asks, in a Forwarded field (RFC 7239)
    #[arg(long)]
    pub(crate) forwarded: bool,
    /// What Via, Proxy-Status and Cache-Status call this proxy [default: netcomm- and a random number]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Writes the first line as a JSON object with `address` and `url`
    #[arg(long)]
    pub(crate) json: bool,
    /// Tells of each request on stderr: method, URL without query, status, bytes, time, what the cache did
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) trying: Trying,
    #[command(flatten)]
    pub(crate) guards: ProxyGuards,
    #[command(flatten)]
    pub(crate) bounds: ProxyBounds,
    #[command(flatten)]
    pub(crate) way: Way,
}

#[derive(Args)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct ProxyBounds {
    /// For a connection to an origin: name, TCP, proxy and TLS together [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) connect_timeout: Option<Duration>,
    /// From the last byte of a request to the head of its answer [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) header_timeout: Option<Duration>,
    /// The longest silence inside of an answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    pub(crate) idle_timeout: Duration,
    /// What is under way may take so long to its end, once the proxy was told to end
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    pub(crate) grace: Duration,
    /// Clients at one time; more wait
    #[arg(long, value_name = "N", value_parser = connection_count, default_value = "1024")]
    pub(crate) max_connections: usize,
    /// Refuses loopback, private and reserved addresses of origins, also behind names
    #[arg(long)]
    pub(crate) deny_private: bool,
}

#[derive(Subcommand)]
pub(crate) enum CacheCommand {
    /// Lists what is stored: a line for each response
    Ls(CacheLs),
    /// Forgets responses
    Rm(CacheRm),
    /// Tells how much is stored
    Stat(CacheStat),
}

#[derive(Args)]
pub(crate) struct CacheLs {
    /// The folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Only what is stored under URLs that begin so
    #[arg(long, value_name = "PREFIX")]
    pub(crate) url: Option<String>,
    /// Shows URLs with their queries, which may be secret
    #[arg(long)]
    pub(crate) full_urls: bool,
    /// Writes a JSON object in each line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct CacheRm {
    /// The folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// What is stored under these URLs, all variants of it
    #[arg(value_name = "URL", required_unless_present = "all")]
    pub(crate) urls: Vec<String>,
    /// Everything
    #[arg(long, conflicts_with = "urls")]
    pub(crate) all: bool,
}

#[derive(Args)]
pub(crate) struct CacheStat {
    /// The folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Writes a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a cache keeps what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CachePlace {
    Memory,
    Folder(PathBuf),
}

impl From<&str> for CachePlace {
    fn from(text: &str) -> Self {
        if text == "memory" { Self::Memory } else { Self::Folder(text.into()) }
    }
}

#[derive(Args)]
pub(crate) struct Fetch {
    /// The URL, with its scheme
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) outgoing: Outgoing,
    #[command(flatten)]
    pub(crate) show: Show,
    #[command(flatten)]
    pub(crate) caching: Caching,
    #[command(flatten)]
    pub(crate) trying: Trying,
    #[command(flatten)]
    pub(crate) guards: CallGuards,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    #[command(flatten)]
    pub(crate) way: Way,
}

#[derive(Args)]
#[command(next_help_heading = "The cache")]
pub(crate) struct Caching {
    /// Keeps responses in a folder, at most 1 GiB, and answers from there (RFC 9111)
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// How it is used (Fetch standard) [default: default]
    #[arg(long, value_name = "MODE", value_parser = cache_mode(), requires = "cache")]
    pub(crate) cache_mode: Option<CacheMode>,
    /// How long a response is fresh, whatever it says itself
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "cache")]
    pub(crate) cache_ttl: Option<Duration>,
}

#[derive(Args)]
#[command(next_help_heading = "Trying again, and pace")]
pub(crate) struct Trying {
    /// Attempts in all, where it is safe to send twice: an idempotent method, an Idempotency-Key, or a request that was
    /// surely not processed. What can be read only once is sent again up to 64 KiB [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) retry: Option<u32>,
    /// With --retry: no attempt begins later than that after the first, also where the server asks for it [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "retry")]
    pub(crate) retry_max_time: Option<Duration>,
    /// Requests to one origin in a second or a minute, BURST of them at once [default for BURST: N]
    #[arg(long, value_name = "N/s|N/m[,BURST]", value_parser = trying::rate)]
    pub(crate) rate: Option<Rate>,
    /// Requests to one origin that are under way at a time; `adaptive` finds out how many it bears
    #[arg(long, value_name = "N|adaptive", value_parser = trying::concurrency)]
    pub(crate) concurrency: Option<Concurrency>,
}

#[derive(Args)]
#[command(next_help_heading = "Trying again, and pace")]
pub(crate) struct CallGuards {
    /// Sends a GET or HEAD a second time if there is no answer by then; the first good answer counts
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) hedge: Option<Duration>,
    /// By which the origin knows a repetition when it sees one, so that any method may be tried again; without value: a
    /// new one
    #[arg(long, value_name = "KEY", num_args = 0..=1, require_equals = true)]
    pub(crate) idempotency_key: Option<Option<String>>,
}

#[derive(Args)]
#[command(next_help_heading = "Trying again, and pace")]
pub(crate) struct ProxyGuards {
    /// Sends GETs and HEADs a second time that are slower than that; without value: slower than 95 of 100 before
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, value_parser = seconds)]
    pub(crate) hedge: Option<Option<Duration>>,
    /// Leaves an origin alone for a while once half of at least 20 requests within 10 s have failed: 503 in the meantime
    #[arg(long)]
    pub(crate) breaker: bool,
}

#[derive(Args)]
#[command(next_help_heading = "What is sent")]
pub(crate) struct Outgoing {
    /// A header field; `@FILE` reads fields from a file, one to a line
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// A pair added to the query of the URL
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) query: Vec<String>,
    /// The body as it is: text, `@FILE`, or `-` for stdin; its type is for `-H` to name
    #[arg(short, long, value_name = "DATA", group = "body")]
    pub(crate) data: Option<String>,
    /// The body as JSON: text, `@FILE`, or `-` for stdin
    #[arg(long, value_name = "DATA", group = "body")]
    pub(crate) json_body: Option<String>,
    /// A field of a form, application/x-www-form-urlencoded
    #[arg(long, value_name = "NAME=VALUE", group = "body")]
    pub(crate) form: Vec<String>,
    /// A part of a multipart/form-data body: a field, or a file
    #[arg(long, value_name = "NAME=VALUE|NAME=@FILE", group = "body")]
    pub(crate) multipart: Vec<String>,
    /// User and password, `@FILE`, or `env:VARIABLE`
    #[arg(short, long, value_name = "USER:PASSWORD", group = "who")]
    pub(crate) user: Option<SecretSource>,
    /// A bearer token, `@FILE`, or `env:VARIABLE`
    #[arg(long, value_name = "TOKEN", group = "who")]
    pub(crate) bearer: Option<SecretSource>,
}

#[derive(Args)]
#[command(next_help_heading = "What is shown and kept")]
pub(crate) struct Show {
    /// Writes the body to a file; `-` for stdout, also binary to a terminal
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// With -o: continues the download noted in FILE.netcomm, or begins one and takes the note
    #[arg(long, requires = "output")]
    pub(crate) resume: bool,
    /// Lets a download that breaks off continue at once, at most so often
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) resume_times: u32,
    /// Shows the head of the response too
    #[arg(short, long)]
    pub(crate) include: bool,
    /// Treats a status of 400 or more as an error; its body is not written
    #[arg(long)]
    pub(crate) fail: bool,
    /// Shows on stderr where the time went
    #[arg(long)]
    pub(crate) timing: bool,
    /// Writes one JSON object to stdout: response and body, or what went wrong
    #[arg(long, conflicts_with = "include")]
    pub(crate) json: bool,
    /// Tells on stderr what happens
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct Bounds {
    /// For the whole call, to the last byte of the body
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// For a connection: name, TCP, proxy and TLS together [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) connect_timeout: Option<Duration>,
    /// From the last byte of the request to the head of the response [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) header_timeout: Option<Duration>,
    /// Bytes of the body, decoded; 10m are 10 MiB [default: 64g, with --json 64m]
    #[arg(long, value_name = "BYTES", value_parser = byte_count)]
    pub(crate) max_bytes: Option<u64>,
    /// Redirects that are followed
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) max_redirects: usize,
    /// Gives a redirect as it is
    #[arg(long, conflicts_with = "max_redirects")]
    pub(crate) no_redirects: bool,
    /// Follows redirects from https to http too
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
    /// Neither asks for content codings nor takes them off
    #[arg(long)]
    pub(crate) no_decode: bool,
    /// Refuses loopback, private and reserved addresses, also behind names and redirects
    #[arg(long)]
    pub(crate) deny_private: bool,
}

#[derive(Args, Clone, Default)]
#[command(next_help_heading = "The way there")]
pub(crate) struct Way {
    /// A proxy on the way: http, https, socks5 or socks5h [default: the environment's]
    #[arg(long, value_name = "URL", conflicts_with = "no_proxy")]
    pub(crate) proxy: Option<String>,
    /// No proxy, whatever the environment says
    #[arg(long)]
    pub(crate) no_proxy: bool,
    /// A Unix-domain socket in place of the URL's host
    #[arg(long, value_name = "PATH")]
    pub(crate) unix_socket: Option<PathBuf>,
    /// Certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// The client's certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The private key of --cert (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// A public key (SHA-256 of the SPKI) that the server may have: `sha256/BASE64`, or hex
    #[arg(long = "pin", value_name = "SHA256")]
    pub(crate) pins: Vec<String>,
    /// HTTP/1.1 only
    #[arg(long = "http1.1", conflicts_with = "http2")]
    pub(crate) http1: bool,
    /// HTTP/2 without asking, also in the clear
    #[arg(long)]
    pub(crate) http2: bool,
}

/// Who is asked more often than that is not watched but attacked.
const MIN_INTERVAL: Duration = Duration::from_millis(10);
/// More than a machine has ports.
const MAX_CONNECTIONS: usize = 1 << 20;

impl Cli {
    /// Reads the command line; ends the process with usage or help where that is the answer.
    pub(crate) fn read() -> Self {
        let command = Self::command().mut_subcommands(|sub| sub.after_help(exit::help()));
        let parsed = Self::from_arg_matches(&command.after_help(exit::help()).get_matches());
        parsed.unwrap_or_else(|error| error.exit())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0".to_owned()),
    }
}

/// A time with its unit; seconds without.
fn interval(text: &str) -> Result<Duration, String> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let split = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = split.unwrap_or((text, 1.0));
    let number: f64 = number.parse().map_err(|_| "not a time, such as 5s or 500ms".to_owned())?;
    match Duration::try_from_secs_f64(number * factor) {
        Ok(duration) if duration >= MIN_INTERVAL => Ok(duration),
        _ => Err("must be 10ms or more".to_owned()),
    }
}

/// Zero has a meaning here: at once.
fn patience(text: &str) -> Result<Patience, String> {
    match text {
        "forever" => Ok(Patience::Forever),
        "0" => Ok(Patience::For(Duration::ZERO)),
        _ => seconds(text).map(Patience::For),
    }
}

fn framing() -> impl TypedValueParser<Value = Framing> {
    let ways = [("lines", Framing::Lines), ("whole", Framing::Whole), ("length", Framing::Length)];
    PossibleValuesParser::new(ways.map(|(name, _)| name))
        .map(move |given| ways.iter().find(|(name, _)| *name == given).map_or(Framing::Lines, |(_, way)| *way))
}

/// What a message of one frame can be at most on any machine.
fn message_bytes(text: &str) -> Result<usize, String> {
    match byte_count(text)? {
        0 => Err("must be more than 0".to_owned()),
        // The length before a message has four bytes.
        bytes => u32::try_from(bytes)
            .ok()
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| "too many bytes".to_owned()),
    }
}

/// The modes of Fetch, by their names there.
fn cache_mode() -> impl TypedValueParser<Value = CacheMode> {
    let modes = [
        ("default", CacheMode::Default),
        ("no-store", CacheMode::NoStore),
        ("reload", CacheMode::Reload),
        ("no-cache", CacheMode::NoCache),
        ("force-cache", CacheMode::ForceCache),
        ("only-if-cached", CacheMode::OnlyIfCached),
    ];
    PossibleValuesParser::new(modes.map(|(name, _)| name))
        .map(move |given| modes.iter().find(|(name, _)| *name == given).map_or(CacheMode::Default, |(_, mode)| *mode))
}

fn connection_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MAX_CONNECTIONS).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from 1 to {MAX_CONNECTIONS}")),
    }
}

fn byte_count(text: &str) -> Result<u64, String> {
    let text = text.to_ascii_lowercase();
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k') => (&text[..text.len() - 1], 10),
        Some(b'm') => (&text[..text.len() - 1], 20),
        Some(b'g') => (&text[..text.len() - 1], 30),
        _ => (&*text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| "not a number of bytes".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "too many bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_has_a_default_value_does_not_take_the_next_word() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        for (line, key) in [
            ("netcomm post --idempotency-key http://a.example/", Some(None)),
            ("netcomm post --idempotency-key=k1 http://a.example/", Some(Some("k1"))),
            ("netcomm post http://a.example/", None),
        ] {
            let Ok(Command::Post(fetch)) = parse(line) else { panic!("{line}") };
            let got = fetch.guards.idempotency_key.as_ref().map(Option::as_deref);
            assert_eq!((got, fetch.url.as_str()), (key, "http://a.example/"), "{line}");
        }
        for (line, hedge) in [
            ("netcomm proxy --hedge --breaker", Some(None)),
            ("netcomm proxy --hedge=0.2", Some(Some(Duration::from_millis(200)))),
            ("netcomm proxy", None),
        ] {
            let Ok(Command::Proxy(proxy)) = parse(line) else { panic!("{line}") };
            assert_eq!(proxy.guards.hedge, hedge, "{line}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        for wrong in ["0", "-1", "nan", "inf", "x", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(connection_count("7"), Ok(7));
        assert!(["0", "-1", "x", "9999999"].iter().all(|wrong| connection_count(wrong).is_err()));
        assert_eq!(patience("0"), Ok(Patience::For(Duration::ZERO)));
        assert_eq!(
            (patience("forever"), patience("0.5")),
            (Ok(Patience::Forever), Ok(Patience::For(Duration::from_millis(500))))
        );
        assert!(["", "-1", "never"].iter().all(|wrong| patience(wrong).is_err()));
        assert_eq!(message_bytes("2m"), Ok(2 << 20));
        assert!(["0", "4g", "x"].iter().all(|wrong| message_bytes(wrong).is_err()));
        let millis = Duration::from_millis;
        for (text, expected) in [("5", 5000), ("5s", 5000), ("1.5s", 1500), ("500ms", 500), ("2m", 120_000)] {
            assert_eq!(interval(text), Ok(millis(expected)), "{text}");
        }
        for wrong in ["", "s", "0", "9ms", "-1s", "nan", "inf", "5 parsecs", "1e300h"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
        assert_eq!(byte_count("10"), Ok(10));
        assert_eq!(byte_count("2K"), Ok(2048));
        assert_eq!(byte_count("1g"), Ok(1 << 30));
        for wrong in ["", "k", "-1", "1.5m", "99999999999999g"] {
            assert!(byte_count(wrong).is_err(), "{wrong}");
        }
    }
}
