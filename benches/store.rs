//! What an activation costs in a store of many languages, and what it costs those who predict: the
//! time of one activation, the bytes that it writes, the time until eight threads of another
//! process serve the new version, the longest that one of them waited for a snapshot, and the
//! memory that this took. Prints figures of one run; asserts nothing.
//!
//! `cargo bench --bench store` needs nothing but a disk.

use polygraft::language::Language;
use polygraft::store::{NewVersion, Store};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Tells a process to read the store in this folder until the activations are over.
const READER: &str = "POLYGRAFT_BENCH_STORE";
const TASK: &str = "intent";
const COUNTS: [usize; 2] = [1_000, 10_000];
const ACTIVATIONS: u64 = 40;
const THREADS: usize = 8;
/// What the report of one language takes as evidence in a version, in bytes of text.
const EVIDENCE_SIZE_BYTES: usize = 900;

fn main() -> Outcome<()> {
    if let Some(folder) = std::env::var_os(READER) {
        return read(&PathBuf::from(folder));
    }
    println!("{ACTIVATIONS} activations, {THREADS} threads of another process that read");
    for count in COUNTS {
        measure(count)?;
    }
    Ok(())
}

/// Two versions of `count` languages, then activations of one language after another.
fn measure(count: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path())?;
    let languages = languages(count)?;
    for content in ["one", "two"] {
        let candidate = |language: &Language| NewVersion {
            language: language.clone(),
            bytes: content.as_bytes().into(),
            activate: true,
            evidence: serde_json::json!("e".repeat(EVIDENCE_SIZE_BYTES)),
        };
        store.publish(TASK, &languages.iter().map(candidate).collect::<Vec<_>>())?;
    }
    let began = Instant::now();
    Store::open(folder.path())?;
    let opening = began.elapsed();
    let mut reader = Reader::start(folder.path())?;
    let (mut took, mut seen) = (Vec::new(), Vec::new());
    let written_before = written_bytes();
    for round in 0..ACTIVATIONS {
        let language = languages[round as usize * 7 % count].clone();
        let (began, began_us) = (Instant::now(), unix_us());
        store.activate(TASK, &[(language, 1)])?;
        took.push(began.elapsed());
        seen.push(reader.next()?.saturating_sub(began_us));
    }
    let written = (written_bytes() - written_before) / ACTIVATIONS;
    took.sort();
    seen.sort_unstable();
    let middle = took.len() / 2;
    println!(
        "{count:>6} languages: opening {:.1} ms; activation {:.2} ms, {:.1} kB written; seen by \
         all after {:.2} ms (worst {:.2}); {}",
        opening.as_secs_f64() * 1e3,
        took[middle].as_secs_f64() * 1e3,
        written as f64 / 1e3,
        seen[middle] as f64 / 1e3,
        seen[seen.len() - 1] as f64 / 1e3,
        reader.last_line()?,
    );
    Ok(())
}

/// Distinct tags.
fn languages(count: usize) -> polygraft::Result<Vec<Language>> {
    let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
    let tag = |n: usize| format!("de-x-{}{}{}", letter(n / 676), letter(n / 26), letter(n));
    (0..count).map(|n| Language::parse(&tag(n))).collect()
}

/// A process that reads; it says when all of its threads have seen a change.
struct Reader {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Reader {
    fn start(folder: &Path) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.env(READER, folder).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let mut reader = Self { child, lines };
        reader.last_line()?;
        Ok(reader)
    }

    /// When the next change was seen by all, in microseconds since 1970.
    fn next(&mut self) -> Outcome<u64> {
        Ok(self.last_line()?.parse()?)
    }

    fn last_line(&mut self) -> Outcome<String> {
        Ok(self.lines.next().ok_or("the reader has ended")??)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.wait();
    }
}

fn read(folder: &Path) -> Outcome<()> {
    let store = Store::open(folder)?;
    let first = store.snapshot()?.generation();
    let language = Language::parse("de-x-aaa")?;
    let before = private_bytes();
    let (peak, longest_us) = (AtomicU64::new(0), AtomicU64::new(0));
    let seen: Vec<AtomicU64> = (0..ACTIVATIONS).map(|_| AtomicU64::new(0)).collect();
    println!("ready");
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut known = first;
                while known < first + ACTIVATIONS {
                    let began = Instant::now();
                    let Ok(snapshot) = store.snapshot() else { continue };
                    std::hint::black_box(snapshot.resolve(TASK, &language));
                    longest_us.fetch_max(began.elapsed().as_micros() as u64, Ordering::Relaxed);
                    for generation in known..snapshot.generation() {
                        let threads = &seen[(generation - first) as usize];
                        if threads.fetch_add(1, Ordering::Relaxed) + 1 == THREADS as u64 {
                            println!("{}", unix_us());
                        }
                    }
                    known = snapshot.generation();
                    // Predictions take milliseconds; asking without a pause would measure the
                    // scheduler.
                    std::thread::sleep(Duration::from_micros(200));
                }
            });
        }
        scope.spawn(|| {
            while seen.iter().any(|threads| threads.load(Ordering::Relaxed) < THREADS as u64) {
                peak.fetch_max(private_bytes(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    });
    println!(
        "readers: {:.0} MB before, {:.0} MB at most, longest wait {:.2} ms",
        before as f64 / 1e6,
        peak.load(Ordering::Relaxed) as f64 / 1e6,
        longest_us.load(Ordering::Relaxed) as f64 / 1e3,
    );
    Ok(())
}

fn unix_us() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    elapsed.as_micros() as u64
}

/// Memory that only this process has, where the system tells.
fn private_bytes() -> u64 {
    field("/proc/self/status", "RssAnon:").map_or(0, |kilobytes| kilobytes * 1024)
}

/// Bytes that this process has handed to the system for writing, where it tells.
fn written_bytes() -> u64 {
    field("/proc/self/io", "wchar:").unwrap_or(0)
}

fn field(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
