//! `polygraft adapter combine` and `stack`: adapters made of adapters.

use polygraft::adapter::{self, ADAPTER_BYTES_MAX, Adapter};
use polygraft::console::file::{self, FileToWrite};
use polygraft::console::output::{ExitStatus, Output, path_text, size};
use polygraft::error::ResultExt;
use polygraft::{Code, Error, Result};
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct CombineArgs {
    /// Polygraft adapters, each with a weight, such as task.safetensors=0.5; the default is 1
    #[arg(value_name = "FILE[=WEIGHT]", required = true)]
    adapters: Vec<OsString>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(clap::Args)]
pub struct StackArgs {
    /// The lower adapter, for example of a language
    #[arg(value_name = "LOWER")]
    lower: PathBuf,
    /// The upper adapter, for example of a task; its head is kept
    #[arg(value_name = "UPPER")]
    upper: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn combine(args: &CombineArgs, output: &Output) -> Result<ExitStatus> {
    let weighted = args.adapters.iter().map(|argument| weighted(argument));
    let weighted = weighted.collect::<Result<Vec<_>>>()?;
    let pairs: Vec<(&Adapter, f64)> = weighted.iter().map(|(one, weight)| (one, *weight)).collect();
    write(&adapter::combine(&pairs)?, &args.out, output)
}

pub fn stack(args: &StackArgs, output: &Output) -> Result<ExitStatus> {
    write(&adapter::stack(&read(&args.lower)?, &read(&args.upper)?)?, &args.out, output)
}

/// The adapter and the weight of an argument. A path may contain an equals sign: an existing file
/// with the whole name is used without a weight.
fn weighted(argument: &OsStr) -> Result<(Adapter, f64)> {
    let shown = argument.to_string_lossy();
    match shown.rsplit_once('=') {
        Some((_, weight)) if !Path::new(argument).exists() => {
            let path = without_end(argument, weight.len() + 1);
            let weight = weight.parse().map_err(|_| {
                let what = format!("{argument:?}: expected a number after '=', found {weight:?}");
                Error::new(Code::ArgumentInvalid, what)
            })?;
            Ok((read(&path)?, weight))
        }
        _ => Ok((read(Path::new(argument))?, 1.0)),
    }
}

/// The path in an argument without its last bytes; the path may have any bytes.
fn without_end(argument: &OsStr, end_bytes: usize) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let bytes = argument.as_bytes();
        OsStr::from_bytes(&bytes[..bytes.len().saturating_sub(end_bytes)]).into()
    }
    #[cfg(not(unix))]
    {
        let text = argument.to_string_lossy();
        PathBuf::from(text.get(..text.len().saturating_sub(end_bytes)).unwrap_or_default())
    }
}

fn read(path: &Path) -> Result<Adapter> {
    let bytes = file::read(path, ADAPTER_BYTES_MAX)?;
    Adapter::from_bytes(&bytes).context(|| format!("reading {}", path.display()))
}

fn write(made: &Adapter, out: &Path, output: &Output) -> Result<ExitStatus> {
    if out.exists() {
        let what = format!("{} exists already; nothing was written", out.display());
        return Err(Error::new(Code::ArgumentInvalid, what));
    }
    let bytes = made.to_bytes()?;
    FileToWrite::create(out)?.write(&bytes)?;
    let kinds: Vec<&str> = made.components.iter().map(|part| part.kind().name()).collect();
    let count = made.tensors.len();
    if output.is_json() {
        output.document(&json!({
            "kinds": kinds,
            "labels": made.labels,
            "tensors": count,
            "size_bytes": bytes.len(),
            "out": path_text(out),
        }))?;
    } else {
        let (kinds, size) = (kinds.join(", "), size(bytes.len() as u64));
        output
            .text(&format!("{kinds}: {count} tensors, {size}\nwritten to {}\n", out.display()))?;
    }
    Ok(ExitStatus::Done)
}
