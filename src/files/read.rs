//! Files outside of a store, read whole and within a limit.

use crate::error::{Code, Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a file. Of a longer one it returns one byte more than `size_bytes_max`, so that whoever
/// knows the format refuses it.
pub(crate) fn read_within(path: &Path, size_bytes_max: u64) -> Result<Vec<u8>> {
    let failed = |cause| Error::io(Code::IoRead, "reading", path, &cause);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(size_bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
