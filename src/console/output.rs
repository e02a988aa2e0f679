//! The output of a command: data on standard output, notes and errors on standard error, and the
//! exit code.

pub use crate::report::size;

use crate::report::{Decision, Report};
use crate::{Code, Error, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// The result of a command that did not fail with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It did what was requested.
    Done,
    /// It did what was requested and found something wrong.
    Failed,
    /// An update activated nothing.
    GateKeptEverything,
    /// An update activated nothing because it had too few examples to judge by.
    MoreExamplesNeeded,
}

impl From<ExitStatus> for ExitCode {
    fn from(outcome: ExitStatus) -> Self {
        ExitCode::from(match outcome {
            ExitStatus::Done => 0,
            ExitStatus::Failed => 1,
            ExitStatus::GateKeptEverything => 4,
            ExitStatus::MoreExamplesNeeded => 5,
        })
    }
}

fn exit_code(code: Code) -> u8 {
    match code {
        Code::ArgumentInvalid
        | Code::ArgumentUtf8
        | Code::LanguageMalformed
        | Code::LanguageUnknown
        | Code::TaskName => 2,
        Code::BundleManifest
        | Code::BundleMismatch
        | Code::AdapterMalformed
        | Code::AdapterBaseMismatch
        | Code::AdapterIdentityMismatch
        | Code::AdapterTensors
        | Code::StoreMalformed
        | Code::StoreCorrupt
        | Code::RehearsalMalformed => 3,
        Code::Cancelled => 130,
        _ => 1,
    }
}

/// Prints data, notes and errors in the requested form.
pub struct Output {
    json: bool,
    error_color: bool,
}

impl Output {
    /// Prints data as JSON or as text.
    pub fn new(json: bool) -> Self {
        Self { json, error_color: color(&std::io::stderr()) }
    }

    /// Whether data is printed as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one JSON document on several lines.
    pub fn document(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(not_json)?;
        self.text(&format!("{text}\n"))
    }

    /// Prints one JSON value on one line.
    pub fn json_line(&self, value: &Value) -> Result<()> {
        self.text(&format!("{value}\n"))
    }

    /// Prints text unchanged.
    pub fn text(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|cause| Error::io(Code::IoWrite, "writing", Path::new("stdout"), &cause))
    }

    /// Prints a report. On a terminal the languages that keep their version are highlighted.
    pub fn report(&self, report: &Report) -> Result<()> {
        for warning in &report.warnings {
            self.note(format!("warning: {warning}"));
        }
        let text = report.to_string();
        if !color(&std::io::stdout()) {
            return self.text(&text);
        }
        let kept = |row: usize| {
            let entry = row.checked_sub(1).and_then(|row| report.languages.get(row));
            entry.is_some_and(|entry| entry.decision == Decision::Keep)
        };
        let mut painted = String::new();
        let mut row = 0;
        for (index, line) in text.lines().enumerate() {
            // A line that begins with a space continues the row above it.
            row += usize::from(index > 0 && !line.starts_with(' '));
            let escape = match row {
                0 => "\x1b[1m",
                row if kept(row) => "\x1b[33m",
                _ => "",
            };
            let end = if escape.is_empty() { "" } else { "\x1b[0m" };
            painted.push_str(&format!("{escape}{line}{end}\n"));
        }
        self.text(&painted)
    }

    /// Prints a note for people on standard error.
    pub fn note(&self, text: impl Display) {
        // If standard error cannot be written, there is nowhere to report it.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Prints an error and returns its exit code.
    pub fn error(&self, error: &Error) -> ExitCode {
        let code = error.code();
        if self.json {
            let contexts: Vec<&str> = error.contexts().collect();
            let error = json!({"error": {
                "code": code.number(),
                "name": code.name(),
                "message": error.message(),
                "context": contexts,
            }});
            let _ = writeln!(std::io::stdout(), "{error}");
        } else {
            let (bold, plain) = if self.error_color { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
            let text = visible(&error.to_string());
            let _ = writeln!(std::io::stderr(), "{bold}error[{}]{plain}: {text}", code.name());
        }
        ExitCode::from(exit_code(code))
    }
}

/// A path in JSON, which is Unicode: bytes of a name that are not Unicode are replaced.
pub fn path_text(path: &Path) -> String {
    path.display().to_string()
}

/// Prints what is wrong with the arguments, or the requested help.
pub fn usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let asked_for_help = !error.use_stderr();
    let json = arguments.iter().any(|argument| argument == "--json");
    if json && !asked_for_help {
        let text = error.to_string();
        let message = text.trim().trim_start_matches("error: ");
        let error = Error::new(Code::ArgumentInvalid, message);
        return Output::new(true).error(&error);
    }
    let _ = error.print();
    ExitCode::from(if asked_for_help { 0 } else { 2 })
}

/// Text from outside must not control the terminal; only line feeds are kept.
fn visible(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

/// Whether to write colour: to a terminal, unless `NO_COLOR` or `TERM=dumb` is set.
fn color(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

fn not_json(cause: serde_json::Error) -> Error {
    Error::new(Code::Internal, format!("writing JSON: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_an_exit_code_that_the_help_explains() {
        for code in Code::ALL {
            assert!([1, 2, 3, 130].contains(&exit_code(*code)), "{code}");
        }
        assert_eq!(exit_code(Code::StoreCorrupt), 3);
        assert_eq!(exit_code(Code::Cancelled), 130);
    }
}
