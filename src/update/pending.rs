//! Examples that no update could judge yet stay pending for the next one.
//!
//! A language with too few held-out examples keeps its version, whatever it was trained on. Its new
//! examples are remembered, but as rehearsal they would hardly be trained on again. So they stay
//! pending: an update that brings more examples of the language trains on all of them as new, and
//! several small updates have the effect of one large update. Once the gate has judged the
//! language, its examples are no longer pending. This module must never decide.

use crate::error::Result;
use crate::example::Example;
use crate::rehearsal::Rehearsal;
use crate::report::{ReasonKind, Report};

/// Records in the buffer which of the examples that the update was `trained_on` are pending, and
/// which have been judged.
///
/// # Errors
/// Those of [`Rehearsal::set_pending`].
pub(super) fn note(
    rehearsal: &mut Rehearsal,
    report: &Report,
    trained_on: &[Example],
) -> Result<()> {
    for entry in report.languages.iter().filter(|entry| entry.updated) {
        let waits = entry.reason_kind == ReasonKind::TooFewExamples;
        rehearsal.set_pending(&entry.language, if waits { trained_on } else { &[] })?;
    }
    Ok(())
}
