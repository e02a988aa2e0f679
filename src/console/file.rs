//! Files that a command reads beside bundle and store, within a limit, and files of text that it
//! writes beside its output: whole or not at all.

use crate::{Code, Error, Result};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that is to be written. It is created before the work, so that a path that cannot be
/// written is known before minutes of training, not after; until [`FileToWrite::write`] nothing
/// is at the path.
pub struct FileToWrite {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl FileToWrite {
    /// Makes a temporary file beside `path`.
    ///
    /// # Errors
    /// [`Code::IoWrite`].
    pub fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let temporary = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
            .map_err(|cause| Error::io(Code::IoWrite, "creating", path, &cause))?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// Writes the content and puts the file at its path, in one step.
    ///
    /// # Errors
    /// [`Code::IoWrite`].
    pub fn write(mut self, content: &[u8]) -> Result<()> {
        let failed = |cause| Error::io(Code::IoWrite, "writing", &self.path, &cause);
        self.temporary.write_all(content).map_err(failed)?;
        self.temporary.as_file().sync_all().map_err(failed)?;
        // What is written is for everybody to read, unlike a temporary file.
        readable(self.temporary.as_file()).map_err(failed)?;
        self.temporary.persist(&self.path).map_err(|cause| failed(cause.error))?;
        Ok(())
    }
}

/// The content of a regular file, and one byte more than `size_bytes_max` of one that is longer, so
/// that it is the reader of the format that refuses it.
pub fn read(path: &Path, size_bytes_max: u64) -> Result<Vec<u8>> {
    let failed = |cause| Error::io(Code::IoRead, "reading", path, &cause);
    // Asked before opening: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        let message = format!("reading {}: it is not a regular file", path.display());
        return Err(Error::new(Code::IoRead, message));
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(size_bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Lets everybody read a file that was made as a temporary one.
#[cfg(unix)]
pub fn readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

/// Other systems give temporary files the rights of others.
#[cfg(not(unix))]
pub fn readable(_file: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}
