//! What the runner is asked for.

use std::path::PathBuf;

const USAGE: &str = "\
usage: conformance-ws --server URL --reports FOLDER [--server URL --reports FOLDER].. [--at-once N] [--count N]

  --at-once   so many cases at a time at each server (4)
  --count     so many cases there must be; any number otherwise";

/// A server of the suite, and where it writes its reports.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) reports: PathBuf,
}

/// The arguments, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) servers: Vec<Server>,
    pub(crate) at_once: usize,
    pub(crate) count: Option<usize>,
}

impl Args {
    pub(crate) fn read(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut read = Self { servers: Vec::new(), at_once: 4, count: None };
        let mut urls = Vec::new();
        let mut args = args;
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("{arg} wants a value\n\n{USAGE}"))?;
            let number = || value.parse().map_err(|error| format!("{arg} {value}: {error}"));
            match arg.as_str() {
                "--server" => urls.push(value),
                "--reports" => {
                    let url = urls.pop().ok_or_else(|| format!("reports of no server\n\n{USAGE}"))?;
                    read.servers.push(Server { url, reports: value.into() });
                }
                "--at-once" => read.at_once = number()?,
                "--count" => read.count = Some(number()?),
                _ => return Err(format!("no argument `{arg}`\n\n{USAGE}")),
            }
        }
        if read.servers.is_empty() || !urls.is_empty() {
            return Err(USAGE.to_owned());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &str) -> Result<Args, String> {
        Args::read(args.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_and_mistakes_named() {
        let args = read("--server ws://a --reports ra --server ws://b --reports rb --at-once 2 --count 517").unwrap();
        let server = |url: &str, reports: &str| Server { url: url.to_owned(), reports: reports.into() };
        assert_eq!(args.servers, [server("ws://a", "ra"), server("ws://b", "rb")]);
        assert_eq!((args.at_once, args.count), (2, Some(517)));
        assert_eq!(read("--server a --reports b").unwrap().count, None);
        for bad in ["", "--server a", "--reports b", "--server a --reports", "--at-once many", "nonsense x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
