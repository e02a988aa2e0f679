//! The state of a store at one generation, for readers.
//!
//! A snapshot must never change.

use super::chain::{self, Neighbours, Step};
use super::hash::ObjectHash;
use super::records::{ExamplesRecord, Lineage, Records, ReportRecord, TaskRecord, Version};
use super::segment::{self, Segment};
use super::state::State;
use super::{ActiveVersion, VersionInfo};
use crate::error::{Code, Error, Result};
use crate::language::Language;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// An immutable view of a store: the active versions, and the records of all versions.
///
/// It stays valid for as long as it is held, whatever is published or activated meanwhile. Only the
/// object of a version that was removed since can no longer be read.
#[derive(Debug)]
pub struct Snapshot {
    state: State,
    /// The segments of the state, oldest first, shared with the snapshots before and after.
    segments: Vec<Arc<Segment>>,
    /// The stated size of the objects that the pointer file itself names.
    sizes: HashMap<ObjectHash, u64>,
    /// The nearest languages found so far, per task.
    neighbours: BTreeMap<String, Arc<Neighbours>>,
}

impl Snapshot {
    /// Makes the view of a state with these segments. The nearest languages that `before` has found
    /// are kept for tasks with the same active languages.
    pub(super) fn new(state: State, segments: Vec<Arc<Segment>>, before: Option<&Self>) -> Self {
        let sizes = segment::sizes(&state.recent);
        let mut snapshot = Self { state, segments, sizes, neighbours: BTreeMap::new() };
        let tasks: Vec<String> = snapshot.tasks().map(str::to_owned).collect();
        for task in tasks {
            let known = before.and_then(|before| snapshot.neighbours_before(before, &task));
            snapshot.neighbours.insert(task, known.unwrap_or_default());
        }
        snapshot
    }

    /// The nearest languages of `task` that `before` has found, if they still hold. This depends
    /// only on the changes, so not every language is examined.
    fn neighbours_before(&self, before: &Self, task: &str) -> Option<Arc<Neighbours>> {
        let follows = self.generation() >= before.generation();
        if !follows || self.state.segments != before.state.segments {
            return None;
        }
        let is_active = |snapshot: &Self, language: &Language| {
            snapshot.active_by_tag(task, language.as_str()).is_some()
        };
        let mut changed = self.state.recent.tasks.get(task).into_iter().flat_map(BTreeMap::keys);
        let same = changed.all(|one| is_active(self, one) == is_active(before, one));
        before.neighbours.get(task).filter(|_| same).cloned()
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// The generation, which grows by one with every change of the store.
    pub fn generation(&self) -> u64 {
        self.state.generation
    }

    /// Whether polygraft 0.1 wrote the store and nobody has changed it since. The next change
    /// writes it in the present format, which polygraft 0.1 cannot read.
    pub fn is_of_first_format(&self) -> bool {
        self.state.is_flat()
    }

    /// The generation at which `task` last changed; 0 for a task that never changed.
    pub fn task_generation(&self, task: &str) -> u64 {
        let unknown = if self.state.is_flat() { self.state.generation } else { 0 };
        self.task_record(task).map_or(unknown, |record| record.generation)
    }

    /// The tasks that have versions, in order.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        let all = self.records().flat_map(|records| records.tasks.keys());
        all.map(String::as_str).collect::<BTreeSet<_>>().into_iter()
    }

    /// The tasks that have versions, reports or remembered examples, or had them, in order.
    pub fn all_tasks(&self) -> impl Iterator<Item = &str> {
        self.tasks().chain(self.recorded_tasks()).collect::<BTreeSet<_>>().into_iter()
    }

    /// How many distinct contents the versions have, and their size in bytes.
    pub fn contents(&self) -> (usize, u64) {
        let objects = self.objects();
        (objects.len(), objects.values().sum())
    }

    /// The languages that have versions for `task`, active or not, in order.
    pub fn languages<'a>(&'a self, task: &str) -> impl Iterator<Item = &'a Language> + use<'a> {
        let lineages = self.lineages(task).into_iter();
        lineages.filter(|(_, lineage)| !lineage.versions.is_empty()).map(|(language, _)| language)
    }

    /// The language's own active version.
    pub fn active(&self, task: &str, language: &Language) -> Option<ActiveVersion> {
        self.active_by_tag(task, language.as_str()).map(|(_, version)| version)
    }

    /// Whether the language is pinned to its active version.
    pub fn is_pinned(&self, task: &str, language: &Language) -> bool {
        self.lineage(task, language.as_str()).is_some_and(|(_, lineage)| lineage.pinned)
    }

    /// The version that serves a language, and the language that it belongs to: the language's own
    /// version, else that of the longest shorter tag with a version, else that of the nearest
    /// language with a version within
    /// [`SERVING_DISTANCE_MAX`](crate::language::SERVING_DISTANCE_MAX), else the shared version.
    pub fn resolve(&self, task: &str, language: &Language) -> Option<(Language, ActiveVersion)> {
        let shared = Language::shared();
        let own = language.fallback_tags().filter(|tag| *tag != shared.as_str());
        let (owner, version) = own
            .chain(self.nearest_active(task, language))
            .chain([shared.as_str()])
            .find_map(|tag| self.active_by_tag(task, tag))?;
        Some((owner.clone(), version))
    }

    /// The tag of the nearest language that may serve. Nothing is looked up before it is needed.
    fn nearest_active(&self, task: &str, language: &Language) -> impl Iterator<Item = &str> {
        std::iter::once_with(move || {
            let neighbours = self.neighbours.get(task)?;
            neighbours.serving(language, || self.active_languages(task)).map(Language::as_str)
        })
        .flatten()
    }

    /// The languages with an active version except `mul`, in order.
    fn active_languages(&self, task: &str) -> impl Iterator<Item = &Language> {
        let active = self.lineages(task).into_iter();
        let active = active.filter(|(_, lineage)| lineage.active.is_some());
        active.map(|(language, _)| language).filter(|language| !language.is_shared())
    }

    /// All steps of the chain by which [`Snapshot::resolve`] finds the version that serves a
    /// language. The step of the nearest language is there even if that language is too far away.
    /// It is absent if no language with an active version has a distance.
    pub fn explain(&self, task: &str, language: &Language) -> Vec<Step> {
        chain::explain(language, self.active_languages(task), |tag| {
            self.active_by_tag(task, tag).map(|(_, version)| version)
        })
    }

    fn active_by_tag(&self, task: &str, tag: &str) -> Option<(&Language, ActiveVersion)> {
        let (language, lineage) = self.lineage(task, tag)?;
        let version = lineage.version(lineage.active?)?;
        let Version { number, object, size_bytes, .. } = *version;
        Some((language, ActiveVersion { number, hash: object, size_bytes }))
    }

    /// All records of the languages of a task, in order.
    fn lineages(&self, task: &str) -> BTreeMap<&Language, &Lineage> {
        self.records().filter_map(|records| records.tasks.get(task)).flatten().collect()
    }

    /// All records, oldest first; of two records of one language or task the later one counts.
    fn records(&self) -> impl DoubleEndedIterator<Item = &Records> {
        self.segments.iter().map(|segment| &segment.records).chain([&self.state.recent])
    }

    /// The newest record of a language.
    pub(super) fn lineage(&self, task: &str, tag: &str) -> Option<(&Language, &Lineage)> {
        self.records().rev().find_map(|records| records.tasks.get(task)?.get_key_value(tag))
    }

    /// The newest record of a task.
    pub(super) fn task_record(&self, task: &str) -> Option<&TaskRecord> {
        self.records().rev().find_map(|records| records.updates.get(task))
    }

    /// The tasks that have a record, in order.
    pub(super) fn recorded_tasks(&self) -> BTreeSet<&str> {
        self.records().flat_map(|records| records.updates.keys()).map(String::as_str).collect()
    }

    pub(crate) fn report(&self, task: &str) -> Option<ReportRecord> {
        self.task_record(task)?.report
    }

    pub(crate) fn examples(&self, task: &str) -> Option<ExamplesRecord> {
        self.task_record(task)?.examples
    }

    /// Every version of one language, ordered by number.
    ///
    /// # Errors
    /// [`Code::StoreMalformed`] if the evidence of a version is not JSON.
    pub fn versions_of(&self, task: &str, language: &Language) -> Result<Vec<VersionInfo>> {
        let Some((language, lineage)) = self.lineage(task, language.as_str()) else {
            return Ok(Vec::new());
        };
        lineage.versions.iter().map(|one| describe(task, language, lineage, one)).collect()
    }

    /// Whether some version has this content.
    pub fn has_object(&self, hash: &ObjectHash) -> bool {
        self.object_size_bytes(hash).is_some()
    }

    /// Every version of `task`, or of all tasks, ordered by task, language and number.
    ///
    /// # Errors
    /// [`Code::StoreMalformed`] if the evidence of a version is not JSON.
    pub fn versions(&self, task: Option<&str>) -> Result<Vec<VersionInfo>> {
        let mut infos = Vec::new();
        for name in self.tasks().filter(|name| task.is_none_or(|task| task == *name)) {
            for (language, lineage) in self.lineages(name) {
                for version in &lineage.versions {
                    infos.push(describe(name, language, lineage, version)?);
                }
            }
        }
        Ok(infos)
    }

    /// The stated size of an object of some version.
    pub(super) fn object_size_bytes(&self, hash: &ObjectHash) -> Option<u64> {
        let segments = self.segments.iter().rev().map(|segment| &segment.sizes);
        let mut all = std::iter::once(&self.sizes).chain(segments);
        all.find_map(|sizes| sizes.get(hash)).copied()
    }

    /// Every object that a version refers to, with its stated size.
    pub(super) fn objects(&self) -> BTreeMap<&ObjectHash, u64> {
        let segments = self.segments.iter().map(|segment| &segment.sizes);
        let all = segments.chain([&self.sizes]).flatten();
        all.map(|(hash, size_bytes)| (hash, *size_bytes)).collect()
    }
}

fn describe(
    task: &str,
    language: &Language,
    lineage: &Lineage,
    version: &Version,
) -> Result<VersionInfo> {
    let number = version.number;
    let evidence = serde_json::from_str(&version.evidence).map_err(|cause| {
        let place = format!("task {task}, {language}, version {number}");
        Error::new(Code::StoreMalformed, format!("{place}: its evidence is not JSON: {cause}"))
    })?;
    let active = lineage.active == Some(number);
    Ok(VersionInfo {
        task: task.to_owned(),
        language: language.clone(),
        number,
        hash: version.object,
        size_bytes: version.size_bytes,
        active,
        pinned: active && lineage.pinned,
        created_unix_ms: version.created_unix_ms,
        parent: version.parent,
        evidence,
    })
}
