//! Errors about files of other libraries. Each names its file, and quotes a bounded part of it.

use crate::error::{Code, Error};
use std::path::Path;

/// The longest cause of an error, in characters.
const CAUSE_CHARS_MAX: usize = 2_000;

/// The error for content that contradicts itself or its format.
pub fn malformed(path: &Path, cause: impl std::fmt::Display) -> Error {
    Error::new(Code::AdapterMalformed, format!("{}: {}", path.display(), bounded(cause)))
}

/// The error for content that polygraft cannot represent.
pub fn unsupported(path: &Path, cause: impl std::fmt::Display) -> Error {
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

pub fn pickled(path: &Path) -> Error {
    unsupported(
        path,
        "a pickle can run any code while it is read, so it is refused. Load the adapter in \
         Python and save it as safetensors: PEFT's save_pretrained(folder) does so, AdapterHub's \
         save_adapter(folder, name, use_safetensors=True)",
    )
}

pub fn in_file(error: Error, path: &Path) -> Error {
    error.context(path.display().to_string())
}
