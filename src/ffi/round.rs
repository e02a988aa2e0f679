//! Rounds of many devices: bytes in and out, options as JSON.

use super::boundary::give_object;
use super::cancel::{self, CancelHandle};
use super::error::{ErrorObject, Status};
use super::example_list::ExamplesObject;
use super::handle;
use super::model::ModelHandle;
use super::object::{free, invalid, read, required};
use super::store::StoreHandle;
use super::text::{StringView, Text, array, optional, text};
use crate::error::Result;
use crate::federate::{self, Applied, RoundMessage, RoundReply};
use crate::runtime::Cancel;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::ffi::c_char;
use std::ops::ControlFlow;

/// A message, a reply or an aggregate of a round: its bytes, to be sent, and its description as
/// JSON. For an aggregate that was applied, the outcome as JSON.
pub struct RoundObject {
    bytes: Vec<u8>,
    json: Text,
}

impl RoundObject {
    fn new(bytes: Vec<u8>, json: &Value) -> Self {
        Self { bytes, json: Text::new(json.to_string()) }
    }

    fn described(bytes: Vec<u8>) -> Result<Self> {
        let json = federate::describe(&bytes)?;
        Ok(Self::new(bytes, &json))
    }
}

/// Reads options that are a JSON text; NULL gives the defaults.
///
/// # Safety
/// `pointer` is NULL or points to a NUL-terminated text that does not change meanwhile.
unsafe fn options<T: DeserializeOwned + Default>(pointer: *const c_char) -> Result<T> {
    // SAFETY: the same promise.
    let given = optional(pointer, |pointer| unsafe { text("options_json", pointer) })?;
    let Some(given) = given else { return Ok(T::default()) };
    serde_json::from_str(given).map_err(|cause| invalid(format!("`options_json`: {cause}")))
}

/// Asks for a round of `task`: makes the message for devices, from the versions that serve the
/// languages in the store of `model`.
///
/// `options_json` is a JSON object; docs/fleet.md has its fields. `languages` is required, as in
/// `{"languages": ["de", "tr"]}`.
///
/// Ownership: the caller owns `*round` and frees it with `polygraft_round_free`.
/// Threads: may be called concurrently on one model.
/// Errors: argument.* (argument.invalid for an unknown field or a value out of its range),
/// task.name, store.no_version (a language that nothing serves), store.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_round_ask(
    model: *const ModelHandle,
    task: *const c_char,
    options_json: *const c_char,
    round: *mut *mut RoundObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        give_object(error, "round", round, || {
            let model = handle::borrow(model)?;
            let asked = RoundMessage::ask(&model, text("task", task)?, &options(options_json)?)?;
            RoundObject::described(asked.to_bytes()?)
        })
    }
}

/// Answers the `message_size` bytes of a message: trains from its base versions, on `examples` and
/// on remembered ones, and makes the reply. New examples are remembered. Nothing is published or
/// activated.
///
/// `examples` may be NULL: the device trains on what it remembers. `options_json` is a JSON object
/// or NULL for the defaults; docs/fleet.md has its fields. `cancel` may be NULL.
///
/// Ownership: the caller owns `*round` and frees it with `polygraft_round_free`. The bytes and the
/// examples are copied.
/// Threads: may be called concurrently on one model, also while it predicts.
/// Errors: argument.*, round.malformed, round.mismatch (a message for another bundle, from a base
/// that the store lacks, or with less noise than the options demand), update.no_examples,
/// update.diverged, task.unknown_label, task.kind, cancelled, store.locked (an update of the task
/// is running), adapter.*, runtime.failed, io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_round_reply(
    model: *const ModelHandle,
    message: *const u8,
    message_size: usize,
    examples: *const ExamplesObject,
    options_json: *const c_char,
    cancel: *const CancelHandle,
    round: *mut *mut RoundObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_round_ask`; `message` has `message_size` bytes, and `examples` is
    // NULL or a list of this library that is not freed.
    unsafe {
        give_object(error, "round", round, || {
            let model = handle::borrow(model)?;
            let message = array("message", message, message_size)?;
            let new = optional(examples, |examples| required("examples", examples))?;
            let new = new.map_or(&[][..], |list| list.0.as_slice());
            let cancel = cancel::token(cancel)?;
            let progress = &mut |_: &_| match cancel.as_ref().is_some_and(Cancel::is_cancelled) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let reply = RoundReply::make(&model, message, new, &options(options_json)?, progress)?;
            RoundObject::described(reply.to_bytes()?)
        })
    }
}

/// Averages `count` replies to a message and makes the aggregate. A reply with anything wrong is
/// refused as a whole and changes nothing; the JSON of `*round` lists the refused ones under
/// `refused`, with their position, the name of the error and its message. Base versions that the
/// message does not carry come from `store`.
///
/// `options_json` is a JSON object or NULL for the defaults; docs/fleet.md has its fields.
///
/// Ownership: the caller owns `*round` and frees it with `polygraft_round_free`. Nothing is kept.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, round.malformed (the message), round.mismatch (a base version is nowhere),
/// adapter.*, store.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_round_average(
    store: *const StoreHandle,
    message: *const u8,
    message_size: usize,
    replies: *const *const u8,
    reply_sizes: *const usize,
    count: usize,
    options_json: *const c_char,
    round: *mut *mut RoundObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_round_reply`; both arrays have `count` elements, and each reply has
    // as many bytes as its size says.
    unsafe {
        give_object(error, "round", round, || {
            let store = handle::borrow(store)?;
            let message = array("message", message, message_size)?;
            let sizes = array("reply_sizes", reply_sizes, count)?;
            let given = array("replies", replies, count)?.iter().zip(sizes).enumerate();
            let reply = |(index, (reply, size)): (usize, (&*const u8, &usize))| {
                array(&format!("replies[{index}]"), *reply, *size)
            };
            let replies: Vec<&[u8]> = given.map(reply).collect::<Result<_>>()?;
            let made = federate::average(&store, message, &replies, &options(options_json)?)?;
            let bytes = made.aggregate.to_bytes()?;
            let mut json = federate::describe(&bytes)?;
            json["refused"] = json!(made.refused);
            Ok(RoundObject::new(bytes, &json))
        })
    }
}

/// Applies an aggregate: publishes its adapters as versions, each of which becomes active only if
/// the gate of this device finds it no worse than what serves the language, on the held-out
/// examples that are remembered here. A language without any keeps what serves it. The JSON of
/// `*round` is a list with an entry for each language; its bytes are empty.
///
/// `options_json` is a JSON object or NULL for the defaults; docs/fleet.md has its fields.
///
/// Ownership: the caller owns `*round` and frees it with `polygraft_round_free`. Nothing is kept.
/// Threads: may be called concurrently on one model, also while it predicts.
/// Errors: argument.*, round.malformed, round.mismatch (an aggregate for another bundle),
/// adapter.*, task.kind, runtime.failed, rehearsal.malformed, store.*, io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_round_apply(
    model: *const ModelHandle,
    aggregate: *const u8,
    aggregate_size: usize,
    options_json: *const c_char,
    round: *mut *mut RoundObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_round_reply`.
    unsafe {
        give_object(error, "round", round, || {
            let model = handle::borrow(model)?;
            let aggregate = array("aggregate", aggregate, aggregate_size)?;
            let applied = federate::apply(&model, aggregate, &options(options_json)?)?;
            let entry = |one: &Applied| {
                json!({
                    "language": one.language,
                    "version": one.version.number,
                    "activated": one.version.activated,
                    "report": one.report,
                })
            };
            let entries: Vec<Value> = applied.iter().map(entry).collect();
            Ok(RoundObject::new(Vec::new(), &json!(entries)))
        })
    }
}

/// Reads a message, a reply or an aggregate, and describes it as JSON: its kind, version, hash,
/// size and what its header says. The deltas and adapters in it are checked when it is used.
///
/// Ownership: the caller owns `*round` and frees it with `polygraft_round_free`. The bytes are
/// copied.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null, round.malformed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_round_read(
    bytes: *const u8,
    size: usize,
    round: *mut *mut RoundObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_round_reply`.
    unsafe {
        give_object(error, "round", round, || {
            RoundObject::described(array("bytes", bytes, size)?.to_vec())
        })
    }
}

/// Returns the bytes of a message, a reply or an aggregate and writes their number to `*size`, if
/// `size` is not NULL. Without bytes, and for NULL, it returns NULL and the number is 0.
///
/// Ownership: the bytes belong to `round` and are valid until that is freed.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_round_bytes(
    round: *const RoundObject,
    size: *mut usize,
) -> *const u8 {
    // SAFETY: the caller passes NULL or an object of this library that is not freed, and NULL or
    // writable memory.
    unsafe {
        let count = read(round, 0, |round| round.bytes.len());
        if !size.is_null() {
            size.write(count);
        }
        let first = |round: &RoundObject| round.bytes.as_ptr();
        if count == 0 { std::ptr::null() } else { read(round, std::ptr::null(), first) }
    }
}

/// Returns the description of a message, a reply or an aggregate, or the outcome of applying one,
/// as JSON; an empty text for NULL.
///
/// Ownership: the view is valid until `round` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_round_json(round: *const RoundObject) -> StringView {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(round, StringView::EMPTY, |round| round.json.view()) }
}

/// Frees a message, a reply or an aggregate and sets `*round` to NULL. NULL and a pointer to NULL
/// do nothing.
///
/// Ownership: the function consumes `*round`; its bytes and views become invalid.
/// Threads: exclusive: no other thread may be using this object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_round_free(round: *mut *mut RoundObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to an object it owns.
    unsafe { free(round) }
}
