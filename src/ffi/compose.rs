//! Combining and stacking adapters that lie in files.

use super::boundary::boundary;
use super::error::{ErrorObject, Status};
use super::text::{array, path};
use crate::error::Result;
use crate::exchange;
use std::ffi::c_char;
use std::path::Path;

/// Combines `count` adapters side by side, each with a weight, and writes the result to `to_path`,
/// where nothing may be yet. The adapters are files of polygraft (POLYGRAFT_FORMAT_OWN). Their
/// changes to the backbone are added up, and their heads are averaged. `weights` may be NULL: each
/// adapter has the weight 1. Import the result to use it.
///
/// Ownership: the caller keeps everything.
/// Threads: may be called from any thread at any time.
/// Errors: argument.* (argument.invalid for no adapters, a weight that is not finite, and if
/// something is at `to_path`), adapter.malformed, adapter.base_mismatch, adapter.identity_mismatch,
/// adapter.tensors (adapters that do not fit together), io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_adapters_combine(
    from_paths: *const *const c_char,
    weights: *const f64,
    count: usize,
    to_path: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the arrays are NULL or have `count` elements, and paths are NUL-terminated and do not
    // change meanwhile.
    unsafe {
        boundary(error, || {
            let from = array("from_paths", from_paths, count)?.iter().enumerate();
            let from = from.map(|(index, from)| path(&format!("from_paths[{index}]"), *from));
            let from: Vec<&Path> = from.collect::<Result<_>>()?;
            let equal = vec![1.0; if weights.is_null() { count } else { 0 }];
            let weights =
                if weights.is_null() { &equal } else { array("weights", weights, count)? };
            let weighted: Vec<_> = from.into_iter().zip(weights.iter().copied()).collect();
            exchange::combine_files(&weighted, path("to_path", to_path)?).map(drop)
        })
    }
}

/// Stacks the adapter at `upper_path` on the one at `lower_path`, for example a task's on a
/// language's, and writes the result to `to_path`, where nothing may be yet. The adapters are files
/// of polygraft. Bottlenecks of the upper one read the output of those of the lower one, and the
/// head of the upper one is kept. Import the result to use it.
///
/// Ownership: the caller keeps everything.
/// Threads: may be called from any thread at any time.
/// Errors: as for `polygraft_adapters_combine`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_adapters_stack(
    lower_path: *const c_char,
    upper_path: *const c_char,
    to_path: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_adapters_combine`.
    unsafe {
        boundary(error, || {
            let lower = path("lower_path", lower_path)?;
            let upper = path("upper_path", upper_path)?;
            exchange::stack_files(lower, upper, path("to_path", to_path)?).map(drop)
        })
    }
}
