//! Reads and writes adapters of any format.

use super::format::{CONFIG_NAME, Format};
use super::message::{in_file, unsupported};
use super::options::{Backbone, Imported, ReadOptions, WriteOptions};
use super::{adapterhub, files, ort_adapter, peft};
use crate::adapter::{ADAPTER_BYTES_MAX, Adapter, FORMAT_NAME, HeadName};
use crate::error::Result;
use crate::files::PartialFile;
use safetensors::SafeTensors;
use std::path::Path;

/// Reads an adapter of any format for this backbone, without the notes on it.
///
/// # Errors
/// As [`import`].
pub fn read(path: &Path, backbone: &Backbone<'_>, options: &ReadOptions) -> Result<Adapter> {
    Ok(import(path, backbone, options)?.adapter)
}

/// Reads an adapter of any format for this backbone.
///
/// # Errors
/// [`crate::Code::AdapterUnsupported`] naming the file and what in it cannot be represented,
/// [`crate::Code::AdapterMalformed`] naming the file, the field, what was expected and found,
/// [`crate::Code::AdapterBaseMismatch`] and [`crate::Code::AdapterTensors`] as [`Adapter::check`],
/// [`crate::Code::AdapterIdentityMismatch`] as [`Adapter::check_reading`], and those of reading
/// files.
pub fn import(path: &Path, backbone: &Backbone<'_>, options: &ReadOptions) -> Result<Imported> {
    let format = Format::detect(path)?;
    let mut imported = match format {
        Format::Own => {
            let bytes = files::read(path, ADAPTER_BYTES_MAX)?;
            check_described(path, &bytes)?;
            Imported::silent(Adapter::from_bytes(&bytes).map_err(|error| in_file(error, path))?)
        }
        Format::Peft => peft::read(path, backbone, options)?,
        Format::OnnxAdapter => ort_adapter::read(path, backbone, options)?,
        Format::AdapterHub => adapterhub::read(path, backbone, options)?,
    };
    if format != Format::Own {
        // Other libraries do not record the reading, so the importing user states that the bundle
        // is right.
        imported.adapter.reading = backbone.reading.cloned();
    }
    let adapter = &imported.adapter;
    adapter.check_description().map_err(|error| match format {
        Format::Own => in_file(error, path),
        // Other libraries have other limits.
        _ => unsupported(path, format!("{}; --labels gives other labels", error.message())),
    })?;
    // Readers should guarantee this, but an error of theirs must not reach a model.
    adapter
        .check(backbone.hash, backbone.sites, backbone.head_inputs())
        .and_then(|()| backbone.reading.map_or(Ok(()), |reading| adapter.check_reading(reading)))
        .map_err(|error| in_file(error, path))?;
    Ok(imported)
}

/// Refuses tensors without a description, which other libraries keep beside a configuration.
fn check_described(path: &Path, bytes: &[u8]) -> Result<()> {
    let Ok((_, header)) = SafeTensors::read_metadata(bytes) else { return Ok(()) };
    if header.metadata().as_ref().is_some_and(|all| all.contains_key(FORMAT_NAME)) {
        return Ok(());
    }
    let message = format!(
        "a safetensors file that does not say what its tensors are for; of an adapter of PEFT or \
         AdapterHub give the folder, where {CONFIG_NAME} lies beside it"
    );
    Err(unsupported(path, message))
}

/// Writes an adapter in a format: a new file or a new folder at `path`.
///
/// # Errors
/// [`crate::Code::AdapterUnsupported`] naming what the format cannot represent,
/// [`crate::Code::ArgumentInvalid`] when something is at `path` already, those of
/// [`Adapter::check`], and [`crate::Code::IoWrite`].
pub fn write(
    adapter: &Adapter,
    format: Format,
    path: &Path,
    backbone: &Backbone<'_>,
    options: &WriteOptions,
) -> Result<()> {
    adapter.check(backbone.hash, backbone.sites, backbone.head_inputs())?;
    backbone.reading.map_or(Ok(()), |reading| adapter.check_reading(reading))?;
    let bare;
    let adapter = match format {
        Format::Own => adapter,
        _ if adapter.tags.is_empty() => adapter,
        _ if options.without_head => {
            bare = without_tags(adapter);
            &bare
        }
        _ => return Err(unsupported(path, "a head for tags; leave the head out")),
    };
    match format {
        Format::Own => PartialFile::create(path)?.put_new(&adapter.to_bytes()?),
        Format::Peft => peft::write(adapter, path, backbone, options),
        Format::OnnxAdapter => ort_adapter::write(adapter, path, options.without_head),
        Format::AdapterHub => adapterhub::write(adapter, path, backbone, options),
    }
}

/// The adapter without its head for tags.
fn without_tags(adapter: &Adapter) -> Adapter {
    let mut bare = Adapter { tags: Vec::new(), ..adapter.clone() };
    let tags = [HeadName::Tags.weight(), HeadName::Tags.bias()];
    bare.tensors.retain(|name, _| !tags.contains(&name.as_str()));
    bare
}
