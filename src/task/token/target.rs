//! Tags as targets: one per word, at the word's first token.

use crate::adapter::Adapter;
use crate::error::{Code, Error, Result};
use crate::example::tags::OUTSIDE;
use crate::graph::{Builder, GraphProto};
use crate::inference::heads::TAG_LOGITS;
use crate::runtime::Value;
use crate::task::loss;
use crate::task::sample::{Encoded, PlacedWord, Totals, position};
use crate::task::sentence::classification;

/// The targets of a training graph, `[batch, sequence, tags]`.
const TAG_TARGETS: &str = "polygraft.tag_targets";

/// Adds the targets `[batch, sequence, tags]` and the cross entropy of the tags; returns its name.
pub(in crate::task) fn add_loss(graph: &mut GraphProto) -> String {
    loss::declare_targets(graph, TAG_TARGETS, &["batch", "sequence", "tags"]);
    let mut builder = Builder::new(graph, "polygraft/tags/");
    loss::cross_entropy(&mut builder, TAG_LOGITS, TAG_TARGETS)
}

/// Adds the sum of the losses of label and tags (Chen, Zhuo and Wang, arXiv 1902.10909); returns
/// its name.
pub(in crate::task) fn add_joint_loss(graph: &mut GraphProto) -> String {
    let label = classification::add_loss(graph);
    let tags = add_loss(graph);
    Builder::new(graph, "polygraft/joint/").node("Add", &[&label, &tags], vec![])
}

/// The position of each word's tag among those of the adapter.
pub(in crate::task) fn encode_tags(
    adapter: &Adapter,
    input: &Encoded,
    tags: &[String],
) -> Result<Vec<usize>> {
    if tags.len() != input.words.len() {
        let (words, tags) = (input.words.len(), tags.len());
        let message = format!("{words} words have {tags} tags");
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    tags.iter().map(|tag| position("tag", &adapter.tags, tag)).collect()
}

/// The weighted one-hot targets at the first token of each word; all other tokens have none. A
/// token of several words has the first of their tags that is in a span, so that a span does not
/// lose its beginning.
pub(in crate::task) fn target_values(
    names: &[String],
    inputs: &[&Encoded],
    tags: &[&[usize]],
    totals: &Totals,
) -> Result<(&'static str, Value)> {
    let longest = inputs.iter().map(|input| input.encoding.ids.len()).max().unwrap_or(0);
    let tags_count = names.len();
    let mut targets = vec![0.0; inputs.len() * longest * tags_count];
    let rows = targets.chunks_exact_mut((longest * tags_count).max(1));
    for ((row, input), tags) in rows.zip(inputs).zip(tags) {
        let words: Vec<(&PlacedWord, usize)> =
            input.words.iter().zip(tags.iter().copied()).collect();
        for same in words.chunk_by(|(before, _), (word, _)| word.shares_token(Some(before))) {
            let in_span = same.iter().find(|(_, tag)| names[*tag] != OUTSIDE);
            if let (Some(token), Some((_, tag))) = (same[0].0.token, in_span.or(same.first())) {
                row[token * tags_count + tag] = totals.part_weight();
            }
        }
    }
    Ok((TAG_TARGETS, Value::f32(&[inputs.len(), longest, tags_count], targets)?))
}
