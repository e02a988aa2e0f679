//! How much private memory an opened bundle takes. Alone in its file, so that no other test
//! allocates meanwhile.

#![cfg(target_os = "linux")]

use std::path::Path;

use polygraft::bundle::{Bundle, CreateOptions, Pooling, Verify, create};

/// Private memory of this process, in kilobytes: what the system can neither share nor evict.
fn anonymous_kb() -> i64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Where the child process of the test finds the bundle.
const FOLDER_VARIABLE: &str = "POLYGRAFT_TEST_BUNDLE";

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_opened_bundle_takes_little_private_memory() {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        return measure(Path::new(&folder));
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/backbone/e5-small");
    assert!(source.exists(), "{} is missing: run `make setup` first", source.display());
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = CreateOptions {
        onnx: source.join("model.onnx"),
        tokenizer: source.join("tokenizer.json"),
        pooling: Pooling::Mean,
        layers: Vec::new(),
        tokens_stated: None,
        prefix: String::new(),
        tokens_max: None,
        output: None,
        upcast: false,
        out: folder.path().join("e5"),
        overwrite: false,
    };
    create(&options, &mut |_| {}).unwrap();
    // A fresh process, because making a bundle leaves freed memory behind in this one.
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "an_opened_bundle_takes_little_private_memory", "--nocapture"])
        .env(FOLDER_VARIABLE, &options.out)
        .status()
        .unwrap();
    assert!(child.success());
}

fn measure(folder: &Path) {
    let before = anonymous_kb();
    let started = std::time::Instant::now();
    let bundle = Bundle::open(folder, Verify::Quick).unwrap();
    let elapsed = started.elapsed();
    let tokens = bundle.tokenizer().encode("включи свет на кухне 台所の電気", 512).unwrap();
    let taken = anonymous_kb() - before;
    println!("{taken} kB private, opened in {elapsed:?}, {} tokens", tokens.ids.len());
    assert!(taken < 20_000, "{taken} kB");
}
