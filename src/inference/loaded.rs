//! Loaded adapters, and the cache that keeps them by the hash of their content.
//!
//! The key is the content, so the cache can never serve a version whose content has changed under
//! the same number. The least recently used adapters are removed when the cache is full; a
//! prediction that still holds one keeps it alive.

use super::generation::StageInputs;
use crate::adapter::Adapter;
use crate::error::Result;
use crate::runtime::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The largest size of all loaded tensors: some ninety adapters of rank 8 on a 12 x 384 encoder, so
/// that those of a call in many languages stay loaded.
const BYTES_MAX: usize = 64 << 20;

/// An adapter whose tensors can be used as run inputs. It is immutable and shared between threads.
pub struct LoadedAdapter {
    pub(super) adapter: Adapter,
    /// The tensors as inputs of the encoder's session; empty for a task that generates text.
    pub(super) inputs: Vec<(String, Value)>,
    /// The tensors as inputs of the sessions that generate text.
    pub(super) stages: StageInputs,
}

impl LoadedAdapter {
    /// The adapter as stored.
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
    /// The adapter with this content hash, loaded by `load` if necessary. Loading happens outside
    /// of the lock, so that it never delays predictions with loaded versions.
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

    /// A panic while the lock is held leaves complete entries, so poisoning can be ignored.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
