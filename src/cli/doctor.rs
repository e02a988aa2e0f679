//! `polygraft doctor`: checks this machine, a bundle and a store.

use polygraft::Result;
use polygraft::bundle::Verify;
use polygraft::console::output::{ExitStatus, Output};
use polygraft::console::{Global, by_name};
use polygraft::diagnosis::{self, Check, State, Subjects};
use polygraft::runtime::Mode;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a bundle to check
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// The folder of a store to check
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// How the bundle's weights are held during the check
    #[arg(long, default_value_t, value_name = "MODE")]
    #[arg(value_parser = by_name(Mode::ALL, Mode::name))]
    mode: Mode,
    /// How much of the bundle is checked
    #[arg(long, default_value_t = Verify::Full, value_name = "HOW")]
    #[arg(value_parser = by_name(Verify::ALL, Verify::name))]
    verify: Verify,
}

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<ExitStatus> {
    let checks = diagnosis::diagnose(&Subjects {
        onnxruntime: global.onnxruntime.as_deref(),
        bundle: args.bundle.as_deref(),
        store: args.store.as_deref(),
        mode: args.mode,
        verify: args.verify,
    });
    let all_right = diagnosis::all_right(&checks);
    if output.is_json() {
        output.document(&json!({"ok": all_right, "checks": checks}))?;
    } else {
        output.text(&text(&checks))?;
    }
    Ok(if all_right { ExitStatus::Done } else { ExitStatus::Failed })
}

fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Wrong => "WRONG",
        };
        let mut details = check.details.iter().map(String::as_str);
        let first = details.next().unwrap_or_default();
        text.push_str(&format!("{state:<5}  {:<12}  {first}\n", check.subject));
        for detail in details {
            text.push_str(&format!("{:21}{}\n", "", detail.trim_start()));
        }
    }
    let end =
        if diagnosis::all_right(checks) { "Nothing is wrong." } else { "Something is wrong." };
    text.push_str(&format!("\n{end}\n"));
    text
}
