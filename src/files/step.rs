//! The points of a write at which a test can simulate a crash.
//!
//! Writing code marks each point; outside of tests a mark does nothing.

/// Marks a point at which a crash would leave the disk in another state than before. Tests stop
/// here.
#[cfg(not(test))]
#[inline]
pub(super) fn step(_name: &'static str) {}

#[cfg(test)]
pub(super) use faults::step;

/// Stops a test's thread at a chosen step, like a power cut: nothing after it runs.
#[cfg(test)]
pub(crate) mod faults {
    use std::cell::{Cell, RefCell};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    thread_local! {
        static STEPS_LEFT: Cell<Option<usize>> = const { Cell::new(None) };
        static TRACE: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    struct Stopped;

    pub(in crate::files) fn step(name: &'static str) {
        let Some(left) = STEPS_LEFT.get() else { return };
        if left == 0 {
            resume_unwind(Box::new(Stopped));
        }
        STEPS_LEFT.set(Some(left - 1));
        TRACE.with_borrow_mut(|trace| trace.push(name));
    }

    /// Runs `action` until it ends or has done `steps` steps, and returns `None` if it was stopped.
    /// It also returns the names of the steps that were done.
    pub(crate) fn run<T>(
        steps: usize,
        action: impl FnOnce() -> T,
    ) -> (Option<T>, Vec<&'static str>) {
        STEPS_LEFT.set(Some(steps));
        TRACE.take();
        let outcome = catch_unwind(AssertUnwindSafe(action));
        STEPS_LEFT.set(None);
        let value = match outcome {
            Ok(value) => Some(value),
            Err(payload) if payload.is::<Stopped>() => None,
            Err(payload) => resume_unwind(payload),
        };
        (value, TRACE.take())
    }
}
