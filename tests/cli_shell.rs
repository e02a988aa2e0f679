//! What shells and `man` are given: completions that complete, and a page for every command.

#![cfg(all(feature = "cli", unix))]

mod cli_support;

use cli_support::{polygraft, run};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// The completions of a shell, in a file.
fn completions(shell: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let ran = run(polygraft().args(["completions", shell]));
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("completions");
    fs::write(&path, ran.stdout).unwrap();
    (folder, path)
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let (_folder, path) = completions("bash");
    let complete = |words: &[&str]| {
        let last = words.len() - 1;
        let script = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={last}; _polygraft polygraft '{}' '{}'; \
             echo \"${{COMPREPLY[@]}}\"",
            path.display(),
            words.join(" "),
            words[last],
            words[last - 1]
        );
        let output = Command::new("bash").args(["--norc", "-c", &script]).output().expect("bash");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete(&["polygraft", "roll"]), "rollback");
    assert_eq!(complete(&["polygraft", "bundle", "ver"]), "verify");
    assert_eq!(complete(&["polygraft", "update", "--gate-m"]), "--gate-margin");
    assert_eq!(complete(&["polygraft", "update", "--strategy", "ur"]), "uriel");
}

#[test]
fn other_shells_can_read_their_completions() {
    for (shell, flags) in [("zsh", ["-n"]), ("fish", ["--no-execute"])] {
        let (_folder, path) = completions(shell);
        let text = fs::read_to_string(&path).unwrap();
        for word in ["rollback", "gate-margin", "uriel"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
        let Ok(output) = Command::new(shell).args(flags).arg(&path).output() else {
            eprintln!("skipped: needs {shell}");
            continue;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let ran = run(polygraft().args(["completions", "csh"]));
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("bash, zsh, fish"), "{}", ran.stderr);
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(polygraft().arg("manual").arg(folder.path()));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let pages: BTreeSet<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let help = run(polygraft().arg("--help")).stdout;
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let names: Vec<_> =
        commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names.iter().filter(|name| **name != "help") {
        assert!(pages.contains(&format!("polygraft-{name}.1")), "{name}");
    }
    assert!(pages.contains("polygraft.1") && pages.contains("polygraft-adapter-import.1"));
    let page = fs::read_to_string(folder.path().join("polygraft-update.1")).unwrap();
    assert!(page.contains(".TH polygraft-update 1") && page.contains("gate\\-margin"), "{page}");

    let ran = run(polygraft().arg("manual").arg(folder.path().join("missing")));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("missing"), "{}", ran.stderr);
}
