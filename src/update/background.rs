//! Runs work at the lowest system priority, on a thread of its own.
//!
//! An unprivileged process cannot raise the priority of a thread again, so the caller's thread
//! keeps its priority: it waits, passes progress on to the callback and returns the answer. ONNX
//! Runtime's threads inherit the priority of the thread that opens the session.

use super::progress::{Progress, ProgressCallback};
use crate::error::{Code, Error, Result};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;

/// Runs `work`; its progress calls `callback` on this thread.
pub(super) fn run<T: Send>(
    callback: ProgressCallback<'_>,
    work: impl FnOnce(ProgressCallback<'_>) -> Result<T> + Send,
) -> Result<T> {
    let (progress_sender, progress) = mpsc::channel::<Progress>();
    let (answer_sender, answers) = mpsc::channel::<ControlFlow<()>>();
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            lower_priority();
            work(&mut |progress| {
                // The receiver is gone only if the caller's thread has panicked.
                let told = progress_sender.send(*progress).is_ok();
                if told {
                    answers.recv().unwrap_or(ControlFlow::Break(()))
                } else {
                    ControlFlow::Break(())
                }
            })
        });
        for progress in progress {
            if answer_sender.send(callback(&progress)).is_err() {
                break;
            }
        }
        worker
            .join()
            .unwrap_or_else(|_| Err(Error::new(Code::Internal, "the update's thread panicked")))
    })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn lower_priority() {
    const NICEST: libc::c_int = 19;
    // SAFETY: `setpriority` takes plain numbers and touches no memory. On Linux, 0 stands for the
    // calling thread alone. A refusal leaves the priority as it was, which harms nothing.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICEST);
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn lower_priority() {}
