//! Files of text that a command writes beside its output: whole or not at all.

use polygraft::{Code, Error, Result};
use std::io::Write;
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
    pub fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let temporary = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
            .map_err(|cause| Error::io(Code::IoWrite, "creating", path, &cause))?;
        Ok(Self { temporary, path: path.to_owned() })
    }

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
