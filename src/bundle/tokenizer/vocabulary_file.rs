//! Writes a compiled vocabulary, in the format that `vocabulary.rs` reads.

use super::damaged;
use super::vocabulary::{
    COUNT_MAX, FLAG_BYTE_FALLBACK, FLAG_EXTENDED, HEADER_SIZE_BYTES, MAGIC, NONE,
    PIECE_SIZE_BYTES_MAX, STAGES_SIZE_BYTES_MAX, Sections, VERSION,
};
use crate::error::Result;

/// The contents of a file that [`write()`] makes.
pub(super) struct Contents<'a> {
    /// Piece texts with their ids; each text once.
    pub pieces: Vec<(&'a [u8], u32)>,
    /// Scores by id.
    pub scores: Vec<f64>,
    pub unknown_id: Option<u32>,
    pub byte_fallback: bool,
    /// The stages around the model, as JSON.
    pub stages: &'a [u8],
    pub is_extended: bool,
    /// BLAKE3 of the `tokenizer.json` this was compiled from.
    pub source_hash: [u8; 32],
}

/// The bytes of a compiled vocabulary.
pub(super) fn write(mut contents: Contents<'_>) -> Result<Vec<u8>> {
    if let Some((text, _)) =
        contents.pieces.iter().find(|(text, _)| text.len() > PIECE_SIZE_BYTES_MAX)
    {
        return Err(damaged(format!(
            "a piece has {} bytes, expected at most {PIECE_SIZE_BYTES_MAX}",
            text.len()
        )));
    }
    contents.pieces.sort_unstable();
    let trie = Trie::build(&contents.pieces);
    let nodes_count = trie.labels.len();
    let sections = Sections::new(contents.scores.len(), nodes_count, contents.stages.len());
    let largest = contents.scores.len().max(nodes_count);
    if contents.scores.is_empty() || largest > COUNT_MAX {
        return Err(damaged(format!(
            "the vocabulary has {} pieces and {nodes_count} nodes, expected 1 to {COUNT_MAX}",
            contents.scores.len()
        )));
    }
    if contents.stages.len() > STAGES_SIZE_BYTES_MAX {
        return Err(damaged(format!(
            "the stages around the model take {} bytes, expected at most {STAGES_SIZE_BYTES_MAX}",
            contents.stages.len()
        )));
    }
    let mut out = Vec::with_capacity(sections.end);
    let put = |value: u32, out: &mut Vec<u8>| out.extend_from_slice(&value.to_le_bytes());
    out.extend_from_slice(MAGIC);
    put(VERSION, &mut out);
    let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
    let flags = flag(contents.byte_fallback, FLAG_BYTE_FALLBACK)
        | flag(contents.is_extended, FLAG_EXTENDED);
    put(flags, &mut out);
    out.extend_from_slice(&contents.source_hash);
    put(contents.scores.len() as u32, &mut out);
    put(nodes_count as u32, &mut out);
    put(contents.unknown_id.unwrap_or(NONE), &mut out);
    put(contents.stages.len() as u32, &mut out);
    out.resize(HEADER_SIZE_BYTES, 0);
    contents.scores.iter().for_each(|score| out.extend_from_slice(&score.to_le_bytes()));
    trie.children.iter().for_each(|&child| put(child, &mut out));
    trie.pieces.iter().for_each(|&piece| put(piece, &mut out));
    out.extend_from_slice(&trie.labels);
    out.extend_from_slice(contents.stages);
    Ok(out)
}

/// The arrays of a breadth-first trie; see `vocabulary.rs`.
struct Trie {
    children: Vec<u32>,
    pieces: Vec<u32>,
    labels: Vec<u8>,
}

impl Trie {
    /// Builds the trie from sorted pieces: each node covers the range of pieces that share its
    /// prefix.
    fn build(pieces: &[(&[u8], u32)]) -> Self {
        let mut trie = Self { children: Vec::new(), pieces: Vec::new(), labels: vec![0] };
        let mut ranges = std::collections::VecDeque::from([(0..pieces.len(), 0)]);
        while let Some((range, depth)) = ranges.pop_front() {
            trie.children.push(trie.labels.len() as u32);
            let mut begin = range.start;
            let ends_here = pieces[range.clone()].first().filter(|(text, _)| text.len() == depth);
            trie.pieces.push(ends_here.map_or(NONE, |&(_, id)| id));
            begin += usize::from(ends_here.is_some());
            while begin < range.end {
                let label = pieces[begin].0[depth];
                let same = pieces[begin..range.end].partition_point(|(t, _)| t[depth] <= label);
                trie.labels.push(label);
                ranges.push_back((begin..begin + same, depth + 1));
                begin += same;
            }
        }
        trie.children.push(trie.labels.len() as u32);
        trie
    }
}
