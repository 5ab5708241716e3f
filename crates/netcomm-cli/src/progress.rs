//! The bar on stderr that shows how far a download has come.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use netcomm::http::Progress;

/// A progress bar; invisible where stderr is no terminal. Clones are the same bar.
#[derive(Clone)]
pub(crate) struct Bar {
    bar: ProgressBar,
    /// Bytes that were there before this call.
    offset: Arc<AtomicU64>,
}

impl Bar {
    /// A bar for a download into that file.
    pub(crate) fn new(file: &Path) -> Self {
        let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            .expect("the template is well-formed");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
        bar.set_message(file.display().to_string());
        Self { bar, offset: Arc::default() }
    }

    /// Counts from here: what a continued download had already.
    pub(crate) fn start_at(&self, offset: u64) {
        self.offset.store(offset, Ordering::Relaxed);
        self.bar.set_position(offset);
        self.bar.reset_eta();
    }

    /// Takes what the client reports.
    pub(crate) fn show(&self, progress: Progress) {
        let offset = self.offset.load(Ordering::Relaxed);
        if let Some(total) = progress.total {
            self.bar.set_length(offset + total);
        }
        self.bar.set_position(offset + progress.bytes);
    }

    /// Leaves the bar as it stands and goes to the next line.
    pub(crate) fn stop(&self) {
        self.bar.abandon();
    }
}
