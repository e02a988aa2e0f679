//! Combining and stacking adapters that lie in files.

use super::files;
use super::message::in_file;
use crate::adapter::{self, ADAPTER_BYTES_MAX, Adapter};
use crate::error::Result;
use crate::files::PartialFile;
use std::path::Path;

/// Combines polygraft adapters side by side, each with a weight, and writes the result to `out`,
/// where nothing may be yet.
///
/// # Errors
/// As [`adapter::combine`]; [`crate::Code::ArgumentInvalid`] when something is at `out` already,
/// [`crate::Code::AdapterMalformed`], [`crate::Code::IoRead`], [`crate::Code::IoWrite`].
pub fn combine_files(weighted: &[(&Path, f64)], out: &Path) -> Result<Adapter> {
    let adapters = weighted.iter().map(|(path, weight)| Ok((read_own(path)?, *weight)));
    let adapters = adapters.collect::<Result<Vec<_>>>()?;
    let pairs: Vec<(&Adapter, f64)> = adapters.iter().map(|(one, weight)| (one, *weight)).collect();
    write_own(adapter::combine(&pairs)?, out)
}

/// Stacks a polygraft adapter on another one, for example a task's on a language's, and writes the
/// result to `out`, where nothing may be yet. The head of the upper one is kept.
///
/// # Errors
/// As [`adapter::stack`] and [`combine_files`].
pub fn stack_files(lower: &Path, upper: &Path, out: &Path) -> Result<Adapter> {
    write_own(adapter::stack(&read_own(lower)?, &read_own(upper)?)?, out)
}

fn read_own(path: &Path) -> Result<Adapter> {
    let bytes = files::read(path, ADAPTER_BYTES_MAX)?;
    Adapter::from_bytes(&bytes).map_err(|error| in_file(error, path))
}

fn write_own(adapter: Adapter, out: &Path) -> Result<Adapter> {
    PartialFile::create(out)?.put_new(&adapter.to_bytes()?)?;
    Ok(adapter)
}
