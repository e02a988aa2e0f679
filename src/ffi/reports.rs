//! The reports of past updates, and the page with charts that shows them.

use super::boundary::{boundary, give_object};
use super::error::{ErrorObject, Status};
use super::handle;
use super::object::{find, free, read};
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

/// Gives the reports of all updates of `task` that were committed to a store, the oldest first. The
/// list is empty for a task that was never updated.
///
/// Ownership: the caller owns `*reports` and frees it with `polygraft_reports_free`.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, task.name, store.malformed, store.corrupt, io.read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_reports(
    store: *const StoreHandle,
    task: *const c_char,
    reports: *mut *mut ReportsObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        give_object(error, "reports", reports, || {
            let store = handle::borrow(store)?;
            let reports = update::history(&store, text("task", task)?)?;
            let objects = reports.into_iter().map(ReportObject::new).collect();
            Ok(ReportsObject { objects, page: OnceLock::new() })
        })
    }
}

/// Removes the checkpoint of a stopped update of `task`, so that another update can begin. It does
/// nothing if there is no checkpoint. The checkpoint of a running update is not removed.
///
/// Ownership: the caller keeps everything.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, task.name, store.locked (an update of the task is running), io.write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_discard_checkpoint(
    store: *const StoreHandle,
    task: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_reports`.
    unsafe {
        boundary(error, || {
            let store = handle::borrow(store)?;
            Update::discard_checkpoint(&store, text("task", task)?)
        })
    }
}

/// Returns the number of reports in a list; 0 for NULL.
///
/// Ownership: the caller keeps `reports`.
/// Threads: may be called concurrently on one list.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_reports_count(reports: *const ReportsObject) -> usize {
    // SAFETY: the caller passes NULL or a list of this library that is not freed.
    unsafe { read(reports, 0, |list| list.objects.len()) }
}

/// Returns one report of a list. Report 0 is that of the first update. NULL and an `index` past the
/// end give NULL.
///
/// Ownership: the report belongs to the list and is valid until the list is freed; the caller does
/// not free it.
/// Threads: may be called concurrently on one list.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_reports_get(
    reports: *const ReportsObject,
    index: usize,
) -> *const ReportObject {
    // SAFETY: the caller passes NULL or a list of this library that is not freed.
    unsafe {
        find(reports, std::ptr::null(), |list| list.objects.get(index).map(std::ptr::from_ref))
    }
}

/// Returns the reports as one self-contained HTML page with charts; an empty text for NULL. The
/// text is always empty if the library was built without the feature `html`, which is on by
/// default.
///
/// Ownership: the view is valid until `reports` is freed.
/// Threads: may be called concurrently on one list.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_reports_html(reports: *const ReportsObject) -> StringView {
    // SAFETY: the caller passes NULL or a list of this library that is not freed.
    unsafe {
        read(reports, StringView::EMPTY, |list| {
            list.page.get_or_init(|| Text::new(list.html())).view()
        })
    }
}

/// Frees a list of reports and sets `*reports` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*reports`; its reports and views into them become invalid.
/// Threads: exclusive: no other thread may be using this list.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_reports_free(reports: *mut *mut ReportsObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a list it owns.
    unsafe { free(reports) }
}
