//! Opening an existing store, or creating one.
//!
//! Opening must never change an existing store: a reader writes nothing, and the next writer
//! removes what an interrupted writer left.

use super::read::Loaded;
use super::state::State;
use super::{
    LOCK_NAME, LOCK_WAIT, OBJECTS_NAME, RECORDS_NAME, REHEARSAL_NAME, REPORTS_NAME, STATE_NAME,
    Store, WORK_NAME,
};
use crate::error::{Code, Error, Result, ResultExt};
use crate::files::{Folder, Lock};
use arc_swap::ArcSwap;
use std::path::Path;
use std::sync::Mutex;

const FOLDERS: [&str; 5] = [OBJECTS_NAME, RECORDS_NAME, WORK_NAME, REHEARSAL_NAME, REPORTS_NAME];

impl Store {
    /// Opens the store in `folder`, and creates it if the folder is empty or absent.
    ///
    /// Opening does not change an existing store. The handle refers to the folder that was opened,
    /// whatever happens to its path or to the working folder.
    ///
    /// # Errors
    /// [`Code::StoreMalformed`] if the folder contains something else, a store of another format
    /// version, or a link in place of a folder or a file; [`Code::StoreCorrupt`] if `state.json`
    /// has lost its content.
    pub fn open(folder: &Path) -> Result<Self> {
        let opening = || format!("opening the store {}", folder.display());
        let opened = Folder::create(folder).context(opening)?;
        if opened.entry(STATE_NAME).context(opening)?.is_none() {
            create(&opened).context(opening)?;
        }
        Self::of_folder(opened).context(opening)
    }

    /// Opens the existing store in `folder`. It never creates one.
    ///
    /// # Errors
    /// As for [`Store::open`]; [`Code::NotFound`] with the folder if it is absent or empty.
    pub fn open_existing(folder: &Path) -> Result<Self> {
        let opening = || format!("opening the store {}", folder.display());
        let opened = Folder::open(folder).context(opening)?;
        if opened.entry(STATE_NAME).context(opening)?.is_none() {
            check_claimable(&opened).context(opening)?;
            let what = format!("{}: expected a store, found none", folder.display());
            return Err(Error::new(Code::NotFound, what));
        }
        Self::of_folder(opened).context(opening)
    }

    fn of_folder(folder: Folder) -> Result<Self> {
        check_parts(&folder)?;
        let current = ArcSwap::from_pointee(Loaded::read(&folder, None)?);
        Ok(Self { folder, current, writer: Mutex::new(()), reader: Mutex::new(()) })
    }

    /// The folder of the store, as an absolute path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The handle of the folder, for files beside the versions.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// Makes an empty store in a folder that contains nothing else.
fn create(folder: &Folder) -> Result<()> {
    check_claimable(folder)?;
    let _lock = Lock::acquire(folder, LOCK_NAME, LOCK_WAIT)?;
    if folder.entry(STATE_NAME)?.is_some() {
        return Ok(());
    }
    let objects = folder.create_folder(OBJECTS_NAME)?;
    let work = folder.create_folder(WORK_NAME)?;
    if !objects.names()?.is_empty() {
        // An empty state would silently drop every version.
        let path = folder.path_of(STATE_NAME);
        let what = format!("{} is missing although objects exist", path.display());
        return Err(Error::new(Code::StoreMalformed, what));
    }
    work.write(STATE_NAME, &State::default().encode()?)?;
    work.rename(STATE_NAME, folder, STATE_NAME)?;
    folder.sync()
}

/// Refuses a folder with foreign content, so that a mistyped path is not written to.
fn check_claimable(folder: &Folder) -> Result<()> {
    check_parts(folder)?;
    let own = |name: &str| name == LOCK_NAME || FOLDERS.contains(&name);
    match folder.names()?.iter().find(|name| !own(name)) {
        None => Ok(()),
        Some(name) => {
            let what = format!("it has no {STATE_NAME} but holds {name:?}; expected a store");
            Err(Error::new(Code::StoreMalformed, what))
        }
    }
}

/// Refuses a store in which something else has the name of one of its folders or files: the store
/// would otherwise write to or remove what does not belong to it.
fn check_parts(folder: &Folder) -> Result<()> {
    let parts = FOLDERS.map(|name| (name, true)).into_iter();
    for (name, is_folder) in parts.chain([LOCK_NAME, STATE_NAME].map(|name| (name, false))) {
        let Some(entry) = folder.entry(name)? else { continue };
        let is_right = if is_folder { entry.is_folder() } else { entry.is_file() };
        if is_right {
            continue;
        }
        let (path, found) = (folder.path_of(name), entry.noun());
        let expected = if is_folder { "a folder" } else { "a regular file" };
        let what = format!("{}: expected {expected}, found {found}", path.display());
        return Err(Error::new(Code::StoreMalformed, what));
    }
    Ok(())
}
