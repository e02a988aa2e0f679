//! The update: examples, training, report, commit.

use super::cancel::CancelHandle;
use super::error::ErrorObject;
use super::gate::{Out, Status, gate};
use super::handle::{self, Handle};
use super::model::ModelHandle;
use super::report::ReportObject;
use super::text::text;
use super::update_options::UpdateOptions;
use crate::error::{Code, Error, Result};
use crate::example::Example;
use crate::language::Language;
use crate::report::Report;
use crate::update::{self, Progress, Update};
use std::ffi::{c_char, c_int, c_void};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, TryLockError};

/// One update in the making. Only one thread may use it at a time.
pub struct UpdateHandle;

impl Handle for UpdateHandle {
    /// The lock is only ever tried: the C rule is exclusive use, and a caller who breaks it gets an
    /// error instead of a wait.
    type Object = Arc<Mutex<Update>>;
    const NOUN: &'static str = "update";
    const WORKS_AFTER_FORK: bool = false;
}

/// Examples are split and tokenized and the training session is opened.
pub const POLYGRAFT_PHASE_PREPARE: u32 = 0;
/// The candidates are trained; steps are optimiser steps.
pub const POLYGRAFT_PHASE_TRAIN: u32 = 1;
/// The active versions are measured; steps are examples.
pub const POLYGRAFT_PHASE_MEASURE_BEFORE: u32 = 2;
/// The candidates are measured; steps are examples. The phases come in the order of their numbers.
pub const POLYGRAFT_PHASE_MEASURE_AFTER: u32 = 3;

/// Where an update is. The struct is the library's and ends when the callback returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ProgressEntry {
    /// The size of the struct in this version of the library.
    pub struct_size: u32,
    /// One of `POLYGRAFT_PHASE_*`.
    pub phase: u32,
    /// Steps done in this phase.
    pub step: u64,
    /// Steps of this phase.
    pub steps_count: u64,
    /// Training examples seen so far, over all epochs.
    pub examples_seen: u64,
    /// Time since the update began to run, in milliseconds.
    pub elapsed_ms: u64,
    /// The loss, averaged over the last steps; NaN outside training.
    pub loss: f64,
    /// How much of the whole run is done, from 0 to 1: an estimate that never goes back, and is 1
    /// at the last step of the last phase.
    pub fraction: f64,
}

/// Called at the first and last step of a phase and at most ten times a second between, on the
/// thread that called `polygraft_update_run`. Return 0 to go on, anything else to cancel. It must
/// return normally: no exception, no longjmp. It may call every function except those on the
/// running update, which are refused but for closing it. An update pauses for as long as the
/// callback takes; one that shall end and go on later is cancelled with `checkpoint_steps` set.
pub type ProgressCallback =
    Option<unsafe extern "C" fn(progress: *const ProgressEntry, user: *mut c_void) -> c_int>;

impl From<&Progress> for ProgressEntry {
    fn from(progress: &Progress) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            phase: progress.phase as u32,
            step: progress.step as u64,
            steps_count: progress.steps_count as u64,
            examples_seen: progress.examples_seen as u64,
            elapsed_ms: u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX),
            loss: progress.loss.unwrap_or(f64::NAN),
            fraction: progress.fraction,
        }
    }
}

/// Lends an update to one call.
pub(super) fn with<T>(
    handle: *const UpdateHandle,
    call: impl FnOnce(&mut Update) -> Result<T>,
) -> Result<T> {
    let shared = handle::borrow(handle)?;
    let mut update = shared.try_lock().map_err(|cause| match cause {
        TryLockError::WouldBlock => {
            Error::new(Code::UpdateState, "`update` is in use by another call that still runs")
        }
        TryLockError::Poisoned(_) => Error::new(
            Code::Panic,
            "an earlier call on `update` panicked; close it and begin another",
        ),
    })?;
    call(&mut update)
}

/// Begins an update of `task`. Nothing changes for anybody until `polygraft_update_commit`.
///
/// `options` may be NULL for the defaults.
///
/// Ownership: gives `*update`; close it with `polygraft_update_close`. `options` is only read.
/// Threads: may be called concurrently on one model.
/// Errors: argument.*, task.name.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_begin(
    model: *const ModelHandle,
    task: *const c_char,
    options: *const UpdateOptions,
    update: *mut *mut UpdateHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or valid pointers; each is checked before use, texts are
    // NUL-terminated and unchanged during the call, handles are never dereferenced.
    unsafe {
        gate(error, || {
            let out = Out::new("update", update)?;
            let model = handle::borrow(model)?;
            let task = text("task", task)?;
            let options = UpdateOptions::read(options)?;
            let begun = model.begin_update(task, options)?;
            out.write(handle::open(Arc::new(Mutex::new(begun))));
            Ok(())
        })
    }
}

/// Adds one labelled text. Adding after a run discards that run's outcome. Examples of other kinds
/// are added with `polygraft_update_add_...`.
///
/// Ownership: copies the texts.
/// Threads: exclusive: one call on an update at a time.
/// Errors: argument.*, language.*, task.empty_text, task.kind (another kind of answer than
/// before), task.too_long, update.state.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add(
    update: *mut UpdateHandle,
    language: *const c_char,
    text_utf8: *const c_char,
    label: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or NUL-terminated texts; handles are never dereferenced.
    unsafe {
        gate(error, || {
            let language = Language::parse(text("language", language)?)?;
            let (input, label) = (text("text", text_utf8)?, text("label", label)?);
            let example = Example::labelled(language, input, label);
            with(update, |update| update.add(example))
        })
    }
}

/// Trains on the added examples and measures every language before and after.
///
/// `cancel` may be NULL. `report` may be NULL; otherwise it gets what a commit would do. `progress`
/// may be NULL; `user` is passed to it unread. A run that failed or was cancelled has changed
/// nothing, and the update can be run again.
///
/// Ownership: gives `*report`; free it with `polygraft_report_free`. Borrows everything else.
/// Threads: exclusive: one call on an update at a time. The callback runs on this thread.
/// Errors: argument.*, cancelled, update.*, task.unknown_label, adapter.*, runtime.failed,
/// graph.unsupported, rehearsal.malformed, store.*, io.*.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_run(
    update: *mut UpdateHandle,
    cancel: *const CancelHandle,
    report: *mut *mut ReportObject,
    error: *mut *mut ErrorObject,
    progress: ProgressCallback,
    user: *mut c_void,
) -> Status {
    // SAFETY: the caller passes NULL or writable memory, and a callback that returns normally;
    // handles are never dereferenced.
    unsafe {
        run_with(update, cancel, report, error, (progress, user), |update, progress| {
            Ok(update.run(progress)?.clone())
        })
    }
}

/// Lends an update to a call that reports progress, can be cancelled and gives a report.
///
/// # Safety
/// `report` and `error` are NULL or writable; `progress` is NULL or a function of its type that
/// returns normally, and `user` is whatever it expects.
unsafe fn run_with(
    update: *mut UpdateHandle,
    cancel: *const CancelHandle,
    report: *mut *mut ReportObject,
    error: *mut *mut ErrorObject,
    (progress, user): (ProgressCallback, *mut c_void),
    call: impl FnOnce(&mut Update, update::ProgressCallback<'_>) -> Result<Report>,
) -> Status {
    let on_progress = move |cancelled: bool, progress_now: &Progress| {
        let Some(callback) = progress else {
            return cancelled;
        };
        let entry = ProgressEntry::from(progress_now);
        // SAFETY: the caller passes a function of this type that returns normally, and `user` is
        // whatever that function expects.
        cancelled || unsafe { callback(&entry, user) } != 0
    };
    // SAFETY: the caller passes NULL or writable memory; handles are never dereferenced.
    unsafe {
        gate(error, || {
            // A switch, which may be closed while the run goes on: closing it waits for nothing.
            let cancel = handle::borrow_optional(cancel)?.map(|cancel| cancel.clone());
            let is_cancelled = || cancel.as_ref().is_some_and(|cancel| cancel.is_cancelled());
            let outcome = with(update, |update| {
                let outcome = call(update, &mut |now| match on_progress(is_cancelled(), now) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })?;
                Ok(ReportObject::new(outcome))
            })?;
            if !report.is_null() {
                report.write(Box::into_raw(Box::new(outcome)));
            }
            Ok(())
        })
    }
}

/// Asks the gate again about a run that ended well, with the gate's fields of `options` and without
/// training again: what the update learnt and how it answered stays as it is.
///
/// `options` may be NULL for the defaults. `report` may be NULL; otherwise it gets what a commit
/// would do now.
///
/// Ownership: gives `*report`; free it with `polygraft_report_free`. `options` is only read.
/// Threads: exclusive: one call on an update at a time.
/// Errors: argument.*, update.state (the update has not run).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_judge(
    update: *mut UpdateHandle,
    options: *const UpdateOptions,
    report: *mut *mut ReportObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or a struct that states its size truly, and NULL or writable
    // memory; handles are never dereferenced.
    unsafe {
        gate(error, || {
            let options = UpdateOptions::read(options)?;
            let judged =
                with(update, |update| Ok(ReportObject::new(update.judge(options.gate)?.clone())))?;
            if !report.is_null() {
                report.write(Box::into_raw(Box::new(judged)));
            }
            Ok(())
        })
    }
}

/// Measures what the last run has learnt against what serves the languages now, and asks the gate
/// again. Nothing is trained. Call it when `polygraft_update_commit` fails with store.changed, then
/// commit.
///
/// `cancel`, `report`, `progress` and `user` are as for `polygraft_update_run`. After a failure,
/// and when it was cancelled, what was learnt is still there.
///
/// Ownership: gives `*report`; free it with `polygraft_report_free`. Borrows everything else.
/// Threads: exclusive: one call on an update at a time. The callback runs on this thread.
/// Errors: argument.*, cancelled, update.state (the update has not run), adapter.*, runtime.failed,
/// store.*, io.*.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_measure_again(
    update: *mut UpdateHandle,
    cancel: *const CancelHandle,
    report: *mut *mut ReportObject,
    error: *mut *mut ErrorObject,
    progress: ProgressCallback,
    user: *mut c_void,
) -> Status {
    // SAFETY: as for `polygraft_update_run`.
    unsafe {
        run_with(update, cancel, report, error, (progress, user), |update, progress| {
            Ok(update.measure_again(progress)?.clone())
        })
    }
}

/// Publishes what the gate accepted and activates it, for all its languages in one step. The
/// remembered examples and the report belong to the same step: after it, and after a crash at any
/// moment, all of it is there or nothing.
///
/// `report` may be NULL; otherwise it gets the report with the new version numbers. Afterwards the
/// update is empty and can take new examples. Once the versions are active the call succeeds; what
/// could only not be tidied up is said in the report's JSON as `warnings`. After a failure the
/// store is as it was and what was learnt is kept, so the commit can be tried again: after io.full
/// and store.locked as it is; after store.changed, which means that somebody activated, rolled back
/// or pinned something in the task since the update was measured, after
/// `polygraft_update_measure_again`. What happens to other tasks does not matter. update.state
/// means that the update has not run.
///
/// Ownership: gives `*report`; free it with `polygraft_report_free`. `update` stays to be closed.
/// Threads: exclusive: one call on an update at a time. Predictions may go on meanwhile.
/// Errors: argument.*, update.state, store.changed, store.locked and other store.*, io.write,
/// io.full.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_commit(
    update: *mut UpdateHandle,
    report: *mut *mut ReportObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or writable memory; handles are never dereferenced.
    unsafe {
        gate(error, || {
            let outcome = ReportObject::new(with(update, Update::commit)?);
            if !report.is_null() {
                report.write(Box::into_raw(Box::new(outcome)));
            }
            Ok(())
        })
    }
}

/// Closes an update and sets `*update` to NULL. What was not committed is dropped: this is how an
/// update is aborted. NULL and a pointer to NULL do nothing.
///
/// Ownership: takes `*update`.
/// Threads: safe while another thread runs the update: waits until that call has ended, so that no
/// callback comes after it and `user` may be freed; trigger the run's cancel token first to wait
/// less, and hold no lock that the callback takes. From inside the callback it returns at once: the
/// run goes on, to be ended by returning non-zero, and the update is closed when it returns.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_close(update: *mut *mut UpdateHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(update) }
}
