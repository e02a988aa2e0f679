//! The reports of past updates, one file per stage, beside the versions that they explain.
//!
//! Kept languages have no new version that could carry the gate's evidence; it is here. A report is
//! written after its versions are published: a crash between the two loses the report, never a
//! version.

use crate::error::{Code, Error, Result, ResultExt};
use crate::files::Folder;
use crate::report::Report;
use crate::store::{REPORTS_NAME, Store, check_task_name};

/// Largest report that is read.
const SIZE_BYTES_MAX: u64 = 64 << 20;

const ENDING: &str = ".json";

/// The reports of all updates of `task` that were committed, oldest first.
///
/// # Errors
/// [`Code::TaskName`]; [`Code::StoreMalformed`] naming a file that is not a report.
pub fn history(store: &Store, task: &str) -> Result<Vec<Report>> {
    check_task_name(task)?;
    let Some(folder) = reports(store, task)? else { return Ok(Vec::new()) };
    stages(&folder)?.into_iter().map(|stage| read(&folder, stage)).collect()
}

/// The stage of the next update: 1 for the first.
pub(super) fn next_stage(store: &Store, task: &str) -> Result<u32> {
    let Some(folder) = reports(store, task)? else { return Ok(1) };
    Ok(stages(&folder)?.last().map_or(1, |stage| stage.saturating_add(1)))
}

/// Adds the report of a committed update.
pub(super) fn save(store: &Store, report: &Report) -> Result<()> {
    let folder = store.folder().create_folder(REPORTS_NAME)?.create_folder(&report.task)?;
    let bytes = serde_json::to_vec(report)
        .map_err(|cause| Error::new(Code::Internal, format!("writing the report: {cause}")))?;
    folder.replace(&name(report.stage), &format!("{:06}.partial", report.stage), &bytes)
}

/// The folder of the reports of `task`, if there is one.
fn reports(store: &Store, task: &str) -> Result<Option<Folder>> {
    let Some(reports) = store.folder().folder_if_there(REPORTS_NAME)? else { return Ok(None) };
    reports.folder_if_there(task)
}

fn name(stage: u32) -> String {
    format!("{stage:06}{ENDING}")
}

/// The stages that have a report, in order; files with other names are not ours and left alone.
fn stages(folder: &Folder) -> Result<Vec<u32>> {
    let stage = |name_found: &String| {
        let stage = name_found.strip_suffix(ENDING)?.parse().ok()?;
        (name(stage) == *name_found).then_some(stage)
    };
    let mut stages: Vec<u32> = folder.names()?.iter().filter_map(stage).collect();
    stages.sort_unstable();
    Ok(stages)
}

fn read(folder: &Folder, stage: u32) -> Result<Report> {
    let bytes = folder.read(&name(stage), SIZE_BYTES_MAX, Code::StoreMalformed)?;
    let malformed = |cause: serde_json::Error| Error::new(Code::StoreMalformed, cause.to_string());
    serde_json::from_slice(&bytes)
        .map_err(malformed)
        .context(|| format!("reading {}", folder.path_of(&name(stage)).display()))
}
