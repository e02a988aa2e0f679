//! Finds the bytes of an external tensor in the files beside its model.
//!
//! A location is a hostile string. A file is opened only if its path is relative and, after
//! following links, still lies inside the model's folder. A range is returned only if it fits both
//! the file and the tensor. Each file is mapped once, however many tensors and spellings name it.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use prost::bytes::Bytes;

use super::proto::TensorProto;
use super::types::data_type;
use crate::error::{Code, Error, Result};
use crate::files::Mapping;

/// The mapped files of one model's folder.
#[derive(Debug)]
pub(crate) struct ExternalFiles {
    folder: PathBuf,
    /// Files by location as written, so that each spelling is checked once.
    by_location: HashMap<String, Arc<Path>>,
    by_path: HashMap<Arc<Path>, Bytes>,
}

/// The bytes of one external tensor.
pub(crate) struct Found {
    /// A view of the mapped file, exactly as long as the tensor.
    pub(crate) bytes: Bytes,
    /// The canonical path of the file.
    pub(crate) path: Arc<Path>,
    /// The offset of the first byte.
    pub(crate) offset: u64,
}

impl ExternalFiles {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), by_location: HashMap::new(), by_path: HashMap::new() }
    }

    /// The bytes of an external tensor.
    ///
    /// Errors: [`Code::GraphExternalData`] naming the tensor and the file.
    pub(crate) fn bytes(&mut self, tensor: &TensorProto) -> Result<Found> {
        let failed = |message: String| external_error(tensor, message);
        let place = DataRange::of(tensor)?;
        let dims = &tensor.dims;
        let kind = data_type::name(tensor.data_type());
        let expected = data_type::tensor_size_bytes(tensor.data_type(), dims)
            .ok_or_else(|| failed(format!("no size for {kind} {dims:?}")))?;
        let location = place.location;
        if let Some(length) = place.length.filter(|&length| length != expected as u64) {
            return Err(failed(format!(
                "{location:?}: {kind} {dims:?} takes {expected} bytes, the length stated is \
                 {length}"
            )));
        }
        let path = self.path(tensor, location)?;
        let file = &self.by_path[&path];
        let end = place.offset.checked_add(expected as u64);
        let end =
            end.ok_or_else(|| failed(format!("{location:?}: offset {} overflows", place.offset)))?;
        if end > file.len() as u64 {
            return Err(failed(format!(
                "{}: expected {expected} bytes at offset {} and so a file of at least {end} \
                 bytes, found {} bytes",
                path.display(),
                place.offset,
                file.len()
            )));
        }
        // Both fit in `usize`: they are at most the length of a mapped file.
        let bytes = file.slice(place.offset as usize..end as usize);
        Ok(Found { bytes, path, offset: place.offset })
    }

    /// The canonical path of a location, with its file mapped.
    fn path(&mut self, tensor: &TensorProto, location: &str) -> Result<Arc<Path>> {
        if let Some(path) = self.by_location.get(location) {
            return Ok(path.clone());
        }
        let path: Arc<Path> = self.resolve(tensor, location)?.into();
        if !self.by_path.contains_key(&path) {
            let mapping = Mapping::open(&path)
                .map_err(|error| external_error(tensor, error.message().to_owned()))?;
            self.by_path.insert(path.clone(), Bytes::from_owner(mapping));
        }
        self.by_location.insert(location.to_owned(), path.clone());
        Ok(path)
    }

    /// Checks a location and follows its links.
    fn resolve(&self, tensor: &TensorProto, location: &str) -> Result<PathBuf> {
        let failed = |message: String| external_error(tensor, message);
        let relative = Path::new(location);
        let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !relative.components().all(inside) {
            return Err(failed(format!(
                "location {location:?} must be a relative path inside the model's folder"
            )));
        }
        let canonical = |path: &Path| {
            path.canonicalize().map_err(|cause| failed(format!("{}: {cause}", path.display())))
        };
        let folder = canonical(&self.folder)?;
        let path = canonical(&folder.join(relative))?;
        if !path.starts_with(&folder) {
            return Err(failed(format!(
                "location {location:?} leads to {} outside the model's folder {}",
                path.display(),
                folder.display()
            )));
        }
        Ok(path)
    }
}

/// The file, offset and length that a tensor states for its values.
struct DataRange<'a> {
    location: &'a str,
    offset: u64,
    length: Option<u64>,
}

impl<'a> DataRange<'a> {
    fn of(tensor: &'a TensorProto) -> Result<Self> {
        let value = |key: &str| -> Result<Option<&'a str>> {
            let mut entries = tensor.external_data.iter().filter(|entry| entry.key() == key);
            let first = entries.next().map(|entry| entry.value());
            match entries.next() {
                None => Ok(first),
                Some(_) => Err(external_error(tensor, format!("{key} is stated twice"))),
            }
        };
        let number = |key: &str| -> Result<Option<u64>> {
            let Some(text) = value(key)? else { return Ok(None) };
            text.parse().map(Some).map_err(|_| {
                let message = format!("{key} {text:?} is not a number of bytes");
                external_error(tensor, message)
            })
        };
        let Some(location) = value("location")? else {
            return Err(external_error(tensor, "no location is stated".to_owned()));
        };
        Ok(Self { location, offset: number("offset")?.unwrap_or(0), length: number("length")? })
    }
}

fn external_error(tensor: &TensorProto, message: String) -> Error {
    let name = tensor.name();
    Error::new(Code::GraphExternalData, format!("external data of tensor {name:?}: {message}"))
}
