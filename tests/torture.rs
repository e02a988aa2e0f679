//! Attacks that take minutes: updates that are killed at random moments beside readers, and files
//! with mutated bytes. `make torture` runs them on the release build; each prints its counts.
//!
//! `POLYGRAFT_TORTURE_KILLS`, `POLYGRAFT_TORTURE_MUTATIONS` and `POLYGRAFT_TORTURE_SEED` change how
//! much is done and where chance begins.
#![cfg(all(unix, feature = "cli"))]

mod cli_support;

use cli_support::{Ran, polygraft, run};
use polygraft::language::Language;
use polygraft::store::Store;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TASK: &str = "switch";
/// Every update without the gate gives each of them a new version, in one step.
const LANGUAGES: [&str; 4] = ["de", "en", "fr", "mul"];
const TEXT: &str = "w1 w2 w3";
/// More than any command on the tiny model takes; a slower one hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn number_from_environment(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn random() -> fastrand::Rng {
    let seed = number_from_environment("POLYGRAFT_TORTURE_SEED", 0) as u64;
    fastrand::Rng::with_seed(seed)
}

/// A bundle of the tiny backbone, examples in three languages, and a store.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// With one finished update in the store.
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters");
        let mut create = polygraft();
        create.args(["bundle", "create", "--progress", "none", "--pooling", "mean", "--onnx"]);
        create.arg(fixtures.join("backbone.onnx")).arg("--tokenizer");
        create.arg(fixtures.join("tokenizer.json")).arg("--out").arg(bench.path("bundle"));
        finished(run(&mut create));
        let mut lines = String::new();
        for language in ["de", "en", "fr"] {
            for index in 0..40 {
                let (label, word) = if index % 2 == 0 { ("on", 1) } else { ("off", 5) };
                let text = format!("w{word} w{} w{}", 2 + index % 7, 9 + index % 11);
                lines += &format!(
                    "{{\"lang\": \"{language}\", \"text\": \"{text}\", \"label\": \"{label}\"}}\n"
                );
            }
        }
        fs::write(bench.path("examples.jsonl"), lines).unwrap();
        finished(run(&mut bench.update()));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An update that saves its checkpoint at every step and activates everything.
    fn update(&self) -> Command {
        let mut command = polygraft();
        command.args(["update", "--progress", "none", "--no-gate", "--new-labels", "--task", TASK]);
        command.args(["--epochs", "2", "--checkpoint-steps", "1", "--discard-checkpoint"]);
        command.args(["--threads", "1", "--examples"]).arg(self.path("examples.jsonl"));
        command.arg("--bundle").arg(self.path("bundle")).arg("--store").arg(self.path("store"));
        command
    }

    fn predict(&self) -> Command {
        let mut command = polygraft();
        command.args(["predict", TEXT, "--json", "--language", "de", "--task", TASK, "--bundle"]);
        command.arg(self.path("bundle")).arg("--store").arg(self.path("store"));
        command
    }

    fn versions(&self) -> Command {
        let mut command = polygraft();
        command.args(["versions", "--json", "--task", TASK, "--store"]).arg(self.path("store"));
        command
    }
}

fn finished(ran: Ran) -> Ran {
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    ran
}

/// The number that every language serves, or `None` when they are of different updates.
fn number_of_all(store: &Store) -> Option<u32> {
    let snapshot = store.snapshot().unwrap();
    let mut numbers = LANGUAGES.map(|tag| {
        let language = Language::parse(tag).unwrap();
        snapshot.active(TASK, &language).map(|active| active.number)
    });
    numbers.sort();
    if numbers[0] == numbers[LANGUAGES.len() - 1] { numbers[0] } else { None }
}

/// What readers beside the updates have seen.
#[derive(Default)]
struct Readers {
    stop: AtomicBool,
    commands: AtomicUsize,
    commands_failed: AtomicUsize,
    snapshots: AtomicUsize,
    torn: AtomicUsize,
}

impl Readers {
    /// Starts commands that open the store anew each time, as scripts and services do.
    fn command_loop(&self, bench: &Bench) {
        for round in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let mut command = if round % 4 == 0 { bench.predict() } else { bench.versions() };
            let ran = run(&mut command);
            self.commands.fetch_add(1, Ordering::Relaxed);
            if ran.code != 0 {
                self.commands_failed.fetch_add(1, Ordering::Relaxed);
                println!("a reader failed: {}{}", ran.stdout, ran.stderr);
            }
        }
    }

    /// Looks again and again through one open store.
    fn snapshot_loop(&self, bench: &Bench) {
        let store = Store::open(&bench.path("store")).unwrap();
        while !self.stop.load(Ordering::Relaxed) {
            self.snapshots.fetch_add(1, Ordering::Relaxed);
            if number_of_all(&store).is_none() {
                self.torn.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// What became of the updates.
#[derive(Debug, Default)]
struct Kills {
    killed: usize,
    finished_first: usize,
    /// Ended by themselves with an error.
    failed: usize,
    torn: usize,
    lost: usize,
}

impl Kills {
    /// Starts an update, kills it after `delay`, and looks at what is left. Returns whether it was
    /// still running.
    fn kill_one(&mut self, bench: &Bench, delay: Duration) -> bool {
        let store = Store::open(&bench.path("store")).unwrap();
        let before = number_of_all(&store).expect("whole before the update");
        let errors = fs::File::create(bench.path("errors")).unwrap();
        let mut child = bench.update().stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        std::thread::sleep(delay);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let done = status.success();
        let killed = status.code().is_none();
        if killed {
            self.killed += 1;
        } else if done {
            self.finished_first += 1;
        } else {
            self.failed += 1;
            println!("an update failed: {}", fs::read_to_string(bench.path("errors")).unwrap());
        }
        let Some(after) = number_of_all(&Store::open(&bench.path("store")).unwrap()) else {
            self.torn += 1;
            return killed;
        };
        let least = before + u32::from(done);
        if after < least || after > before + 1 {
            self.lost += 1;
        }
        killed
    }
}

#[test]
#[ignore = "minutes; `make torture`"]
fn updates_that_are_killed_at_any_moment_tear_and_lose_nothing() {
    let kills_count = number_from_environment("POLYGRAFT_TORTURE_KILLS", 1_000);
    let (bench, mut random, readers) = (Bench::new(), random(), Readers::default());
    let mut kills = Kills::default();
    std::thread::scope(|scope| {
        scope.spawn(|| readers.command_loop(&bench));
        scope.spawn(|| readers.snapshot_loop(&bench));
        // Beside the readers, since they make it slower.
        let started = Instant::now();
        finished(run(&mut bench.update()));
        let mut whole = started.elapsed();
        while kills.killed < kills_count {
            let killed = kills.kill_one(&bench, whole.mul_f64(random.f64()));
            // The machine is not always as busy as it was. About one update in six finishes first.
            whole = whole.mul_f64(if killed { 1.01 } else { 0.95 });
        }
        readers.stop.store(true, Ordering::Relaxed);
    });
    let store = Store::open(&bench.path("store")).unwrap();
    let problems = store.verify().unwrap();
    finished(run(&mut bench.update()));
    let (commands, snapshots) = (readers.commands.into_inner(), readers.snapshots.into_inner());
    let commands_failed = readers.commands_failed.into_inner();
    let torn = kills.torn + readers.torn.into_inner();
    println!(
        "{} kills, {} updates that finished first: {torn} torn, {} lost, {} updates failed; \
         {commands} reading commands beside them, {commands_failed} failed; {snapshots} snapshots",
        kills.killed, kills.finished_first, kills.lost, kills.failed
    );
    assert_eq!((torn, kills.lost, kills.failed, commands_failed), (0, 0, 0, 0));
    assert!(commands > 0 && snapshots > 0);
    assert!(problems.is_empty(), "{problems:?}");
}

/// One way in which a file goes bad.
fn mutate(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..=8) {
        let len = bytes.len();
        if len == 0 {
            return bytes.push(random.u8(..));
        }
        let at = random.usize(..len);
        let end = (at + random.usize(1..=64)).min(len);
        match random.u8(..6) {
            0 => bytes[at] ^= 1 << random.u8(..8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.usize(..5)],
            2 => bytes.truncate(at),
            3 => bytes[at..end].fill(0),
            4 => drop(bytes.drain(at..end)),
            _ => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
}

/// How a command ended, if it ended as commands do.
fn outcome(command: &mut Command) -> Result<Ran, String> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            return Err("hung".to_owned());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    match output.status.code() {
        Some(0..=4) => Ok(output.into()),
        code => Err(format!("ended with {code:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Every regular file below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect();
    files.sort();
    files
}

#[test]
#[ignore = "minutes; `make torture`"]
fn mutated_files_end_in_an_error_or_the_same_answer() {
    let mutations_count = number_from_environment("POLYGRAFT_TORTURE_MUTATIONS", 3_000);
    let (bench, mut random) = (Bench::new(), random());
    finished(run(&mut bench.update()));
    let expected = finished(run(&mut bench.predict())).stdout;
    let files = [files_below(&bench.path("bundle")), files_below(&bench.path("store"))].concat();
    let mut bad = BTreeMap::<String, usize>::new();
    let (mut same, mut refused) = (0, 0);
    for index in 0..mutations_count {
        let path = &files[index % files.len()];
        let original = fs::read(path).unwrap();
        let mut bytes = original.clone();
        mutate(&mut bytes, &mut random);
        if bytes == original {
            continue;
        }
        // Another file in its place, as a bad download or a careless copy leaves it.
        let swapped = path.with_extension("swapped");
        fs::rename(path, &swapped).unwrap();
        fs::write(path, &bytes).unwrap();
        let mut commands = [bench.predict(), bench.versions(), polygraft()];
        commands[2].arg("doctor").arg("--bundle").arg(bench.path("bundle"));
        commands[2].arg("--store").arg(bench.path("store"));
        for (number, command) in commands.iter_mut().enumerate() {
            match outcome(command) {
                Ok(ran) if ran.code != 0 => refused += 1,
                Ok(ran) if number > 0 || ran.stdout == expected => same += 1,
                Ok(ran) => {
                    let what = format!("{}: another answer: {}", path.display(), ran.stdout);
                    *bad.entry(what).or_default() += 1;
                }
                Err(what) => {
                    *bad.entry(format!("{}: {what}", path.display())).or_default() += 1;
                }
            }
        }
        fs::rename(&swapped, path).unwrap();
    }
    println!("{mutations_count} mutations: {same} same answers, {refused} refusals, {bad:#?}");
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(same > 0 && refused > 0);
}
