//! The formats of adapters, and how to detect them.

use super::fields::Fields;
use super::message::{malformed, pickled, unsupported};
use super::{files, ort_adapter};
use crate::adapter::ADAPTER_BYTES_MAX;
use crate::error::{Error, Result};
use std::path::Path;

/// The name of the configuration in the folders of PEFT and AdapterHub.
pub const CONFIG_NAME: &str = "adapter_config.json";

named! {
    /// A format of adapters.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Format: "adapter format" {
        /// polygraft's own file.
        Own = "own",
        /// A folder of the library PEFT.
        Peft = "peft",
        /// A file of ONNX Runtime, `.onnx_adapter`.
        OnnxAdapter = "onnx-adapter",
        /// A folder of AdapterHub's library `adapters`.
        AdapterHub = "adapterhub",
    }
}

impl Format {
    /// The format of the content at `path`.
    ///
    /// # Errors
    /// [`Code::NotFound`](crate::Code::NotFound);
    /// [`Code::AdapterMalformed`](crate::Code::AdapterMalformed) when it is none of the formats.
    pub fn detect(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return detect_folder(path);
        }
        let bytes = files::read(path, ADAPTER_BYTES_MAX)?;
        detect_file(path, &bytes)
    }
}

fn detect_folder(folder: &Path) -> Result<Format> {
    let file = folder.join(CONFIG_NAME);
    if !file.exists() {
        return Err(no_config(folder));
    }
    let config = Fields::open(&file)?;
    match (config.has("peft_type"), config.has("config")) {
        (true, _) => Ok(Format::Peft),
        (false, true) => Ok(Format::AdapterHub),
        _ => {
            let message = "expected the field peft_type (PEFT) or config (AdapterHub); adapters of \
                           other libraries are not read";
            Err(unsupported(&file, message))
        }
    }
}

/// The error for a folder without a configuration. PEFT writes each adapter but the first to a
/// folder inside of the one that it is given.
fn no_config(folder: &Path) -> Error {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let inside = entries.map(|entry| entry.path()).filter(|path| path.join(CONFIG_NAME).exists());
    let mut inside: Vec<String> = inside.map(|path| path.display().to_string()).take(4).collect();
    inside.sort();
    let hint = match inside.as_slice() {
        [] => String::new(),
        found => format!("; there is one in {}", found.join(" and in ")),
    };
    unsupported(folder, format!("expected a folder with {CONFIG_NAME} in it{hint}"))
}

fn detect_file(path: &Path, bytes: &[u8]) -> Result<Format> {
    if bytes.get(4..8) == Some(ort_adapter::IDENTIFIER) {
        return Ok(Format::OnnxAdapter);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02") {
        return Err(pickled(path));
    }
    // A safetensors file begins with the length of its header, followed by a brace.
    if bytes.get(8) == Some(&b'{') {
        return Ok(Format::Own);
    }
    Err(malformed(path, "expected safetensors or a file of ONNX Runtime (TORT)"))
}
