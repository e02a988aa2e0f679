//! Adapters that are ready to run, and the cache that keeps them by the hash of their content.
//!
//! Content is the key, so a version that changes under the same number can never be served from
//! here. The least recently used adapters leave when the cache is full; a prediction that still
//! holds one keeps it alive.
//!
//! Input: a content hash and how to load the adapter. Output: the loaded adapter.

use super::generation::StageInputs;
use crate::adapter::Adapter;
use crate::error::Result;
use crate::runtime::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most bytes of tensors that stay loaded: some forty adapters of rank 8 on a 12 x 384 encoder.
const BYTES_MAX: usize = 32 << 20;

/// An adapter whose tensors are ready to be run inputs. Immutable; shared between threads.
pub struct LoadedAdapter {
    pub(super) adapter: Adapter,
    /// The tensors as inputs of the encoder's session; none where texts are generated.
    pub(super) inputs: Vec<(String, Value)>,
    /// The tensors as inputs of the sessions that generate text.
    pub(super) stages: StageInputs,
}

impl LoadedAdapter {
    /// The adapter as it is stored.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// Size of the tensors in bytes.
    pub fn size_bytes(&self) -> usize {
        self.adapter.tensors.values().map(|tensor| size_of_val(&*tensor.values)).sum()
    }
}

/// A content hash and the adapter with that content.
type Entry = ([u8; 32], Arc<LoadedAdapter>);

/// A small least-recently-used cache; the newest entry is last.
#[derive(Default)]
pub(super) struct AdapterCache {
    entries: Mutex<Vec<Entry>>,
}

impl AdapterCache {
    /// The adapter with this content hash, loaded by `load` unless it is there. Loading happens
    /// outside the lock, so a cold version never holds up predictions with warm ones.
    pub(super) fn get(
        &self,
        hash: &[u8; 32],
        load: impl FnOnce() -> Result<LoadedAdapter>,
    ) -> Result<Arc<LoadedAdapter>> {
        if let Some(adapter) = self.touch(hash) {
            return Ok(adapter);
        }
        let adapter = Arc::new(load()?);
        let mut entries = self.lock();
        if !entries.iter().any(|(key, _)| key == hash) {
            entries.push((*hash, adapter.clone()));
        }
        let size = |entries: &[Entry]| {
            entries.iter().map(|(_, adapter)| adapter.size_bytes()).sum::<usize>()
        };
        while entries.len() > 1 && size(&entries) > BYTES_MAX {
            entries.remove(0);
        }
        Ok(adapter)
    }

    fn touch(&self, hash: &[u8; 32]) -> Option<Arc<LoadedAdapter>> {
        let mut entries = self.lock();
        let position = entries.iter().position(|(key, _)| key == hash)?;
        let last = entries.len() - 1;
        if position != last {
            entries[position..].rotate_left(1);
        }
        Some(entries[last].1.clone())
    }

    /// A panic while the lock is held leaves whole entries, so poisoning carries no meaning.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
