//! Writes a model with its weights in one file of aligned external data.
//!
//! Only the place of the values changes; the values and the rest of the message stay as they are.
//! The data is streamed, so memory stays at the size of the message, and the same model gives the
//! same bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use prost::Message;

use super::external_files::ExternalFiles;
use super::model::Model;
use super::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto,
    StringStringEntryProto, TensorProto, tensor_proto,
};
use super::types::data_type;
use super::weights::{Weights, inline_bytes};
use crate::error::{Code, Error, Result};
use crate::files::{sync_file, write_synced};

/// Each tensor in the data file starts at a multiple of this many bytes (a page), so that it can be
/// mapped by itself.
pub const ALIGNMENT_BYTES: u64 = 4096;

/// Tensors up to this size in bytes stay inside the model file: a page each would waste space, and
/// shape inference needs the constants.
pub const INLINE_SIZE_BYTES_MAX: usize = 1023;

/// Writes `model` to `folder/graph_file_name`, its weights to `folder/data_file_name`.
///
/// Inline initializers of at least a kibibyte (of the graph and of its subgraphs) move to the data
/// file; external tensors are copied there in the same order. Both files are created anew and
/// synced to disk; the folder must exist. Without weights to move, the data file is empty.
/// `weights` must be those of `model`.
///
/// Errors: [`Code::ArgumentInvalid`] for a file name that is a path, or for a file that the weights
/// are mapped from; [`Code::IoWrite`] and [`Code::IoFull`]; and those of [`Weights::map`] for
/// tensors outside the main graph. What was written so far stays.
pub fn write_with_external_data(
    model: &Model,
    weights: &Weights,
    folder: &Path,
    graph_file_name: &str,
    data_file_name: &str,
) -> Result<()> {
    write(&[(model, weights, graph_file_name)], folder, data_file_name, None)
}

/// Writes several models, each with its weights and its file name, over one data file that stores
/// equal values of the same size once; otherwise as [`write_with_external_data`].
pub fn write_sharing_external_data(
    models: &[(&Model, &Weights, &str)],
    folder: &Path,
    data_file_name: &str,
) -> Result<()> {
    write(models, folder, data_file_name, Some(HashMap::new()))
}

/// The offsets of stored values by their hash; `None` if equal values are not shared.
type Placed = Option<HashMap<blake3::Hash, u64>>;

fn write(
    models: &[(&Model, &Weights, &str)],
    folder: &Path,
    data_file_name: &str,
    placed: Placed,
) -> Result<()> {
    let mut data_path = folder.join(data_file_name);
    let mut graph_paths = Vec::with_capacity(models.len());
    for (model, _, graph_file_name) in models {
        graph_paths.push(target(model, folder, graph_file_name)?);
        data_path = target(model, folder, data_file_name)?;
    }
    if graph_paths.contains(&data_path) {
        let message = format!("the graph and its data cannot both be {}", data_path.display());
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    let mut data = DataFile::create(data_path, placed)?;
    let mut protos = Vec::with_capacity(models.len());
    for (model, weights, _) in models {
        let mut proto = model.proto.clone();
        let files = ExternalFiles::new(model.folder());
        Mover { weights, files, data: &mut data, data_file_name }.model(&mut proto)?;
        protos.push(proto);
    }
    data.finish()?;
    graph_paths
        .iter()
        .zip(&protos)
        .try_for_each(|(path, proto)| write_synced(path, &proto.encode_to_vec()))
}

/// The path of a file to write. It must not be a file that the model is read from: overwriting a
/// mapped file would destroy the weights while they are copied.
fn target(model: &Model, folder: &Path, file_name: &str) -> Result<PathBuf> {
    let mut parts = Path::new(file_name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        let message = format!("{file_name:?} must be a file name without a folder");
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    let path = folder.join(file_name);
    let same_folder = match (folder.canonicalize(), model.folder().canonicalize()) {
        (Ok(folder), Ok(source)) => folder == source,
        _ => false,
    };
    if same_folder && path.exists() {
        let message = format!("{} exists in the folder of the model", path.display());
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    Ok(path)
}

/// The data file being written.
struct DataFile {
    path: PathBuf,
    file: BufWriter<File>,
    size_bytes: u64,
    placed: Placed,
}

impl DataFile {
    fn create(path: PathBuf, placed: Placed) -> Result<Self> {
        let file = File::create(&path)
            .map_err(|cause| Error::io(Code::IoWrite, "creating", &path, &cause))?;
        Ok(Self { path, file: BufWriter::new(file), size_bytes: 0, placed })
    }

    /// Stores bytes, unless they are stored already and may be shared; returns the offset.
    fn place(&mut self, bytes: &[u8]) -> Result<u64> {
        if self.placed.is_none() {
            return self.append(bytes);
        }
        let hash = blake3::hash(bytes);
        if let Some(offset) = self.placed.as_ref().and_then(|placed| placed.get(&hash)) {
            return Ok(*offset);
        }
        let offset = self.append(bytes)?;
        self.placed.get_or_insert_default().insert(hash, offset);
        Ok(offset)
    }

    /// Appends bytes at the next aligned offset; returns that offset.
    fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        let offset = self.size_bytes.next_multiple_of(ALIGNMENT_BYTES);
        // Less than a page, so it fits any address width.
        let padding = [0u8; ALIGNMENT_BYTES as usize];
        let padding = &padding[..(offset - self.size_bytes) as usize];
        let written = self.file.write_all(padding).and_then(|()| self.file.write_all(bytes));
        written.map_err(|cause| Error::io(Code::IoWrite, "writing", &self.path, &cause))?;
        self.size_bytes = offset + bytes.len() as u64;
        Ok(offset)
    }

    fn finish(self) -> Result<()> {
        sync_file(self.file, &self.path)
    }
}

/// Walks a model and moves the values of its tensors.
struct Mover<'a> {
    weights: &'a Weights,
    files: ExternalFiles,
    data: &'a mut DataFile,
    data_file_name: &'a str,
}

impl Mover<'_> {
    fn model(&mut self, model: &mut ModelProto) -> Result<()> {
        if let Some(graph) = &mut model.graph {
            for tensor in &mut graph.initializer {
                self.main_initializer(tensor)?;
            }
            self.rest_of_graph(graph)?;
        }
        for training in &mut model.training_info {
            for graph in training.initialization.iter_mut().chain(&mut training.algorithm) {
                self.graph(graph)?;
            }
        }
        for FunctionProto { node, attribute_proto, .. } in &mut model.functions {
            self.attributes(attribute_proto)?;
            self.nodes(node)?;
        }
        Ok(())
    }

    fn graph(&mut self, graph: &mut GraphProto) -> Result<()> {
        for tensor in &mut graph.initializer {
            self.initializer(tensor)?;
        }
        self.rest_of_graph(graph)
    }

    /// Everything but the graph's own initializers; only values that are already external move.
    fn rest_of_graph(&mut self, graph: &mut GraphProto) -> Result<()> {
        for tensor in &mut graph.sparse_initializer {
            self.sparse(tensor)?;
        }
        self.nodes(&mut graph.node)
    }

    fn nodes(&mut self, nodes: &mut [NodeProto]) -> Result<()> {
        nodes.iter_mut().try_for_each(|node| self.attributes(&mut node.attribute))
    }

    fn attributes(&mut self, attributes: &mut [AttributeProto]) -> Result<()> {
        for attribute in attributes {
            for tensor in attribute.t.iter_mut().map(|t| &mut **t).chain(&mut attribute.tensors) {
                self.external(tensor)?;
            }
            let sparse = attribute.sparse_tensor.iter_mut().map(|tensor| &mut **tensor);
            for tensor in sparse.chain(&mut attribute.sparse_tensors) {
                self.sparse(tensor)?;
            }
            for graph in attribute.g.iter_mut().map(|g| &mut **g).chain(&mut attribute.graphs) {
                self.graph(graph)?;
            }
        }
        Ok(())
    }

    fn sparse(&mut self, tensor: &mut SparseTensorProto) -> Result<()> {
        tensor.values.iter_mut().chain(&mut tensor.indices).try_for_each(|part| self.external(part))
    }

    /// An initializer of the main graph. [`Weights::map`] has checked its bytes.
    fn main_initializer(&mut self, tensor: &mut TensorProto) -> Result<()> {
        let external = tensor.data_location() == tensor_proto::EXTERNAL;
        let weights = self.weights;
        match weights.get(tensor.name()) {
            Some(weight) if external || weight.bytes.len() > INLINE_SIZE_BYTES_MAX => {
                self.place(tensor, weight.bytes)
            }
            Some(_) => Ok(()),
            None => self.initializer(tensor),
        }
    }

    /// An initializer of a subgraph.
    fn initializer(&mut self, tensor: &mut TensorProto) -> Result<()> {
        let external = tensor.data_location() == tensor_proto::EXTERNAL;
        if external || tensor.data_type() == data_type::STRING {
            return self.external(tensor);
        }
        let bytes = inline_bytes(tensor)?;
        if bytes.len() > INLINE_SIZE_BYTES_MAX { self.place(tensor, &bytes) } else { Ok(()) }
    }

    /// Copies the values of a tensor if they are external, and leaves it alone otherwise.
    fn external(&mut self, tensor: &mut TensorProto) -> Result<()> {
        if tensor.data_location() != tensor_proto::EXTERNAL {
            return Ok(());
        }
        let found = self.files.bytes(tensor)?;
        self.place(tensor, &found.bytes)
    }

    /// Stores the values and makes the tensor refer to them.
    fn place(&mut self, tensor: &mut TensorProto, bytes: &[u8]) -> Result<()> {
        let offset = self.data.place(bytes)?;
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        // Other keys, such as a checksum of the whole old file, no longer hold.
        tensor.external_data = vec![
            entry("location", self.data_file_name.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", bytes.len().to_string()),
        ];
        tensor.data_location = Some(tensor_proto::EXTERNAL);
        tensor.raw_data = None;
        tensor.float_data.clear();
        tensor.int32_data.clear();
        tensor.int64_data.clear();
        tensor.double_data.clear();
        tensor.uint64_data.clear();
        Ok(())
    }
}
