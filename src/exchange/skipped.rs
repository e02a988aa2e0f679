//! Modules of an adapter that a backbone's output does not depend on.
//!
//! Whoever adapts "all linear layers" adapts a pooler, too, and whoever adapts an encoder and its
//! decoder has both in one file. Where the backbone gives hidden states, nothing that was trained
//! behind them changes what it gives, so it may be left out, and the caller is told. A layer that
//! is merely not found is never left out: only what models have behind their hidden states, and
//! what the graph itself shows to lead nowhere.

use super::message::unsupported;
use super::names::{Matched, Modules};
use crate::error::Result;
use crate::sites::Site;
use std::path::Path;

/// What the parts of models behind their hidden states are called.
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

/// Most modules that a note names.
const NAMES_SHOWN_MAX: usize = 8;

/// Moves out of the sites of `matched` what the output does not depend on, and leaves no path
/// outside. `unread` are the sites of which the graph shows that.
///
/// # Errors
/// `adapter.unsupported` naming the first path that is no site and may not be left out.
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

/// Whether a module that the backbone does not have stands behind its output in the other model.
fn is_behind(path: &str, modules: &Modules<'_>, matched: &Matched<'_>) -> bool {
    let inside = path.strip_prefix(matched.prefix.theirs.as_str()).unwrap_or(path);
    let first = inside.split('.').next().unwrap_or(inside);
    let has = |path: &str, word: &str| path.split('.').any(|part| part == word);
    let of_decoder = has(path, "decoder")
        && !modules.paths().any(|(module, _)| has(module, "decoder"))
        && matched.sites.keys().all(|path| has(path, "encoder"));
    is_head(first) || of_decoder
}

/// Whether a part of a model of this name stands behind the hidden states.
pub fn is_head(name: &str) -> bool {
    BEHIND.contains(&name)
}

/// What to tell of a match: names that were taken for each other, and modules that were left out.
pub fn notes(matched: &Matched<'_>) -> impl Iterator<Item = String> {
    let left_out = &matched.left_out;
    let note =
        || format!("left out, because the output does not depend on it: {}", shown(left_out));
    matched.prefix.note().into_iter().chain((!left_out.is_empty()).then(note))
}

/// Some of the modules, and how many more there are.
fn shown(skipped: &[String]) -> String {
    let first: Vec<&str> = skipped.iter().take(NAMES_SHOWN_MAX).map(String::as_str).collect();
    match skipped.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
