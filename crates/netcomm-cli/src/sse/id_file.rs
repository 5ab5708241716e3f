//! The last event id in a file.

use std::io;
use std::path::PathBuf;

use netcomm::sse::KeepId;
use netcomm::{Error, ErrorKind, Result};

/// A file that holds an id and nothing else; replaced as a whole, so that it is never half written.
pub(super) struct IdFile(pub(super) PathBuf);

impl KeepId for IdFile {
    async fn load(&self) -> Result<Option<String>> {
        match tokio::fs::read_to_string(&self.0).await {
            Ok(id) => Ok(Some(id.trim_end_matches('\n').to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read last event id", error)),
        }
    }

    async fn save(&self, id: String) -> Result<()> {
        let mut beside = self.0.clone().into_os_string();
        beside.push(".new");
        let written = async {
            tokio::fs::write(&beside, id + "\n").await?;
            tokio::fs::rename(&beside, &self.0).await
        };
        written.await.map_err(|error| self.failed("write last event id", error))
    }
}

impl IdFile {
    fn failed(&self, operation: &'static str, error: io::Error) -> Error {
        Error::new(ErrorKind::Io, operation).with_detail(self.0.display().to_string()).with_source(error)
    }
}
