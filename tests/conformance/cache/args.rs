//! What the runner is asked for.

use crate::profile::Profile;

const USAGE: &str = "\
usage: conformance-cache --origin URL --suite FILE [--profile private|shared] [--only ID[,ID]] [--at-once N] [--other]

  --only      runs these cases and shows all that was sent and seen
  --other     the cases are not those that the list of known failures was written for";

/// The arguments, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    /// The origin's URL, without a slash at its end.
    pub(crate) origin: String,
    pub(crate) suite: String,
    pub(crate) profiles: Vec<Profile>,
    /// All cases, if there is none.
    pub(crate) only: Vec<String>,
    pub(crate) at_once: usize,
    /// Whether the cases are those of the list of known failures.
    pub(crate) is_pinned: bool,
}

impl Args {
    pub(crate) fn read(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut read = Self {
            origin: String::new(),
            suite: String::new(),
            profiles: Profile::ALL.to_vec(),
            only: Vec::new(),
            at_once: 64,
            is_pinned: true,
        };
        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value\n\n{USAGE}"));
            match arg.as_str() {
                "--origin" => read.origin = value()?.trim_end_matches('/').to_owned(),
                "--suite" => read.suite = value()?,
                "--profile" => {
                    let name = value()?;
                    let profile = Profile::ALL.into_iter().find(|profile| profile.name() == name);
                    read.profiles = vec![profile.ok_or_else(|| format!("no profile `{name}`\n\n{USAGE}"))?];
                }
                "--only" => read.only = value()?.split(',').map(str::to_owned).collect(),
                "--at-once" => {
                    let number = value()?;
                    read.at_once = number.parse().map_err(|error| format!("--at-once {number}: {error}"))?;
                }
                "--other" => read.is_pinned = false,
                _ => return Err(format!("no argument `{arg}`\n\n{USAGE}")),
            }
        }
        if read.origin.is_empty() || read.suite.is_empty() {
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
        let args = read("--origin http://127.0.0.1:9/ --suite s.json --only a,b --profile shared").unwrap();
        assert_eq!((args.origin.as_str(), args.suite.as_str()), ("http://127.0.0.1:9", "s.json"));
        assert_eq!(args.only, ["a", "b"]);
        assert_eq!((args.profiles, args.at_once, args.is_pinned), (vec![Profile::Shared], 64, true));
        for bad in ["", "--origin x", "--origin x --suite", "--profile public", "--at-once many", "nonsense"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
