//! The one error type of polygraft.
//!
//! Every failure has a [`Code`]: a number for C callers and a stable name (`adapter.base_mismatch`)
//! for logs and other languages. The message says what happened, where, what was expected and what
//! was found. Outer layers add context with [`Error::context`] and never replace the cause. This
//! module must never print, abort or depend on another part.
//!
//! Input: a code, a message and contexts. Output: an error that prints them.

use std::fmt;
use std::path::Path;

/// The result of every fallible polygraft function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Formats names for a message: each in quotes, separated by commas.
pub fn listed<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> =
        names.into_iter().map(|name| format!("{:?}", name.as_ref())).collect();
    if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
}

/// Declares the codes once: variant, C number, stable name, one sentence for the C header.
macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal; )+) => {
        /// The kind of an [`Error`]. Numbers and names are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum Code { $( $(#[doc = $doc])+ $variant = $number, )+ }

        impl Code {
            /// All codes, in the order of their numbers.
            pub const ALL: &'static [Code] = &[ $( Code::$variant, )+ ];

            /// The stable, dotted name of this code.
            pub fn name(self) -> &'static str {
                match self { $( Code::$variant => $name, )+ }
            }

            /// The number that crosses the C boundary; 0 is reserved for success.
            pub fn number(self) -> i32 {
                self as i32
            }
        }
    };
}

codes! {
    /// A defect in polygraft itself: an internal invariant does not hold.
    Internal = 1, "internal";
    /// A panic was caught at the C boundary; the handle that the call used must be closed.
    Panic = 2, "internal.panic";
    /// The operation was cancelled by its caller.
    Cancelled = 3, "cancelled";
    /// A required pointer was NULL.
    ArgumentNull = 10, "argument.null";
    /// A text was not valid UTF-8.
    ArgumentUtf8 = 11, "argument.utf8";
    /// An argument or an option has a value outside of its range.
    ArgumentInvalid = 12, "argument.invalid";
    /// A file or folder does not exist.
    NotFound = 20, "io.not_found";
    /// A file could not be read.
    IoRead = 21, "io.read";
    /// A file could not be written.
    IoWrite = 22, "io.write";
    /// The disk or the quota is full; nothing has changed.
    IoFull = 23, "io.full";
    /// No ONNX Runtime library was found.
    RuntimeNotFound = 30, "runtime.not_found";
    /// The ONNX Runtime library is older than polygraft needs.
    RuntimeTooOld = 31, "runtime.too_old";
    /// ONNX Runtime refused a model or a run.
    RuntimeFailed = 32, "runtime.failed";
    /// A model gave a number that is not finite, so there is no prediction.
    RuntimeNotFinite = 33, "runtime.not_finite";
    /// The bytes are not a valid ONNX model.
    GraphMalformed = 40, "graph.malformed";
    /// An operator or a construct is not supported in this place of the graph.
    GraphUnsupported = 41, "graph.unsupported";
    /// External weight data is missing, truncated or outside of the folder.
    GraphExternalData = 42, "graph.external_data";
    /// The manifest of a bundle is missing, malformed or of an unknown version.
    BundleManifest = 50, "bundle.manifest";
    /// A file of a bundle does not have the content its manifest states.
    BundleMismatch = 51, "bundle.mismatch";
    /// The tokenizer cannot be read or does not fit the backbone.
    BundleTokenizer = 52, "bundle.tokenizer";
    /// The model of a bundle cannot be used for predictions or updates.
    BundleUnusable = 53, "bundle.unusable";
    /// An adapter file is malformed.
    AdapterMalformed = 60, "adapter.malformed";
    /// An adapter was trained on another backbone.
    AdapterBaseMismatch = 61, "adapter.base_mismatch";
    /// Tensors of an adapter are missing, extra or misshapen.
    AdapterTensors = 62, "adapter.tensors";
    /// The backbone has no site that matches the adapter.
    AdapterNoSite = 63, "adapter.no_site";
    /// An adapter of another library uses a feature that polygraft does not support, or the
    /// reverse.
    AdapterUnsupported = 64, "adapter.unsupported";
    /// An adapter was trained with another reading of texts than the bundle's, or does not state
    /// it.
    AdapterIdentityMismatch = 65, "adapter.identity_mismatch";
    /// A text is empty.
    TaskEmptyText = 70, "task.empty_text";
    /// A text or label is longer than the stated limit.
    TaskTooLong = 71, "task.too_long";
    /// A label is not among the labels of the adapter.
    TaskUnknownLabel = 72, "task.unknown_label";
    /// A task name is malformed.
    TaskName = 73, "task.name";
    /// An input, a target or an adapter is of another kind than the task.
    TaskKind = 74, "task.kind";
    /// A language tag is not BCP 47.
    LanguageMalformed = 80, "language.malformed";
    /// A language tag is well-formed, but no such language is registered.
    LanguageUnknown = 81, "language.unknown";
    /// A store file is malformed or of an unknown version.
    StoreMalformed = 90, "store.malformed";
    /// A stored file does not have the content its record states.
    StoreCorrupt = 91, "store.corrupt";
    /// The store has no such version, or no version that serves the language.
    StoreNoVersion = 92, "store.no_version";
    /// Another process or handle is writing to the store.
    StoreLocked = 93, "store.locked";
    /// The language is pinned to a version.
    StorePinned = 94, "store.pinned";
    /// The store has changed since the caller read it.
    StoreChanged = 95, "store.changed";
    /// A file of the rehearsal buffer is malformed.
    RehearsalMalformed = 100, "rehearsal.malformed";
    /// A line of an examples file is malformed.
    ExamplesMalformed = 101, "examples.malformed";
    /// An update has no training examples.
    UpdateNoExamples = 110, "update.no_examples";
    /// An update has examples of one label only and the task has no others.
    UpdateOneClass = 111, "update.one_class";
    /// A function of the update was called in the wrong order.
    UpdateState = 112, "update.state";
    /// The loss or a gradient is not a finite number.
    UpdateDiverged = 113, "update.diverged";
    /// A checkpoint belongs to another update, or is damaged.
    UpdateCheckpoint = 114, "update.checkpoint";
    /// The bytes of a round are damaged, or contain what is refused: a number that is not finite, a
    /// delta beyond the norm.
    RoundMalformed = 120, "round.malformed";
    /// A round belongs to another bundle, another task, another message or another base version.
    RoundMismatch = 121, "round.mismatch";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The maximum length of a message in bytes. A message may quote a file of somebody else.
const MESSAGE_BYTES_MAX: usize = 8_192;

/// A failure: its code, its message and the context added on the way out.
///
/// `Display` prints the outermost context first, then the causes, separated by `: `.
pub struct Error(Box<Inner>);

struct Inner {
    code: Code,
    message: String,
    /// Innermost first.
    context: Vec<String>,
}

impl Error {
    /// Makes an error with a message that says what, where, expected and found.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, message: bounded(message.into()), context: Vec::new() }))
    }

    /// Makes the error of an I/O failure of `action` (for example `"reading"`) on `path`.
    ///
    /// A missing file becomes [`Code::NotFound`], a full disk [`Code::IoFull`]; everything else
    /// keeps `code`, which is [`Code::IoRead`] or [`Code::IoWrite`].
    pub fn io(code: Code, action: &str, path: &Path, cause: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let code = match cause.kind() {
            Kind::NotFound => Code::NotFound,
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Code::IoFull,
            _ => code,
        };
        Self::new(code, format!("{action} {}: {cause}", path.display()))
    }

    /// Adds an outer context, for example `"opening the store /data/store"`.
    #[must_use]
    pub fn context(mut self, text: impl Into<String>) -> Self {
        self.0.context.push(bounded(text.into()));
        self
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The innermost message, without context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The contexts, outermost first.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        self.0.context.iter().rev().map(String::as_str)
    }
}

/// Returns the text, or its beginning and the number of bytes that were cut.
fn bounded(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        let end = text.floor_char_boundary(MESSAGE_BYTES_MAX);
        let more = text.len() - end;
        text.truncate(end);
        text.push_str(&format!("... ({more} more bytes)"));
    }
    text
}

/// Adds context to the error of a result.
pub trait ResultExt<T> {
    /// Adds an outer context; the closure runs on failure only.
    fn context<S: Into<String>>(self, text: impl FnOnce() -> S) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn context<S: Into<String>>(self, text: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.context(text()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.contexts() {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {self}", self.0.code)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_ascending() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{} before {}", pair[0], pair[1]);
        }
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }

    #[test]
    fn a_long_message_is_cut_between_two_characters() {
        let error = Error::new(Code::StoreCorrupt, format!("a{}", "é".repeat(MESSAGE_BYTES_MAX)));
        assert!(error.message().ends_with("é... (8194 more bytes)"), "{error}");
        assert_eq!(Error::new(Code::StoreCorrupt, "short").message(), "short");
    }

    #[test]
    fn context_is_printed_outermost_first() {
        let error = Error::new(Code::StoreCorrupt, "hash is 1, expected 2")
            .context("reading version 3")
            .context("activating de");
        assert_eq!(error.to_string(), "activating de: reading version 3: hash is 1, expected 2");
        assert_eq!(format!("{error:?}"), format!("[store.corrupt] {error}"));
    }
}
