//! Folders of systems where a name can be opened below a folder's descriptor.

use crate::files::found::{Found, Kind, Purpose};
use rustix::fs::{Access, AtFlags, Dir, FileType, Mode, OFlags, Stat};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The first descriptor after standard input, output and error.
const DESCRIPTOR_MIN: i32 = 3;

/// An open folder. Whatever happens to its path, its names are those of this folder.
#[derive(Debug)]
pub(in crate::files) struct Handle(OwnedFd);

/// Moves a descriptor away from the numbers of standard input, output and error.
fn above_standard(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() >= DESCRIPTOR_MIN {
        return Ok(descriptor);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&descriptor, DESCRIPTOR_MIN)?)
}

/// Opens the folder at a path, which may be a link to it.
pub(in crate::files) fn open(path: &Path) -> io::Result<Handle> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    above_standard(rustix::fs::open(path, flags, Mode::empty())?).map(Handle)
}

/// What an open file is.
pub(in crate::files) fn found(file: &File) -> io::Result<Found> {
    Ok(entry(&rustix::fs::fstat(file)?))
}

/// Fills `bytes` from an offset of a file.
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(bytes, offset)
}

/// Writes all bytes at an offset of a file.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Waits until the names in the folder at a path are on the disk.
pub(in crate::files) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Handle {
    pub(in crate::files) fn folder(&self, name: &str) -> io::Result<Self> {
        self.open_at(name, OFlags::RDONLY | OFlags::DIRECTORY).map(Self)
    }

    pub(in crate::files) fn file(&self, name: &str, purpose: Purpose) -> io::Result<File> {
        let flags = match purpose {
            // A pipe would wait for its other end.
            Purpose::Read => OFlags::RDONLY | OFlags::NONBLOCK,
            Purpose::Lock => OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK,
            Purpose::New => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        self.open_at(name, flags).map(File::from)
    }

    fn open_at(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        above_standard(rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o666))?)
    }

    pub(in crate::files) fn create_folder(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o777))?)
    }

    pub(in crate::files) fn found(&self, name: &str) -> io::Result<Found> {
        Ok(entry(&rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// All names, in no order.
    pub(in crate::files) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Moves a file to a name in a folder, in one step; a file of that name is replaced.
    pub(in crate::files) fn rename(&self, name: &str, target: &Self, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, name, &target.0, to)?)
    }

    pub(in crate::files) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Waits until the names are on the disk.
    pub(in crate::files) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    pub(in crate::files) fn is_writable(&self) -> bool {
        rustix::fs::accessat(&self.0, ".", Access::WRITE_OK, AtFlags::empty()).is_ok()
    }
}

fn entry(stat: &Stat) -> Found {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        FileType::Fifo => Kind::Pipe,
        FileType::Socket => Kind::Socket,
        _ => Kind::Device,
    };
    // The fields have other types on other systems. A number that does not fit is as good as any.
    #[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
    Found {
        kind,
        size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
        identity: (stat.st_dev as u64, stat.st_ino as u64),
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
    }
}
