//! Where the buffer of a task is stored, and what the store beside it records about it.
//!
//! This module must never create anything before the first change, nor follow a link below the
//! store's folder.

use crate::error::{Code, Result};
use crate::files::Folder;
use crate::store::{ExamplesRecord, REHEARSAL_NAME, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder that contains the buffers.
#[derive(Debug)]
pub(super) enum Home {
    /// A folder that does not exist yet.
    Absent(PathBuf),
    /// A folder without versions beside the buffers.
    Plain(Folder),
    /// The folder of a store, which records the content of each task's buffer.
    Store(Arc<Store>),
}

impl Home {
    pub fn open(path: &Path) -> Result<Self> {
        match Store::open_existing(path) {
            Ok(store) => return Ok(Self::Store(Arc::new(store))),
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error),
        }
        match Folder::open(path) {
            Err(error) if error.code() == Code::NotFound => Ok(Self::Absent(path.to_owned())),
            opened => Ok(Self::Plain(opened?)),
        }
    }

    /// The store beside the buffers.
    pub fn store(&self) -> Option<&Arc<Store>> {
        match self {
            Self::Store(store) => Some(store),
            _ => None,
        }
    }

    /// The store's record of the buffer of `task`.
    pub fn recorded(&self, task: &str) -> Result<Option<ExamplesRecord>> {
        self.store().map_or(Ok(None), |store| Ok(store.newest()?.examples(task)))
    }

    fn folder(&self) -> Option<&Folder> {
        match self {
            Self::Absent(_) => None,
            Self::Plain(folder) => Some(folder),
            Self::Store(store) => Some(store.folder()),
        }
    }

    /// The folder of the buffer of `task`, if it exists.
    pub fn memory(&self, task: &str) -> Result<Option<Folder>> {
        let Some(home) = self.folder() else { return Ok(None) };
        let Some(memories) = home.folder_if_there(REHEARSAL_NAME)? else { return Ok(None) };
        memories.folder_if_there(task)
    }

    /// Whether nothing can be written here, as on a read-only disk. An update can still be tried
    /// there.
    pub fn is_read_only(&self, task: &str) -> Result<bool> {
        let Some(home) = self.folder() else { return Ok(false) };
        let Some(memories) = home.folder_if_there(REHEARSAL_NAME)? else {
            return Ok(!home.is_writable());
        };
        let memory = memories.folder_if_there(task)?;
        Ok(!memory.as_ref().unwrap_or(&memories).is_writable())
    }

    /// The folder of the buffer of `task`, created if it does not exist.
    pub fn create_memory(&mut self, task: &str) -> Result<Folder> {
        let create = |home: &Folder| home.create_folder(REHEARSAL_NAME)?.create_folder(task);
        match self {
            Self::Plain(folder) => create(folder),
            Self::Store(store) => create(store.folder()),
            Self::Absent(path) => {
                let home = Folder::create(path)?;
                let memory = create(&home)?;
                *self = Self::Plain(home);
                Ok(memory)
            }
        }
    }
}
