//! Handles: numbers in a table that C sees as pointers.
//!
//! A handle is never dereferenced. Every call looks it up and holds a clone of what it names (an
//! `Arc` inside), so closing a handle while another thread is using it is safe: the running call
//! finishes on its clone, closing waits for it, and later calls get an error that says the handle
//! is closed. Numbers are never reused, so a stale handle can never reach a newer object, nor one
//! of another kind.
//!
//! A forked child has the table but none of the threads. It must never wait for a call that only
//! its parent makes, and never use or end an object that needs the ONNX Runtime threads of its
//! parent.

use super::boundary;
use super::error::{ErrorObject, Status};
use super::object::{guarded, invalid, null};
use super::uses::{InUse, Uses};
use crate::error::{Code, Error, Result};
use std::any::Any;
use std::collections::HashMap;
use std::ops::Deref;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

type Entries = HashMap<usize, Entry>;

static TABLE: LazyLock<RwLock<Entries>> = LazyLock::new(|| {
    keep_whole_in_forks();
    RwLock::default()
});
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// An opaque C type and the object that its handles name.
pub(super) trait Handle: Sized {
    /// The object; cloning it is cheap and shares it.
    type Object: Clone + Send + Sync + 'static;
    const NOUN: &'static str;
    /// Whether a forked child may use it. It may not if the object has sessions, because their
    /// threads stay in the parent.
    const WORKS_AFTER_FORK: bool;
}

struct Entry {
    object: Box<dyn Any + Send + Sync>,
    uses: Arc<Uses>,
    /// The process that opened it.
    process: u32,
}

/// The object of a handle, lent to one call.
pub(super) struct Lent<H: Handle> {
    // Fields are dropped in this order: whoever waits for the use to end finds the object gone.
    object: H::Object,
    _in_use: Option<InUse>,
}

impl<H: Handle> Deref for Lent<H> {
    type Target = H::Object;

    fn deref(&self) -> &H::Object {
        &self.object
    }
}

/// Adds an object to the table and returns its handle.
pub(super) fn open<H: Handle>(object: H::Object) -> *mut H {
    // Addresses at the very top belong to no process, so no collector or debugger of the caller's
    // language mistakes a handle for memory of its own. Steps of 16 keep them aligned like memory.
    let address = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(16).wrapping_neg();
    let entry = Entry { object: Box::new(object), uses: Arc::default(), process: process::id() };
    TABLE.write().unwrap_or_else(PoisonError::into_inner).insert(address, entry);
    std::ptr::without_provenance_mut(address)
}

/// Runs one call and gives a handle to the object that it returns.
///
/// # Safety
/// `error` and `output` are NULL or point to memory where one pointer can be written.
pub(super) unsafe fn give<H: Handle>(
    error: *mut *mut ErrorObject,
    output: *mut *mut H,
    call: impl FnOnce() -> Result<H::Object>,
) -> Status {
    // SAFETY: the same promise.
    unsafe { boundary::give(error, H::NOUN, output, || call().map(open)) }
}

/// Returns the object of a handle, shared for the length of the call.
pub(super) fn borrow<H: Handle>(handle: *const H) -> Result<Lent<H>> {
    if handle.is_null() {
        return Err(null(H::NOUN, "an open handle"));
    }
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    let found = table.get(&handle.addr()).and_then(|entry| {
        entry.object.downcast_ref::<H::Object>().map(|object| (object.clone(), entry))
    });
    let Some((object, entry)) = found else {
        let noun = H::NOUN;
        return Err(invalid(format!(
            "`{noun}` is not an open {noun} handle: it was closed or never opened"
        )));
    };
    let is_own = entry.process == process::id();
    if !is_own && !H::WORKS_AFTER_FORK {
        return Err(opened_elsewhere(H::NOUN, entry.process));
    }
    // Counted under the lock of the table, so that a close that has removed the entry finds every
    // call. The calls of a parent are not for its child to count: their threads are not here.
    let in_use = is_own.then(|| InUse::begin(&entry.uses));
    Ok(Lent { object, _in_use: in_use })
}

/// The error for a handle that a forked child cannot use.
fn opened_elsewhere(noun: &str, process: u32) -> Error {
    let message = format!(
        "this {noun} was opened in another process ({process}; this one, forked from it, is \
         {}), where ONNX Runtime's threads stayed; open it after the fork",
        process::id()
    );
    Error::new(Code::RuntimeFailed, message)
}

/// Closes a handle, waits for the calls that use it, and nulls the caller's pointer; NULL, a
/// pointer to NULL and a handle that is closed already do nothing.
///
/// # Safety
/// `pointer` is NULL or points to a handle that no other thread writes meanwhile.
pub(super) unsafe fn close<H: Handle>(pointer: *mut *mut H) {
    if pointer.is_null() {
        return;
    }
    // SAFETY: not null, and the caller promises that it points to a handle.
    let handle = unsafe { pointer.replace(std::ptr::null_mut()) };
    guarded((), || {
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        let is_ours = table.get(&handle.addr()).is_some_and(|entry| entry.object.is::<H::Object>());
        let entry = is_ours.then(|| table.remove(&handle.addr())).flatten();
        // Waiting and dropping may take long, and the calls that it waits for may need the table.
        drop(table);
        let Some(entry) = entry else { return };
        if entry.process == process::id() {
            entry.uses.wait();
        } else if !H::WORKS_AFTER_FORK {
            // Ending a session joins threads that are not in this process, and only the parent may
            // end what hangs on it: a lock, or a checkpoint of a running update.
            std::mem::forget(entry);
        }
    });
}

/// Lets no fork happen while the table changes: the child would find its lock taken for ever.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn keep_whole_in_forks() {
    use std::cell::RefCell;
    use std::sync::RwLockWriteGuard;

    thread_local! {
        static HELD: RefCell<Option<RwLockWriteGuard<'static, Entries>>> =
            const { RefCell::new(None) };
    }
    extern "C" fn hold() {
        let table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        // A thread that is ending has no place left to keep the lock; it forks without.
        let _ = HELD.try_with(|held| held.replace(Some(table)));
    }
    extern "C" fn release() {
        let _ = HELD.try_with(|held| held.replace(None));
    }
    let (before, after): (unsafe extern "C" fn(), unsafe extern "C" fn()) = (hold, release);
    // SAFETY: both functions live as long as the library, take no arguments, do not unwind, and
    // wait for nothing but the table, which nobody holds while forking. If the call fails for lack
    // of memory, forks happen without it.
    unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
}

/// These systems have no fork, or none whose child goes on without starting another program.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn keep_whole_in_forks() {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    struct Red;
    struct Blue;
    impl Handle for Red {
        type Object = Arc<String>;
        const NOUN: &'static str = "red";
        const WORKS_AFTER_FORK: bool = true;
    }
    impl Handle for Blue {
        type Object = Arc<u32>;
        const NOUN: &'static str = "blue";
        const WORKS_AFTER_FORK: bool = false;
    }

    fn code<T>(result: Result<T>) -> Option<Code> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn a_closed_handle_is_an_error_and_its_number_is_not_reused() {
        let mut handle = open::<Red>(Arc::new("one".into()));
        let stale = handle;
        let held = borrow::<Red>(handle).unwrap();
        // SAFETY: a local variable. This thread is inside a call, so closing does not wait for it.
        unsafe { close(&raw mut handle) };
        assert!(handle.is_null());
        assert_eq!(**held, "one", "a running call keeps its object");
        assert_eq!(Arc::strong_count(&held), 1, "the table let go of it");
        drop(held);

        let mut second = open::<Red>(Arc::new("two".into()));
        assert_ne!(second, stale);
        assert_eq!(code(borrow::<Red>(stale)), Some(Code::ArgumentInvalid));
        // SAFETY: local variables; closing a stale handle must not close another.
        unsafe { close(&mut stale.clone()) };
        assert_eq!(**borrow::<Red>(second).unwrap(), "two");
        // SAFETY: a local variable.
        unsafe { close(&raw mut second) };
    }

    #[test]
    fn a_handle_of_another_kind_is_refused_and_stays_open() {
        let mut red = open::<Red>(Arc::new("red".into()));
        let mut as_blue = red.cast::<Blue>();
        assert_eq!(code(borrow::<Blue>(as_blue)), Some(Code::ArgumentInvalid));
        // SAFETY: local variables.
        unsafe { close(&raw mut as_blue) };
        assert_eq!(**borrow::<Red>(red).unwrap(), "red");
        // SAFETY: a local variable.
        unsafe { close(&raw mut red) };
    }

    #[test]
    fn null_is_named() {
        let error = borrow::<Red>(std::ptr::null()).err().unwrap();
        assert_eq!(error.code(), Code::ArgumentNull);
        assert!(error.message().contains("`red`"), "{error}");
        // SAFETY: NULL and a pointer to NULL are allowed.
        unsafe {
            close::<Red>(std::ptr::null_mut());
            close::<Red>(&mut std::ptr::null_mut());
        }
    }
    #[test]
    fn closing_waits_for_the_calls_of_other_threads_and_for_their_objects() {
        let object = Arc::new("slow".to_owned());
        let handle = open::<Red>(Arc::clone(&object));
        let address = handle.addr();
        let (borrowed, is_borrowed) = std::sync::mpsc::channel();
        let (finish, may_finish) = std::sync::mpsc::channel::<()>();
        let user = std::thread::spawn(move || {
            let lent = borrow::<Red>(std::ptr::without_provenance(address)).unwrap();
            borrowed.send(()).unwrap();
            may_finish.recv().unwrap();
            drop(lent);
        });
        is_borrowed.recv().unwrap();
        let (closed, is_closed) = std::sync::mpsc::channel();
        let closer = std::thread::spawn(move || {
            // SAFETY: a local variable.
            unsafe { close::<Red>(&mut std::ptr::without_provenance_mut(address)) };
            closed.send(()).unwrap();
        });
        // The handle is gone at once; the close itself is not over before the call is.
        while borrow::<Red>(handle).is_ok() {
            std::thread::yield_now();
        }
        assert!(is_closed.try_recv().is_err(), "closed before the call had ended");
        finish.send(()).unwrap();
        is_closed.recv().unwrap();
        assert_eq!(Arc::strong_count(&object), 1, "what the call held is gone, too");
        user.join().unwrap();
        closer.join().unwrap();
    }
}
