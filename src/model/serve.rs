//! Which version serves a call, loaded and held until the call ends.

use super::{Model, Prediction};
use crate::error::{Code, Error, Result, ResultExt};
use crate::inference::LoadedAdapter;
use crate::language::{Language, SERVING_DISTANCE_MAX};
use crate::store::{ActiveVersion, Snapshot, Store, check_task_name};
use crate::task::{Encoded, Task, TaskOutput};
use std::collections::HashMap;
use std::sync::Arc;

/// The version that serves a call, held until the call ends.
pub(super) struct Served {
    pub task: Task,
    pub adapter: Arc<LoadedAdapter>,
    pub language: Language,
    pub version: u32,
}

impl Served {
    pub fn prediction(&self, output: TaskOutput, input: &Encoded) -> Prediction {
        let (language, version) = (self.language.clone(), self.version);
        Prediction { output, truncated: input.is_cut(), language, version }
    }

    /// Says whose version failed where a model gives numbers that are not finite.
    pub fn named(&self, error: Error) -> Error {
        let Self { language, version, .. } = self;
        match error.code() {
            Code::RuntimeNotFinite => error.context(format!("version {version} of {language}")),
            _ => error,
        }
    }
}

impl Model {
    /// The version that serves a language now, by [`crate::store::Snapshot::resolve`].
    pub(super) fn serve(&self, task: &str, language: &Language) -> Result<Served> {
        self.by_snapshot(|snapshot| self.serve_by(snapshot, task, language))
    }

    /// The versions that serve languages at one moment, each once, and the position of that of each
    /// language among them.
    pub(super) fn serve_all<'a>(
        &self,
        task: &str,
        languages: impl Iterator<Item = &'a Language> + Clone,
    ) -> Result<(Vec<Served>, Vec<usize>)> {
        self.by_snapshot(|snapshot| {
            let mut found = Vec::<Served>::new();
            let mut known = HashMap::<&Language, usize>::new();
            let mut version_of = Vec::new();
            for language in languages.clone() {
                if let Some(&position) = known.get(language) {
                    version_of.push(position);
                    continue;
                }
                let served = self.serve_by(snapshot, task, language)?;
                let is_same = |other: &Served| other.language == served.language;
                let position = found.iter().position(is_same).unwrap_or(found.len());
                if position == found.len() {
                    found.push(served);
                }
                known.insert(language, position);
                version_of.push(position);
            }
            Ok((found, version_of))
        })
    }

    /// What `serve` finds in the current snapshot.
    fn by_snapshot<T>(&self, serve: impl Fn(&Snapshot) -> Result<T>) -> Result<T> {
        let snapshot = self.store.snapshot()?;
        let served = serve(&snapshot);
        let Err(error) = &served else { return served };
        // The version may have been retired and its file removed since the snapshot was taken.
        let newest = match error.code() {
            Code::StoreNoVersion | Code::StoreCorrupt => self.store.newest()?,
            _ => return served,
        };
        let has_changed = newest.generation() != snapshot.generation();
        if has_changed { serve(&newest) } else { served }
    }

    fn serve_by(&self, snapshot: &Snapshot, task: &str, language: &Language) -> Result<Served> {
        let (resolved, ActiveVersion { number, hash, .. }) = snapshot
            .resolve(task, language)
            .ok_or_else(|| no_version(&self.store, task, language))?;
        let read = || self.store.read_object(&hash);
        let adapter = self
            .predictor
            .load_cached(hash.as_bytes(), read)
            .context(|| format!("loading version {number} of {resolved} for the task {task:?}"))?;
        let task = Task::of(adapter.adapter().task);
        Ok(Served { task, adapter, language: resolved, version: number })
    }
}

fn no_version(store: &Store, task: &str, language: &Language) -> Error {
    // An invalid task name has no versions in any store, so the name is what is reported.
    if let Err(error) = check_task_name(task) {
        return error;
    }
    let chain: Vec<String> = language.fallbacks().map(|tag| tag.to_string()).collect();
    let near = match language.typology() {
        Some(_) => format!(" and for languages within {SERVING_DISTANCE_MAX} of it"),
        None => String::new(),
    };
    let message = format!(
        "the store {} has no active version of the task {task:?} for {language} (looked for \
         {}{near})",
        store.path().display(),
        chain.join(", ")
    );
    Error::new(Code::StoreNoVersion, message)
}
