//! Handles: numbers in a table, dressed as pointers.
//!
//! A handle is never dereferenced. Every call looks it up and holds a clone of what it names (an
//! `Arc` inside), so closing a handle while another thread is using it is safe: the running call
//! finishes on its clone, later calls get an error that says the handle is closed. Numbers are
//! never reused, so a stale handle can never reach a newer object, nor one of another kind.

use super::gate::{gate_value, null};
use crate::error::{Code, Error, Result};
use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock};

type Table = RwLock<HashMap<usize, Box<dyn Any + Send + Sync>>>;

static TABLE: LazyLock<Table> = LazyLock::new(Table::default);
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// An opaque C type and the object that its handles name.
pub(super) trait Handle: Sized {
    /// The object; cloning it is cheap and shares it.
    type Object: Clone + Send + Sync + 'static;
    /// The noun in messages.
    const NOUN: &'static str;
}

/// Enters an object into the table and gives its handle.
pub(super) fn open<H: Handle>(object: H::Object) -> *mut H {
    // Addresses at the very top belong to no process, so no collector or debugger of the caller's
    // language mistakes a handle for memory of its own. Steps of 16 keep them aligned like memory.
    let address = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(16).wrapping_neg();
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    table.insert(address, Box::new(object));
    std::ptr::without_provenance_mut(address)
}

/// The object that a handle names, shared for the length of the call.
pub(super) fn borrow<H: Handle>(handle: *const H) -> Result<H::Object> {
    if handle.is_null() {
        return Err(null(H::NOUN, "an open handle"));
    }
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    let object = table.get(&handle.addr()).and_then(|object| object.downcast_ref::<H::Object>());
    object.cloned().ok_or_else(|| {
        let noun = H::NOUN;
        Error::new(
            Code::ArgumentInvalid,
            format!("`{noun}` is not an open {noun} handle: it was closed or never opened"),
        )
    })
}

/// Like [`borrow`] for an optional argument: NULL gives `None`.
pub(super) fn borrow_optional<H: Handle>(handle: *const H) -> Result<Option<H::Object>> {
    if handle.is_null() { Ok(None) } else { borrow(handle).map(Some) }
}

/// Closes a handle and nulls the caller's pointer; NULL, a pointer to NULL and a handle that is
/// closed already do nothing.
///
/// # Safety
/// `pointer` is NULL or points to a handle that no other thread writes meanwhile.
pub(super) unsafe fn close<H: Handle>(pointer: *mut *mut H) {
    if pointer.is_null() {
        return;
    }
    // SAFETY: not null, and the caller promises that it points to a handle.
    let handle = unsafe { pointer.replace(std::ptr::null_mut()) };
    gate_value((), || {
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        let is_ours = table.get(&handle.addr()).is_some_and(|object| object.is::<H::Object>());
        let object = is_ours.then(|| table.remove(&handle.addr()));
        // The object may take long to drop, and its threads may need the table.
        drop(table);
        drop(object);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    struct Red;
    struct Blue;
    impl Handle for Red {
        type Object = Arc<String>;
        const NOUN: &'static str = "red";
    }
    impl Handle for Blue {
        type Object = Arc<u32>;
        const NOUN: &'static str = "blue";
    }

    fn code<T>(result: Result<T>) -> Option<Code> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn a_closed_handle_is_an_error_and_its_number_is_not_reused() {
        let mut handle = open::<Red>(Arc::new("one".into()));
        let stale = handle;
        let held = borrow::<Red>(handle).unwrap();
        // SAFETY: a local variable.
        unsafe { close(&mut handle) };
        assert!(handle.is_null());
        assert_eq!(*held, "one", "a running call keeps its object");
        assert_eq!(Arc::strong_count(&held), 1, "the table let go of it");

        let mut second = open::<Red>(Arc::new("two".into()));
        assert_ne!(second, stale);
        assert_eq!(code(borrow::<Red>(stale)), Some(Code::ArgumentInvalid));
        // SAFETY: local variables; closing a stale handle must not close another.
        unsafe { close(&mut stale.clone()) };
        assert_eq!(*borrow::<Red>(second).unwrap(), "two");
        // SAFETY: a local variable.
        unsafe { close(&mut second) };
    }

    #[test]
    fn a_handle_of_another_kind_is_refused_and_stays_open() {
        let mut red = open::<Red>(Arc::new("red".into()));
        let mut as_blue = red.cast::<Blue>();
        assert_eq!(code(borrow::<Blue>(as_blue)), Some(Code::ArgumentInvalid));
        // SAFETY: local variables.
        unsafe { close(&mut as_blue) };
        assert_eq!(*borrow::<Red>(red).unwrap(), "red");
        // SAFETY: a local variable.
        unsafe { close(&mut red) };
    }

    #[test]
    fn null_is_named() {
        let error = borrow::<Red>(std::ptr::null()).unwrap_err();
        assert_eq!(error.code(), Code::ArgumentNull);
        assert!(error.message().contains("`red`"), "{error}");
        assert!(borrow_optional::<Red>(std::ptr::null()).unwrap().is_none());
        // SAFETY: NULL and a pointer to NULL are allowed.
        unsafe {
            close::<Red>(std::ptr::null_mut());
            close::<Red>(&mut std::ptr::null_mut());
        }
    }
}
