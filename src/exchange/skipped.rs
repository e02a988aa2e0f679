//! Modules of an adapter on which a backbone's output does not depend.
//!
//! An adapter of "all linear layers" includes the pooler, and an adapter of encoder and decoder has
//! both in one file. If the backbone returns hidden states, modules after them do not change its
//! output, so they may be left out, with a note. A layer that is merely not found must never be
//! left out: only modules that models have after their hidden states, and sites that the graph
//! itself shows to have no effect.

use super::message::unsupported;
use super::names::{Matched, Modules};
use crate::error::Result;
use crate::sites::Site;
use std::path::Path;

/// The names of modules after the hidden states.
const BEHIND: [&str; 16] = [
    "classification_head",
    "classifier",
    "cls",
    "discriminator_predictions",
    "generator_predictions",
    "lm_head",
    "logits_proj",
    "pooler",
    "pre_classifier",
    "pred_layer",
    "qa_outputs",
    "score",
    "seq_relationship",
    "sequence_summary",
    "vocab_projector",
    "vocab_transform",
];

/// The largest number of modules that a note names.
const NAMES_SHOWN_MAX: usize = 8;

/// Moves the paths on which the output does not depend out of the sites of `matched`, and leaves no
/// path outside. `unread` are the sites that have no effect by the graph.
///
/// # Errors
/// `adapter.unsupported` naming the first path that is not a site and may not be left out.
pub fn take(
    file: &Path,
    modules: &Modules<'_>,
    matched: &mut Matched<'_>,
    unread: &[String],
) -> Result<()> {
    let is_unread = |site: &Site| unread.contains(&site.module);
    let mut skipped: Vec<String> = Vec::new();
    matched.sites.retain(|path, site| {
        let reaches = !is_unread(site);
        if !reaches {
            skipped.push(path.clone());
        }
        reaches
    });
    for path in std::mem::take(&mut matched.outside) {
        if !is_behind(&path, modules, matched) {
            return Err(modules.unknown(file, &path));
        }
        skipped.push(path);
    }
    if matched.sites.is_empty() && !skipped.is_empty() {
        let shown = shown(&skipped);
        let message = format!("the output depends on none of its modules: {shown}");
        return Err(unsupported(file, message));
    }
    matched.left_out = skipped;
    Ok(())
}

/// Whether a module that the backbone does not have is after the output in the other model.
fn is_behind(path: &str, modules: &Modules<'_>, matched: &Matched<'_>) -> bool {
    let inside = path.strip_prefix(matched.prefix.theirs.as_str()).unwrap_or(path);
    let first = inside.split('.').next().unwrap_or(inside);
    let has = |path: &str, word: &str| path.split('.').any(|part| part == word);
    let of_decoder = has(path, "decoder")
        && !modules.paths().any(|(module, _)| has(module, "decoder"))
        && matched.sites.keys().all(|path| has(path, "encoder"));
    is_head(first) || of_decoder
}

/// Whether a module of this name is after the hidden states.
pub fn is_head(name: &str) -> bool {
    BEHIND.contains(&name)
}

/// Notes on a match: names that were matched with each other, and modules that were left out.
pub fn notes(matched: &Matched<'_>) -> impl Iterator<Item = String> {
    let left_out = &matched.left_out;
    let note =
        || format!("left out, because the output does not depend on it: {}", shown(left_out));
    matched.prefix.note().into_iter().chain((!left_out.is_empty()).then(note))
}

/// Some of the modules, and the number of the others.
fn shown(skipped: &[String]) -> String {
    let first: Vec<&str> = skipped.iter().take(NAMES_SHOWN_MAX).map(String::as_str).collect();
    match skipped.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
