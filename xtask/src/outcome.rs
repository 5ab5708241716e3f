//! How a step ended. What could not run is neither passed nor failed.

use std::fmt;
use std::process::ExitCode;

/// The end of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    /// It could not run here, for the reason given.
    Skipped(String),
}

impl Outcome {
    /// Says why a step run on its own did not pass, and turns it into an exit code.
    pub(crate) fn close(self) -> ExitCode {
        match self {
            Self::Passed => ExitCode::SUCCESS,
            Self::Skipped(_) => {
                println!("{self}");
                ExitCode::SUCCESS
            }
            Self::Failed(_) => {
                eprintln!("{self}");
                ExitCode::FAILURE
            }
        }
    }

    pub(crate) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
            Self::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}
