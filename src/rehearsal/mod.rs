//! A bounded memory of past labelled examples, on disk, with a slice held out for measuring.
//!
//! New data comes in a few languages only. An update mixes old examples in, so that earlier
//! training is not lost, and measures every language on examples that it was never trained on.
//! Input: labelled examples. Output: a balanced sample of all examples ever added, cut to the
//! [`Limits`]. Whether an example is for training or held out depends on its language and text
//! alone, so it never moves between the splits.
//!
//! This part must never leave its folder, never exceed its limits, and never keep anything of a
//! language that was wiped. It writes nothing before [`Rehearsal::save`]. Beside a store, the
//! store's pointer file says which content of the buffer counts, so that an update changes versions
//! and buffer in one step.

mod file;
mod forget;
mod home;
mod key;
mod limits;
mod sample;
mod saved;

#[cfg(test)]
mod fault_tests;

pub(crate) use forget::DAY_MS;
pub use forget::{Forgotten, Which};
pub use limits::{BYTES_MAX_MAX, BYTES_MAX_MIN, HELD_OUT_PERCENT_MAX, Limits};
pub use saved::Memory;

use crate::error::{Result, ResultExt};
use crate::example::Example;
use crate::files::Lock;
use crate::language::Language;
use crate::store::{ObjectHash, Store, check_task_name};
use home::Home;
use key::{Key, Priority};
use sample::{Bounds, Entries, Entry};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for another process that writes the buffer.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// The percentage of held-out examples that are in the report split.
pub const REPORT_SPLIT_PERCENT: u8 = 25;

const FILE_NAME: &str = "examples.jsonl";

/// The split of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The example may be trained on.
    Training,
    /// The example is only ever measured on.
    HeldOut,
}

/// What [`Rehearsal::add`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddSummary {
    /// New examples that were kept.
    pub added: usize,
    /// Known examples whose label was replaced by a newer one.
    pub relabelled: usize,
    /// Known examples with the same label as before.
    pub repeated: usize,
    /// New or old examples that the limits dropped.
    pub dropped: usize,
}

/// What the buffer keeps of one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanguageStats {
    /// The language.
    pub language: Language,
    /// How many training examples.
    pub training: usize,
    /// How many held-out examples.
    pub held_out: usize,
    /// How many of the training examples are pending, see [`Rehearsal::pending`].
    pub pending: usize,
    /// The day on which the oldest was added, counted from 1970-01-01 UTC; `None` if a day is not
    /// known.
    pub oldest_day: Option<u32>,
    /// The size of the language's lines in the file.
    pub size_bytes: u64,
}

/// The rehearsal buffer of one task.
///
/// The first change takes the task's lock and holds it until [`Rehearsal::save`] or drop, so that
/// two updates of one task cannot overwrite each other. Reading takes no lock. In a read-only place
/// the buffer can change in memory; saving it is an error.
#[derive(Debug)]
pub struct Rehearsal {
    task: String,
    home: Home,
    limits: Limits,
    languages: BTreeMap<Language, Entries>,
    /// The hash of the file that `languages` was read from or saved to.
    file_hash: Option<ObjectHash>,
    /// Whether the content may differ from the file.
    is_changing: bool,
    /// Held while the content may differ from the file, unless the place is read-only.
    lock: Option<Lock>,
}

impl Rehearsal {
    /// Reads the buffer of `task` in the store at `store_folder`; without a file it is empty.
    ///
    /// # Errors
    /// `Code::TaskName`, `Code::RehearsalMalformed` naming the file and line,
    /// `Code::ArgumentInvalid` for limits out of range, or for another
    /// [`held_out_percent`](Limits::held_out_percent) than that of the file.
    pub fn open(store_folder: &Path, task: &str, limits: Limits) -> Result<Self> {
        Self::at(Home::open(store_folder)?, task, limits)
    }

    /// As [`Rehearsal::open`], in an open store.
    ///
    /// # Errors
    /// As [`Rehearsal::open`].
    pub fn open_in(store: &Arc<Store>, task: &str, limits: Limits) -> Result<Self> {
        Self::at(Home::Store(store.clone()), task, limits)
    }

    /// The buffer of `task` in an open store as it was saved: with its own held-out percentage, and
    /// nothing of it dropped. This is for reading and wiping, not for adding.
    ///
    /// # Errors
    /// As [`Rehearsal::open`].
    pub fn open_saved(store: &Arc<Store>, task: &str) -> Result<Self> {
        check_task_name(task)?;
        let limits = Limits {
            bytes_max: BYTES_MAX_MAX,
            examples_per_language_max: usize::MAX,
            held_out_per_language_max: usize::MAX,
            ..Limits::default()
        };
        let mut rehearsal = Self::unread(Home::Store(store.clone()), task, limits);
        if let Some(percent) = rehearsal.saved_held_out_percent()? {
            rehearsal.limits.held_out_percent = percent;
        }
        rehearsal.read()?;
        Ok(rehearsal)
    }

    fn at(home: Home, task: &str, limits: Limits) -> Result<Self> {
        check_task_name(task)?;
        limits.check()?;
        let mut rehearsal = Self::unread(home, task, limits);
        rehearsal.read()?;
        Ok(rehearsal)
    }

    fn unread(home: Home, task: &str, limits: Limits) -> Self {
        Self {
            task: task.to_owned(),
            home,
            limits,
            languages: BTreeMap::new(),
            file_hash: None,
            is_changing: false,
            lock: None,
        }
    }

    /// The split of an example, which need not be in the buffer. It depends on the language and
    /// text only, case and spacing of the text aside.
    pub fn split(&self, example: &Example) -> Split {
        Key::of(example).split(self.limits.held_out_percent)
    }

    /// Whether a held-out example is of the report split, which measures how good a version is and
    /// never decides which one is activated. The others are the selection split. This depends on
    /// the language and text only.
    pub fn is_in_report_split(&self, example: &Example) -> bool {
        Key::of(example).reports(REPORT_SPLIT_PERCENT)
    }

    /// Adds examples and drops those that exceed the limits.
    ///
    /// An example is known when its language and text are, case and spacing aside; then the newest
    /// label counts. What is kept is a uniform sample of everything ever added, within each label
    /// of each language and split. It is the same for the same examples and seed, in any order.
    ///
    /// # Errors
    /// `Code::StoreLocked` when another update holds the buffer; those of [`Example::check`],
    /// naming the example by its position from 1. On any error nothing is added.
    pub fn add(&mut self, examples: &[Example], seed: u64) -> Result<AddSummary> {
        self.add_on(examples, seed, forget::today())
    }

    /// As [`Rehearsal::add`] on a given day, counted from 1970-01-01 UTC. A known example keeps the
    /// day on which it was first added.
    ///
    /// # Errors
    /// As [`Rehearsal::add`].
    pub fn add_on(&mut self, examples: &[Example], seed: u64, day: u32) -> Result<AddSummary> {
        for (index, example) in examples.iter().enumerate() {
            example.check().context(|| format!("example {} ({})", index + 1, example.language))?;
        }
        let drawn = examples.iter().map(|example| self.draw(example, seed, day));
        let drawn = drawn.collect::<Result<Vec<_>>>()?;
        self.begin_change()?;
        let mut summary = AddSummary::default();
        let mut new = BTreeSet::new();
        for (key, entry) in drawn {
            let language = entry.example.language.clone();
            let entries = self.languages.entry(language.clone()).or_default();
            match entries.get_mut(&key) {
                Some(known) => {
                    let same = known.example.target == entry.example.target;
                    *(if same { &mut summary.repeated } else { &mut summary.relabelled }) += 1;
                    // A new draw would favour examples that are added often.
                    let Entry { priority, added_day, .. } = *known;
                    *known = Entry::new(entry.example, entry.split, priority, added_day)?;
                }
                None => {
                    entries.insert(key, entry);
                    new.insert((language, key));
                }
            }
        }
        let changed = examples.iter().map(|example| &example.language).collect();
        summary.dropped = self.trim(&changed);
        let kept = |language: &Language, key| {
            self.languages.get(language).is_some_and(|entries| entries.contains_key(key))
        };
        summary.added = new.iter().filter(|(language, key)| kept(language, key)).count();
        Ok(summary)
    }

    /// All training examples, ordered by language; their order within a language has no meaning.
    pub fn training(&self) -> impl Iterator<Item = &Example> {
        self.languages.values().flat_map(|entries| of_split(entries, Split::Training))
    }

    /// The training examples of one language.
    pub fn training_in(&self, language: &Language) -> impl Iterator<Item = &Example> {
        let entries = self.languages.get(language).into_iter();
        entries.flat_map(|entries| of_split(entries, Split::Training))
    }

    /// The training examples of one language that are pending: they wait for an update that has
    /// enough examples to judge what they teach.
    pub fn pending(&self, language: &Language) -> impl Iterator<Item = &Example> {
        let entries = self.languages.get(language).into_iter().flat_map(BTreeMap::values);
        entries.filter(|entry| entry.pending).map(|entry| &entry.example)
    }

    /// Marks those training examples of one language as pending that are among `examples`, and no
    /// others.
    ///
    /// # Errors
    /// As [`Rehearsal::add`].
    pub fn set_pending(&mut self, language: &Language, examples: &[Example]) -> Result<()> {
        self.begin_change()?;
        let of_language = examples.iter().filter(|example| example.language == *language);
        let waiting: BTreeSet<Key> = of_language.map(Key::of).collect();
        let Some(entries) = self.languages.get_mut(language) else { return Ok(()) };
        for (key, entry) in entries.iter_mut() {
            let pending = entry.split == Split::Training && waiting.contains(key);
            if pending != entry.pending {
                *entry = entry.clone().with_pending(pending)?;
            }
        }
        self.trim(&BTreeSet::from([language]));
        Ok(())
    }

    /// The held-out examples of one language.
    pub fn held_out(&self, language: &Language) -> impl Iterator<Item = &Example> {
        let entries = self.languages.get(language).into_iter();
        entries.flat_map(|entries| of_split(entries, Split::HeldOut))
    }

    /// The languages that have examples, sorted.
    pub fn languages(&self) -> impl Iterator<Item = &Language> {
        self.languages.keys()
    }

    /// What the buffer keeps of each language, sorted by language.
    pub fn stats(&self) -> Vec<LanguageStats> {
        let stats = |(language, entries): (&Language, &Entries)| {
            let held_out = of_split(entries, Split::HeldOut).count();
            LanguageStats {
                language: language.clone(),
                training: entries.len() - held_out,
                held_out,
                pending: entries.values().filter(|entry| entry.pending).count(),
                oldest_day: forget::oldest(entries.values()),
                size_bytes: sample::size_bytes(entries),
            }
        };
        self.languages.iter().map(stats).collect()
    }

    /// The task whose examples these are.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Forgets one language, or everything, in memory and on disk, and saves all other changes.
    ///
    /// # Errors
    /// `Code::StoreLocked`, `Code::IoFull` or `Code::IoWrite`.
    pub fn wipe(&mut self, language: Option<&Language>) -> Result<()> {
        self.begin_change()?;
        match language {
            Some(language) => {
                self.languages.remove(language);
            }
            None => self.languages.clear(),
        }
        self.save()
    }

    /// The entry of an example if it is new.
    fn draw(&self, example: &Example, seed: u64, day: u32) -> Result<(Key, Entry)> {
        let key = Key::of(example);
        let split = key.split(self.limits.held_out_percent);
        Ok((key, Entry::new(example.clone(), split, Priority::of(&key, seed), Some(day))?))
    }

    /// Applies the limits after the given languages changed; returns how many examples were
    /// dropped.
    fn trim(&mut self, changed: &BTreeSet<&Language>) -> usize {
        let bounds = Bounds {
            training_max: self.limits.examples_per_language_max,
            held_out_max: self.limits.held_out_per_language_max,
            held_out_percent: self.limits.held_out_percent,
        };
        let mut dropped = 0;
        for (language, entries) in &mut self.languages {
            if changed.contains(language) {
                dropped += sample::trim_to_counts(entries, &bounds);
            }
        }
        let room_bytes = self.limits.bytes_max.saturating_sub(file::HEADER_SIZE_BYTES_MAX);
        dropped += sample::trim_to_bytes(&mut self.languages, room_bytes, &bounds);
        self.languages.retain(|_, entries| !entries.is_empty());
        dropped
    }
}

fn of_split(entries: &Entries, split: Split) -> impl Iterator<Item = &Example> {
    entries.values().filter(move |entry| entry.split == split).map(|entry| &entry.example)
}
