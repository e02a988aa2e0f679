//! Segments: files with the records of earlier changes, which are no longer in the pointer file.
//!
//! The pointer file is rewritten with every change, so it has to stay small. When it has grown, its
//! records move to a segment, a file that never changes again. A segment is merged into the
//! previous one as soon as it is no longer much smaller. There are therefore few segments, and a
//! record is copied a few times in its life and not with every change. Segments are named by their
//! hash, which the pointer file states. This module must never remove a segment that the pointer
//! file names.

use super::hash::ObjectHash;
use super::records::Records;
use super::state::SegmentRecord;
use super::{RECORDS_NAME, WORK_NAME};
use crate::error::{Code, Error, Result};
use crate::files::Folder;
use std::collections::HashMap;
use std::sync::Arc;

const SEGMENT_SIZE_BYTES_MAX: u64 = 1 << 30;

/// A segment is merged into the previous one unless that is more than this many times its size.
const MERGE_RATIO: u64 = 2;

/// Which earlier segments a new one is merged with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// Those that are not much larger.
    Similar,
    /// All of them, so that no outdated record is left.
    All,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub record: SegmentRecord,
    pub records: Records,
    /// The stated size of every object, so that a file of another size is not read.
    pub sizes: HashMap<ObjectHash, u64>,
}

impl Segment {
    fn new(record: SegmentRecord, records: Records) -> Self {
        let sizes = sizes(&records);
        Self { record, records, sizes }
    }

    /// Reads and checks the segment that the pointer file names.
    ///
    /// # Errors
    /// [`Code::NotFound`] if there is no such file; [`Code::StoreCorrupt`] and
    /// [`Code::StoreMalformed`] with the file.
    pub fn read(folder: &Folder, record: SegmentRecord) -> Result<Self> {
        let name = record.hash.to_string();
        let path = folder.path_of(RECORDS_NAME).join(&name);
        let Some(folder) = folder.folder_if_there(RECORDS_NAME)? else {
            return Err(Error::new(Code::NotFound, format!("{} is missing", path.display())));
        };
        let limit = record.size_bytes.min(SEGMENT_SIZE_BYTES_MAX);
        let bytes = folder.read(&name, limit, Code::StoreCorrupt)?;
        let found = ObjectHash::of(&bytes);
        if found != record.hash {
            let what = format!("has the content hash {found}, expected {}", record.hash);
            return Err(Error::new(Code::StoreCorrupt, format!("{} {what}", path.display())));
        }
        let malformed =
            |what: String| Error::new(Code::StoreMalformed, format!("{}: {what}", path.display()));
        let records: Records =
            serde_json::from_slice(&bytes).map_err(|cause| malformed(cause.to_string()))?;
        records.check().map_err(malformed)?;
        if encode(&records)? != bytes {
            return Err(malformed("the records are not spelled as polygraft writes them".into()));
        }
        Ok(Self::new(record, records))
    }

    /// Appends `recent` to `segments`, as a segment of its own or merged with the last ones. It
    /// writes the new file durably; the pointer file does not name it yet.
    pub fn append(
        folder: &Folder,
        segments: &mut Vec<Arc<Self>>,
        recent: Records,
        merge: Merge,
    ) -> Result<()> {
        let mut records = recent;
        let mut bytes = encode(&records)?;
        while let Some(last) = segments.last() {
            let is_larger = last.record.size_bytes > MERGE_RATIO * bytes.len() as u64;
            if merge == Merge::Similar && is_larger {
                break;
            }
            let mut merged = last.records.clone();
            merged.update(records);
            records = merged;
            bytes = encode(&records)?;
            segments.pop();
        }
        let size_bytes = bytes.len() as u64;
        if size_bytes > SEGMENT_SIZE_BYTES_MAX {
            let limit = SEGMENT_SIZE_BYTES_MAX;
            let what =
                format!("the store's records would take {size_bytes} bytes, at most {limit}");
            return Err(Error::new(Code::ArgumentInvalid, what));
        }
        let record = SegmentRecord { hash: ObjectHash::of(&bytes), size_bytes };
        let (name, work) = (record.hash.to_string(), folder.folder(WORK_NAME)?);
        let target = folder.create_folder(RECORDS_NAME)?;
        work.write(&name, &bytes)?;
        work.rename(&name, &target, &name)?;
        target.sync()?;
        segments.push(Arc::new(Self::new(record, records)));
        Ok(())
    }

    /// Removes the files of segments that are not in `kept`. A file that cannot be removed only
    /// takes space.
    pub fn remove_others(folder: &Folder, kept: &[&[SegmentRecord]]) {
        let Ok(Some(folder)) = folder.folder_if_there(RECORDS_NAME) else { return };
        let kept: Vec<String> =
            kept.iter().flat_map(|list| list.iter()).map(|one| one.hash.to_string()).collect();
        for name in folder.names().unwrap_or_default() {
            if ObjectHash::parse(&name).is_ok() && !kept.contains(&name) {
                let _ = folder.remove(&name);
            }
        }
    }
}

/// The size of every object that the records name.
pub(super) fn sizes(records: &Records) -> HashMap<ObjectHash, u64> {
    records.versions().map(|version| (version.object, version.size_bytes)).collect()
}

fn encode(records: &Records) -> Result<Vec<u8>> {
    serde_json::to_vec(records)
        .map_err(|cause| Error::new(Code::Internal, format!("writing records: {cause}")))
}
