//! What the runner is asked for.

use std::path::PathBuf;

const USAGE: &str = "\
usage: conformance-sse [--cases FILE]..

  --cases   more cases of parsing, in the form of cases.json";

/// The arguments, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// Files of more cases of parsing.
    pub(crate) cases: Vec<PathBuf>,
}

impl Args {
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut read = Self::default();
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("{arg} wants a value\n\n{USAGE}"))?;
            match arg.as_str() {
                "--cases" => read.cases.push(value.into()),
                _ => return Err(format!("no argument `{arg}`\n\n{USAGE}")),
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_mistakes_named() {
        let read = |args: &str| Args::read(args.split_whitespace().map(str::to_owned));
        assert_eq!(read("").unwrap(), Args::default());
        assert_eq!(read("--cases a --cases b").unwrap().cases, [PathBuf::from("a"), PathBuf::from("b")]);
        for bad in ["--cases", "--case a", "a"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
