//! The reports of past updates, and the page with charts that shows them.

use super::error::ErrorObject;
use super::gate::{Out, Status, free, gate, gate_value, object};
use super::handle;
use super::report::ReportObject;
use super::store::StoreHandle;
use super::text::{StringView, Text, text};
use crate::update::{self, Update};
use std::ffi::c_char;
use std::sync::OnceLock;

/// The reports of all updates of one task, the oldest first.
pub struct ReportsObject {
    objects: Vec<ReportObject>,
    /// Made when it is first asked for.
    page: OnceLock<Text>,
}

impl ReportsObject {
    #[cfg(feature = "html")]
    fn html(&self) -> String {
        let reports: Vec<_> = self.objects.iter().map(|one| one.report().clone()).collect();
        crate::report::html::updates(&reports)
    }

    #[cfg(not(feature = "html"))]
    fn html(&self) -> String {
        String::new()
    }
}

/// Gives the reports of all updates of `task` that were committed to a store, oldest first. A task
/// that was never updated has none.
///
/// Ownership: gives `*reports`; free it with `polygraft_reports_free`.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, task.name, store.malformed, store.corrupt, io.read.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_reports(
    store: *const StoreHandle,
    task: *const c_char,
    reports: *mut *mut ReportsObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or valid pointers; each is checked before use, texts are
    // NUL-terminated and unchanged during the call, handles are never dereferenced.
    unsafe {
        gate(error, || {
            let out = Out::new("reports", reports)?;
            let store = handle::borrow(store)?;
            let reports = update::history(&store, text("task", task)?)?;
            let objects = reports.into_iter().map(ReportObject::new).collect();
            let page = OnceLock::new();
            out.write(Box::into_raw(Box::new(ReportsObject { objects, page })));
            Ok(())
        })
    }
}

/// Removes the checkpoint of an update of `task` that was stopped, so that another one can begin.
/// Without a checkpoint nothing happens. That of an update that is running is not removed.
///
/// Ownership: borrows everything.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, task.name, store.locked (an update of the task is running), io.write.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_discard_checkpoint(
    store: *const StoreHandle,
    task: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_reports`.
    unsafe {
        gate(error, || {
            let store = handle::borrow(store)?;
            Update::discard_checkpoint(&store, text("task", task)?)
        })
    }
}

/// How many reports a list has; 0 for NULL.
///
/// Ownership: borrows `reports`.
/// Threads: may be called concurrently on one list.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_reports_count(reports: *const ReportsObject) -> usize {
    // SAFETY: the caller passes NULL or a list of this library that is not freed.
    gate_value(0, || unsafe { object(reports) }.map_or(0, |list| list.objects.len()))
}

/// One report of a list, 0 being that of the first update; NULL for NULL and past the end.
///
/// Ownership: the report is borrowed from the list and ends with it; do not free it.
/// Threads: may be called concurrently on one list.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_reports_get(
    reports: *const ReportsObject,
    index: usize,
) -> *const ReportObject {
    gate_value(std::ptr::null(), || {
        // SAFETY: the caller passes NULL or a list of this library that is not freed.
        let report = unsafe { object(reports) }.and_then(|list| list.objects.get(index));
        report.map_or(std::ptr::null(), std::ptr::from_ref)
    })
}

/// The reports as one self-contained HTML page with charts. It is empty for NULL, and always in
/// a library that was built without the feature `html`, which is on by default.
///
/// Ownership: the view is valid until `reports` is freed.
/// Threads: may be called concurrently on one list.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_reports_html(reports: *const ReportsObject) -> StringView {
    gate_value(StringView::EMPTY, || {
        // SAFETY: the caller passes NULL or a list of this library that is not freed.
        let Some(list) = (unsafe { object(reports) }) else { return StringView::EMPTY };
        list.page.get_or_init(|| Text::new(list.html())).view()
    })
}

/// Frees a list of reports and sets `*reports` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: takes `*reports`; its reports and every view into them end.
/// Threads: exclusive: no other thread may be using this list.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_reports_free(reports: *mut *mut ReportsObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a list it owns.
    unsafe { free(reports) }
}
