//! Where the memories of a store lie.
//!
//! A path flows in, open folders flow out. Nothing is created before the first change, and no link
//! below the store's folder is followed.

use crate::error::{Code, Result};
use crate::files::Folder;
use crate::store::REHEARSAL_NAME;
use std::path::{Path, PathBuf};

/// The folder of the store, which is there from the first change on.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    folder: Option<Folder>,
}

impl Home {
    pub fn open(path: &Path) -> Result<Self> {
        let folder = match Folder::open(path) {
            Err(error) if error.code() == Code::NotFound => None,
            opened => Some(opened?),
        };
        Ok(Self { path: path.to_owned(), folder })
    }

    /// The folder of the memory of `task`, if there is one.
    pub fn memory(&self, task: &str) -> Result<Option<Folder>> {
        let Some(home) = &self.folder else { return Ok(None) };
        let Some(memories) = home.folder_if_there(REHEARSAL_NAME)? else { return Ok(None) };
        memories.folder_if_there(task)
    }

    /// Whether nothing can be changed here, as on a read-only disk: what would be learnt can still
    /// be tried.
    pub fn is_read_only(&self, task: &str) -> Result<bool> {
        let Some(home) = &self.folder else { return Ok(false) };
        let Some(memories) = home.folder_if_there(REHEARSAL_NAME)? else {
            return Ok(!home.is_writable());
        };
        let memory = memories.folder_if_there(task)?;
        Ok(!memory.as_ref().unwrap_or(&memories).is_writable())
    }

    /// The folder of the memory of `task`, created when there is none.
    pub fn create_memory(&mut self, task: &str) -> Result<Folder> {
        let home = match self.folder.take() {
            Some(folder) => folder,
            None => Folder::create(&self.path)?,
        };
        self.folder.insert(home).create_folder(REHEARSAL_NAME)?.create_folder(task)
    }
}
