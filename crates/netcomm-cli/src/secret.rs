//! Secrets that need not stand on the command line, where every process of the machine can read them.

use netcomm::{Error, ErrorKind, Result, Secret};

/// A secret as it is given: itself, `@FILE` for the content of a file, or `env:NAME` for a variable of the environment.
#[derive(Clone)]
pub(crate) struct SecretSource(Secret);

impl From<String> for SecretSource {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl SecretSource {
    /// The secret; of a file without the white space around it.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` if the variable is not set, `Io` if the file cannot be read.
    pub(crate) async fn read(&self) -> Result<Secret> {
        let given = self.0.expose();
        if let Some(name) = given.strip_prefix("env:") {
            return std::env::var(name).map(Secret::from).map_err(|error| {
                let detail = format!("the variable {name:?} holds no text");
                Error::new(ErrorKind::Invalid, "read secret").with_detail(detail).with_source(error)
            });
        }
        let Some(file) = given.strip_prefix('@') else { return Ok(self.0.clone()) };
        match tokio::fs::read_to_string(file).await {
            Ok(text) => Ok(text.trim().into()),
            Err(error) => {
                let detail = format!("file {file:?}");
                Err(Error::new(ErrorKind::Io, "read secret").with_detail(detail).with_source(error))
            }
        }
    }
}
