//! What a name in a folder refers to, and what it is opened for: the words that `system` and
//! `folder` share.

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// A symbolic link, or whatever else leads to another place.
    Link,
    /// Only some systems name pipes and sockets in folders.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are none on this system"))]
    Pipe,
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are none on this system"))]
    Socket,
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are none on this system"))]
    Device,
}

/// The entry that a name refers to. Two are equal if they are the same, unmodified file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub kind: Kind,
    pub size_bytes: u64,
    /// The volume, and the number of the file on it.
    pub identity: (u64, u64),
    /// When the content was last changed, in whole units of the system and its fractions.
    pub modified: (i64, i64),
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Reading what is there. Opening never waits for anybody.
    Read,
    /// Locking; it is created if it is not there.
    Lock,
    /// Writing and reading what must not be there yet.
    New,
}
