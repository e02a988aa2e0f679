//! The buffer on disk: locking, reading, saving, and what the store beside it records.
//!
//! The content that counts is the one that the store's pointer file names, so a save has three
//! steps: stage the new content, record the decision for it, settle it under its name. This module
//! must never accept content that was not decided on, nor read other content than the store
//! records.

use super::home::Home;
use super::{BYTES_MAX_MAX, FILE_NAME, LOCK_WAIT, Limits, Rehearsal, file};
use crate::error::{Code, Error, Result, ResultExt};
use crate::files::Folder;
use crate::store::{self, ExamplesRecord, ObjectHash, Store, check_task_name, decided};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The result of [`Rehearsal::verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// This many examples, all as they were saved.
    Whole(usize),
    /// No examples, because they were wiped.
    Wiped,
    /// Neither a file nor a record of one: nothing has been saved since polygraft 0.1.
    Unrecorded,
}

impl Rehearsal {
    /// Removes the buffer of `task` without reading it, for when its file is damaged.
    ///
    /// # Errors
    /// [`Code::StoreLocked`] while another process writes it, [`Code::IoWrite`].
    pub fn discard(store_folder: &Path, task: &str) -> Result<()> {
        check_task_name(task)?;
        let home = Home::open(store_folder)?;
        let Some(folder) = home.memory(task)? else { return Ok(()) };
        let _lock = store::lock_task(&folder, LOCK_WAIT)?;
        if let Some(store) = home.store() {
            store.record_examples(task, ExamplesRecord { hash: None })?;
        }
        remove_files(&folder)
    }

    /// Reads the buffer of `task` in a store and compares it with what the store records.
    ///
    /// # Errors
    /// [`Code::TaskName`], [`Code::RehearsalMalformed`] naming the file that is missing or damaged.
    pub fn verify(store: &Arc<Store>, task: &str) -> Result<Memory> {
        check_task_name(task)?;
        let rehearsal = Self::unread(Home::Store(store.clone()), task, Limits::default());
        if let Some((path, bytes)) = rehearsal.read_file()? {
            let decoded = file::decode(&bytes, task);
            let (_, languages) = decoded.context(|| format!("reading {}", path.display()))?;
            return Ok(Memory::Whole(languages.values().map(BTreeMap::len).sum()));
        }
        let recorded = rehearsal.home.recorded(task)?;
        Ok(recorded.map_or(Memory::Unrecorded, |_| Memory::Wiped))
    }

    /// Writes the buffer durably and releases the lock. Does nothing if nothing changed since the
    /// last save.
    ///
    /// # Errors
    /// [`Code::IoFull`] or [`Code::IoWrite`]; the file on disk is then the unchanged old one.
    pub fn save(&mut self) -> Result<()> {
        if !self.is_changing {
            return Ok(());
        }
        let saving = format!("saving the examples of task {}", self.task);
        self.stage_and_settle().context(|| saving)
    }

    fn stage_and_settle(&mut self) -> Result<()> {
        let record = self.stage()?;
        if let Some(store) = self.home.store() {
            store.record_examples(&self.task, record)?;
        }
        self.settle(record)
    }

    /// Writes the new content beside the old one, which counts until the new content is decided on.
    pub(crate) fn stage(&mut self) -> Result<ExamplesRecord> {
        self.lock_what_was_read_only()?;
        if self.languages.is_empty() {
            return Ok(ExamplesRecord { hash: None });
        }
        let bytes = file::encode(&self.task, self.limits.held_out_percent, &self.languages)?;
        let hash = ObjectHash::of(&bytes);
        if self.file_hash != Some(hash) {
            let folder = self.home.create_memory(&self.task)?;
            decided::stage(&folder, FILE_NAME, &bytes)?;
        }
        Ok(ExamplesRecord { hash: Some(hash) })
    }

    /// Takes the lock for a change that began in a read-only place and therefore holds none.
    fn lock_what_was_read_only(&mut self) -> Result<()> {
        if self.lock.is_some() || !self.is_changing {
            return Ok(());
        }
        let folder = self.home.create_memory(&self.task)?;
        let lock = store::lock_task(&folder, LOCK_WAIT)?;
        let found = self.read_file()?.map(|(_, bytes)| ObjectHash::of(&bytes));
        if found != self.file_hash {
            let what = format!("the remembered examples of task {} changed meanwhile", self.task);
            return Err(Error::new(Code::StoreChanged, what));
        }
        self.lock = Some(lock);
        Ok(())
    }

    /// Gives the staged content its name after it was decided on, and releases the lock. The new
    /// content counts even if this fails.
    pub(crate) fn settle(&mut self, record: ExamplesRecord) -> Result<()> {
        let folder = self.home.create_memory(&self.task)?;
        match record.hash {
            Some(hash) => decided::settle(&folder, FILE_NAME, &hash)?,
            None => remove_files(&folder)?,
        }
        self.file_hash = record.hash;
        self.is_changing = false;
        self.lock = None;
        Ok(())
    }

    /// Takes the lock and reads what another process has saved since.
    pub(super) fn begin_change(&mut self) -> Result<()> {
        if self.is_changing {
            return Ok(());
        }
        if self.home.is_read_only(&self.task)? {
            self.is_changing = true;
            return self.read();
        }
        let folder = self.home.create_memory(&self.task)?;
        let lock = store::lock_task(&folder, LOCK_WAIT)
            .context(|| format!("changing the examples of task {}", self.task))?;
        if let Some(ExamplesRecord { hash: Some(hash) }) = self.home.recorded(&self.task)? {
            decided::settle(&folder, FILE_NAME, &hash)?;
        }
        // A crash may have left examples here that a wipe must remove.
        folder.remove(&decided::partial_name(FILE_NAME))?;
        self.read()?;
        self.is_changing = true;
        self.lock = Some(lock);
        Ok(())
    }

    /// Replaces the content in memory by that on disk, if it differs.
    pub(super) fn read(&mut self) -> Result<()> {
        let Some((path, bytes)) = self.read_file()? else {
            self.languages.clear();
            self.file_hash = None;
            return Ok(());
        };
        let hash = Some(ObjectHash::of(&bytes));
        if hash == self.file_hash {
            return Ok(());
        }
        let (held_out_percent, languages) =
            file::decode(&bytes, &self.task).context(|| format!("reading {}", path.display()))?;
        if held_out_percent != self.limits.held_out_percent {
            let wanted = self.limits.held_out_percent;
            let what = format!(
                "{} holds out {held_out_percent} percent, {wanted} wanted: wipe it first, or some \
                 examples would move between training and held-out",
                path.display()
            );
            return Err(Error::new(Code::ArgumentInvalid, what));
        }
        self.languages = languages;
        self.file_hash = hash;
        // The limits may be tighter than those with which the file was written.
        let all = self.languages.keys().cloned().collect::<Vec<_>>();
        self.trim(&all.iter().collect());
        Ok(())
    }

    /// The held-out percentage of the file, if there is one.
    pub(super) fn saved_held_out_percent(&self) -> Result<Option<u8>> {
        let Some((path, bytes)) = self.read_file()? else { return Ok(None) };
        let decoded = file::decode(&bytes, &self.task);
        let (percent, _) = decoded.context(|| format!("reading {}", path.display()))?;
        Ok(Some(percent))
    }

    /// The bytes of the file and its path, if there is one.
    fn read_file(&self) -> Result<Option<(PathBuf, Vec<u8>)>> {
        let damaged = Code::RehearsalMalformed;
        let mut recorded = self.home.recorded(&self.task)?;
        loop {
            let folder = self.home.memory(&self.task)?;
            let read = match (recorded, &folder) {
                (Some(ExamplesRecord { hash: None }), _) | (None, None) => return Ok(None),
                (Some(ExamplesRecord { hash: Some(hash) }), Some(folder)) => {
                    decided::read(folder, FILE_NAME, &hash, BYTES_MAX_MAX, damaged).map(Some)
                }
                (Some(_), None) => Err(self.missing()),
                (None, Some(folder)) => match folder.read(FILE_NAME, BYTES_MAX_MAX, damaged) {
                    Err(error) if error.code() == Code::NotFound => Ok(None),
                    read => read.map(Some),
                },
            };
            // Another process may have decided on and settled new content meanwhile.
            let newest = self.home.recorded(&self.task)?;
            if read.is_ok() || newest == recorded {
                let path = folder.map(|folder| folder.path_of(FILE_NAME));
                return Ok(path.zip(read?));
            }
            recorded = newest;
        }
    }

    fn missing(&self) -> Error {
        let task = &self.task;
        let what = format!("the remembered examples of task {task} are missing with their folder");
        Error::new(Code::RehearsalMalformed, what)
    }
}

/// Removes the examples and the leftovers of an interrupted writer.
fn remove_files(folder: &Folder) -> Result<()> {
    folder.remove(&decided::partial_name(FILE_NAME))?;
    folder.remove(FILE_NAME)?;
    folder.sync()
}
