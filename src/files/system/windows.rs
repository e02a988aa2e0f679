//! Folders of Windows, which opens names by whole paths only.
//!
//! The path of an open folder is the one that the system resolved, without links, and its handle
//! keeps others from renaming or removing the folder, or any folder above it, while it is open. So
//! the path leads to this folder for as long as it is needed. It has the form in which no name is
//! special: `con` and `a.` are ordinary names of files.

use crate::files::found::{Found, Kind, Purpose};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Opens a link itself instead of what it leads to.
const OPEN_REPARSE_POINT: u32 = 0x0020_0000;
/// Allows handles of folders.
const BACKUP_SEMANTICS: u32 = 0x0200_0000;
/// Others may read and write meanwhile, but not rename or remove.
const SHARE_READ_AND_WRITE: u32 = 0x3;

const ATTRIBUTE_DIRECTORY: u64 = 0x10;
const ATTRIBUTE_REPARSE_POINT: u64 = 0x400;

/// An open folder.
#[derive(Debug)]
pub(in crate::files) struct Handle {
    path: PathBuf,
    /// Keeps the path as it is.
    _open: File,
}

/// Opens the folder at a path, which may be a link to it.
pub(in crate::files) fn open(path: &Path) -> io::Result<Handle> {
    Handle::of(fs::canonicalize(path)?)
}

/// What an open file is.
pub(in crate::files) fn found(file: &File) -> io::Result<Found> {
    let of = winapi_util::file::information(file)?;
    let has = |attribute| of.file_attributes() & attribute != 0;
    let kind = if has(ATTRIBUTE_REPARSE_POINT) {
        Kind::Link
    } else if has(ATTRIBUTE_DIRECTORY) {
        Kind::Folder
    } else {
        Kind::File
    };
    let modified = of.last_write_time().and_then(|ticks| i64::try_from(ticks).ok());
    Ok(Found {
        kind,
        size_bytes: of.file_size(),
        identity: (of.volume_serial_number(), of.file_index()),
        modified: (modified.unwrap_or(0), 0),
    })
}

/// Fills `bytes` from an offset of a file.
pub(crate) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = file.seek_read(bytes, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[count..];
        offset += count as u64;
    }
    Ok(())
}

/// Writes all bytes at an offset of a file.
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = file.seek_write(bytes, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[count..];
        offset += count as u64;
    }
    Ok(())
}

/// The file system writes names in order by itself, and a folder cannot be opened to be synced.
#[expect(clippy::unnecessary_wraps, reason = "other systems sync")]
pub(in crate::files) fn sync(_folder: &Path) -> io::Result<()> {
    Ok(())
}

impl Handle {
    fn of(path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).share_mode(SHARE_READ_AND_WRITE);
        let open = options.custom_flags(OPEN_REPARSE_POINT | BACKUP_SEMANTICS).open(&path)?;
        if found(&open)?.kind != Kind::Folder {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path, _open: open })
    }

    pub(in crate::files) fn folder(&self, name: &str) -> io::Result<Self> {
        Self::of(self.path.join(name))
    }

    pub(in crate::files) fn file(&self, name: &str, purpose: Purpose) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OPEN_REPARSE_POINT);
        match purpose {
            Purpose::Read => &mut options,
            Purpose::Lock => options.write(true).create(true).truncate(false),
            Purpose::New => options.write(true).create_new(true),
        };
        options.open(self.path.join(name))
    }

    pub(in crate::files) fn create_folder(&self, name: &str) -> io::Result<()> {
        fs::create_dir(self.path.join(name))
    }

    pub(in crate::files) fn found(&self, name: &str) -> io::Result<Found> {
        let mut options = OpenOptions::new();
        // Reading the metadata of a file needs no access right.
        options.access_mode(0).custom_flags(OPEN_REPARSE_POINT | BACKUP_SEMANTICS);
        found(&options.open(self.path.join(name))?)
    }

    /// All names, in no order.
    pub(in crate::files) fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.path)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Moves a file to a name in a folder, in one step; a file of that name is replaced.
    pub(in crate::files) fn rename(&self, name: &str, target: &Self, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(name), target.path.join(to))
    }

    pub(in crate::files) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    pub(in crate::files) fn sync(&self) -> io::Result<()> {
        sync(&self.path)
    }

    /// Folders have access control lists here, so writing is tried.
    pub(in crate::files) fn is_writable(&self) -> bool {
        tempfile::tempfile_in(&self.path).is_ok()
    }
}
