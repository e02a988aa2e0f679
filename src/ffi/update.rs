//! The update: begin, run, judge, measure again, commit.

use super::boundary::boundary;
use super::cancel::{self, CancelHandle};
use super::error::{ErrorObject, Status};
use super::handle::{self, Handle};
use super::model::ModelHandle;
use super::object::boxed;
use super::report::ReportObject;
use super::text::text;
use super::update_options::UpdateOptions;
use crate::error::{Code, Error, Result};
use crate::report::Report;
use crate::runtime::Cancel;
use crate::update::{self, Progress, Update};
use std::ffi::{c_char, c_int, c_void};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, TryLockError};

/// An update that is not committed yet. Only one thread may use it at a time.
pub struct UpdateHandle;

impl Handle for UpdateHandle {
    /// Taken with `try_lock` only: the C rule is exclusive use, and a caller who breaks it gets an
    /// error instead of a wait.
    type Object = Arc<Mutex<Update>>;
    const NOUN: &'static str = "update";
    const WORKS_AFTER_FORK: bool = false;
}

/// The update splits and tokenizes the examples and opens the training session.
pub const POLYGRAFT_PHASE_PREPARE: u32 = 0;
/// The update trains the candidates. Steps are optimiser steps.
pub const POLYGRAFT_PHASE_TRAIN: u32 = 1;
/// The update measures the active versions. Steps are examples.
pub const POLYGRAFT_PHASE_MEASURE_BEFORE: u32 = 2;
/// The update measures the candidates. Steps are examples. Phases follow each other in the order of
/// their numbers.
pub const POLYGRAFT_PHASE_MEASURE_AFTER: u32 = 3;

/// The progress of an update. The struct belongs to the library and is valid until the callback
/// returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ProgressEntry {
    /// The size of the struct in this version of the library.
    pub struct_size: u32,
    /// The current phase, one of `POLYGRAFT_PHASE_*`.
    pub phase: u32,
    /// The number of steps done in this phase.
    pub step: u64,
    /// The number of steps of this phase.
    pub steps_count: u64,
    /// The number of training examples processed so far, over all epochs.
    pub examples_seen: u64,
    /// The time since the run began, in milliseconds.
    pub elapsed_ms: u64,
    /// The mean loss of the last steps; NaN outside of training.
    pub loss: f64,
    /// The estimated fraction of the whole run that is done, from 0 to 1. It never decreases, and
    /// is 1 at the last step of the last phase.
    pub fraction: f64,
}

/// A function that receives the progress of an update: at the first and last step of each phase,
/// and at most ten times a second between them. It runs on the thread that called
/// `polygraft_update_run`, and the update waits for it. It returns 0 to continue and any other
/// value to cancel the run. It must return normally: exceptions and longjmp may not leave it. It
/// may call every function of the library; those on the running update are refused, except closing
/// it. To end a run and continue it later, set `checkpoint_steps` and cancel.
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
            Error::new(Code::UpdateState, "`update` is in use by another call")
        }
        TryLockError::Poisoned(_) => Error::new(
            Code::Panic,
            "an earlier call on `update` panicked; close the update and begin another one",
        ),
    })?;
    call(&mut update)
}

/// Begins an update of `task`. Predictions and the store do not change before
/// `polygraft_update_commit`.
///
/// `options` may be NULL for the defaults.
///
/// Ownership: the caller owns `*update` and closes it with `polygraft_update_close`. `options` is
/// only read.
/// Threads: may be called concurrently on one model.
/// Errors: argument.*, task.name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_begin(
    model: *const ModelHandle,
    task: *const c_char,
    options: *const UpdateOptions,
    update: *mut *mut UpdateHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        handle::give(error, update, || {
            let model = handle::borrow(model)?;
            let task = text("task", task)?;
            let begun = model.begin_update(task, UpdateOptions::read(options)?)?;
            Ok(Arc::new(Mutex::new(begun)))
        })
    }
}

/// Trains on the added examples and measures every language before and after.
///
/// `cancel` may be NULL. `report` may be NULL; otherwise it receives a report of what a commit
/// would do. `progress` may be NULL. `user` is passed to `progress` and is not read. A run that
/// fails or is cancelled changes nothing, and the update can be run again.
///
/// Ownership: the caller owns `*report` and frees it with `polygraft_report_free`. The caller keeps
/// everything else.
/// Threads: exclusive: one call on an update at a time. The callback runs on this thread.
/// Errors: argument.*, cancelled, update.*, task.unknown_label, adapter.*, runtime.failed,
/// graph.unsupported, rehearsal.malformed, store.*, io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_run(
    update: *mut UpdateHandle,
    cancel: *const CancelHandle,
    report: *mut *mut ReportObject,
    error: *mut *mut ErrorObject,
    progress: ProgressCallback,
    user: *mut c_void,
) -> Status {
    // SAFETY: the caller passes NULL or writable memory, and a callback that returns normally.
    unsafe {
        run_with(update, cancel, report, error, (progress, user), |update, progress| {
            Ok(update.run(progress)?.clone())
        })
    }
}

/// Runs one call on an update and gives its report, if `report` is not NULL.
///
/// # Safety
/// `report` and `error` are NULL or writable.
unsafe fn give_report(
    update: *mut UpdateHandle,
    report: *mut *mut ReportObject,
    error: *mut *mut ErrorObject,
    call: impl FnOnce(&mut Update) -> Result<Report>,
) -> Status {
    // SAFETY: the same promise; `report` is written only if it is not NULL.
    unsafe {
        boundary(error, || {
            let made = with(update, |update| call(update).map(ReportObject::new))?;
            if !report.is_null() {
                report.write(boxed(made));
            }
            Ok(())
        })
    }
}

/// Like [`give_report`] for a call that reports progress and can be cancelled.
///
/// # Safety
/// As for [`give_report`]; `progress` is NULL or a function of its type that returns normally, and
/// `user` is whatever it expects.
unsafe fn run_with(
    update: *mut UpdateHandle,
    cancel: *const CancelHandle,
    report: *mut *mut ReportObject,
    error: *mut *mut ErrorObject,
    (progress, user): (ProgressCallback, *mut c_void),
    call: impl FnOnce(&mut Update, update::ProgressCallback<'_>) -> Result<Report>,
) -> Status {
    let is_refused = |now: &Progress| {
        // SAFETY: the caller passes a function of this type that returns normally, and `user` is
        // whatever that function expects.
        progress.is_some_and(|progress| unsafe { progress(&ProgressEntry::from(now), user) } != 0)
    };
    // SAFETY: the same promise.
    unsafe {
        give_report(update, report, error, |update| {
            let cancel = cancel::token(cancel)?;
            call(update, &mut |now| {
                if cancel.as_ref().is_some_and(Cancel::is_cancelled) || is_refused(now) {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })
        })
    }
}

/// Lets the gate judge the last successful run again, with the gate's fields of `options`. It
/// trains and measures nothing.
///
/// `options` may be NULL for the defaults. `report` may be NULL; otherwise it receives a report of
/// what a commit would do now.
///
/// Ownership: the caller owns `*report` and frees it with `polygraft_report_free`. `options` is
/// only read.
/// Threads: exclusive: one call on an update at a time.
/// Errors: argument.*, update.state (the update has not run).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_judge(
    update: *mut UpdateHandle,
    options: *const UpdateOptions,
    report: *mut *mut ReportObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or a struct that states its size truly, and NULL or writable
    // memory.
    unsafe {
        give_report(update, report, error, |update| {
            Ok(update.judge(UpdateOptions::read(options)?.gate)?.clone())
        })
    }
}

/// Measures the candidates of the last run against the versions that are active now, and lets the
/// gate judge again. It trains nothing. Call it when `polygraft_update_commit` fails with
/// store.changed, then commit again.
///
/// `cancel`, `report`, `progress` and `user` are those of `polygraft_update_run`. After a failure
/// or a cancellation the update still has its candidates.
///
/// Ownership: the caller owns `*report` and frees it with `polygraft_report_free`. The caller keeps
/// everything else.
/// Threads: exclusive: one call on an update at a time. The callback runs on this thread.
/// Errors: argument.*, cancelled, update.state (the update has not run), adapter.*, runtime.failed,
/// store.*, io.*.
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

/// Publishes what the gate accepted and activates it, for all languages in one step. The remembered
/// examples and the report belong to the same step: after the call, and after a crash at any
/// moment, either all of it is in the store or none of it.
///
/// `report` may be NULL; otherwise it receives the report with the new version numbers. After a
/// commit the update is empty and can take new examples. Once the versions are active, the call
/// succeeds; clean-up that failed afterwards is listed under `warnings` in the report's JSON.
///
/// A failed commit leaves the store as it was and the update as it is, so it can be tried again.
/// After io.full and store.locked, call it again. After store.changed, call
/// `polygraft_update_measure_again` first: a version of the task was activated, rolled back or
/// pinned since the update was measured. Changes of other tasks do not matter. update.state means
/// that the update has not run.
///
/// Ownership: the caller owns `*report` and frees it with `polygraft_report_free`. The caller still
/// has to close `update`.
/// Threads: exclusive: one call on an update at a time. Predictions may run meanwhile.
/// Errors: argument.*, update.state, store.changed, store.locked and other store.*, io.write,
/// io.full.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_commit(
    update: *mut UpdateHandle,
    report: *mut *mut ReportObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or writable memory.
    unsafe { give_report(update, report, error, Update::commit) }
}

/// Closes an update and sets `*update` to NULL. An update that was not committed is aborted: its
/// examples and candidates are dropped. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*update`.
/// Threads: safe while another thread runs the update: it waits until that call has ended, so that
/// no callback comes later and `user` may be freed. Trigger the run's cancel token first to wait
/// less, and hold no lock that the callback takes. Inside the callback it returns at once instead
/// of waiting; the run continues until it ends or the callback returns non-zero, and the update is
/// closed when the run returns.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_close(update: *mut *mut UpdateHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(update) }
}
