//! Makes a bundle from an ONNX model and a `tokenizer.json`.
//!
//! Everything is read and checked before anything is written. The new folder is built beside its
//! final place under another name, synced, and renamed at the end, so a folder of the final name is
//! always whole. Of the model only one thing changes: where the values of its weights lie.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::manifest::{Backbone, FileRecord, MANIFEST_FILE, Manifest, Pooling, TokenizerFiles};
use super::tokenizer::{self, Tokenizer};
use super::verify::{Meter, Phase, Progress, hash_file};
use super::{Bundle, Interface, Verify, check_room};
use crate::error::{Code, Error, Result, ResultExt};
use crate::graph::{self, Model, Weights};

const GRAPH_FILE: &str = "backbone.onnx";
const DATA_FILE: &str = "backbone.onnx.data";
const TOKENIZER_FILE: &str = "tokenizer.json";
const COMPILED_FILE: &str = "tokenizer.bin";

/// The limit of tokens for graphs without a table of positions.
const TOKENS_MAX_DEFAULT: usize = 512;

/// The longest prefix, in bytes.
const PREFIX_SIZE_BYTES_MAX: usize = 1024;

/// What a bundle is made from.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// The ONNX model; its external data is found beside it.
    pub onnx: PathBuf,
    /// The `tokenizer.json` the model was trained with.
    pub tokenizer: PathBuf,
    /// How hidden states become one vector.
    pub pooling: Pooling,
    /// Text put before every input, such as `query: `.
    pub prefix: String,
    /// The most tokens of one text; by default the number of positions the graph has, else 512.
    pub tokens_max: Option<usize>,
    /// The output with the hidden states; by default the first float one of rank 3.
    pub output: Option<String>,
    /// The folder to make.
    pub out: PathBuf,
    /// Whether to replace `out` if it is a bundle already. Other folders are never replaced.
    pub overwrite: bool,
}

/// Makes the bundle `options.out` and opens it.
///
/// # Errors
/// [`Code::ArgumentInvalid`] when `out` exists and must not be replaced, or an option is out of
/// range; [`Code::BundleTokenizer`] when the tokenizer is malformed or does not fit the model;
/// [`Code::IoWrite`] and [`Code::IoFull`]; and those of [`Model::read`], [`Weights::map`] and
/// [`Interface::read`]. On an error nothing is left behind and an old bundle stays as it was.
pub fn create(options: &CreateOptions, progress: &mut dyn FnMut(Progress)) -> Result<Bundle> {
    let (bundle, out) = (build(options, progress), &options.out);
    bundle.context(|| format!("creating the bundle {}", out.display()))
}

fn build(options: &CreateOptions, progress: &mut dyn FnMut(Progress)) -> Result<Bundle> {
    check_target(options)?;
    progress(Progress { phase: Phase::Read, done_bytes: 0, total_bytes: 0 });
    let source = Source::read(options)?;
    let parent = parent_of(&options.out);
    let folder = new_folder(&parent)?;
    let weights_size_bytes = source.weights.iter().map(|weight| weight.bytes.len() as u64).sum();
    let mut written = |done_bytes| {
        progress(Progress { phase: Phase::Write, done_bytes, total_bytes: weights_size_bytes })
    };
    written(0);
    source.write(folder.path())?;
    written(weights_size_bytes);
    let manifest = source.manifest(options, folder.path(), progress)?;
    write_file(&folder.path().join(MANIFEST_FILE), manifest.to_json()?.as_bytes())?;
    sync_folder(folder.path())?;
    publish(folder, &options.out, &parent)?;
    // What was just hashed need not be hashed again; everything else is checked as by any reader.
    Bundle::open(&options.out, Verify::Quick)
}

/// All that goes into a bundle, read and checked.
struct Source {
    model: Model,
    weights: Weights,
    interface: Interface,
    tokenizer_text: String,
    compiled: Option<Vec<u8>>,
    tokens_max: usize,
}

impl Source {
    fn read(options: &CreateOptions) -> Result<Self> {
        if options.prefix.len() > PREFIX_SIZE_BYTES_MAX {
            return Err(invalid(format!(
                "the prefix has {} bytes, expected at most {PREFIX_SIZE_BYTES_MAX}",
                options.prefix.len()
            )));
        }
        let model = Model::read(&options.onnx)?;
        let weights = Weights::map(&model)?;
        // The interface is that of the model as it will run; what is written is the file's own.
        let mut prepared = model.clone();
        graph::prepare(&mut prepared, &weights)?;
        let interface = Interface::read(&prepared, &weights, options.output.as_deref())?;
        let tokens_max = tokens_max(options.tokens_max, interface.positions)?;
        let reading = || format!("reading {}", options.tokenizer.display());
        let tokenizer_text = tokenizer::read_json(&options.tokenizer)?;
        let compiled = tokenizer::compile(&tokenizer_text).context(reading)?;
        let tokenizer = match &compiled {
            Some(bytes) => Tokenizer::from_compiled(bytes.clone()),
            None => Tokenizer::from_json(&tokenizer_text),
        };
        let tokenizer = tokenizer.context(reading)?;
        interface.check_tokenizer(&tokenizer).context(reading)?;
        check_room(&tokenizer, &options.prefix, tokens_max).map_err(invalid)?;
        Ok(Self { model, weights, interface, tokenizer_text, compiled, tokens_max })
    }

    /// Writes all files but the manifest.
    fn write(&self, folder: &Path) -> Result<()> {
        graph::write_with_external_data(&self.model, &self.weights, folder, GRAPH_FILE, DATA_FILE)?;
        let data = folder.join(DATA_FILE);
        let read_error = |cause| Error::io(Code::IoRead, "reading", &data, &cause);
        if data.metadata().map_err(read_error)?.len() == 0 {
            fs::remove_file(&data).map_err(read_error)?;
        }
        write_file(&folder.join(TOKENIZER_FILE), self.tokenizer_text.as_bytes())?;
        match &self.compiled {
            Some(bytes) => write_file(&folder.join(COMPILED_FILE), bytes),
            None => Ok(()),
        }
    }

    fn manifest(
        &self,
        options: &CreateOptions,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Manifest> {
        let exists = |name: &&str| folder.join(name).exists();
        let names: Vec<&str> = [GRAPH_FILE, DATA_FILE, TOKENIZER_FILE, COMPILED_FILE]
            .into_iter()
            .filter(exists)
            .collect();
        let has = |name: &str| names.contains(&name).then(|| name.to_owned());
        let backbone = Backbone {
            graph: GRAPH_FILE.to_owned(),
            data: has(DATA_FILE).into_iter().collect(),
            hash: String::new(),
            inputs: self.interface.inputs.clone(),
            output: self.interface.output.clone(),
            hidden: self.interface.hidden,
            opset: self.interface.opset,
        };
        let tokenizer =
            TokenizerFiles { file: TOKENIZER_FILE.to_owned(), compiled: has(COMPILED_FILE) };
        let prefix = options.prefix.clone();
        let files = records(folder, &names, progress)?;
        let mut manifest =
            Manifest::new(backbone, tokenizer, options.pooling, prefix, self.tokens_max, files);
        manifest.backbone.hash = manifest.identity()?;
        Ok(manifest)
    }
}

fn invalid(message: String) -> Error {
    Error::new(Code::ArgumentInvalid, message)
}

/// The limit to record: as asked for, if the graph has that many positions.
fn tokens_max(wanted: Option<usize>, positions: Option<usize>) -> Result<usize> {
    match (wanted, positions) {
        (Some(wanted), Some(positions)) if wanted > positions => Err(invalid(format!(
            "tokens_max is {wanted}, expected at most {positions}, the positions of the graph"
        ))),
        _ => Ok(wanted.or(positions).unwrap_or(TOKENS_MAX_DEFAULT)),
    }
}

/// Hashes the files back from the disk.
fn records(
    folder: &Path,
    names: &[&str],
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<FileRecord>> {
    let size = |name: &&str| {
        let path = folder.join(name);
        let metadata = path.metadata();
        metadata
            .map(|metadata| metadata.len())
            .map_err(|cause| Error::io(Code::IoRead, "reading", &path, &cause))
    };
    let total_bytes = names.iter().map(size).sum::<Result<u64>>()?;
    let mut meter = Meter::new(total_bytes, progress);
    names
        .iter()
        .map(|name| {
            let (size_bytes, blake3) = hash_file(&folder.join(name), &mut meter)?;
            Ok(FileRecord { path: (*name).to_owned(), size_bytes, blake3 })
        })
        .collect()
}

/// Refuses to touch anything but a missing folder or, if asked, an old bundle.
fn check_target(options: &CreateOptions) -> Result<()> {
    let out = &options.out;
    let exists = out.symlink_metadata().is_ok();
    if !exists {
        return Ok(());
    }
    if !options.overwrite {
        return Err(invalid(format!("{} exists already", out.display())));
    }
    Manifest::read(out).map(drop).map_err(|error| {
        invalid(format!("{} exists and is not a bundle, so it stays: {error}", out.display()))
    })
}

/// The folder that `out` lies in.
fn parent_of(out: &Path) -> PathBuf {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// An empty folder beside the final one, removed again unless it is published.
fn new_folder(parent: &Path) -> Result<TempDir> {
    fs::create_dir_all(parent)
        .map_err(|cause| Error::io(Code::IoWrite, "creating the folder", parent, &cause))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".polygraft-bundle-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new folder; the process's mask takes away what it takes from others.
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder
        .tempdir_in(parent)
        .map_err(|cause| Error::io(Code::IoWrite, "creating a folder in", parent, &cause))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|cause| Error::io(Code::IoWrite, "writing", path, &cause))
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|cause| Error::io(Code::IoWrite, "syncing", folder, &cause))
}

/// Gives the new folder its final name. An old bundle of that name is moved aside first and moved
/// back if that fails; who has it open keeps its files.
fn publish(folder: TempDir, out: &Path, parent: &Path) -> Result<()> {
    let old = if out.symlink_metadata().is_ok() {
        let aside = new_folder(parent)?;
        rename(out, &aside.path().join("old"))?;
        Some(aside)
    } else {
        None
    };
    if let Err(error) = rename(folder.path(), out) {
        if let Some(aside) = &old {
            rename(&aside.path().join("old"), out)?;
        }
        return Err(error);
    }
    // The folder has another name now, so there is nothing to remove under the old one.
    let _ = folder.keep();
    sync_folder(parent)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|cause| Error::io(Code::IoWrite, "renaming to", to, &cause))
}
