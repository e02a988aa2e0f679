//! Binds versions that have no reading to a bundle.
//!
//! polygraft 0.1 recorded only the backbone. Its versions are served where texts are read plainly
//! and refused elsewhere, because their training may have read texts in another way. An operator
//! who knows the reading states it once: each active version is published again with the reading of
//! the bundle, as a new version that computes the same. The old versions stay unchanged.

use crate::adapter::Adapter;
use crate::error::{Result, ResultExt};
use crate::inference::{Predictor, heads};
use crate::language::Language;
use crate::store::{NewVersion, Store, VersionInfo};
use serde_json::json;
use std::collections::BTreeMap;

/// The result for an active version without a reading.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Adopted {
    /// The task of the version.
    pub task: String,
    /// The language of the version.
    pub language: Language,
    /// The number of that version.
    pub from: u32,
    /// The number of the version with a reading that replaces it; `None` for a pinned language,
    /// which keeps its version.
    pub to: Option<u32>,
}

/// Binds every active version without a reading to the bundle of `predictor`: for stores of
/// polygraft 0.1 that were trained with exactly this bundle. All languages of a task change in one
/// step.
///
/// # Errors
/// [`Code::AdapterBaseMismatch`](crate::Code::AdapterBaseMismatch) and
/// [`Code::AdapterTensors`](crate::Code::AdapterTensors) for a version of another backbone, before
/// anything of its task is published; those of reading versions and of [`Store::publish`].
pub fn adopt(predictor: &Predictor, store: &Store) -> Result<Vec<Adopted>> {
    let mut tasks = BTreeMap::<String, Vec<VersionInfo>>::new();
    for version in store.versions(None)?.into_iter().filter(|version| version.active) {
        tasks.entry(version.task.clone()).or_default().push(version);
    }
    let mut all = Vec::new();
    for (task, versions) in tasks {
        let context = || format!("adopting the versions of the task {task:?}");
        all.extend(adopt_task(predictor, store, &task, &versions).context(context)?);
    }
    Ok(all)
}

fn adopt_task(
    predictor: &Predictor,
    store: &Store,
    task: &str,
    versions: &[VersionInfo],
) -> Result<Vec<Adopted>> {
    let (mut adopted, mut candidates) = (Vec::new(), Vec::new());
    for version in versions {
        let VersionInfo { language, number, .. } = version;
        let reading = || format!("version {number} of {language}");
        let Some(bytes) = bound(predictor, store, version).context(reading)? else { continue };
        let (task, language, from) = (task.to_owned(), language.clone(), *number);
        adopted.push(Adopted { task, language: language.clone(), from, to: None });
        if !version.pinned {
            let evidence = json!({
                "adopted_from": from,
                "identity": predictor.bundle().identity(),
                "evidence": version.evidence,
            });
            candidates.push(NewVersion { language, bytes: bytes.into(), activate: true, evidence });
        }
    }
    if candidates.is_empty() {
        return Ok(adopted);
    }
    for published in store.publish(task, &candidates)? {
        let one = adopted.iter_mut().find(|one| one.language == published.language);
        if let Some(one) = one.filter(|_| published.activated) {
            one.to = Some(published.number);
        }
    }
    Ok(adopted)
}

/// The version's bytes with the reading of the bundle; `None` if it already has a reading.
fn bound(predictor: &Predictor, store: &Store, version: &VersionInfo) -> Result<Option<Vec<u8>>> {
    let adapter = Adapter::from_bytes(&store.read_object(&version.hash)?)?;
    if adapter.reading.is_some() {
        return Ok(None);
    }
    let bundle = predictor.bundle();
    let sites = predictor.sites(adapter.task)?;
    adapter.check(bundle.backbone_hash(), sites, heads::inputs(bundle))?;
    let reading = Some(bundle.reading().clone());
    Adapter { reading, ..adapter }.to_bytes().map(Some)
}
