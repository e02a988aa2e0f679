//! Checks the character maps of SentencePiece, which the library's normaliser indexes unchecked.

use tokenizers::pipeline::{PipelineNormalizer, PipelineTokenizer};

use super::damaged;
use crate::error::Result;

/// Checks the character maps of a tokenizer's normalisers; returns the size of the longest
/// replacement in any of them, in bytes.
pub(super) fn check(library: &PipelineTokenizer) -> Result<usize> {
    let mut longest = 0;
    for normalizer in library.get_normalizers() {
        if let PipelineNormalizer::Precompiled(precompiled) = normalizer {
            let charsmap = precompiled.charsmap().unwrap_or_default();
            let found = check_charsmap(charsmap)
                .map_err(|what| damaged(format!("the character map: {what}")))?;
            longest = longest.max(found);
        }
    }
    Ok(longest)
}

/// Checks a SentencePiece character map: `u32` size in bytes, that many bytes of a double-array
/// trie of `u32` units, then NUL-terminated replacements in UTF-8. Every unit that a lookup can
/// reach must lead inside the array, and every value to the beginning of a character. Returns the
/// size of the longest replacement.
fn check_charsmap(charsmap: &[u8]) -> std::result::Result<usize, String> {
    let (size, rest) = charsmap.split_first_chunk::<4>().ok_or("it has no header")?;
    let size = u32::from_le_bytes(*size) as usize;
    let (units, replacements) = rest.split_at_checked(size / 4 * 4).ok_or("it is truncated")?;
    let units: Vec<usize> = units
        .chunks_exact(4)
        .map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]) as usize)
        .collect();
    let replacements = std::str::from_utf8(replacements).map_err(|cause| cause.to_string())?;
    for (position, &unit) in units.iter().enumerate() {
        let is_value = unit >> 31 == 1;
        if is_value {
            continue;
        }
        let base = position ^ ((unit >> 10) << ((unit & (1 << 9)) >> 6));
        // A lookup continues at `base` combined with any byte; at the root it always continues.
        if base | 0xff >= units.len() {
            return Err(format!("unit {position} leads outside the {} units", units.len()));
        }
        let has_value = (unit >> 8) & 1 == 1;
        let value = units[base] & ((1 << 31) - 1);
        if has_value && !replacements.is_char_boundary(value) {
            return Err(format!("unit {position} has no replacement at byte {value}"));
        }
    }
    if units.is_empty() {
        return Err("it has no units".into());
    }
    Ok(replacements.split('\0').map(str::len).max().unwrap_or(0))
}
