//! Weights are hashed whole when they are first opened, and not again until they are written to.

use std::fs;
use std::path::Path;
use std::time::Duration;

use polygraft::Code;
use polygraft::bundle::{Bundle, Verify};

use crate::cli_support::{Ran, polygraft, run};
use crate::small::bundle;

/// Opens the bundle by a command that needs no engine.
fn inspect(bundle: &Path, cache: &Path, verify: &str) -> Ran {
    let mut command = polygraft();
    command.args(["inspect", "--verify", verify]).arg(bundle);
    run(command.env("POLYGRAFT_CACHE_DIR", cache))
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() - 1000;
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_weights_are_found_when_they_are_met_first() {
    let folder = tempfile::tempdir().unwrap();
    let made = bundle(folder.path());
    let data = made.folder().join("backbone.onnx.data");
    assert!(data.metadata().unwrap().len() > 1 << 20, "a small file is always hashed");
    flip(&data);
    Bundle::open(made.folder(), Verify::Quick).unwrap();
    for verify in [Verify::Remembered, Verify::Full, Verify::default()] {
        let error = Bundle::open(made.folder(), verify).unwrap_err();
        assert_eq!(error.code(), Code::BundleMismatch, "{error}");
        assert!(error.to_string().contains("backbone.onnx.data"), "{error}");
    }
}

#[test]
fn what_was_hashed_is_remembered_until_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let made = bundle(folder.path());
    let data = made.folder().join("backbone.onnx.data");
    let (cache, none) = (folder.path().join("cache"), folder.path().join("none"));
    let list = cache.join("hashed-files");
    // Just made, so a write within the same tick of the clock would not show yet.
    assert_eq!(inspect(made.folder(), &cache, "remembered").code, 0);
    assert!(!list.exists());
    std::thread::sleep(Duration::from_millis(4_100));
    assert_eq!(inspect(made.folder(), &none, "quick").code, 0);
    assert!(!none.exists(), "what was not hashed is not remembered");
    assert_eq!(inspect(made.folder(), &cache, "remembered").code, 0);
    let text = fs::read_to_string(&list).unwrap();
    let hash = blake3::hash(&fs::read(&data).unwrap()).to_hex().to_string();
    assert!(text.contains(&hash), "{text}");
    // What is in the list is not hashed again: with no such hash in it, it is.
    fs::write(&list, text.replace(&hash, &"0".repeat(64))).unwrap();
    assert_eq!(inspect(made.folder(), &cache, "remembered").code, 0);
    assert_eq!(fs::read_to_string(&list).unwrap(), text, "hashed again, and remembered");
    let before = list.metadata().unwrap().modified().unwrap();
    assert_eq!(inspect(made.folder(), &cache, "remembered").code, 0);
    assert_eq!(list.metadata().unwrap().modified().unwrap(), before, "nothing was hashed");
    // Written and put back to its time: the memory does not hold.
    let modified = data.metadata().unwrap().modified().unwrap();
    flip(&data);
    fs::File::options().write(true).open(&data).unwrap().set_modified(modified).unwrap();
    let refused = inspect(made.folder(), &cache, "remembered");
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("bundle.mismatch"), "{}", refused.stderr);
    assert_eq!(inspect(made.folder(), &cache, "quick").code, 0);
    // A cache that cannot be made is not an error.
    flip(&data);
    assert_eq!(inspect(made.folder(), &data.join("below a file"), "remembered").code, 0);
}
