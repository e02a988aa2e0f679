//! Ctrl-C: the first press asks the running command to stop, the second one ends the process.

use crate::{Code, Error, Result};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether Ctrl-C was pressed.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Breaks once Ctrl-C was pressed; progress callbacks return this.
pub fn flow() -> ControlFlow<()> {
    if interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Returns an error once Ctrl-C was pressed; `doing` completes "cancelled while".
///
/// # Errors
/// [`Code::Cancelled`].
pub fn check(doing: &str) -> Result<()> {
    if interrupted() {
        return Err(Error::new(Code::Cancelled, format!("cancelled while {doing}")));
    }
    Ok(())
}

#[cfg(any(unix, windows))]
extern "C" fn on_interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Listens for Ctrl-C, and lets a closed pipe on standard output end the process quietly, as it
/// does for other commands.
#[cfg(unix)]
pub fn install() {
    // SAFETY: an all-zero `sigaction` is a valid value of that plain C struct (an empty mask, no
    // flags, the default handler). The handler has the signature that a `sigaction` without
    // `SA_SIGINFO` calls, and only stores to an atomic, which is allowed in a signal handler.
    // The pointers are valid for the calls; no other thread runs yet.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_interrupt as extern "C" fn(libc::c_int) as usize;
        // Restores the default after the first signal, so that a second Ctrl-C ends the process.
        action.sa_flags = libc::SA_RESETHAND;
        libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Listens for Ctrl-C. The system calls the handler once, on a thread of its own, and then restores
/// the default, so that a second Ctrl-C ends the process.
#[cfg(windows)]
pub fn install() {
    // SAFETY: the handler has the signature that `signal` calls, and only stores to an atomic.
    unsafe { libc::signal(libc::SIGINT, on_interrupt as *const () as libc::sighandler_t) };
}

/// Other systems keep their default: Ctrl-C ends the process.
#[cfg(not(any(unix, windows)))]
pub fn install() {}
