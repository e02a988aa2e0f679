//! The compiled Unigram vocabulary: a file that is mapped and searched in place.
//!
//! The pieces form a trie whose nodes are numbered breadth first, so that the children of node `i`
//! are the nodes `children[i]..children[i + 1]` and a node needs 9 bytes. `docs/formats.md`
//! describes the format. Every count, order and id is checked when the file is opened; lookups use
//! checked slices, so no content can make them read elsewhere.

use super::damaged;
use crate::error::Result;
use crate::files::Mapping;

pub(super) const MAGIC: &[u8; 8] = b"PGTOKEN\0";
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_SIZE_BYTES: usize = 80;
pub(super) const FLAG_BYTE_FALLBACK: u32 = 1;
/// The stages have parts that version 0.1 would ignore.
pub(super) const FLAG_EXTENDED: u32 = 2;

/// Marks "no unknown piece" in the header and "no piece ends here" in a node.
pub(super) const NONE: u32 = u32::MAX;

/// Larger counts are refused, which keeps every product in range and every id in `u32`.
pub(super) const COUNT_MAX: usize = 1 << 26;

/// The largest stages, in bytes; parsing takes a multiple of their size.
pub(super) const STAGES_SIZE_BYTES_MAX: usize = 1 << 24;

/// The longest piece, in bytes; the limit keeps segmentation linear in the text.
pub(super) const PIECE_SIZE_BYTES_MAX: usize = 1024;

enum Bytes {
    Mapped(Mapping),
    Owned(Vec<u8>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map.as_ref(),
            Self::Owned(bytes) => bytes,
        }
    }
}

/// The offsets of the sections, which follow each other in this order without gaps.
pub(super) struct Sections {
    scores: usize,
    children: usize,
    pieces: usize,
    labels: usize,
    stages: usize,
    pub end: usize,
}

impl Sections {
    pub fn new(pieces_count: usize, nodes_count: usize, stages_size_bytes: usize) -> Self {
        let scores = HEADER_SIZE_BYTES;
        let children = scores + 8 * pieces_count;
        let pieces = children + 4 * (nodes_count + 1);
        let labels = pieces + 4 * nodes_count;
        let stages = labels + nodes_count;
        Self { scores, children, pieces, labels, stages, end: stages + stages_size_bytes }
    }
}

/// An opened, checked vocabulary.
pub(super) struct Vocabulary {
    bytes: Bytes,
    sections: Sections,
    pieces_count: usize,
    nodes_count: usize,
    unknown_id: Option<u32>,
    byte_fallback: bool,
    is_extended: bool,
    score_min: f64,
}

/// The parent of every node, and the node at which every piece ends.
pub(super) struct Backward {
    parents: Vec<u32>,
    nodes: Vec<u32>,
}

impl Vocabulary {
    /// Whether `bytes` begin like a compiled vocabulary of any version.
    pub fn is_compiled(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    pub fn from_map(map: Mapping) -> Result<Self> {
        Self::new(Bytes::Mapped(map))
    }

    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::new(Bytes::Owned(bytes))
    }

    fn new(bytes: Bytes) -> Result<Self> {
        if bytes.len() < HEADER_SIZE_BYTES || !Self::is_compiled(&bytes) {
            return Err(damaged("the file is not a compiled tokenizer: its header is missing"));
        }
        let version = u32_at(&bytes, 8);
        if version != VERSION {
            return Err(damaged(format!(
                "the compiled tokenizer has version {version}, expected {VERSION}"
            )));
        }
        let flags = u32_at(&bytes, 12);
        if flags & !(FLAG_BYTE_FALLBACK | FLAG_EXTENDED) != 0 {
            return Err(damaged(format!("unknown flags {flags:#x} in the compiled tokenizer")));
        }
        let count = |offset: usize, what: &str, max: usize| -> Result<usize> {
            let value = u32_at(&bytes, offset) as usize;
            if value == 0 || value > max {
                return Err(damaged(format!("{what} is {value}, expected 1 to {max}")));
            }
            Ok(value)
        };
        let pieces_count = count(48, "the number of pieces", COUNT_MAX)?;
        let nodes_count = count(52, "the number of nodes", COUNT_MAX)?;
        let stages_size_bytes = count(60, "the size of the stages", STAGES_SIZE_BYTES_MAX)?;
        let sections = Sections::new(pieces_count, nodes_count, stages_size_bytes);
        if sections.end != bytes.len() {
            return Err(damaged(format!(
                "the compiled tokenizer has {} bytes, expected {}",
                bytes.len(),
                sections.end
            )));
        }
        if bytes[64..HEADER_SIZE_BYTES].iter().any(|&byte| byte != 0) {
            return Err(damaged("the reserved bytes of the compiled tokenizer are not zero"));
        }
        let unknown_id = Some(u32_at(&bytes, 56)).filter(|&id| id != NONE);
        if let Some(id) = unknown_id.filter(|&id| id as usize >= pieces_count) {
            return Err(damaged(format!("the unknown piece is {id} of {pieces_count} pieces")));
        }
        let byte_fallback = flags & FLAG_BYTE_FALLBACK != 0;
        let mut vocabulary = Self {
            bytes,
            sections,
            pieces_count,
            nodes_count,
            unknown_id,
            byte_fallback,
            is_extended: flags & FLAG_EXTENDED != 0,
            score_min: 0.0,
        };
        vocabulary.score_min = vocabulary.check_scores()?;
        vocabulary.check_nodes()?;
        Ok(vocabulary)
    }

    /// Checks that all scores are finite; returns the smallest.
    fn check_scores(&self) -> Result<f64> {
        let (scores, _) = self.bytes[self.sections.scores..self.sections.children].as_chunks();
        let mut score_min = f64::INFINITY;
        for (id, score) in scores.iter().map(|score| f64::from_le_bytes(*score)).enumerate() {
            if !score.is_finite() {
                return Err(damaged(format!("the score of piece {id} is {score}")));
            }
            score_min = score_min.min(score);
        }
        Ok(score_min)
    }

    /// Checks that children follow their parent, in order and without gaps, that siblings are
    /// sorted, and that piece ids exist. Together this means that the nodes form one finite tree.
    fn check_nodes(&self) -> Result<()> {
        let bad = |node: usize, what: &str| Err(damaged(format!("node {node}: {what}")));
        let mut begin = u32_at(&self.bytes, self.sections.children) as usize;
        if begin != 1 {
            return bad(0, "its children do not begin at node 1");
        }
        // Slices that are taken once: hundreds of thousands of nodes are checked at each start.
        let labels = self.labels();
        let (ends, _) = self.bytes[self.sections.children + 4..self.sections.pieces].as_chunks();
        let (pieces, _) = self.bytes[self.sections.pieces..self.sections.labels].as_chunks();
        for (node, (end, piece)) in ends.iter().zip(pieces).enumerate() {
            let (end, piece) = (u32::from_le_bytes(*end) as usize, u32::from_le_bytes(*piece));
            if end < begin || end > self.nodes_count || (end > begin && begin <= node) {
                return bad(node, "its children are out of order");
            }
            if labels[begin..end].windows(2).any(|pair| pair[0] >= pair[1]) {
                return bad(node, "the labels of its children are not ascending");
            }
            if piece != NONE && piece as usize >= self.pieces_count {
                return bad(node, "its piece does not exist");
            }
            begin = end;
        }
        if begin != self.nodes_count {
            return bad(self.nodes_count, "nodes without a parent");
        }
        Ok(())
    }

    fn labels(&self) -> &[u8] {
        &self.bytes[self.sections.labels..self.sections.stages]
    }

    /// The stages around the model, as JSON.
    pub fn stages(&self) -> &[u8] {
        &self.bytes[self.sections.stages..self.sections.end]
    }

    /// Whether the stages have parts that version 0.1 would ignore.
    pub fn is_extended(&self) -> bool {
        self.is_extended
    }

    /// BLAKE3 of the `tokenizer.json` this was compiled from.
    pub fn source_hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(&self.bytes[16..48]);
        hash
    }

    pub fn pieces_count(&self) -> usize {
        self.pieces_count
    }

    pub fn unknown_id(&self) -> Option<u32> {
        self.unknown_id
    }

    pub fn byte_fallback(&self) -> bool {
        self.byte_fallback
    }

    pub fn score_min(&self) -> f64 {
        self.score_min
    }

    /// The score of a piece; `id` is below [`Self::pieces_count`].
    pub fn score(&self, id: u32) -> f64 {
        let offset = self.sections.scores + 8 * id as usize;
        let mut raw = [0; 8];
        raw.copy_from_slice(&self.bytes[offset..offset + 8]);
        f64::from_le_bytes(raw)
    }

    /// Calls `found(length, id)` for every piece that is a prefix of `text`, shortest first.
    pub fn prefixes(&self, text: &[u8], mut found: impl FnMut(usize, u32)) {
        let labels = self.labels();
        let mut node = 0;
        for (position, byte) in text.iter().enumerate() {
            let Some(child) = self.child(labels, node, *byte) else { return };
            node = child;
            let piece = u32_at(&self.bytes, self.sections.pieces + 4 * node);
            if piece != NONE {
                found(position + 1, piece);
            }
        }
    }

    fn child(&self, labels: &[u8], node: usize, byte: u8) -> Option<usize> {
        let begin = u32_at(&self.bytes, self.sections.children + 4 * node) as usize;
        let end = u32_at(&self.bytes, self.sections.children + 4 * (node + 1)) as usize;
        labels[begin..end].binary_search(&byte).ok().map(|index| begin + index)
    }

    /// The reverse lookup from ids to texts: 4 bytes for each node and each piece.
    pub fn backward(&self) -> Backward {
        let mut parents = vec![NONE; self.nodes_count];
        let mut nodes = vec![NONE; self.pieces_count];
        for node in 0..self.nodes_count {
            let piece = u32_at(&self.bytes, self.sections.pieces + 4 * node);
            if piece != NONE {
                nodes[piece as usize] = node as u32;
            }
            let begin = u32_at(&self.bytes, self.sections.children + 4 * node) as usize;
            let end = u32_at(&self.bytes, self.sections.children + 4 * (node + 1)) as usize;
            parents[begin..end].fill(node as u32);
        }
        Backward { parents, nodes }
    }

    /// The text of a piece; `None` for an id without a node. Invalid UTF-8 becomes U+FFFD.
    pub fn text(&self, id: u32, backward: &Backward) -> Option<String> {
        let mut node = *backward.nodes.get(id as usize).filter(|&&node| node != NONE)?;
        let mut bytes = Vec::new();
        // The root has no parent; a damaged file may be deeper than the longest piece.
        while bytes.len() < PIECE_SIZE_BYTES_MAX {
            let parent = backward.parents[node as usize];
            if parent == NONE {
                break;
            }
            bytes.push(self.labels()[node as usize]);
            node = parent;
        }
        bytes.reverse();
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The id of the piece with exactly this text.
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        let mut last = None;
        self.prefixes(text, |length, id| last = Some((length, id)));
        last.filter(|&(length, _)| length == text.len()).map(|(_, id)| id)
    }
}

/// Reads a little-endian `u32`; the checks at opening ensure that `offset + 4` is within `bytes`.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(raw)
}
