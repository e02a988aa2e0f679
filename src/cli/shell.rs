//! `polygraft completions` and `polygraft manual`: what a shell and `man` know of the command.
//!
//! Both are derived from the arguments themselves, so that they cannot differ from what the command
//! takes. `make install` runs them.

use clap::ValueEnum;
use clap_complete::Shell;
use polygraft::console::output::{ExitStatus, Output};
use polygraft::{Code, Error, Result};
use std::path::{Path, PathBuf};

/// The shells that completions are tested for; clap could write more.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Completed {
    Bash,
    Zsh,
    Fish,
}

#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// The shell that the completions are for
    #[arg(value_enum, value_name = "SHELL")]
    shell: Completed,
}

#[derive(clap::Args)]
pub struct ManualArgs {
    /// An existing folder, which gets one page for each command, such as polygraft-update.1
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints the completions of a shell on standard output.
pub fn completions(
    args: &CompletionsArgs,
    mut command: clap::Command,
    output: &Output,
) -> Result<ExitStatus> {
    let shell = match args.shell {
        Completed::Bash => Shell::Bash,
        Completed::Zsh => Shell::Zsh,
        Completed::Fish => Shell::Fish,
    };
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    output.text(&String::from_utf8_lossy(&text))?;
    Ok(ExitStatus::Done)
}

/// Writes the manual pages of the command and of everything below it.
pub fn manual(args: &ManualArgs, command: clap::Command, output: &Output) -> Result<ExitStatus> {
    let failed = |cause: std::io::Error| {
        Error::io(Code::IoWrite, "writing manual pages to", &args.folder, &cause)
    };
    if !args.folder.is_dir() {
        let cause = std::io::Error::from(std::io::ErrorKind::NotADirectory);
        return Err(failed(cause));
    }
    // Each page has a name of its own, and `polygraft help` needs none.
    let command = command.disable_help_subcommand(true);
    clap_mangen::generate_to(command, &args.folder).map_err(failed)?;
    output.note(format!("wrote the manual pages to {}", shown(&args.folder)));
    Ok(ExitStatus::Done)
}

fn shown(folder: &Path) -> String {
    folder.display().to_string()
}
