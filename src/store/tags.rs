//! Reading the tag that somebody asks a store with.
//!
//! polygraft 0.1 took every well-formed tag, so a store may have versions for a language called
//! `German`, which is refused today. A tag flows in, a language flows out. This must never widen
//! what a new version may be made for: it only keeps what is there within reach.

use super::Store;
use crate::error::{Code, Result};
use crate::language::Language;

impl Store {
    /// Reads a tag as [`Language::parse`] does, and takes one that is not registered where `task`
    /// has versions under it.
    ///
    /// For whoever predicts with versions, activates them or rolls them back; examples and new
    /// versions go through [`Language::parse`].
    ///
    /// # Errors
    /// Those of [`Language::parse`]; for a tag that is not registered also those of
    /// [`Store::snapshot`].
    pub fn language(&self, task: &str, tag: &str) -> Result<Language> {
        let refused = match Language::parse(tag) {
            Err(error) if error.code() == Code::LanguageUnknown => error,
            other => return other,
        };
        let language = Language::well_formed(tag)?;
        let known = self.snapshot()?.languages(task).any(|known| *known == language);
        if known { Ok(language) } else { Err(refused) }
    }
}
