//! Exchanging two folders in one step.

use std::io;
use std::path::Path;

/// Exchanges two folders of one file system. At every moment there is a folder under each name.
///
/// # Errors
/// The error of the system, above all if the system or the file system has no such operation.
/// Nothing has changed then.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// This system has no such operation.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
