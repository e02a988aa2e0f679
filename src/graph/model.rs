//! A model file: its message, and the folder of its external data.

use std::path::{Path, PathBuf};

use prost::Message;
use prost::bytes::Bytes;

use super::decode::check_decoded_size;
use super::proto::{GraphProto, ModelProto};
use crate::error::{Code, Error, Result, ResultExt};
use crate::files::Mapping;

/// The largest model file that is read, in bytes: protobuf itself ends at 2 GiB. Larger weights are
/// external data.
pub const MODEL_SIZE_BYTES_MAX: usize = i32::MAX as usize;

/// The oldest IR version that is read: since then, operator sets and initializers have today's
/// meaning.
pub const IR_VERSION_MIN: i64 = 3;

/// A model-local function that stays a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionLeft {
    /// The domain of the operator that it defines.
    pub domain: String,
    /// The operator's name.
    pub name: String,
    /// Why it is not inlined.
    pub reason: String,
}

/// A decoded model that has a graph, and the folder its external data is looked up in.
#[derive(Clone, Debug)]
pub struct Model {
    /// The complete message; [`Model::to_bytes`] writes back everything it holds.
    pub proto: ModelProto,
    pub(super) functions_left: Vec<FunctionLeft>,
    folder: PathBuf,
}

impl Model {
    /// Reads and checks the model file at `path`.
    ///
    /// Errors: [`Code::NotFound`], [`Code::IoRead`], and those of [`Model::from_bytes`].
    pub fn read(path: &Path) -> Result<Self> {
        // Decoding from the mapping lets inline weights stay file pages instead of copies.
        let bytes = Bytes::from_owner(Mapping::open(path)?);
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Self::decode(bytes, folder.unwrap_or(Path::new(".")))
            .context(|| format!("reading {}", path.display()))
    }

    /// Decodes and checks a model whose external data is looked up in `folder`.
    ///
    /// Errors: [`Code::GraphMalformed`] for bytes that are not a model, that would take
    /// unreasonable memory, or that lack a graph, an IR version or operator sets;
    /// [`Code::GraphUnsupported`] for IR versions before [`IR_VERSION_MIN`].
    pub fn from_bytes(bytes: &[u8], folder: &Path) -> Result<Self> {
        Self::decode(Bytes::copy_from_slice(bytes), folder)
    }

    fn decode(bytes: Bytes, folder: &Path) -> Result<Self> {
        if bytes.len() > MODEL_SIZE_BYTES_MAX {
            let message = format!(
                "the model is {} bytes, expected at most {MODEL_SIZE_BYTES_MAX}; larger weights \
                 belong in external data",
                bytes.len()
            );
            return Err(Error::new(Code::GraphMalformed, message));
        }
        check_decoded_size(&bytes)?;
        let proto = ModelProto::decode(bytes).map_err(|cause| {
            Error::new(Code::GraphMalformed, format!("not an ONNX model: {cause}"))
        })?;
        Self::new(proto, folder)
    }

    /// Wraps and checks a message whose external data is looked up in `folder`.
    ///
    /// Errors: as [`Model::from_bytes`].
    pub fn new(proto: ModelProto, folder: &Path) -> Result<Self> {
        let malformed = |message: &str| Err(Error::new(Code::GraphMalformed, message));
        if proto.graph.is_none() {
            return malformed("not an ONNX model: it has no graph");
        }
        match proto.ir_version {
            None => return malformed("not an ONNX model: it has no IR version"),
            Some(version) if version < IR_VERSION_MIN => {
                let message = format!("IR version {version}, expected at least {IR_VERSION_MIN}");
                return Err(Error::new(Code::GraphUnsupported, message));
            }
            // Newer versions are read: nothing here depends on what they add.
            Some(_) => {}
        }
        if proto.opset_import.is_empty() {
            return malformed("the model imports no operator set");
        }
        let mut domains: Vec<&str> = Vec::with_capacity(proto.opset_import.len());
        for import in &proto.opset_import {
            let domain = canonical_domain(import.domain());
            if import.version() < 1 {
                let version = import.version();
                return malformed(&format!("operator set {domain:?} has version {version}"));
            }
            if domains.contains(&domain) {
                return malformed(&format!("operator set {domain:?} is imported twice"));
            }
            domains.push(domain);
        }
        Ok(Self { proto, functions_left: Vec::new(), folder: folder.to_owned() })
    }

    /// The model as bytes; decoding them gives an equal message.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// The folder that external data is looked up in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The graph.
    ///
    /// Errors: [`Code::GraphMalformed`] when the graph was removed from `proto`.
    pub fn graph(&self) -> Result<&GraphProto> {
        let missing = || Error::new(Code::GraphMalformed, "the model has no graph");
        self.proto.graph.as_ref().ok_or_else(missing)
    }

    /// The graph, mutable.
    ///
    /// Errors: as [`Model::graph`].
    pub fn graph_mut(&mut self) -> Result<&mut GraphProto> {
        let missing = || Error::new(Code::GraphMalformed, "the model has no graph");
        self.proto.graph.as_mut().ok_or_else(missing)
    }

    /// The model-local functions that [`super::prepare()`] could not inline, each with the reason;
    /// empty before that.
    pub fn functions_left(&self) -> &[FunctionLeft] {
        &self.functions_left
    }

    /// The version of an operator set that the model imports. `""` and `"ai.onnx"` both name the
    /// standard domain.
    pub fn opset(&self, domain: &str) -> Option<i64> {
        let domain = canonical_domain(domain);
        let imports = &self.proto.opset_import;
        let import = imports.iter().find(|import| canonical_domain(import.domain()) == domain);
        import.map(|import| import.version())
    }
}

/// ONNX Runtime's own domain.
pub(super) const MICROSOFT: &str = "com.microsoft";

/// Maps both spellings of the standard domain to one.
pub(crate) fn canonical_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}
