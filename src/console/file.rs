//! The files that a command reads beside bundle and store, within a limit, and the text files that
//! it writes beside its output. This module must never leave a partly written file.

use crate::files::{PartialFile, read_within};
use crate::{Code, Error, Result};
use std::path::Path;

/// A file to write. It is created before the work, so that a path that cannot be written is
/// reported before minutes of training, not after them; until [`FileToWrite::write`] nothing is at
/// the path.
pub struct FileToWrite(PartialFile);

impl FileToWrite {
    /// Creates a temporary file beside `path`.
    ///
    /// # Errors
    /// [`Code::IoWrite`].
    pub fn create(path: &Path) -> Result<Self> {
        PartialFile::create(path).map(Self)
    }

    /// Writes the content and moves the file to its path in one step.
    ///
    /// # Errors
    /// [`Code::IoWrite`].
    pub fn write(self, content: &[u8]) -> Result<()> {
        self.0.replace(content)
    }
}

/// Reads a regular file. Of a longer one it returns one byte more than `size_bytes_max`, so that
/// the reader of the format refuses it.
pub fn read(path: &Path, size_bytes_max: u64) -> Result<Vec<u8>> {
    let failed = |cause| Error::io(Code::IoRead, "reading", path, &cause);
    // This is checked before opening, because opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        let message = format!("reading {}: it is not a regular file", path.display());
        return Err(Error::new(Code::IoRead, message));
    }
    read_within(path, size_bytes_max)
}
