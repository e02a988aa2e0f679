//! Explaining which version serves a language, and why.

use super::boundary::give_object;
use super::error::{ErrorObject, Status};
use super::handle;
use super::object::{at, free, read, required};
use super::sized::{self, SizedStruct};
use super::store::StoreHandle;
use super::text::{StringView, Text, text};
use crate::store::{Step, StepKind, check_task_name};
use std::ffi::c_char;

/// The step is the requested language.
pub const POLYGRAFT_STEP_OWN: u32 = 0;
/// The step is a language whose tag is a prefix of the requested tag.
pub const POLYGRAFT_STEP_SHORTER_TAG: u32 = 1;
/// The step is the nearest language with an active version.
pub const POLYGRAFT_STEP_NEAREST: u32 = 2;
/// The step is the nearest language with an active version, but it is too far away to serve.
pub const POLYGRAFT_STEP_TOO_FAR: u32 = 3;
/// The step is the shared adapter, `mul`.
pub const POLYGRAFT_STEP_SHARED: u32 = 4;

/// The chain of languages that are asked for a version, in their order.
pub struct ChainObject(Vec<(Text, Step)>);

/// One step of a chain.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StepEntry {
    /// `sizeof(polygraft_chain_step)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// Why the language is in the chain, one of `POLYGRAFT_STEP_*`.
    pub kind: u32,
    /// The language.
    pub language: StringView,
    /// The mixed typological distance to the requested language, 0 to 1; NaN if there is none.
    pub distance: f64,
    /// The number of the language's active version; 0 for none.
    pub version: u32,
    /// 1 if this version serves the requested language, else 0. At most one step of a chain does.
    pub serves: u8,
    /// 0.
    pub reserved: [u8; 3],
}

// SAFETY: repr(C); numbers and views of raw pointers only; `struct_size` first.
unsafe impl SizedStruct for StepEntry {
    const NAME: &'static str = "polygraft_chain_step";
}

impl StepEntry {
    fn new((language, step): &(Text, Step)) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            kind: match step.kind {
                StepKind::Own => POLYGRAFT_STEP_OWN,
                StepKind::Shorter => POLYGRAFT_STEP_SHORTER_TAG,
                StepKind::Nearest => POLYGRAFT_STEP_NEAREST,
                StepKind::TooFar => POLYGRAFT_STEP_TOO_FAR,
                StepKind::Shared => POLYGRAFT_STEP_SHARED,
            },
            language: language.view(),
            distance: step.distance.unwrap_or(f64::NAN),
            version: step.version.unwrap_or(0),
            serves: step.taken.into(),
            reserved: [0; 3],
        }
    }
}

/// Explains which version of `task` serves `language`: gives every language that is asked for a
/// version, in order, with its distance and its active version. The first one that has a version
/// and is near enough serves.
///
/// Ownership: the caller owns `*chain` and frees it with `polygraft_chain_free`.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, language.*, task.name, store.malformed, store.corrupt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_explain(
    store: *const StoreHandle,
    task: *const c_char,
    language: *const c_char,
    chain: *mut *mut ChainObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        give_object(error, "chain", chain, || {
            let store = handle::borrow(store)?;
            let task = text("task", task)?;
            check_task_name(task)?;
            let language = store.language(task, text("language", language)?)?;
            let steps = store.snapshot()?.explain(task, &language).into_iter();
            let steps = steps.map(|step| (Text::new(step.language.as_str()), step));
            Ok(ChainObject(steps.collect()))
        })
    }
}

/// Returns the number of steps of a chain; 0 for NULL.
///
/// Ownership: the caller keeps `chain`.
/// Threads: may be called concurrently on one chain.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_chain_count(chain: *const ChainObject) -> usize {
    // SAFETY: the caller passes NULL or a chain of this library that is not freed.
    unsafe { read(chain, 0, |chain| chain.0.len()) }
}

/// Fills `step` with one step of a chain. The caller sets `step->struct_size` before.
///
/// Ownership: the view in `*step` is valid until `chain` is freed.
/// Threads: may be called concurrently on one chain.
/// Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_chain_get(
    chain: *const ChainObject,
    index: usize,
    step: *mut StepEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or a chain that is not freed, and NULL or a struct that states
    // its size truly.
    unsafe {
        sized::fill(error, "step", step, || {
            Ok(StepEntry::new(at(&required("chain", chain)?.0, index)?))
        })
    }
}

/// Frees a chain and sets `*chain` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*chain`; views into it become invalid.
/// Threads: exclusive: no other thread may be using this chain.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_chain_free(chain: *mut *mut ChainObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a chain it owns.
    unsafe { free(chain) }
}
