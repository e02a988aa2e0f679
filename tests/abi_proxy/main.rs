//! The same scenarios through the Rust API and, by a thin proxy, through the C ABI: both give the
//! same answers, versions, scores and errors, to the last bit.
//!
//! Each device has a store of its own. What it did is written down as lines, in which the device's
//! own folder has a name that is the same for both.

mod direct;
mod from_c;
mod proxy;
mod scenarios;
#[path = "../c/support.rs"]
mod support;

use std::path::Path;

/// A status of the C ABI and the message of an error.
pub type Outcome<T> = Result<T, (i32, String)>;

/// The text, language and label of an example.
pub type Labelled = (&'static str, String, &'static str);

/// What a program does with the library. Results are data that both ways can give.
pub trait Device: Sized {
    /// Opens the bundle with a store in `folder`.
    fn open(bundle: &Path, folder: &Path) -> Outcome<Self>;
    /// Trains in a few steps and commits: a line for each language.
    fn teach(&self, task: &str, examples: &[Labelled], gate: bool) -> Outcome<Vec<String>>;
    /// The label, the bits of its probability, and who answered.
    fn predict(&self, task: &str, language: &str, text: &str) -> Outcome<String>;
    /// A line for each version, with the hash of its content.
    fn versions(&self, task: &str) -> Outcome<Vec<String>>;
    /// Activates one version.
    fn activate(&self, task: &str, language: &str, number: u32) -> Outcome<()>;
    /// The number of the version that is active then; 0 for none.
    fn roll_back(&self, task: &str, language: &str) -> Outcome<u32>;
    /// The number of the version that the language is pinned to.
    fn pin(&self, task: &str, language: &str) -> Outcome<u32>;
    /// Lets the version of a language change again.
    fn unpin(&self, task: &str, language: &str) -> Outcome<()>;
    /// The number of the version, whether it is active, and the gate's reason.
    fn import(&self, task: &str, language: &str, path: &Path, gate: bool) -> Outcome<String>;
    /// Writes a version in polygraft's own format.
    fn export(&self, task: &str, language: &str, number: u32, path: &Path) -> Outcome<()>;
    /// The counts of wiped examples, and the versions that learnt from them.
    fn wipe(
        &self,
        task: &str,
        language: Option<&str>,
        label: Option<&str>,
        retire: bool,
    ) -> Outcome<String>;
    /// How many versions were removed.
    fn remove_versions(&self, task: &str, keep_last: u32) -> Outcome<usize>;
    /// The bits of the score of each language, and who served it.
    fn evaluate(&self, task: &str, json_lines: &str) -> Outcome<Vec<String>>;
    /// A line for each language that is asked for a version.
    fn explain(&self, task: &str, language: &str) -> Outcome<Vec<String>>;
    /// The counts of the store and of each task.
    fn statistics(&self) -> Outcome<Vec<String>>;
    /// How many files of the store are missing or damaged.
    fn verify(&self) -> Outcome<usize>;
}

/// What a device did, in lines.
fn lines<D: Device>(bundle: &Path) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let device = D::open(bundle, &folder.path().join("store")).expect("a device");
    let mut lines = Vec::new();
    scenarios::run(&device, folder.path(), &mut lines);
    let own = folder.path().display().to_string();
    lines.into_iter().map(|line| line.replace(&own, "FOLDER")).collect()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_c_abi_does_what_the_rust_api_does() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = support::sequence_bundle(folder.path());
    let direct = lines::<direct::Direct>(&bundle);
    let proxy = lines::<proxy::Proxy>(&bundle);
    for (direct, proxy) in direct.iter().zip(&proxy) {
        assert_eq!(direct, proxy);
    }
    assert_eq!(direct.len(), proxy.len());
    let failures = direct.iter().filter(|line| line.contains("Err(")).count();
    // A copy of what was learnt is found when that is erased, though its original was removed.
    let wiped = direct.iter().find(|line| line.starts_with("wipe a language:")).unwrap();
    assert!(wiped.contains("light fr 1"), "{wiped}");
    assert!(failures >= 8 && failures < direct.len() / 2, "{failures} of {}", direct.len());
}
