//! Importing versions from files, and exporting them.

use super::boundary::{boundary, give_object};
use super::cancel::{self, CancelHandle};
use super::error::{ErrorObject, Status};
use super::format::{FORMATS, POLYGRAFT_FORMAT_OWN};
use super::handle;
use super::imported::ImportedObject;
use super::input::owned;
use super::model::ModelHandle;
use super::sized::{self, SizedStruct, flag, named, number};
use super::text::{optional, path, text, texts};
use crate::error::Result;
use crate::exchange::{Format, ReadOptions, WriteOptions};
use crate::language::Language;
use crate::model::{Activation, ImportOptions as Options};
use std::ffi::c_char;

/// The imported version is published and does not become active.
pub const POLYGRAFT_ACTIVATION_NEVER: u32 = 0;
/// The default. The imported version becomes active if the gate finds it no worse than the version
/// that serves the language, on the held-out examples that are remembered for the language, or if
/// nothing serves the language yet.
pub const POLYGRAFT_ACTIVATION_GATED: u32 = 1;
/// The imported version becomes active without being measured, unless the language is pinned.
pub const POLYGRAFT_ACTIVATION_ALWAYS: u32 = 2;

/// The activations in the order of their numbers.
const ACTIVATIONS: [Activation; 3] = [Activation::Never, Activation::Gated, Activation::Always];

/// How to import. `polygraft_import_options_init` fills it with the defaults. Texts are read during
/// the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ImportOptions {
    /// `sizeof(polygraft_import_options)`.
    pub struct_size: u32,
    /// Whether the version becomes active, one of `POLYGRAFT_ACTIVATION_*`.
    pub activation: u32,
    /// The loss of accuracy that the gate still counts as not worse, 0 to 1.
    pub gate_margin: f64,
    /// The confidence of the gate, 0.5 to less than 1.
    pub gate_confidence: f64,
    /// A token that can cancel the measuring; NULL for none.
    pub cancel: *const CancelHandle,
    /// The labels of the head in the order of its outputs, instead of those that the file states.
    /// An adapter without a head gets a new one of zeros for them.
    pub labels: *const *const c_char,
    /// The number of labels in `labels`.
    pub labels_count: u32,
    /// 1 if the head reads the pooled hidden states of the bundle, whatever model class the file
    /// names, else 0.
    pub head_on_pooled: u8,
    /// Must be 0.
    pub reserved: [u8; 3],
    /// The prefix of the layers in the other library's model, for example `bert`, or an empty text.
    /// With NULL it is found from the names.
    pub encoder: *const c_char,
    /// The prefix of the same layers in the bundle, if several fit; NULL if it is to be found.
    pub within: *const c_char,
}

// SAFETY: repr(C), numbers and raw pointers only, `struct_size` first.
unsafe impl SizedStruct for ImportOptions {
    const NAME: &'static str = "polygraft_import_options";
}

impl ImportOptions {
    fn defaults() -> Self {
        let Options { activation, gate, .. } = Options::default();
        Self {
            struct_size: size_of::<Self>() as u32,
            activation: number(&ACTIVATIONS, activation),
            gate_margin: gate.margin,
            gate_confidence: gate.confidence,
            cancel: std::ptr::null(),
            labels: std::ptr::null(),
            labels_count: 0,
            head_on_pooled: 0,
            reserved: [0; 3],
            encoder: std::ptr::null(),
            within: std::ptr::null(),
        }
    }

    /// # Safety
    /// Pointers are NULL or valid: `labels` has `labels_count` NUL-terminated texts.
    unsafe fn to_rust(self) -> Result<(ReadOptions, Options)> {
        sized::reserved(Self::NAME, &self.reserved.map(u64::from))?;
        // SAFETY: the same promise.
        let (labels, encoder, within) = unsafe {
            let labels = texts("labels", self.labels, self.labels_count as usize)?;
            (labels, optional_text("encoder", self.encoder)?, optional_text("within", self.within)?)
        };
        let read = ReadOptions {
            labels: (!labels.is_empty()).then(|| owned(labels)),
            head_on_pooled: flag("head_on_pooled", self.head_on_pooled)?,
            encoder,
            within,
        };
        let mut options = Options {
            activation: named("activation", &ACTIVATIONS, self.activation)?,
            cancel: cancel::token(self.cancel)?,
            ..Options::default()
        };
        (options.gate.margin, options.gate.confidence) = (self.gate_margin, self.gate_confidence);
        Ok((read, options))
    }
}

/// Copies a text argument that may be NULL.
///
/// # Safety
/// `pointer` is NULL or points to a NUL-terminated string.
unsafe fn optional_text(name: &str, pointer: *const c_char) -> Result<Option<String>> {
    // SAFETY: the same promise.
    optional(pointer, |pointer| unsafe { text(name, pointer) }.map(str::to_owned))
}

/// How to export. `polygraft_export_options_init` fills it with the defaults. Texts are read during
/// the call, and NULL stands for the default of each.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ExportOptions {
    /// `sizeof(polygraft_export_options)`.
    pub struct_size: u32,
    /// The format, one of `POLYGRAFT_FORMAT_*`; the default is polygraft's own.
    pub format: u32,
    /// The name of the encoder in the other library's model, for example `bert`.
    pub encoder: *const c_char,
    /// The prefix of the layers in the bundle that is not written.
    pub within: *const c_char,
    /// The module of the head in PEFT's model; `classifier` if NULL.
    pub head_module: *const c_char,
    /// The name of the adapter in AdapterHub; `polygraft` if NULL.
    pub name: *const c_char,
    /// The name of the architecture in AdapterHub, for example `xlm-roberta`; as `encoder` if NULL.
    pub model_type: *const c_char,
    /// 1 to leave the head out, else 0.
    pub without_head: u8,
    /// Must be 0.
    pub reserved: [u8; 7],
}

// SAFETY: repr(C), integers and raw pointers only, `struct_size` first.
unsafe impl SizedStruct for ExportOptions {
    const NAME: &'static str = "polygraft_export_options";
}

impl ExportOptions {
    fn defaults() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            format: POLYGRAFT_FORMAT_OWN,
            encoder: std::ptr::null(),
            within: std::ptr::null(),
            head_module: std::ptr::null(),
            name: std::ptr::null(),
            model_type: std::ptr::null(),
            without_head: 0,
            reserved: [0; 7],
        }
    }

    /// # Safety
    /// Each text is NULL or NUL-terminated.
    unsafe fn to_rust(self) -> Result<(Format, WriteOptions)> {
        sized::reserved(Self::NAME, &self.reserved.map(u64::from))?;
        let format = named("format", &FORMATS, self.format)?;
        // SAFETY: the same promise.
        let options = unsafe {
            WriteOptions {
                encoder: optional_text("encoder", self.encoder)?.unwrap_or_default(),
                within: optional_text("within", self.within)?,
                head_module: optional_text("head_module", self.head_module)?,
                without_head: flag("without_head", self.without_head)?,
                name: optional_text("name", self.name)?,
                model_type: optional_text("model_type", self.model_type)?,
            }
        };
        Ok((format, options))
    }
}

/// Fills `options` with the defaults; pass `sizeof(polygraft_import_options)` as `struct_size`.
///
/// Ownership: the function writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_import_options_init(
    options: *mut ImportOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe { sized::init(error, options, struct_size, ImportOptions::defaults) }
}

/// Fills `options` with the defaults; pass `sizeof(polygraft_export_options)` as `struct_size`.
///
/// Ownership: the function writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_export_options_init(
    options: *mut ExportOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe { sized::init(error, options, struct_size, ExportOptions::defaults) }
}

/// Imports the adapter at `from_path` as a new version of `language`: a file of polygraft or ONNX
/// Runtime, or a folder of PEFT or AdapterHub. The format is detected.
///
/// This is how a base adapter is installed: import it for the language `mul`, which serves every
/// language without a version of its own. By default the gate decides whether the version becomes
/// active; see `activation`. The version is in the store in any case, for
/// `polygraft_store_activate`. When the gate activates it, another language that has held-out
/// examples but no version keeps what serves it, as a version of its own.
///
/// `options` may be NULL for the defaults. On any error nothing is published.
///
/// Ownership: the caller owns `*imported` and frees it with `polygraft_imported_free`. The function
/// copies what it reads; the file may be removed afterwards.
/// Threads: may be called concurrently on one model, also while it predicts.
/// Errors: argument.*, language.*, task.name, task.kind (an adapter of another kind than the
/// versions of the task), adapter.*, cancelled, runtime.failed, rehearsal.malformed, store.*
/// (store.changed if what serves the language changes while the adapter is measured), io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_import(
    model: *const ModelHandle,
    task: *const c_char,
    language: *const c_char,
    from_path: *const c_char,
    options: *const ImportOptions,
    imported: *mut *mut ImportedObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        give_object(error, "imported", imported, || {
            let model = handle::borrow(model)?;
            let task = text("task", task)?;
            let language = Language::parse(text("language", language)?)?;
            let from = path("from_path", from_path)?;
            let (read, options) = sized::read(options, ImportOptions::defaults())?.to_rust()?;
            let found = model.import(task, &language, from, &read, &options)?;
            Ok(ImportedObject::new(found))
        })
    }
}

/// Writes a version of `language` to `to_path`, where nothing may be yet: as a file for
/// POLYGRAFT_FORMAT_OWN and POLYGRAFT_FORMAT_ONNX_ADAPTER, and as a folder otherwise.
///
/// `number` is that of the version, or 0 for the active version of the language itself. `options`
/// may be NULL for the defaults.
///
/// Ownership: the caller keeps everything.
/// Threads: may be called concurrently on one model.
/// Errors: argument.* (argument.invalid if something is at `to_path`), language.*,
/// store.no_version, store.corrupt, adapter.unsupported (the format cannot represent the adapter;
/// the message names what), adapter.base_mismatch, adapter.identity_mismatch, io.write, io.full.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_export(
    model: *const ModelHandle,
    task: *const c_char,
    language: *const c_char,
    number: u32,
    to_path: *const c_char,
    options: *const ExportOptions,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_model_import`.
    unsafe {
        boundary(error, || {
            let model = handle::borrow(model)?;
            let task = text("task", task)?;
            let language = model.store().language(task, text("language", language)?)?;
            let number = (number > 0).then_some(number);
            let to = path("to_path", to_path)?;
            let (format, options) = sized::read(options, ExportOptions::defaults())?.to_rust()?;
            model.export(task, &language, number, (format, to), &options)
        })
    }
}
