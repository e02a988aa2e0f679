//! Arguments that every command takes alike: paths of any bytes, and names of tasks.

#![cfg(all(feature = "cli", target_os = "linux"))]

mod cli_support;

use cli_support::{polygraft, run};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A name that is not UTF-8, as on a disk of another or an old system.
const NAME: &[u8] = b"d\xe9p\xf4t";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters").join(name)
}

/// A folder of that name, with a bundle, a store and examples in folders of that name.
struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(OsStr::from_bytes(NAME));
        std::fs::create_dir(&root).unwrap();
        Self { _folder: folder, root }
    }

    /// `word`, with `@NAME` standing for a path inside the folder.
    fn argument(&self, word: &str) -> OsString {
        match word.strip_prefix('@') {
            Some(name) => {
                let name = [NAME, name.as_bytes()].concat();
                self.root.join(OsStr::from_bytes(&name)).into()
            }
            None => word.into(),
        }
    }

    /// Runs a command that must end with one of `codes`, once for people and once as JSON; gives
    /// what the latter printed.
    fn run(&self, words: &str, codes: &[i32]) -> Value {
        let arguments: Vec<OsString> = words.split(' ').map(|word| self.argument(word)).collect();
        for (json, out) in [(false, "-text"), (true, "-json")] {
            let mut command = polygraft();
            // What a command writes has to be new.
            command.args(arguments.iter().map(|argument| match argument.as_bytes() {
                bytes if bytes.starts_with(b"/") && bytes.ends_with(b"-out") => {
                    OsStr::from_bytes(&[bytes, out.as_bytes()].concat()).to_owned()
                }
                _ => argument.clone(),
            }));
            let ran = run(command.args(json.then_some("--json")));
            assert!(
                codes.contains(&ran.code),
                "{words}: {}\n{}{}",
                ran.code,
                ran.stdout,
                ran.stderr
            );
            if json {
                let last = ran.stdout.lines().last().unwrap_or_default().to_owned();
                let whole = serde_json::from_str(&ran.stdout);
                return whole.or_else(|_| serde_json::from_str(&last)).unwrap_or(Value::Null);
            }
        }
        Value::Null
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_command_takes_paths_of_any_bytes() {
    let place = Place::new();
    let copy = |from: &str, to: &str| {
        std::fs::copy(fixture(from), place.argument(to)).unwrap();
    };
    copy("backbone.onnx", "@model.onnx");
    copy("tokenizer.json", "@tokenizer.json");
    let examples: String = (0..60)
        .map(|number| {
            let label = if number % 2 == 0 { "on" } else { "off" };
            format!("{{\"lang\":\"en\",\"text\":\"w{number} w1\",\"label\":\"{label}\"}}\n")
        })
        .collect();
    std::fs::write(place.argument("@examples.jsonl"), examples).unwrap();
    let peft = place.argument("@peft");
    std::fs::create_dir(&peft).unwrap();
    for file in std::fs::read_dir(fixture("peft-lora-head")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), Path::new(&peft).join(file.file_name())).unwrap();
    }

    let create = "bundle create --overwrite --progress none --pooling mean --onnx @model.onnx \
                  --tokenizer @tokenizer.json --out @bundle";
    let made = place.run(create, &[0]);
    assert!(made["bundle"].as_str().unwrap().contains("d\u{fffd}p\u{fffd}tbundle"), "{made}");
    place.run("bundle verify --progress none @bundle", &[0]);
    place.run("inspect @bundle", &[0]);
    place.run("inspect @model.onnx", &[0]);
    place.run("doctor --bundle @bundle", &[0]);
    let import = "adapter import --bundle @bundle --from @peft --store @store --task switch \
                  --language en --activate --out @own-out";
    assert_eq!(place.run(import, &[0])["version"], 2);
    place.run("adapter show @own-out-json", &[0]);
    place.run("adapter combine @own-out-json=0.5 @own-out-text --out @mix-out", &[0]);
    place.run("adapter stack @own-out-json @own-out-text --out @stack-out", &[0, 1]);
    let source = "--bundle @bundle --from @own-out-json";
    place.run(&format!("adapter export {source} --to peft --encoder bert --out @back-out"), &[0]);
    place.run(&format!("adapter graph {source} --out @graph-out"), &[0]);

    let model = "--bundle @bundle --store @store";
    let told = place.run(&format!("predict {model} --task switch --language en w1"), &[0]);
    assert_eq!(told["answered_by"]["version"], 2, "{told}");
    place.run(&format!("embed {model} --task switch --language en w1"), &[0]);
    place.run(&format!("eval {model} --task switch --examples @examples.jsonl"), &[0]);
    let update = "--task switch --examples @examples.jsonl --steps-max 2 --progress none --report \
                  @report-out --html @page-out";
    // How the gate decides is not the question here.
    place.run(&format!("update {model} {update}"), &[0, 4, 5]);
    place.run("versions --store @store", &[0]);
    place.run("report --store @store --task switch --html @history-out", &[0]);
    for command in ["activate --version 1", "rollback", "pin", "unpin"] {
        place.run(&format!("{command} --store @store --task switch --language en"), &[0]);
    }
    place.run("languages --explain en --store @store --task switch", &[0]);
    place.run(&format!("doctor {model}"), &[0]);
}

/// Each command that takes a task, with what else it needs.
const WITH_TASK: [&str; 16] = [
    "predict --bundle @bundle --store @store --language en --task a/b x",
    "embed --bundle @bundle --store @store --language en --task a/b x",
    "update --bundle @bundle --store @store --examples @examples --task a/b",
    "report --store @store --task a/b",
    "eval --bundle @bundle --store @store --examples @examples --task a/b",
    "versions --store @store --task a/b",
    "activate --store @store --language en --version 1 --task a/b",
    "rollback --store @store --language en --task a/b",
    "pin --store @store --language en --task a/b",
    "unpin --store @store --language en --task a/b",
    "languages --explain en --store @store --task a/b",
    "store remove --store @store --keep-last 1 --task a/b",
    "store wipe --store @store --all --task a/b",
    "adapter import --bundle @bundle --from @from --store @store --language en --task a/b",
    "adapter export --bundle @bundle --to peft --out @out --store @store --language en --task a/b",
    "adapter graph --bundle @bundle --out @out --store @store --language en --task a/b",
];

#[test]
fn what_cannot_be_a_task_is_refused_by_every_command_before_anything_is_made() {
    let place = Place::new();
    for words in WITH_TASK {
        let arguments = words.split(' ').map(|word| place.argument(word));
        let ran = run(polygraft().args(arguments).arg("--json"));
        assert_eq!(ran.code, 2, "{words}: {}{}", ran.stdout, ran.stderr);
        let error = &ran.json()["error"];
        assert_eq!(error["name"], "task.name", "{words}: {error}");
        assert!(error["message"].as_str().unwrap().contains("\"a/b\""), "{words}: {error}");
    }
    assert_eq!(std::fs::read_dir(&place.root).unwrap().count(), 0, "something was made");
}

#[test]
fn no_command_that_takes_a_task_is_left_out_above() {
    let commands = |path: &[&str]| -> Vec<String> {
        let help = run(polygraft().args(path).arg("--help")).stdout;
        let list = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
        let lines = list.lines().take_while(|line| line.starts_with("  "));
        let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        names.filter(|name| !name.is_empty() && *name != "help").map(String::from).collect()
    };
    let top = commands(&[]);
    assert!(top.len() > 10, "{top:?}");
    for name in &top {
        let inner = commands(&[name]);
        let paths: Vec<Vec<&str>> = match inner.is_empty() {
            true => vec![vec![name]],
            false => inner.iter().map(|one| vec![name.as_str(), one.as_str()]).collect(),
        };
        for path in paths {
            let help = run(polygraft().args(&path).arg("--help")).stdout;
            let takes = help.contains("--task ");
            let listed = WITH_TASK.iter().any(|words| words.starts_with(&(path.join(" ") + " ")));
            assert_eq!(takes, listed, "{path:?}");
        }
    }
}
