//! What is logged, for those who listen: messages of ONNX Runtime and of polygraft.
//!
//! Nobody listens by default, and then nothing is logged. Listeners are called on the thread that
//! logs. After a [`Listener`] is dropped, it is never called again. This module must never write a
//! message anywhere itself.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

named! {
    /// How bad a message is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Severity: "severity" {
        /// Details of what ONNX Runtime does to a graph.
        Verbose = "verbose",
        /// A normal event: something was opened.
        Info = "info",
        /// Something is suspicious, and the call goes on.
        Warning = "warning",
        /// A call fails; its error says the same.
        Error = "error",
        /// A fatal failure.
        Fatal = "fatal",
    }
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// Who logs: `onnxruntime` or `polygraft`.
    pub source: &'a str,
    /// The text, without a line end.
    pub text: &'a str,
}

type Callback = Box<dyn Fn(&Message<'_>) + Send + Sync>;

/// What a listener hears with. The callback is gone when the listener has ended.
struct Ear {
    least: Severity,
    callback: RwLock<Option<Callback>>,
}

static EARS: RwLock<Vec<Arc<Ear>>> = RwLock::new(Vec::new());

/// The position in [`Severity::ALL`] of the least severity that anybody hears.
static LEAST: AtomicUsize = AtomicUsize::new(Severity::ALL.len());

thread_local! {
    /// Whether this thread is inside of a callback. What it logs there is dropped: a listener that
    /// calls the library would otherwise hear itself.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Somebody who listens until it is dropped. Dropping waits for running callbacks of other threads,
/// and inside of a callback for none.
pub struct Listener(Arc<Ear>);

impl Listener {
    /// Calls `callback` with every message of at least this severity.
    pub(super) fn new(least: Severity, callback: Callback) -> Self {
        let ear = Arc::new(Ear { least, callback: RwLock::new(Some(callback)) });
        change_ears(|ears| ears.push(Arc::clone(&ear)));
        Self(ear)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        change_ears(|ears| ears.retain(|ear| !Arc::ptr_eq(ear, &self.0)));
        // Threads that are still calling it hold the lock for reading, maybe this one.
        if !INSIDE.get() {
            self.0.callback.write().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

fn change_ears(change: impl FnOnce(&mut Vec<Arc<Ear>>)) {
    let mut ears = EARS.write().unwrap_or_else(PoisonError::into_inner);
    change(&mut ears);
    let least = ears.iter().map(|ear| ear.least as usize).min();
    LEAST.store(least.unwrap_or(Severity::ALL.len()), Ordering::Relaxed);
}

/// The least severity that anybody hears; `None` if nobody listens.
pub(super) fn least() -> Option<Severity> {
    Severity::ALL.get(LEAST.load(Ordering::Relaxed)).copied()
}

/// Logs a message; `text` is made only if somebody hears it.
pub(crate) fn log(severity: Severity, source: &str, text: impl FnOnce() -> String) {
    if least().is_none_or(|least| severity < least) || INSIDE.get() {
        return;
    }
    let ears = EARS.read().unwrap_or_else(PoisonError::into_inner).clone();
    let text = text();
    let message = Message { severity, source, text: text.trim_end() };
    INSIDE.set(true);
    for ear in ears.iter().filter(|ear| severity >= ear.least) {
        let callback = ear.callback.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(callback) = &*callback {
            callback(&message);
        }
    }
    INSIDE.set(false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// One test, since listeners are of the whole process.
    #[test]
    fn listeners_hear_what_is_bad_enough_until_they_end() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hear = Arc::clone(&heard);
        let of_test = |severity, text: &str| log(severity, "test", || text.to_owned());
        of_test(Severity::Fatal, "nobody");
        let listener = Listener::new(
            Severity::Warning,
            Box::new(move |message| {
                // A message that a listener causes is not heard by it.
                log(Severity::Fatal, "test", || "inner".to_owned());
                if message.source == "test" {
                    hear.lock().unwrap().push(message.text.to_owned());
                }
            }),
        );
        of_test(Severity::Info, "too low");
        of_test(Severity::Warning, "first\n");
        of_test(Severity::Fatal, "second");
        drop(listener);
        of_test(Severity::Fatal, "after");
        assert_eq!(*heard.lock().unwrap(), ["first", "second"]);
        assert_eq!(Arc::strong_count(&heard), 1, "the callback is gone");
        assert_eq!(least(), None);
    }
}
