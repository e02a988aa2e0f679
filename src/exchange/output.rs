//! The shared code of writers: paths, numbers, tensors of the head.

use super::message::unsupported;
use super::options::WriteOptions;
use super::tensors::transposed;
use super::trunk;
use crate::adapter::{Adapter, Component, HEAD_BIAS, HEAD_WEIGHT, Tensor};
use crate::error::Result;
use crate::sites::Site;
use serde_json::{Value, json};
use std::path::Path;

/// The only component of an adapter, for libraries with one kind per folder.
pub fn only_component<'a>(
    adapter: &'a Adapter,
    library: &str,
    folder: &Path,
) -> Result<&'a Component> {
    let [component] = adapter.components.as_slice() else {
        let found = adapter.components.len();
        let message =
            format!("{library} keeps one kind in a folder; the adapter has {found} components");
        return Err(unsupported(folder, message));
    };
    Ok(component)
}

/// The names of the sites in another library's model.
pub struct Paths {
    /// The prefix of every written path, with a dot at its end unless it is empty.
    encoder: String,
    /// The prefix of our paths that is not written.
    pub within: String,
}

impl Paths {
    pub fn new(options: &WriteOptions, sites: &[&Site]) -> Self {
        let mut encoder = options.encoder.clone();
        if !encoder.is_empty() {
            encoder.push('.');
        }
        Self { encoder, within: trunk::within(options, sites) }
    }

    /// The library's path of a module.
    pub fn of(&self, module: &str) -> String {
        let module = module.strip_prefix(self.within.as_str()).unwrap_or(module);
        format!("{}{module}", self.encoder)
    }
}

/// The tensors of the head, as a linear layer of PyTorch with the name `module`.
pub fn head_tensors(adapter: &Adapter, module: &str) -> Result<[(String, Tensor); 2]> {
    let weight = transposed(adapter.tensor(HEAD_WEIGHT)?);
    let bias = adapter.tensor(HEAD_BIAS)?.clone();
    Ok([(format!("{module}.weight"), weight), (format!("{module}.bias"), bias)])
}

/// A number, without a fraction if it is whole, as in PEFT.
pub fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e9 { json!(value as i64) } else { json!(value) }
}

/// JSON on several lines, for people.
pub fn json_bytes(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
