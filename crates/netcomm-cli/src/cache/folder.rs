//! `netcomm cache`: looks into a folder of stored responses, and forgets some.

use std::process::ExitCode;
use std::time::SystemTime;

use http::Uri;
use netcomm::http::cache::{Cache, Key, Variants};
use netcomm::{Error, ErrorKind, Result};
use serde_json::json;

use super::place::{FOLDER_BYTES, Kept};
use super::row::Row;
use crate::args::{CacheCommand, CacheLs, CacheRm, CacheStat};
use crate::{exit, output};

/// Keys that are read at once.
const PAGE: usize = 256;

/// Does what is asked for, and tells how it went.
pub(crate) async fn run(command: &CacheCommand) -> ExitCode {
    match act(command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::tell(&exit::describe(&error));
            exit::code(&error)
        }
    }
}

async fn act(command: &CacheCommand) -> Result<()> {
    let (CacheCommand::Ls(CacheLs { folder, .. })
    | CacheCommand::Rm(CacheRm { folder, .. })
    | CacheCommand::Stat(CacheStat { folder, .. })) = command;
    let kept = Kept::look(folder).await?;
    let outcome = match command {
        CacheCommand::Ls(args) => list(&kept.cache, args).await,
        CacheCommand::Rm(args) => remove(&kept.cache, args).await,
        CacheCommand::Stat(args) => stat(&kept.cache, args).await,
    };
    kept.close().await;
    outcome
}

async fn list(cache: &Cache, args: &CacheLs) -> Result<()> {
    let now = SystemTime::now();
    let mut pages = Pages::default();
    while let Some(page) = pages.next(cache).await {
        let mut text = String::new();
        for (key, variants) in &page {
            if args.url.as_ref().is_some_and(|prefix| !key.uri().starts_with(prefix.as_str())) {
                continue;
            }
            for entry in variants.iter() {
                let (age, ttl) = cache.freshness(entry, now);
                let row = Row { key, entry, age, ttl, full_urls: args.full_urls };
                text += &if args.json { format!("{}\n", row.json()) } else { row.text() };
            }
        }
        output::print(&text)?;
    }
    Ok(())
}

async fn remove(cache: &Cache, args: &CacheRm) -> Result<()> {
    if args.all {
        let entries = cache.stats().await.entries;
        cache.clear().await;
        return output::print(&format!("{entries} forgotten\n"));
    }
    let wanted: Vec<String> = args.urls.iter().map(|url| canonical(url)).collect::<Result<_>>()?;
    let mut found = vec![0; wanted.len()];
    let mut pages = Pages::default();
    while let Some(page) = pages.next(cache).await {
        for (key, variants) in &page {
            if let Some(at) = wanted.iter().position(|url| key.uri() == url) {
                cache.remove(key).await;
                found[at] += variants.len();
            }
        }
    }
    for (url, found) in args.urls.iter().zip(&found) {
        match found {
            0 => output::print(&format!("nothing stored: {}\n", netcomm::core::redact_url(url)))?,
            count => output::print(&format!("{count} forgotten: {}\n", netcomm::core::redact_url(url)))?,
        }
    }
    Ok(())
}

async fn stat(cache: &Cache, args: &CacheStat) -> Result<()> {
    let stats = cache.stats().await;
    match args.json {
        true => {
            let object = json!({ "entries": stats.entries, "bytes": stats.bytes, "max_bytes": FOLDER_BYTES });
            output::print(&format!("{object}\n"))
        }
        false => {
            output::print(&format!("entries  {}\nbytes    {}\nbound    {FOLDER_BYTES}\n", stats.entries, stats.bytes))
        }
    }
}

/// A URL as the client writes it in keys.
fn canonical(url: &str) -> Result<String> {
    let refuse = || Error::new(ErrorKind::Invalid, "read URL").with_detail("not a URL with scheme and host");
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let uri: Uri = url.parse().map_err(|_| refuse())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(refuse()) };
    let authority = authority.as_str().to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{scheme}://{authority}{}{query}", uri.path()))
}

/// All that is stored, page by page.
#[derive(Default)]
struct Pages {
    last: Option<Key>,
}

impl Pages {
    async fn next(&mut self, cache: &Cache) -> Option<Vec<(Key, Variants)>> {
        let page = cache.list(self.last.as_ref(), PAGE).await;
        self.last = Some(page.last()?.0.clone());
        Some(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_keys_have_them() {
        for (url, expected) in [
            ("HTTP://A.example", "http://a.example/"),
            ("https://a.example:443/X?y=Z#f", "https://a.example/X?y=Z"),
            ("http://a.example:8080/", "http://a.example:8080/"),
        ] {
            assert_eq!(canonical(url).expect(url), expected);
        }
        for wrong in ["", "/x", "a.example", "http://"] {
            assert!(canonical(wrong).is_err(), "{wrong}");
        }
    }
}
