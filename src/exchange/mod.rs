//! Adapters of other libraries, read and written in their own formats.
//!
//! Input: a folder or a file as PEFT, AdapterHub's `adapters` or ONNX Runtime write it, and the
//! backbone it is for. Output: an [`Adapter`] that computes the same, and the other way round. The
//! formats are described in `docs/formats.md`, each field that is understood and each that is
//! refused.
//!
//! This part must never drop anything that matters: a setting or a tensor that changes what the
//! adapter computes and has no place here refuses the whole, by its name. What was trained behind
//! the backbone's output is left out, with a note. It must never run code from a file
//! (pickles), and never guess: a name that could mean two layers is an error.

mod adapterhub;
mod describe;
mod fields;
mod files;
mod flat;
mod head;
mod names;
mod ort_adapter;
mod peft;
mod skipped;
mod tensors;
mod trunk;

pub use describe::{Description, TensorInfo, describe};

use crate::adapter::{ADAPTER_BYTES_MAX, Adapter, FORMAT_NAME, TAGS_BIAS, TAGS_WEIGHT};
use crate::error::{Code, Error, Result};
use crate::files::PartialFile;
use crate::reading::Reading;
use crate::sites::Site;
use safetensors::SafeTensors;
use std::path::Path;

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
    /// The format of what lies at `path`, by its content.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::AdapterMalformed`] when it is none of the formats.
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
    let config = fields::Fields::parse(&file, &files::read(&file, files::CONFIG_BYTES_MAX)?)?;
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

/// The error for a folder without a configuration. PEFT keeps each adapter but the first in a
/// folder inside of the one that it is told to write.
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
    // A safetensors file begins with the length of its header, and that with a brace.
    if bytes.get(8) == Some(&b'{') {
        return Ok(Format::Own);
    }
    Err(malformed(path, "expected safetensors or a file of ONNX Runtime (TORT)"))
}

/// Longest cause of an error, in characters.
const CAUSE_CHARS_MAX: usize = 2_000;

/// The name of the configuration in the folders of PEFT and AdapterHub.
const CONFIG_NAME: &str = "adapter_config.json";

/// What an adapter is to be put on.
#[derive(Clone, Copy, Debug)]
pub struct Backbone<'a> {
    /// blake3 hash (hexadecimal) of the backbone.
    pub hash: &'a str,
    /// How its bundle reads texts, which an adapter that is read records as its own; `None` for a
    /// graph without a bundle.
    pub reading: Option<&'a Reading>,
    /// Every site of its graph, as [`find_sites`](crate::sites::find_sites) finds them.
    pub sites: &'a [Site],
    /// The size of the hidden states that a head reads.
    pub hidden: usize,
    /// Whether a head reads the hidden state of the first token; otherwise the mean.
    pub first_token: bool,
    /// The modules of the sites that the backbone's output does not depend on, as
    /// [`unread_sites`](crate::sites::unread_sites) finds them.
    pub unread: &'a [String],
}

/// What a file of another library does not say.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The labels of the head, in the order of its outputs, instead of those beside the adapter.
    /// An adapter without a head gets a new one for them, which is all zeros; without labels it
    /// stays without a head.
    pub labels: Option<Vec<String>>,
    /// States that the head reads the hidden states pooled as the backbone's bundle pools them,
    /// where the file speaks of a model class that usually has layers in between.
    pub head_on_pooled: bool,
    /// What stands in front of the layers in the other library's model, without the dot: `bert`, or
    /// nothing. Found by the names if left out.
    pub encoder: Option<String>,
    /// What stands in front of the same layers in the backbone, as `encoder`.
    pub within: Option<String>,
}

/// An adapter that was read, and what its reader has to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The adapter.
    pub adapter: Adapter,
    /// What a person should know of the translation: modules that were left out, and names that
    /// were taken for each other. Sentences without an end.
    pub notes: Vec<String>,
}

impl Imported {
    fn silent(adapter: Adapter) -> Self {
        Self { adapter, notes: Vec::new() }
    }
}

/// What another library wants to know beside the adapter.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// What stands in front of the backbone's module paths in the other library's model, without
    /// the dot: `bert`, or nothing for the encoder alone.
    pub encoder: String,
    /// What stands in front of the same layers in the backbone and is not written, without the
    /// dot. If left out, what a wrapper put in front of the layers of a known architecture.
    pub within: Option<String>,
    /// The module that the head is in the other library's model.
    pub head_module: Option<String>,
    /// Leave the head out.
    pub without_head: bool,
    /// The adapter's name in AdapterHub.
    pub name: Option<String>,
    /// The architecture as AdapterHub calls it, such as `xlm-roberta`; `encoder` if left out, and
    /// `bert` without that.
    pub model_type: Option<String>,
}

/// Reads an adapter of any format for this backbone, without what there is to tell of it.
///
/// # Errors
/// As [`import`].
pub fn read(path: &Path, backbone: &Backbone<'_>, options: &ReadOptions) -> Result<Adapter> {
    Ok(import(path, backbone, options)?.adapter)
}

/// Reads an adapter of any format for this backbone.
///
/// # Errors
/// [`Code::AdapterUnsupported`] naming the file and what in it cannot be represented,
/// [`Code::AdapterMalformed`] naming the file, the field, what was expected and found,
/// [`Code::AdapterBaseMismatch`] and [`Code::AdapterTensors`] as [`Adapter::check`],
/// [`Code::AdapterIdentityMismatch`] as [`Adapter::check_reading`], and those of reading files.
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
        // Other libraries record nothing of it: who imports says that the bundle is the right one.
        imported.adapter.reading = backbone.reading.cloned();
    }
    let adapter = &imported.adapter;
    adapter.check_description().map_err(|error| match format {
        Format::Own => in_file(error, path),
        // The other libraries have other limits.
        _ => unsupported(path, format!("{}; --labels gives other labels", error.message())),
    })?;
    // The readers promise what follows; a mistake of theirs must not reach a model.
    adapter
        .check(backbone.hash, backbone.sites, backbone.hidden)
        .and_then(|()| backbone.reading.map_or(Ok(()), |reading| adapter.check_reading(reading)))
        .map_err(|error| in_file(error, path))?;
    Ok(imported)
}

/// Refuses tensors without a description: what another library keeps beside a configuration.
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
/// [`Code::AdapterUnsupported`] naming what the format cannot hold, [`Code::ArgumentInvalid`] when
/// something is at `path` already, those of [`Adapter::check`], and [`Code::IoWrite`].
pub fn write(
    adapter: &Adapter,
    format: Format,
    path: &Path,
    backbone: &Backbone<'_>,
    options: &WriteOptions,
) -> Result<()> {
    adapter.check(backbone.hash, backbone.sites, backbone.hidden)?;
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

/// The adapter without its head for words.
fn without_tags(adapter: &Adapter) -> Adapter {
    let mut bare = Adapter { tags: Vec::new(), ..adapter.clone() };
    bare.tensors.retain(|name, _| ![TAGS_WEIGHT, TAGS_BIAS].contains(&name.as_str()));
    bare
}

fn malformed(path: &Path, cause: impl std::fmt::Display) -> Error {
    Error::new(Code::AdapterMalformed, format!("{}: {}", path.display(), bounded(cause)))
}

fn unsupported(path: &Path, cause: impl std::fmt::Display) -> Error {
    Error::new(Code::AdapterUnsupported, format!("{}: {}", path.display(), bounded(cause)))
}

/// A cause may quote names from a file, which may be as long as the file.
fn bounded(cause: impl std::fmt::Display) -> String {
    let text = cause.to_string();
    match text.char_indices().nth(CAUSE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn pickled(path: &Path) -> Error {
    unsupported(
        path,
        "a pickle can run any code while it is read, so it is not. Load the adapter in Python and \
         save it as safetensors: PEFT's save_pretrained(folder) does so, AdapterHub's \
         save_adapter(folder, name, use_safetensors=True)",
    )
}

fn in_file(error: Error, path: &Path) -> Error {
    error.context(path.display().to_string())
}
