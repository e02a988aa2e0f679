//! Several processes on one store: activations seen without restart, kills at any moment, a full
//! disk. The other processes are this test program, started again with one of the ignored tests.
#![cfg(unix)]

use polygraft::Code;
use polygraft::example::Example;
use polygraft::language::Language;
use polygraft::rehearsal::{Limits, Rehearsal};
use polygraft::store::{NewVersion, Store};
use serde_json::json;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const TASK: &str = "intent";
const FOLDER_VARIABLE: &str = "POLYGRAFT_TEST_STORE";

fn candidate(tag: &str, bytes: Vec<u8>) -> NewVersion {
    let language = Language::parse(tag).unwrap();
    NewVersion { language, bytes: bytes.into(), activate: true, evidence: json!(null) }
}

/// Two languages whose contents belong together: whoever sees one must see the other.
fn pair(round: u32) -> [NewVersion; 2] {
    ["de", "fr"].map(|tag| candidate(tag, round.to_string().repeat(5_000).into_bytes()))
}

/// The two active contents, verified.
fn active_pair(store: &Store) -> Option<[Vec<u8>; 2]> {
    let snapshot = store.snapshot().unwrap();
    let read = |tag| {
        let active = snapshot.active(TASK, &Language::parse(tag).unwrap())?;
        Some(store.read_object(&active.hash).unwrap())
    };
    Some([read("de")?, read("fr")?])
}

fn child_command(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env(FOLDER_VARIABLE, folder);
    command.stdout(Stdio::null());
    command
}

/// The folder that the parent names; the ignored tests do nothing when run by hand.
fn folder_from_parent() -> Option<PathBuf> {
    env::var_os(FOLDER_VARIABLE).map(PathBuf::from)
}

#[test]
#[ignore = "the child process of other tests"]
fn child_publishes_until_killed() {
    let Some(folder) = folder_from_parent() else { return };
    let store = Store::open(&folder).unwrap();
    for round in 0.. {
        store.publish(TASK, &pair(round)).unwrap();
        if round % 3 == 2 {
            store.roll_back(TASK, &Language::parse("de").unwrap()).unwrap();
            store.roll_back(TASK, &Language::parse("fr").unwrap()).unwrap();
        }
    }
}

#[test]
#[ignore = "the child process of other tests"]
fn child_activates_version_one() {
    let Some(folder) = folder_from_parent() else { return };
    let both = ["de", "fr"].map(|tag| (Language::parse(tag).unwrap(), 1));
    Store::open(&folder).unwrap().activate(TASK, &both).unwrap();
}

#[test]
#[ignore = "the child process of other tests"]
fn child_publishes_on_a_full_disk() {
    let Some(folder) = folder_from_parent() else { return };
    let store = Store::open(&folder).unwrap();
    limit_file_size(16 << 10);
    // The second object does not fit; the first one does, and is taken back.
    let large = candidate("fr", vec![7; 64 << 10]);
    let error = store.publish(TASK, &[candidate("de", vec![1; 100]), large]).unwrap_err();
    assert_eq!(error.code(), Code::IoFull, "{error}");
    // The objects fit, the pointer file does not.
    let wordy = ["de", "fr"].map(|tag| {
        let evidence = json!("x".repeat(20 << 10));
        NewVersion { evidence, ..candidate(tag, vec![2; 100]) }
    });
    let error = store.publish(TASK, &wordy).unwrap_err();
    assert_eq!(error.code(), Code::IoFull, "{error}");
    // What fits still works in the same process.
    store.activate(TASK, &[(Language::parse("de").unwrap(), 1)]).unwrap();
}

#[test]
#[ignore = "the child process of other tests"]
fn child_uses_a_store_without_standard_streams() {
    let Some(folder) = folder_from_parent() else { return };
    // SAFETY: closing descriptors of this child process, which uses none of them from here on.
    unsafe { (0..3).for_each(|descriptor| assert_eq!(libc::close(descriptor), 0)) };
    let used = || {
        let store = Store::open(&folder)?;
        store.publish(TASK, &pair(7))?;
        store.activate(TASK, &[(Language::parse("de")?, 1)])?;
        let mut rehearsal = Rehearsal::open(&folder, TASK, Limits::default())?;
        rehearsal.add(&[Example::labelled(Language::parse("de")?, "Licht an", "on")], 1)?;
        // What a daemon may print any time later.
        for descriptor in 0..3 {
            let text = b"warning\n";
            // SAFETY: the text lives through the call; on a closed descriptor it fails.
            let written = unsafe { libc::write(descriptor, text.as_ptr().cast(), text.len()) };
            assert_eq!(written, -1, "descriptor {descriptor} is taken");
        }
        rehearsal.save()?;
        store.snapshot().map(|_| ())
    };
    std::process::exit(i32::from(used().is_err()));
}

#[test]
#[ignore = "the child process of other tests"]
fn child_changes_its_working_folder() {
    let Some(folder) = folder_from_parent() else { return };
    env::set_current_dir(&folder).unwrap();
    let store = Store::open(Path::new("store")).unwrap();
    store.publish(TASK, &pair(1)).unwrap();
    // There is another store of that name where it goes.
    env::set_current_dir(folder.join("other")).unwrap();
    store.publish(TASK, &pair(2)).unwrap();
    assert_eq!(active_pair(&store).unwrap()[0], "2".repeat(5_000).into_bytes());
    assert_eq!(store.path(), folder.join("store"));
    assert_eq!(store.verify().unwrap(), []);
}

/// Makes every larger file fail to grow, as a full disk does: a write comes back short or fails.
fn limit_file_size(size_bytes: u64) {
    let limit = libc::rlimit { rlim_cur: size_bytes, rlim_max: size_bytes };
    // SAFETY: ignoring a signal installs no handler, and `limit` is a valid struct that outlives
    // the call. Both change this child process only.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
    }
}

/// Kills the child at the end of its scope, however the scope ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_killed_publisher_leaves_a_whole_state() {
    let folder = tempfile::tempdir().unwrap();
    let reader = Store::open(folder.path()).unwrap();
    let mut generation_at_kill = 0;
    for round in 0..30_u64 {
        let child = child_command("child_publishes_until_killed", folder.path()).spawn().unwrap();
        let child = Killed(child);
        // Wait until it is in the middle of its work, then a moment that differs every time.
        while reader.snapshot().unwrap().generation() <= generation_at_kill + 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(round * 977 % 20_000));
        if let Some([de, fr]) = active_pair(&reader) {
            assert!(!de.is_empty() && !fr.is_empty());
        }
        drop(child);
        let store = Store::open(folder.path()).unwrap();
        let snapshot = store.snapshot().unwrap();
        assert!(snapshot.generation() > generation_at_kill);
        generation_at_kill = snapshot.generation();
        assert_eq!(store.verify().unwrap(), []);
        assert_eq!(published_per_language(&store, "de"), published_per_language(&store, "fr"));
        store.publish(TASK, &pair(1_000 + u32::try_from(round).unwrap())).unwrap();
        let [de, fr] = active_pair(&store).unwrap();
        assert_eq!(de, fr);
        generation_at_kill += 1;
    }
}

/// The hashes of all versions of a language, oldest first.
fn published_per_language(store: &Store, tag: &str) -> Vec<String> {
    let versions = store.versions(Some(TASK)).unwrap().into_iter();
    let own = versions.filter(|version| version.language.as_str() == tag);
    own.map(|version| version.hash.to_string()).collect()
}

#[test]
fn another_process_activation_is_seen_without_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.publish(TASK, &pair(1)).unwrap();
    store.publish(TASK, &pair(2)).unwrap();
    let held = store.snapshot().unwrap();
    assert!(
        child_command("child_activates_version_one", folder.path()).status().unwrap().success()
    );
    let de = Language::parse("de").unwrap();
    assert_eq!(store.snapshot().unwrap().active(TASK, &de).unwrap().number, 1);
    assert_eq!(held.active(TASK, &de).unwrap().number, 2, "a held snapshot does not move");
    assert_eq!(active_pair(&store).unwrap()[0], "1".repeat(5_000).into_bytes());
}

#[test]
fn a_full_disk_is_named_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.publish(TASK, &pair(1)).unwrap();
    let before = store.versions(None).unwrap();
    let output = child_command("child_publishes_on_a_full_disk", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
    assert_eq!(store.versions(None).unwrap(), before);
    assert_eq!(store.verify().unwrap(), []);
    assert_eq!(store.collect_garbage().unwrap(), 0, "nothing was left behind");
    assert_eq!(std::fs::read_dir(folder.path().join("work")).unwrap().count(), 0);
}

#[test]
fn a_daemon_without_standard_streams_does_not_print_into_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.publish(TASK, &pair(1)).unwrap();
    let child = "child_uses_a_store_without_standard_streams";
    assert!(child_command(child, folder.path()).status().unwrap().success());
    assert_eq!(store.versions(None).unwrap().len(), 4);
    assert_eq!(store.verify().unwrap(), []);
    let rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    assert_eq!(rehearsal.languages().count(), 1);
}

#[test]
fn a_store_opened_by_a_relative_path_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let other = Store::open(&folder.path().join("other").join("store")).unwrap();
    let child = "child_changes_its_working_folder";
    assert!(child_command(child, folder.path()).status().unwrap().success());
    assert_eq!(other.snapshot().unwrap().generation(), 0);
    let store = Store::open(&folder.path().join("store")).unwrap();
    assert_eq!(store.snapshot().unwrap().generation(), 2);
}
