//! The formats of adapters as numbers. A number must never be reused for another format.

use crate::exchange::Format;

/// polygraft's own file.
pub const POLYGRAFT_FORMAT_OWN: u32 = 0;
/// A folder of the library PEFT.
pub const POLYGRAFT_FORMAT_PEFT: u32 = 1;
/// A file of ONNX Runtime, `.onnx_adapter`.
pub const POLYGRAFT_FORMAT_ONNX_ADAPTER: u32 = 2;
/// A folder of the library `adapters` of AdapterHub.
pub const POLYGRAFT_FORMAT_ADAPTERHUB: u32 = 3;

/// The formats in the order of their numbers.
pub(super) const FORMATS: [Format; 4] =
    [Format::Own, Format::Peft, Format::OnnxAdapter, Format::AdapterHub];
