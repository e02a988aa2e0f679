//! Two folders that take each other's names in one step.

use std::io;
use std::path::Path;

/// Exchanges two folders of one file system: whoever looks finds one of them under each name, at
/// every moment.
///
/// # Errors
/// Whatever the system says; above all where it, or the file system, has no such step. Nothing has
/// changed then.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// There is no such step on this system.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
