//! The reports of past updates, one file per stage, beside the versions that they explain.
//!
//! A language that keeps its version has no new version to store the gate's evidence, so reports
//! store it. A report is committed together with the versions of its update: the store records the
//! hash of the last report, and each report has the hash of the one before. Reports of polygraft
//! 0.1 have none.

use crate::error::{Code, Error, Result, ResultExt};
use crate::files::Folder;
use crate::report::Report;
use crate::store::{ObjectHash, REPORTS_NAME, ReportRecord, Store, check_task_name, decided};
use serde::{Deserialize, Serialize};

/// The largest report that is read, in bytes.
const SIZE_BYTES_MAX: u64 = 64 << 20;

const ENDING: &str = ".json";

/// A report as stored in a file.
#[derive(Serialize)]
struct Filed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// The record of the previous report.
    previous: Option<ReportRecord>,
}

/// The part of a file that refers to the previous report.
#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    previous: Option<ReportRecord>,
}

/// The reports of all committed updates of `task`, oldest first.
///
/// # Errors
/// [`Code::TaskName`]; [`Code::StoreCorrupt`] naming a file that is missing or changed,
/// [`Code::StoreMalformed`] naming one that is not a report.
pub fn history(store: &Store, task: &str) -> Result<Vec<Report>> {
    check_task_name(task)?;
    let recorded = store.snapshot()?.report(task);
    let Some(folder) = reports(store, task)? else {
        return recorded.map_or(Ok(Vec::new()), |record| Err(missing(store, task, record.stage)));
    };
    let mut newest_first = Vec::new();
    let mut next = recorded;
    let mut earlier_than = u32::MAX;
    while let Some(ReportRecord { stage, hash }) = next {
        let bytes =
            decided::read(&folder, &name(stage), &hash, SIZE_BYTES_MAX, Code::StoreCorrupt)?;
        let (report, link) = decode(&folder, stage, &bytes)?;
        newest_first.push(report);
        earlier_than = stage;
        next = link.previous;
        if next.is_some_and(|previous| previous.stage >= stage) {
            let path = folder.path_of(&name(stage));
            let what = format!("{} is not younger than the report before", path.display());
            return Err(Error::new(Code::StoreMalformed, what));
        }
    }
    for stage in stages(&folder)?.into_iter().rev().filter(|stage| *stage < earlier_than) {
        let bytes = folder.read(&name(stage), SIZE_BYTES_MAX, Code::StoreMalformed)?;
        newest_first.push(decode(&folder, stage, &bytes)?.0);
    }
    newest_first.reverse();
    Ok(newest_first)
}

/// The stage of the next update: 1 for the first.
pub(super) fn next_stage(store: &Store, task: &str) -> Result<u32> {
    Ok(last(store, task)?.map_or(1, |last| last.stage.saturating_add(1)))
}

/// Writes the report of an update before its commit, which decides whether the report counts.
pub(super) fn stage(store: &Store, report: &Report) -> Result<ReportRecord> {
    let previous = last(store, &report.task)?;
    let folder = store.folder().create_folder(REPORTS_NAME)?.create_folder(&report.task)?;
    let bytes = serde_json::to_vec(&Filed { report, previous })
        .map_err(|cause| Error::new(Code::Internal, format!("writing the report: {cause}")))?;
    let hash = decided::stage(&folder, &name(report.stage), &bytes)?;
    Ok(ReportRecord { stage: report.stage, hash })
}

/// Gives the report of a committed update its final name.
pub(super) fn settle(store: &Store, task: &str, record: &ReportRecord) -> Result<()> {
    let Some(folder) = reports(store, task)? else { return Ok(()) };
    decided::settle(&folder, &name(record.stage), &record.hash)
}

/// The report of the last committed update.
fn last(store: &Store, task: &str) -> Result<Option<ReportRecord>> {
    if let Some(recorded) = store.snapshot()?.report(task) {
        return Ok(Some(recorded));
    }
    let Some(folder) = reports(store, task)? else { return Ok(None) };
    let Some(stage) = stages(&folder)?.pop() else { return Ok(None) };
    let bytes = folder.read(&name(stage), SIZE_BYTES_MAX, Code::StoreMalformed)?;
    Ok(Some(ReportRecord { stage, hash: ObjectHash::of(&bytes) }))
}

/// The folder of the reports of `task`, if there is one.
fn reports(store: &Store, task: &str) -> Result<Option<Folder>> {
    let Some(reports) = store.folder().folder_if_there(REPORTS_NAME)? else { return Ok(None) };
    reports.folder_if_there(task)
}

fn name(stage: u32) -> String {
    format!("{stage:06}{ENDING}")
}

/// The stages that have a report, sorted; files with other names are ignored.
fn stages(folder: &Folder) -> Result<Vec<u32>> {
    let stage = |name_found: &String| {
        let stage = name_found.strip_suffix(ENDING)?.parse().ok()?;
        (name(stage) == *name_found).then_some(stage)
    };
    let mut stages: Vec<u32> = folder.names()?.iter().filter_map(stage).collect();
    stages.sort_unstable();
    Ok(stages)
}

fn decode(folder: &Folder, stage: u32, bytes: &[u8]) -> Result<(Report, Link)> {
    let malformed = |cause: serde_json::Error| Error::new(Code::StoreMalformed, cause.to_string());
    let decoded = serde_json::from_slice(bytes)
        .and_then(|report| Ok((report, serde_json::from_slice(bytes)?)))
        .map_err(malformed);
    decoded.context(|| format!("reading {}", folder.path_of(&name(stage)).display()))
}

fn missing(store: &Store, task: &str, stage: u32) -> Error {
    let path = store.folder().path_of(REPORTS_NAME).join(task).join(name(stage));
    Error::new(Code::StoreCorrupt, format!("the report {} is missing", path.display()))
}
