//! The values of a model's initializers, as views of mapped files wherever possible.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::bytes::Bytes;

use super::external_files::ExternalFiles;
use super::model::Model;
use super::proto::{TensorProto, tensor_proto};
use super::types::data_type;
use crate::error::{Code, Error, Result, ResultExt};

/// The initializers of a model's main graph by name. Clones share them.
///
/// String tensors have no bytes and are left out, as are sparse initializers and those of
/// subgraphs. The files stay mapped as long as a clone lives.
#[derive(Clone, Debug, Default)]
pub struct Weights(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_name: HashMap<String, usize>,
    /// In the order of the graph's initializers.
    entries: Vec<Entry>,
    folder: PathBuf,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    data_type: i32,
    dims: Vec<i64>,
    bytes: Bytes,
    location: Option<(Arc<Path>, u64)>,
}

/// Where the bytes of a weight lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location<'a> {
    /// In the model's own file or memory.
    Inline,
    /// In a mapped file of external data.
    External {
        /// The file, canonical.
        path: &'a Path,
        /// The offset of the first byte.
        offset: u64,
    },
}

/// One initializer.
#[derive(Clone, Copy, Debug)]
pub struct Weight<'a> {
    /// Its name in the graph.
    pub name: &'a str,
    /// One of [`data_type`].
    pub data_type: i32,
    /// The dimensions; none for a scalar.
    pub dims: &'a [i64],
    /// The tensor's bytes, little-endian, row-major. They are only as aligned as their offset in
    /// the file: cast them with a check, or copy them.
    pub bytes: &'a [u8],
    /// Where they lie.
    pub location: Location<'a>,
}

impl Weights {
    /// Maps the external data of a model and views its inline initializers, each once.
    ///
    /// Errors: [`Code::GraphExternalData`] for data that is missing, truncated, outside the model's
    /// folder or of another size than the tensor (the message names file, tensor, expected and
    /// found); [`Code::GraphMalformed`] for inline values that do not fit their type or dimensions,
    /// and for two initializers of one name.
    pub fn map(model: &Model) -> Result<Self> {
        let mut files = ExternalFiles::new(model.folder());
        let mut inner = Inner { folder: model.folder().to_owned(), ..Inner::default() };
        for tensor in &model.graph()?.initializer {
            if tensor.data_type() == data_type::STRING {
                continue;
            }
            let entry = Entry::new(tensor, &mut files)
                .context(|| format!("initializer {:?}", tensor.name()))?;
            if inner.by_name.insert(entry.name.clone(), inner.entries.len()).is_some() {
                let message = format!("two initializers are named {:?}", entry.name);
                return Err(Error::new(Code::GraphMalformed, message));
            }
            inner.entries.push(entry);
        }
        Ok(Self(Arc::new(inner)))
    }

    /// These weights and those of a second model in the same folder. A name in both must denote one
    /// tensor.
    ///
    /// # Errors
    /// [`Code::GraphMalformed`] when one name denotes two different tensors, or when the models lie
    /// in different folders.
    pub fn union(&self, other: &Self) -> Result<Self> {
        if self.folder() != other.folder() {
            let message = "weights of models in different folders cannot be joined";
            return Err(Error::new(Code::GraphMalformed, message));
        }
        let mut inner = Inner {
            by_name: self.0.by_name.clone(),
            entries: self.0.entries.clone(),
            folder: self.0.folder.clone(),
        };
        for entry in &other.0.entries {
            match self.get(&entry.name) {
                None => {
                    inner.by_name.insert(entry.name.clone(), inner.entries.len());
                    inner.entries.push(entry.clone());
                }
                Some(known) if known.is_same(&entry.weight()) => {}
                Some(_) => {
                    let message = format!("{:?} stands for two different tensors", entry.name);
                    return Err(Error::new(Code::GraphMalformed, message));
                }
            }
        }
        Ok(Self(Arc::new(inner)))
    }

    /// The folder that the model's external data was looked up in.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// The initializer of that name.
    pub fn get(&self, name: &str) -> Option<Weight<'_>> {
        self.0.by_name.get(name).map(|&position| self.0.entries[position].weight())
    }

    /// All initializers, in the order of the graph.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Weight<'_>> {
        self.0.entries.iter().map(Entry::weight)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }
}

impl Entry {
    fn new(tensor: &TensorProto, files: &mut ExternalFiles) -> Result<Self> {
        let (bytes, location) = if tensor.data_location() == tensor_proto::EXTERNAL {
            let found = files.bytes(tensor)?;
            (found.bytes, Some((found.path, found.offset)))
        } else {
            (inline_bytes(tensor)?, None)
        };
        Ok(Self {
            name: tensor.name().to_owned(),
            data_type: tensor.data_type(),
            dims: tensor.dims.clone(),
            bytes,
            location,
        })
    }

    fn weight(&self) -> Weight<'_> {
        let location = match &self.location {
            None => Location::Inline,
            Some((path, offset)) => Location::External { path, offset: *offset },
        };
        Weight {
            name: &self.name,
            data_type: self.data_type,
            dims: &self.dims,
            bytes: &self.bytes,
            location,
        }
    }
}

impl Weight<'_> {
    /// Whether both have the same type, dimensions and bytes. Bytes at the same place of the same
    /// file are not compared.
    pub fn is_same(&self, other: &Weight<'_>) -> bool {
        let one_place =
            matches!(self.location, Location::External { .. }) && self.location == other.location;
        let form = |weight: &Weight<'_>| (weight.data_type, weight.bytes.len());
        form(self) == form(other)
            && self.dims == other.dims
            && (one_place || self.bytes == other.bytes)
    }

    /// The values of an int64 or int32 tensor; `None` for other types.
    pub fn values_i64(&self) -> Option<Vec<i64>> {
        integers(self.data_type, self.bytes)
    }
}

/// Little-endian int64 or int32 values.
pub(crate) fn integers(data_type: i32, bytes: &[u8]) -> Option<Vec<i64>> {
    match data_type {
        data_type::INT64 => {
            Some(bytes.as_chunks::<8>().0.iter().map(|chunk| i64::from_le_bytes(*chunk)).collect())
        }
        data_type::INT32 => {
            let chunks = bytes.as_chunks::<4>().0.iter();
            Some(chunks.map(|chunk| i64::from(i32::from_le_bytes(*chunk))).collect())
        }
        _ => None,
    }
}

/// The little-endian bytes of an inline tensor, checked against its type and dimensions. `raw_data`
/// is shared; values in typed fields are copied.
///
/// Errors: [`Code::GraphMalformed`].
pub fn inline_bytes(tensor: &TensorProto) -> Result<Bytes> {
    let malformed = |message: String| {
        Error::new(Code::GraphMalformed, format!("tensor {:?}: {message}", tensor.name()))
    };
    let name = data_type::name(tensor.data_type());
    let expected = data_type::tensor_size_bytes(tensor.data_type(), &tensor.dims)
        .ok_or_else(|| malformed(format!("no size for {name} {:?}", tensor.dims)))?;
    let bytes = match &tensor.raw_data {
        Some(raw) => raw.clone(),
        None => Bytes::from(typed_bytes(tensor)),
    };
    if bytes.len() != expected {
        let found = bytes.len();
        let dims = &tensor.dims;
        let message = format!("{name} {dims:?} takes {expected} bytes, found {found}");
        return Err(malformed(message));
    }
    Ok(bytes)
}

/// The values from the typed field that ONNX prescribes for the tensor's type.
fn typed_bytes(tensor: &TensorProto) -> Vec<u8> {
    use data_type as t;
    let narrow = |width: usize| {
        tensor.int32_data.iter().flat_map(move |value| value.to_le_bytes().into_iter().take(width))
    };
    match tensor.data_type() {
        t::FLOAT | t::COMPLEX64 => {
            tensor.float_data.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
        t::DOUBLE | t::COMPLEX128 => {
            tensor.double_data.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
        t::INT64 => tensor.int64_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        t::UINT64 => tensor.uint64_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        t::UINT32 => {
            let values = tensor.uint64_data.iter();
            values.flat_map(|value| value.to_le_bytes().into_iter().take(4)).collect()
        }
        t::FLOAT6E2M3 | t::FLOAT6E3M2 => packed_6_bits(&tensor.int32_data),
        // Types below 8 bits are packed in the low byte already.
        other => match t::size_bits(other) {
            Some(bits @ 1..=32) => narrow(bits.div_ceil(8)).collect(),
            _ => Vec::new(),
        },
    }
}

/// Packs one 6-bit value per number into a little-endian bit stream, as `raw_data` holds it.
fn packed_6_bits(values: &[i32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len().saturating_mul(6).div_ceil(8));
    let (mut window, mut filled) = (0u32, 0u32);
    for &value in values {
        window |= (value as u32 & 0x3f) << filled;
        filled += 6;
        while filled >= 8 {
            bytes.push(window as u8);
            window >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        bytes.push(window as u8);
    }
    bytes
}
