//! The shared code of the commands: general flags, progress, printing, Ctrl-C and files beside a
//! store.
//!
//! Input: the arguments of a command line. Output: text on standard output and standard error,
//! files, and exit codes. `polygraft` and `polygraft-experiment` use it. This module must contain
//! no logic about models, versions or updates.

pub mod file;
pub mod open;
pub mod output;
pub mod progress;
pub mod signal;

pub use open::{VerifyArgs, Waiting};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::path::PathBuf;
use std::str::FromStr;

/// The element of `all` with this name.
pub fn by_name<T>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + FromStr<Err = crate::Error> + 'static,
{
    let names = all.iter().map(move |one| name(*one));
    PossibleValuesParser::new(names).try_map(|text| text.parse::<T>())
}

/// The options of every command.
#[derive(clap::Args)]
#[command(next_help_heading = "General")]
pub struct Global {
    /// Print data as JSON; an error becomes {"error":{...}}
    #[arg(long, global = true)]
    pub json: bool,
    /// Progress on standard error: auto is a bar on a terminal and plain lines elsewhere
    #[arg(long, global = true, value_enum, default_value_t, value_name = "STYLE")]
    pub progress: progress::Style,
    /// The ONNX Runtime library to open, and no other
    #[arg(long, global = true, value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,
}
