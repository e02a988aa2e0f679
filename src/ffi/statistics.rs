//! What a store contains, in numbers.

use super::boundary::give_object;
use super::error::{ErrorObject, Status};
use super::handle;
use super::object::{at, free, read, required};
use super::sized::{self, SizedStruct};
use super::store::StoreHandle;
use super::text::{StringView, Text};
use crate::model::{StoreStatistics, TaskStatistics};
use crate::rehearsal::LanguageStats;

/// The length of a day in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What a store contained when it was counted.
pub struct StatisticsObject {
    statistics: StoreStatistics,
    tasks: Vec<TaskTexts>,
}

/// The texts of one task that C views: its name and the languages of its examples.
struct TaskTexts {
    name: Text,
    languages: Vec<Text>,
}

impl StatisticsObject {
    fn new(statistics: StoreStatistics) -> Self {
        let language = |stats: &LanguageStats| Text::new(stats.language.as_str());
        let texts = |task: &TaskStatistics| TaskTexts {
            name: Text::new(&task.task),
            languages: task.examples.iter().map(language).collect(),
        };
        Self { tasks: statistics.tasks.iter().map(texts).collect(), statistics }
    }
}

/// What a store contains of all tasks together.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StoreStatisticsEntry {
    /// `sizeof(polygraft_store_statistics)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The generation of the store, which grows by one with every change.
    pub generation: u64,
    /// The number of tasks.
    pub tasks_count: u64,
    /// The number of versions.
    pub versions_count: u64,
    /// The number of distinct contents of versions; versions can share one.
    pub contents_count: u64,
    /// The size of these contents, in bytes.
    pub contents_size_bytes: u64,
}

/// What a store contains of one task.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TaskStatisticsEntry {
    /// `sizeof(polygraft_task_statistics)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// 1 if there is a checkpoint of a stopped or running update, else 0.
    pub has_checkpoint: u8,
    /// 0.
    pub reserved: [u8; 3],
    /// The task.
    pub task: StringView,
    /// The number of languages that have versions.
    pub languages_count: u64,
    /// The number of versions.
    pub versions_count: u64,
    /// The number of versions that are active.
    pub active_count: u64,
    /// The number of languages that are pinned.
    pub pinned_count: u64,
    /// The size of the distinct contents of the versions, in bytes.
    pub versions_size_bytes: u64,
    /// The number of updates that were committed.
    pub reports_count: u64,
    /// The number of languages that have remembered examples.
    pub examples_languages_count: u64,
    /// The number of remembered examples.
    pub examples_count: u64,
    /// The size of the remembered examples, in bytes.
    pub examples_size_bytes: u64,
}

/// What a store remembers of one language of a task.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ExamplesStatisticsEntry {
    /// `sizeof(polygraft_examples_statistics)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The language.
    pub language: StringView,
    /// The number of training examples.
    pub training_count: u64,
    /// The number of held-out examples.
    pub held_out_count: u64,
    /// The number of training examples that wait for an update with enough examples to judge them.
    pub pending_count: u64,
    /// The size of the examples, in bytes.
    pub size_bytes: u64,
    /// The beginning of the day on which the oldest example was added, in milliseconds since
    /// 1970-01-01 00:00 UTC; 0 if it is not known.
    pub oldest_unix_ms: u64,
}

// SAFETY: repr(C); integers only; `struct_size` first.
unsafe impl SizedStruct for StoreStatisticsEntry {
    const NAME: &'static str = "polygraft_store_statistics";
}

// SAFETY: repr(C); integers and views of raw pointers only; `struct_size` first.
unsafe impl SizedStruct for TaskStatisticsEntry {
    const NAME: &'static str = "polygraft_task_statistics";
}

// SAFETY: repr(C); integers and views of raw pointers only; `struct_size` first.
unsafe impl SizedStruct for ExamplesStatisticsEntry {
    const NAME: &'static str = "polygraft_examples_statistics";
}

impl From<&StoreStatistics> for StoreStatisticsEntry {
    fn from(statistics: &StoreStatistics) -> Self {
        let versions = statistics.tasks.iter().map(|task| task.versions_count as u64);
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            generation: statistics.generation,
            tasks_count: statistics.tasks.len() as u64,
            versions_count: versions.sum(),
            contents_count: statistics.contents_count as u64,
            contents_size_bytes: statistics.contents_size_bytes,
        }
    }
}

impl TaskStatisticsEntry {
    fn new(texts: &TaskTexts, task: &TaskStatistics) -> Self {
        let examples = task.examples.iter();
        Self {
            struct_size: size_of::<Self>() as u32,
            has_checkpoint: task.has_checkpoint.into(),
            reserved: [0; 3],
            task: texts.name.view(),
            languages_count: task.languages_count as u64,
            versions_count: task.versions_count as u64,
            active_count: task.active_count as u64,
            pinned_count: task.pinned_count as u64,
            versions_size_bytes: task.versions_size_bytes,
            reports_count: task.reports_count as u64,
            examples_languages_count: task.examples.len() as u64,
            examples_count: examples.clone().map(|one| (one.training + one.held_out) as u64).sum(),
            examples_size_bytes: examples.map(|one| one.size_bytes).sum(),
        }
    }
}

impl ExamplesStatisticsEntry {
    fn new(language: &Text, stats: &LanguageStats) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            language: language.view(),
            training_count: stats.training as u64,
            held_out_count: stats.held_out as u64,
            pending_count: stats.pending as u64,
            size_bytes: stats.size_bytes,
            oldest_unix_ms: stats.oldest_day.map_or(0, |day| u64::from(day) * DAY_MS),
        }
    }
}

/// Counts what a store contains: versions, reports and remembered examples of every task.
///
/// Ownership: the caller owns `*statistics` and frees it with `polygraft_statistics_free`.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, store.malformed, store.corrupt, rehearsal.malformed, io.read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_count(
    store: *const StoreHandle,
    statistics: *mut *mut StatisticsObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or writable.
    unsafe {
        give_object(error, "statistics", statistics, || {
            let store = handle::borrow(store)?;
            StoreStatistics::of(&store).map(StatisticsObject::new)
        })
    }
}

/// Fills `entry` with the sums over all tasks. The caller sets `entry->struct_size` before.
///
/// Ownership: the function writes `*entry`, which stays the caller's.
/// Threads: may be called concurrently on one object.
/// Errors: argument.null, argument.invalid (a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_statistics_store(
    statistics: *const StatisticsObject,
    entry: *mut StoreStatisticsEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or an object that is not freed, and NULL or a struct that
    // states its size truly.
    unsafe {
        sized::fill(error, "entry", entry, || {
            Ok(StoreStatisticsEntry::from(&required("statistics", statistics)?.statistics))
        })
    }
}

/// Returns the number of tasks; 0 for NULL.
///
/// Ownership: the caller keeps `statistics`.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_statistics_tasks_count(
    statistics: *const StatisticsObject,
) -> usize {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(statistics, 0, |statistics| statistics.tasks.len()) }
}

/// Fills `entry` with the numbers of one task. Tasks are sorted by name. The caller sets
/// `entry->struct_size` before.
///
/// Ownership: the view in `*entry` is valid until `statistics` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_statistics_task(
    statistics: *const StatisticsObject,
    index: usize,
    entry: *mut TaskStatisticsEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_statistics_store`.
    unsafe {
        sized::fill(error, "entry", entry, || {
            let StatisticsObject { statistics, tasks } = required("statistics", statistics)?;
            Ok(TaskStatisticsEntry::new(at(tasks, index)?, at(&statistics.tasks, index)?))
        })
    }
}

/// Fills `entry` with what is remembered of one language of a task. Languages are sorted by tag.
/// The caller sets `entry->struct_size` before.
///
/// Ownership: the view in `*entry` is valid until `statistics` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: argument.null, argument.invalid (an index past the end, a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_statistics_examples(
    statistics: *const StatisticsObject,
    task_index: usize,
    index: usize,
    entry: *mut ExamplesStatisticsEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_statistics_store`.
    unsafe {
        sized::fill(error, "entry", entry, || {
            let StatisticsObject { statistics, tasks } = required("statistics", statistics)?;
            let languages = &at(tasks, task_index)?.languages;
            let examples = &at(&statistics.tasks, task_index)?.examples;
            Ok(ExamplesStatisticsEntry::new(at(languages, index)?, at(examples, index)?))
        })
    }
}

/// Frees statistics and sets `*statistics` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*statistics`; views into it become invalid.
/// Threads: exclusive: no other thread may be using this object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_statistics_free(statistics: *mut *mut StatisticsObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to an object it owns.
    unsafe { free(statistics) }
}
