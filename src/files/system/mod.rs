//! What a system offers below an open folder: entries by plain names, and no link on the way.
//!
//! Each system has a file with the same functions, and errors are those of the system. It must
//! never follow a link below the folder. Messages and order of writes are the business of
//! `folder.rs`.
//!
//! Input: plain names, which `folder.rs` has checked. Output: open files, and what an entry is.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use unix::{Handle, found, open, sync};
#[cfg(unix)]
pub(crate) use unix::{read_exact_at, write_all_at};
#[cfg(windows)]
pub(super) use windows::{Handle, found, open, sync};
#[cfg(windows)]
pub(crate) use windows::{read_exact_at, write_all_at};
