//! An open folder and its entries.
//!
//! No symbolic link below the folder is ever followed. The folder itself is named by the user and
//! may be reached through a link.

use super::found::{Found, Kind, Purpose};
use super::step::step;
use super::system::{self, Handle};
use crate::error::{Code, Error, Result};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// An open folder. Its entries are addressed by plain names; paths are for messages only.
#[derive(Debug)]
pub(crate) struct Folder {
    handle: Handle,
    path: PathBuf,
}

/// The entry that a name in a folder refers to.
#[derive(Debug)]
pub(crate) struct Entry(Found);

impl Entry {
    pub(crate) fn is_file(&self) -> bool {
        self.0.kind == Kind::File
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.0.kind == Kind::Folder
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.0.size_bytes
    }

    /// Whether both are the same, unmodified file, by its number, time and size.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The noun of the entry's kind, with its article.
    pub(crate) fn noun(&self) -> &'static str {
        match self.0.kind {
            Kind::File => "a file",
            Kind::Folder => "a folder",
            Kind::Link => "a symbolic link",
            Kind::Pipe => "a pipe",
            Kind::Socket => "a socket",
            Kind::Device => "a device",
        }
    }
}

impl Folder {
    /// Opens the folder at `path`. Later changes of the working folder do not affect it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::io(Code::IoRead, "opening", path, &cause);
        let path = std::path::absolute(path).map_err(failed)?;
        let handle = system::open(&path).map_err(failed)?;
        Ok(Self { handle, path })
    }

    /// Opens the folder at `path`, and creates it and its missing parents durably.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        create_path(path)?;
        Self::open(path)
    }

    /// The absolute path that the folder had when it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a name in the folder, for messages.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether this process may create files in the folder.
    pub(crate) fn is_writable(&self) -> bool {
        self.handle.is_writable()
    }

    /// Opens a folder in it. The error is [`Code::NotFound`] if there is none, and [`Code::IoRead`]
    /// if the name refers to a link or anything else.
    pub(crate) fn folder(&self, name: &str) -> Result<Self> {
        let opened = self.handle.folder(plain(name)?);
        let handle = opened.map_err(|cause| self.refused(name, cause, true))?;
        Ok(Self { handle, path: self.path_of(name) })
    }

    /// Like [`Folder::folder`], but `None` if there is none.
    pub(crate) fn folder_if_there(&self, name: &str) -> Result<Option<Self>> {
        match self.folder(name) {
            Err(error) if error.code() == Code::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Opens a folder in it, and creates it durably if there is none.
    pub(crate) fn create_folder(&self, name: &str) -> Result<Self> {
        if let Some(folder) = self.folder_if_there(name)? {
            return Ok(folder);
        }
        step("create folder");
        match self.handle.create_folder(plain(name)?) {
            Ok(()) => self.sync()?,
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
            Err(cause) => {
                let path = self.path_of(name);
                return Err(Error::io(Code::IoWrite, "creating the folder", &path, &cause));
            }
        }
        self.folder(name)
    }

    /// Opens a regular file for reading. It refuses links, pipes and devices: a pipe would block,
    /// and a link could lead out of the folder.
    pub(crate) fn open_file(&self, name: &str) -> Result<File> {
        let opened = self.handle.file(plain(name)?, Purpose::Read);
        let file = opened.map_err(|cause| self.refused(name, cause, false))?;
        let entry = self.entry_of(&file, name)?;
        if !entry.is_file() {
            return Err(self.unexpected(name, &entry, false));
        }
        Ok(file)
    }

    /// Opens the file of a lock, and creates it if there is none.
    pub(super) fn open_lock_file(&self, name: &str) -> Result<File> {
        let opened = self.handle.file(plain(name)?, Purpose::Lock);
        let file = opened.map_err(|cause| match self.entry(name) {
            Ok(Some(entry)) if !entry.is_file() => self.unexpected(name, &entry, false),
            _ => Error::io(Code::IoWrite, "locking", &self.path_of(name), &cause),
        })?;
        let entry = self.entry_of(&file, name)?;
        if !entry.is_file() {
            return Err(self.unexpected(name, &entry, false));
        }
        Ok(file)
    }

    /// Reads all bytes of a regular file. A file of more than `size_bytes_max` bytes is the error
    /// `too_large`, before anything is allocated.
    pub(crate) fn read(&self, name: &str, size_bytes_max: u64, too_large: Code) -> Result<Vec<u8>> {
        self.read_open(&self.open_file(name)?, name, size_bytes_max, too_large)
    }

    /// Like [`Folder::read`], for a file that is already open.
    pub(crate) fn read_open(
        &self,
        file: &File,
        name: &str,
        size_bytes_max: u64,
        too_large: Code,
    ) -> Result<Vec<u8>> {
        let path = self.path_of(name);
        let failed = |cause: std::io::Error| Error::io(Code::IoRead, "reading", &path, &cause);
        let oversized = |size: u64| {
            let (path, limit) = (path.display(), size_bytes_max);
            Error::new(too_large, format!("{path} has {size} bytes, at most {limit} expected"))
        };
        let size_bytes = file.metadata().map_err(failed)?.len();
        if size_bytes > size_bytes_max {
            return Err(oversized(size_bytes));
        }
        let mut bytes = Vec::new();
        let reserved = bytes.try_reserve_exact(usize::try_from(size_bytes).unwrap_or(usize::MAX));
        reserved.map_err(|cause| failed(std::io::Error::new(ErrorKind::OutOfMemory, cause)))?;
        // The file may grow after its size was read; the limit holds all the same.
        let mut limited = file.take(size_bytes_max.saturating_add(1));
        limited.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > size_bytes_max {
            return Err(oversized(bytes.len() as u64));
        }
        Ok(bytes)
    }

    /// The entry of a name, without following a link; `None` if there is none.
    pub(crate) fn entry(&self, name: &str) -> Result<Option<Entry>> {
        match self.handle.found(plain(name)?) {
            Ok(found) => Ok(Some(Entry(found))),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::io(Code::IoRead, "looking at", &self.path_of(name), &cause)),
        }
    }

    /// Like [`Folder::entry`], for a file that was opened by this name.
    pub(crate) fn entry_of(&self, file: &File, name: &str) -> Result<Entry> {
        let failed = |cause| Error::io(Code::IoRead, "looking at", &self.path_of(name), &cause);
        system::found(file).map(Entry).map_err(failed)
    }

    /// All names in the folder, in order. A name that is not UTF-8 is returned changed, so it
    /// refers to nothing.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let failed = |cause| Error::io(Code::IoRead, "listing", &self.path, &cause);
        let mut names = self.handle.names().map_err(failed)?;
        names.sort();
        Ok(names)
    }

    /// Writes `bytes` to a new file and waits until they are on the disk. It replaces what a crash
    /// left under the name. A failed write leaves no file. The name is durable after
    /// [`Folder::sync`].
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<Entry> {
        self.remove(name)?;
        step("create");
        let failed = |cause: std::io::Error| {
            Error::io(Code::IoWrite, "writing", &self.path_of(name), &cause)
        };
        // The file must be new: a link that was placed under the name meanwhile is refused.
        let mut file = self.handle.file(plain(name)?, Purpose::New).map_err(failed)?;
        let written = write_synced(&mut file, bytes).map_err(failed);
        match written.and_then(|()| self.entry_of(&file, name)) {
            Ok(entry) => Ok(entry),
            Err(error) => {
                drop(file);
                // The first failure is reported; the next writer removes what is left.
                let _ = self.remove(name);
                Err(error)
            }
        }
    }

    /// A new file without a name: nobody else can open it, and it is gone when it is closed,
    /// whatever ends the program. `name` is free again when this returns.
    pub(crate) fn nameless_file(&self, name: &str) -> Result<File> {
        self.remove(name)?;
        let failed = |cause| Error::io(Code::IoWrite, "creating", &self.path_of(name), &cause);
        let file = self.handle.file(plain(name)?, Purpose::New).map_err(failed)?;
        self.remove(name)?;
        Ok(file)
    }

    /// Gives the synced file `partial` its final name in the folder `target`. The name is durable
    /// after [`Folder::sync`] of that folder.
    pub(crate) fn rename(&self, partial: &str, target: &Self, name: &str) -> Result<()> {
        step("rename");
        let renamed = self.handle.rename(plain(partial)?, &target.handle, plain(name)?);
        renamed.map_err(|cause| {
            let _ = self.remove(partial);
            Error::io(Code::IoWrite, "renaming to", &target.path_of(name), &cause)
        })
    }

    /// Replaces the file `name` durably and in one step by a file with these bytes, which is called
    /// `partial` until then.
    pub(crate) fn replace(&self, name: &str, partial: &str, bytes: &[u8]) -> Result<()> {
        self.write(partial, bytes)?;
        self.rename(partial, self, name)?;
        self.sync()
    }

    /// Waits until the names in the folder are on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        step("sync folder");
        let failed = |cause| Error::io(Code::IoWrite, "syncing the folder", &self.path, &cause);
        self.handle.sync().map_err(failed)
    }

    /// Removes a file. A file that does not exist is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        match self.handle.remove(plain(name)?) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                Err(Error::io(Code::IoWrite, "removing", &self.path_of(name), &cause))
            }
            _ => Ok(()),
        }
    }

    /// The error for a name that could not be opened. It says what is there instead, if it can.
    fn refused(&self, name: &str, cause: std::io::Error, wants_folder: bool) -> Error {
        let is_right =
            |entry: &Entry| if wants_folder { entry.is_folder() } else { entry.is_file() };
        match self.entry(name) {
            Ok(Some(entry)) if !is_right(&entry) => self.unexpected(name, &entry, wants_folder),
            _ => Error::io(Code::IoRead, "opening", &self.path_of(name), &cause),
        }
    }

    fn unexpected(&self, name: &str, found: &Entry, wants_folder: bool) -> Error {
        let expected = if wants_folder { "a folder" } else { "a regular file" };
        let (path, found) = (self.path_of(name), found.noun());
        let message = format!("opening {}: expected {expected}, found {found}", path.display());
        Error::new(Code::IoRead, message)
    }
}

/// Refuses anything but a plain name, because it would lead out of the folder.
fn plain(name: &str) -> Result<&str> {
    let leads_on = |letter: char| match letter {
        '/' | '\0' => true,
        '\\' | ':' => cfg!(windows), // a colon names a part of a file there
        _ => false,
    };
    if name.is_empty() || name == "." || name == ".." || name.contains(leads_on) {
        let shown: String = name.chars().take(80).collect();
        return Err(Error::new(Code::Internal, format!("{shown:?} is not the name of a file")));
    }
    Ok(name)
}

fn write_synced(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    step("write");
    file.write_all(second)?;
    step("sync file");
    file.sync_all()
}

/// Creates a folder and its missing parents, durably.
fn create_path(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_path(parent)?;
    }
    step("create folder");
    match fs::create_dir(path) {
        Ok(()) => parent.map_or(Ok(()), |parent| Folder::open(parent)?.sync()),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(cause) => Err(Error::io(Code::IoWrite, "creating the folder", path, &cause)),
    }
}
