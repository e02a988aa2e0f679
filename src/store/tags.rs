//! Reading the language tag of a request to a store.
//!
//! polygraft 0.1 accepted every well-formed tag, so a store may have versions for a language called
//! `German`, which is refused today. This module must never allow new versions of such a language:
//! it only keeps existing versions reachable.

use super::Store;
use crate::error::{Code, Result};
use crate::language::Language;

impl Store {
    /// Reads a tag as [`Language::parse`] does, and also accepts an unregistered tag if `task` has
    /// versions under it.
    ///
    /// This is for predictions, activations and roll-backs. Examples and new versions go through
    /// [`Language::parse`].
    ///
    /// # Errors
    /// Those of [`Language::parse`]; for an unregistered tag also those of [`Store::snapshot`].
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
