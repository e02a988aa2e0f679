//! Read-only memory maps of whole files.
//!
//! This is the one place that maps files, and it must never write to one.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Code, Error, Result};

#[cfg(target_endian = "big")]
compile_error!("ONNX stores weights in little-endian order; a big-endian host cannot map them");

/// A whole file, mapped read-only. An empty file is an empty slice.
///
/// Its pages are clean, shared with every process that maps the file, and evictable. Programs must
/// replace the file by renaming and never write into it: a file that shrinks under a mapping kills
/// the process that reads past its new end.
#[derive(Debug)]
pub(crate) struct Mapping(Option<Mmap>);

impl Mapping {
    /// Maps the regular file at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed =
            |action: &str, cause: &std::io::Error| Error::io(Code::IoRead, action, path, cause);
        // This is asked before opening, because opening a pipe would wait for its writer.
        let metadata = std::fs::metadata(path).map_err(|cause| failed("reading", &cause))?;
        if !metadata.is_file() {
            let message = format!("reading {}: it is not a regular file", path.display());
            return Err(Error::new(Code::IoRead, message));
        }
        let file = File::open(path).map_err(|cause| failed("opening", &cause))?;
        let metadata = file.metadata().map_err(|cause| failed("reading", &cause))?;
        if metadata.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the map is read-only and private to this value; no code of this crate writes
        // into a file it maps; other programs are bound by the type's contract to replace files by
        // renaming; every bit pattern is a valid `u8`.
        let map = unsafe { Mmap::map(&file) }.map_err(|cause| failed("mapping", &cause))?;
        Ok(Self(Some(map)))
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or(&[])
    }
}
