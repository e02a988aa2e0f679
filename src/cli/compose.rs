//! `polygraft adapter combine` and `stack`: adapters made of adapters.

use polygraft::adapter::Adapter;
use polygraft::console::output::{ExitStatus, Output, path_text, size};
use polygraft::exchange;
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
    let pairs: Vec<(&Path, f64)> =
        weighted.iter().map(|(path, weight)| (path.as_path(), *weight)).collect();
    print(&exchange::combine_files(&pairs, &args.out)?, &args.out, output)
}

pub fn stack(args: &StackArgs, output: &Output) -> Result<ExitStatus> {
    print(&exchange::stack_files(&args.lower, &args.upper, &args.out)?, &args.out, output)
}

/// The path and the weight of an argument. A path may contain an equals sign: an existing file
/// with the whole name is used without a weight.
fn weighted(argument: &OsStr) -> Result<(PathBuf, f64)> {
    let shown = argument.to_string_lossy();
    match shown.rsplit_once('=') {
        Some((_, weight)) if !Path::new(argument).exists() => {
            let path = without_end(argument, weight.len() + 1);
            let weight = weight.parse().map_err(|_| {
                let what = format!("{argument:?}: expected a number after '=', found {weight:?}");
                Error::new(Code::ArgumentInvalid, what)
            })?;
            Ok((path, weight))
        }
        _ => Ok((argument.into(), 1.0)),
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

fn print(made: &Adapter, out: &Path, output: &Output) -> Result<ExitStatus> {
    let size_bytes = std::fs::metadata(out).map_or(0, |metadata| metadata.len());
    let kinds: Vec<&str> = made.components.iter().map(|part| part.kind().name()).collect();
    let count = made.tensors.len();
    if output.is_json() {
        output.document(&json!({
            "kinds": kinds,
            "labels": made.labels,
            "tensors": count,
            "size_bytes": size_bytes,
            "out": path_text(out),
        }))?;
    } else {
        let (kinds, size) = (kinds.join(", "), size(size_bytes));
        output
            .text(&format!("{kinds}: {count} tensors, {size}\nwritten to {}\n", out.display()))?;
    }
    Ok(ExitStatus::Done)
}
