//! Folders with links, pipes and strange names in them.

use super::Folder;
use crate::error::Code;
use rustix::fs::Mode;
use std::fs;
use std::os::unix::fs::{FileExt, symlink};

fn folder() -> (tempfile::TempDir, Folder) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::open(temporary.path()).unwrap();
    (temporary, folder)
}

#[test]
fn a_file_is_written_whole_and_read_back() {
    let (temporary, folder) = folder();
    folder.replace("file", "file.partial", b"content").unwrap();
    assert_eq!(fs::read(temporary.path().join("file")).unwrap(), b"content");
    assert_eq!(folder.read("file", 7, Code::StoreMalformed).unwrap(), b"content");
    assert_eq!(folder.names().unwrap(), ["file"]);
    let error = folder.read("file", 6, Code::StoreMalformed).unwrap_err();
    assert_eq!(error.code(), Code::StoreMalformed);
    assert_eq!(folder.read("none", 6, Code::StoreMalformed).unwrap_err().code(), Code::NotFound);
    folder.remove("file").unwrap();
    folder.remove("file").unwrap();
    assert!(folder.entry("file").unwrap().is_none());
}

#[test]
fn a_nameless_file_is_written_and_read_and_leaves_nothing() {
    let (_temporary, folder) = folder();
    folder.replace("states", "partial", b"of another program").unwrap();
    let file = folder.nameless_file("states").unwrap();
    assert!(folder.names().unwrap().is_empty());
    file.write_all_at(b"content", 2).unwrap();
    let mut bytes = [0; 7];
    file.read_exact_at(&mut bytes, 2).unwrap();
    assert_eq!(&bytes, b"content");
}

#[test]
fn links_and_pipes_are_refused_and_nothing_behind_them_is_touched() {
    let (temporary, folder) = folder();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), b"theirs").unwrap();
    symlink(outside.path(), temporary.path().join("folder")).unwrap();
    symlink(outside.path().join("file"), temporary.path().join("file")).unwrap();
    symlink(outside.path().join("new"), temporary.path().join("dangling")).unwrap();
    let pipe = temporary.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();

    for error in [
        folder.folder("folder").unwrap_err(),
        folder.create_folder("folder").unwrap_err(),
        folder.open_file("file").unwrap_err(),
        folder.open_file("dangling").unwrap_err(),
        folder.open_lock_file("file").unwrap_err(),
        folder.open_lock_file("dangling").unwrap_err(),
    ] {
        assert_eq!(error.code(), Code::IoRead, "{error}");
        assert!(error.to_string().contains("found a symbolic link"), "{error}");
    }
    for error in [folder.open_file("pipe").unwrap_err(), folder.folder("pipe").unwrap_err()] {
        assert!(error.to_string().contains("found a pipe"), "{error}");
    }
    // Writing replaces the link and not what it leads to.
    folder.replace("file", "dangling", b"ours").unwrap();
    assert_eq!(fs::read(outside.path().join("file")).unwrap(), b"theirs");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert!(folder.entry("file").unwrap().unwrap().is_file());
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let (_temporary, folder) = folder();
    for name in ["", ".", "..", "../file", "a/b", "a\0b"] {
        assert!(folder.open_file(name).is_err(), "{name:?}");
        assert!(folder.write(name, b"").is_err(), "{name:?}");
        assert!(folder.create_folder(name).is_err(), "{name:?}");
        assert!(folder.remove(name).is_err(), "{name:?}");
    }
    assert!(folder.names().unwrap().is_empty());
}

#[test]
fn the_handle_stays_with_the_folder_when_its_path_is_given_to_another() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("deep").join("folder");
    let folder = Folder::create(&path).unwrap();
    fs::rename(&path, temporary.path().join("moved")).unwrap();
    fs::create_dir(&path).unwrap();
    folder.replace("file", "partial", b"content").unwrap();
    assert!(temporary.path().join("moved").join("file").exists());
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
}
