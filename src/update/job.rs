//! What every step of an update works on: model, store, task, options, examples. This module must
//! never write to the store.

use super::candidates::{self, CandidateSpec};
use super::options::UpdateOptions;
use super::training::Delta;
use crate::adapter::Adapter;
use crate::error::Result;
use crate::example::Example;
use crate::inference::{LoadedAdapter, Predictor};
use crate::store::{ObjectHash, Store};
use std::sync::Arc;

/// What an update works on.
pub(super) struct Job<'a> {
    pub predictor: &'a Predictor,
    pub store: &'a Arc<Store>,
    pub task: &'a str,
    pub options: &'a UpdateOptions,
    pub examples: &'a [Example],
}

impl Job<'_> {
    /// Loads a stored version.
    pub fn load(&self, hash: &ObjectHash) -> Result<Arc<LoadedAdapter>> {
        self.predictor.load_cached(hash.as_bytes(), || self.store.read_object(hash))
    }

    /// Makes the adapter of a spec.
    pub fn make(&self, spec: &CandidateSpec, deltas: &[Delta]) -> Result<Adapter> {
        let load = &mut |hash: &ObjectHash| Ok(self.load(hash)?.adapter().clone());
        let mut made = candidates::make(spec, deltas, load)?;
        // It is measured with the reading of this bundle, even if the version it was added to has
        // none.
        made.reading = Some(self.predictor.bundle().reading().clone());
        Ok(made)
    }
}
