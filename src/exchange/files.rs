//! Reads whole files of other libraries within a size limit.
//!
//! This module must never follow a name out of a folder: file names are the fixed ones of a format
//! and never come from a file.

use crate::error::{Code, Error, Result};
use crate::files::read_within;
use std::path::Path;

/// Largest configuration file that is read, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Reads a regular file of at most `size_bytes_max` bytes.
pub fn read(path: &Path, size_bytes_max: u64) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path);
    let metadata = metadata.map_err(|cause| Error::io(Code::IoRead, "reading", path, &cause))?;
    // A pipe or a device would block or never end.
    if !metadata.is_file() {
        return Err(Error::new(Code::IoRead, format!("{}: expected a file", path.display())));
    }
    let bytes = read_within(path, size_bytes_max)?;
    if bytes.len() as u64 > size_bytes_max {
        return Err(Error::new(
            Code::AdapterUnsupported,
            format!("{}: expected at most {size_bytes_max} bytes, found more", path.display()),
        ));
    }
    Ok(bytes)
}
