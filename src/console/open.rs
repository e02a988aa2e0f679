//! Opening a bundle: the flags of both programs, and progress when it takes long.

use super::by_name;
use super::progress::{Meter, Style};
use crate::Result;
use crate::bundle::{Bundle, BundlePhase, BundleProgress, Verify};
use std::path::Path;
use std::time::{Duration, Instant};

/// How much of a bundle is checked.
#[derive(clap::Args)]
pub struct VerifyArgs {
    /// How much of the bundle is checked: quick leaves the weights unread, full reads them whole,
    /// remembered reads them whole unless an earlier run did and they have not been written since
    #[arg(long, default_value_t, value_name = "HOW")]
    #[arg(value_parser = by_name(Verify::ALL, Verify::name))]
    pub verify: Verify,
}

impl VerifyArgs {
    /// Opens a bundle and shows the progress of hashing when it takes long.
    pub fn open(&self, folder: &Path, style: Style) -> Result<Bundle> {
        let mut waiting = Waiting::new(style);
        Bundle::open_with_progress(folder, self.verify, &mut |done| waiting.show(done))
    }
}

/// How long opening a bundle may take before progress is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shows the progress of opening a bundle once it takes long.
pub struct Waiting {
    style: Style,
    started: Instant,
    meter: Option<Meter>,
}

impl Waiting {
    /// Shows nothing yet.
    pub fn new(style: Style) -> Self {
        Self { style, started: Instant::now(), meter: None }
    }

    /// Shows the progress if the work has taken long already.
    pub fn show(&mut self, progress: BundleProgress) {
        if self.started.elapsed() >= PATIENCE {
            show(self.meter.get_or_insert_with(|| Meter::new(self.style)), progress);
        }
    }
}

/// Shows bytes in megabytes; smaller steps would be of no use.
pub fn show(meter: &mut Meter, progress: BundleProgress) {
    const MEGABYTE: u64 = 1_000_000;
    let phase = match progress.phase {
        BundlePhase::Read => "read",
        BundlePhase::Write => "write",
        BundlePhase::Hash => "hash",
        BundlePhase::Try => "try",
    };
    let megabytes = |bytes: u64| usize::try_from(bytes.div_ceil(MEGABYTE)).unwrap_or(usize::MAX);
    let (done, total) = (megabytes(progress.done_bytes), megabytes(progress.total_bytes));
    // Ctrl-C during these seconds takes effect after them.
    let _ = meter.show(phase, done, total, "MB");
}
