//! Folders and files: opened without following links, written so that a crash leaves them whole.
//!
//! A [`Folder`] is opened once and kept open. Everything below it is reached through that handle,
//! one plain name at a time, and a symbolic link, a pipe or a device under a name is refused.
//! Neither a changed working folder nor a planted link can therefore lead elsewhere. Bytes go to a
//! partial file, reach the disk, and only then get their final name; the folder is synced last. A
//! [`Lock`] excludes other processes. Files outside of a store are written by [`PartialFile`] and
//! the functions beside it, read by [`read_within`], and mapped by [`Mapping`].
//!
//! No descriptor that stays open is one of the three standard ones, because a daemon that has
//! closed those would write its messages into such a file. This part must never interpret the
//! content of a file.
//!
//! Input: paths, names and bytes. Output: files, folders, mappings and locks.

mod exchange;
mod folder;
mod found;
mod lock;
mod mapping;
mod read;
mod step;
mod system;
mod write;

#[cfg(test)]
mod folder_tests;

pub(crate) use exchange::exchange;
pub(crate) use folder::{Entry, Folder};
pub(crate) use lock::Lock;
pub(crate) use mapping::Mapping;
pub(crate) use read::read_within;
#[cfg(test)]
pub(crate) use step::faults;
pub(crate) use system::{read_exact_at, write_all_at};
pub(crate) use write::{
    PartialFile, parent, sync_file, sync_folder, write_new_folder, write_synced,
};
