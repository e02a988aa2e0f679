//! The state of a store at one generation, as readers hold it.

use super::chain::{self, Neighbours, Step};
use super::hash::ObjectHash;
use super::state::{Lineage, State, Version};
use super::{ActiveVersion, VersionInfo};
use crate::error::{Code, Error, Result};
use crate::language::Language;
use std::collections::{BTreeMap, HashMap};

/// An immutable view of a store: who is active, and every version's record.
///
/// It stays valid for as long as it is held, whatever is published or activated meanwhile: objects
/// of versions are never removed.
#[derive(Debug)]
pub struct Snapshot {
    state: State,
    /// The stated size of every object, so that a file of another size is not even read.
    sizes: HashMap<ObjectHash, u64>,
    /// Per task, what was found out about nearest languages.
    neighbours: BTreeMap<String, Neighbours>,
}

impl Snapshot {
    pub(super) fn new(state: State) -> Self {
        let versions = state.tasks.values().flat_map(|task| task.values());
        let versions = versions.flat_map(|lineage| &lineage.versions);
        let sizes = versions.map(|version| (version.object, version.size_bytes)).collect();
        let neighbours = state.tasks.keys().map(|task| (task.clone(), Neighbours::default()));
        let neighbours = neighbours.collect();
        Self { state, sizes, neighbours }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Grows by one with every change of the store.
    pub fn generation(&self) -> u64 {
        self.state.generation
    }

    /// Checks that the store is still at `expected`.
    ///
    /// # Errors
    /// [`Code::StoreChanged`] with both generations.
    pub fn check_generation(&self, expected: u64) -> Result<()> {
        let found = self.generation();
        if found == expected {
            return Ok(());
        }
        let what = format!(
            "the store changed meanwhile: expected generation {expected}, found {found}; what was \
             measured must be measured again"
        );
        Err(Error::new(Code::StoreChanged, what))
    }

    /// The tasks that have versions, in order.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.state.tasks.keys().map(String::as_str)
    }

    /// The languages that have versions for `task`, active or not, in order.
    pub fn languages<'a>(&'a self, task: &str) -> impl Iterator<Item = &'a Language> + use<'a> {
        self.state.tasks.get(task).into_iter().flat_map(|languages| languages.keys())
    }

    /// The language's own active version.
    pub fn active(&self, task: &str, language: &Language) -> Option<ActiveVersion> {
        self.active_by_tag(task, language.as_str()).map(|(_, version)| version)
    }

    /// Whether the language is pinned to its active version.
    pub fn is_pinned(&self, task: &str, language: &Language) -> bool {
        let lineage = self.state.tasks.get(task).and_then(|languages| languages.get(language));
        lineage.is_some_and(|lineage| lineage.pinned)
    }

    /// The version that serves a language and the language it belongs to: its own, else that of
    /// the longest shorter tag that has one, else that of the nearest language that has one within
    /// [`SERVING_DISTANCE_MAX`](crate::language::SERVING_DISTANCE_MAX), else the shared one.
    pub fn resolve(&self, task: &str, language: &Language) -> Option<(Language, ActiveVersion)> {
        let shared = Language::shared();
        let own = language.fallback_tags().filter(|tag| *tag != shared.as_str());
        let (owner, version) = own
            .chain(self.nearest_active(task, language))
            .chain([shared.as_str()])
            .find_map(|tag| self.active_by_tag(task, tag))?;
        Some((owner.clone(), version))
    }

    /// The tag of the nearest language that may serve; nothing is looked up before it is asked for.
    fn nearest_active(&self, task: &str, language: &Language) -> impl Iterator<Item = &str> {
        std::iter::once_with(move || {
            let neighbours = self.neighbours.get(task)?;
            neighbours.serving(language, self.active_languages(task)).map(Language::as_str)
        })
        .flatten()
    }

    /// The languages but `mul` that have an active version, in order.
    fn active_languages(&self, task: &str) -> impl Iterator<Item = &Language> {
        let lineages = self.state.tasks.get(task).into_iter().flatten();
        let active = lineages.filter(|(_, lineage)| lineage.active.is_some());
        active.map(|(language, _)| language).filter(|language| !language.is_shared())
    }

    /// The whole chain by which [`Snapshot::resolve`] finds who serves a language, step by step,
    /// with what each step has. The step of the nearest language is there even when that one lies
    /// too far away; it is absent when no language with an active version has a distance.
    pub fn explain(&self, task: &str, language: &Language) -> Vec<Step> {
        chain::explain(language, self.active_languages(task), |tag| {
            self.active_by_tag(task, tag).map(|(_, version)| version)
        })
    }

    fn active_by_tag(&self, task: &str, tag: &str) -> Option<(&Language, ActiveVersion)> {
        let (language, lineage) = self.state.tasks.get(task)?.get_key_value(tag)?;
        let version = lineage.version(lineage.active?)?;
        let Version { number, object, size_bytes, .. } = *version;
        Some((language, ActiveVersion { number, hash: object, size_bytes }))
    }

    /// Every version of `task`, or of all tasks, ordered by task, language and number.
    ///
    /// # Errors
    /// [`Code::StoreMalformed`] when the evidence of a version is not JSON.
    pub fn versions(&self, task: Option<&str>) -> Result<Vec<VersionInfo>> {
        let mut infos = Vec::new();
        for (name, languages) in &self.state.tasks {
            if task.is_some_and(|task| task != name) {
                continue;
            }
            for (language, lineage) in languages {
                for version in &lineage.versions {
                    infos.push(describe(name, language, lineage, version)?);
                }
            }
        }
        Ok(infos)
    }

    /// The stated size of an object of some version.
    pub(super) fn object_size_bytes(&self, hash: &ObjectHash) -> Option<u64> {
        self.sizes.get(hash).copied()
    }

    /// Every object that a version refers to, with its stated size.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&ObjectHash, u64)> {
        self.sizes.iter().map(|(hash, size_bytes)| (hash, *size_bytes))
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
