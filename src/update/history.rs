//! The reports of past updates, one file per stage, beside the versions that they explain.
//!
//! Kept languages have no new version that could carry the gate's evidence; it is here. A report is
//! written after its versions are published: a crash between the two loses the report, never a
//! version.

use crate::error::{Code, Error, Result, ResultExt};
use crate::report::Report;
use crate::store::{Store, check_task_name, durable};
use std::fs;
use std::path::{Path, PathBuf};

/// Largest report that is read.
const SIZE_BYTES_MAX: u64 = 64 << 20;

/// The reports of all updates of `task` that were committed, oldest first.
///
/// # Errors
/// [`Code::TaskName`]; [`Code::StoreMalformed`] naming a file that is not a report.
pub fn history(store: &Store, task: &str) -> Result<Vec<Report>> {
    check_task_name(task)?;
    let files = files(&store.reports_path(task))?;
    files.iter().map(|(_, path)| read(path)).collect()
}

/// The stage of the next update: 1 for the first.
pub(super) fn next_stage(store: &Store, task: &str) -> Result<u32> {
    let last = files(&store.reports_path(task))?.last().map_or(0, |(stage, _)| *stage);
    Ok(last.saturating_add(1))
}

/// Adds the report of a committed update.
pub(super) fn save(store: &Store, report: &Report) -> Result<()> {
    let folder = store.reports_path(&report.task);
    durable::create_folder(&folder)?;
    let bytes = serde_json::to_vec(report)
        .map_err(|cause| Error::new(Code::Internal, format!("writing the report: {cause}")))?;
    let path = folder.join(format!("{:06}.json", report.stage));
    let partial = path.with_extension("partial");
    durable::write(&partial, &bytes)?;
    durable::rename(&partial, &path)?;
    durable::sync_folder(&folder)
}

/// The reports in a folder by stage; files with other names are not ours and left alone.
fn files(folder: &Path) -> Result<Vec<(u32, PathBuf)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |cause| Error::io(Code::IoRead, "listing", folder, &cause);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_report = path.extension().is_some_and(|extension| extension == "json");
        let stage = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let (Some(stage), true) = (stage, is_report) {
            files.push((stage, path));
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Report> {
    let mut opened = durable::open(path)?;
    let bytes = durable::read(&mut opened, path, SIZE_BYTES_MAX, Code::StoreMalformed)?;
    let malformed = |cause: serde_json::Error| Error::new(Code::StoreMalformed, cause.to_string());
    serde_json::from_slice(&bytes)
        .map_err(malformed)
        .context(|| format!("reading {}", path.display()))
}
