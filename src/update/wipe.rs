//! Wipes remembered examples, names the versions that may have learnt from them, and retires these
//! if asked to.
//!
//! A version may have learnt from an example if an update published it after the example was added:
//! an update trains on new and remembered examples, and on top of earlier versions. This errs on
//! the side of naming too many. Imported versions are not named unless they are copies of such a
//! version. The checkpoint of a stopped update is removed in any case, because it holds what was
//! learnt. This module must never leave examples wiped and their versions half retired: both change
//! in one step.

use super::checkpoint::CheckpointFile;
use super::history;
use super::import::published_by_update_unix_ms;
use crate::error::{Code, Result, ResultExt};
use crate::language::Language;
use crate::rehearsal::{DAY_MS, Forgotten, Rehearsal, Which};
use crate::store::{ObjectHash, Store, VersionInfo};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a wipe did.
#[derive(Clone, Debug, PartialEq)]
pub struct Wiped {
    /// How many examples of each language are no longer remembered.
    pub examples: BTreeMap<Language, usize>,
    /// The versions that may have learnt from them, as they were before.
    pub learnt: Vec<VersionInfo>,
    /// Whether these versions were retired: deactivated and removed.
    pub retired: bool,
}

/// Wipes the remembered examples of `task` that `which` means. With `retire`, the versions that may
/// have learnt from them are removed too, and their languages go back to what was active before.
///
/// Examples that the limits of the buffer dropped earlier can no longer be found by their label or
/// day. Wiping a whole language, or everything, also names what was learnt from these.
///
/// # Errors
/// Nothing is changed by [`Code::TaskName`], [`Code::StoreLocked`] while an update of the task is
/// running, [`Code::RehearsalMalformed`] for a damaged buffer (wiping everything removes it), and
/// [`Code::StorePinned`] for a language that is pinned to a version to retire.
pub fn wipe(store: &Arc<Store>, task: &str, which: &Which, retire: bool) -> Result<Wiped> {
    let context = || format!("wiping examples of the task {task:?}");
    let mut rehearsal = match Rehearsal::open_saved(store, task) {
        Err(error) if error.code() == Code::RehearsalMalformed && which.is_all() => {
            Rehearsal::discard(store.path(), task).context(context)?;
            Rehearsal::open_saved(store, task).context(context)?
        }
        opened => opened.context(context)?,
    };
    let forgotten = rehearsal.forget(which).context(context)?;
    let learnt = learnt(store, task, which, &forgotten).context(context)?;
    let chosen: Vec<(Language, u32)> =
        learnt.iter().map(|version| (version.language.clone(), version.number)).collect();
    let retiring = if retire { &chosen[..] } else { &[] };
    let record = rehearsal.stage().context(context)?;
    store.retire(task, retiring, record).context(context)?;
    CheckpointFile::discard(store, task).context(context)?;
    rehearsal.settle(record).context(context)?;
    Ok(Wiped { examples: forgotten.languages, learnt, retired: retire })
}

/// The versions that may have learnt from the forgotten examples.
fn learnt(
    store: &Store,
    task: &str,
    which: &Which,
    forgotten: &Forgotten,
) -> Result<Vec<VersionInfo>> {
    let Some(since_unix_ms) = since(store, task, which, forgotten)? else { return Ok(Vec::new()) };
    let mut versions = store.versions(Some(task))?;
    // An update publishes an earlier content again for a language that borrowed it, and a version
    // can be exported and imported again: what counts is how a content first came in.
    let mut first = BTreeMap::<ObjectHash, &VersionInfo>::new();
    for version in &versions {
        let known = first.entry(version.hash).or_insert(version);
        if version.created_unix_ms < known.created_unix_ms {
            *known = version;
        }
    }
    let may_have_learnt = |version: &VersionInfo| {
        published_by_update_unix_ms(version).is_some_and(|time| time >= since_unix_ms)
    };
    let contents: BTreeSet<ObjectHash> =
        first.into_values().filter(|one| may_have_learnt(one)).map(|one| one.hash).collect();
    versions.retain(|version| contents.contains(&version.hash));
    Ok(versions)
}

/// The time of the first update that may have trained on the examples, in milliseconds since
/// 1970-01-01 UTC; `None` if none may have.
fn since(store: &Store, task: &str, which: &Which, forgotten: &Forgotten) -> Result<Option<u64>> {
    let of_whole_language = which.label.is_none() && which.added_before_unix_ms.is_none();
    let by_days = match (forgotten.examples_count(), forgotten.oldest_day) {
        (0, _) => None,
        (_, day) => Some(day.map_or(0, |day| u64::from(day) * DAY_MS)),
    };
    match &which.language {
        _ if which.is_all() => Ok(Some(0)),
        Some(language) if of_whole_language => {
            let reports = history::history(store, task)?;
            let brought = reports
                .iter()
                .find(|report| report.language(language).is_some_and(|entry| entry.updated));
            let brought = brought
                .map(|report| report.origin.as_ref().map_or(0, |origin| origin.measured_unix_ms));
            Ok(brought.into_iter().chain(by_days).min())
        }
        _ => Ok(by_days),
    }
}
