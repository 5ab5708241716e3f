//! The client under test: all that the runner knows of it stands here.

use std::time::Duration;

use netcomm_core::{Env, Result};
use netcomm_dial::{Dialer, Proxies, SystemClock};
use netcomm_http::cache::{Cache, CacheMode};
use netcomm_http::{Client, Redirects, RequestBuilder};

use crate::profile::Profile;

/// Whether the client has a cache. Without one the figures are told and nothing is judged.
pub(crate) const HAS_CACHE: bool = true;

/// No case takes longer, pauses aside.
const PATIENCE: Duration = Duration::from_secs(10);

/// The client for all cases of a profile: one cache, as an application has it.
pub(crate) fn client(profile: Profile) -> Result<Client> {
    let dialer = Dialer::builder().proxies(Proxies::none()).build();
    let builder = Client::builder(&Env::new(dialer, SystemClock));
    let timeouts = netcomm_core::Timeouts::default().with_total(Some(PATIENCE));
    let cache = match profile {
        Profile::Private => Cache::builder(),
        Profile::Shared => Cache::builder().shared(),
    };
    // A redirect is an answer like any other here, and nonsense as a content coding is to be kept as it is.
    builder.redirects(Redirects::Manual).decode(false).timeouts(timeouts).cache(cache.build()).build()
}

/// The cache mode that a browser's script would set (Fetch standard, "request cache mode").
pub(crate) fn mode(request: RequestBuilder, mode: &str) -> RequestBuilder {
    request.cache_mode(match mode {
        "default" => CacheMode::Default,
        "no-store" => CacheMode::NoStore,
        "reload" => CacheMode::Reload,
        "no-cache" => CacheMode::NoCache,
        "force-cache" => CacheMode::ForceCache,
        "only-if-cached" => CacheMode::OnlyIfCached,
        unknown => panic!("a mode that Fetch does not have: {unknown}"),
    })
}
