//! Regular expressions of a tokenizer, for splitting and replacing.
//!
//! Python's `tokenizers` runs them in Oniguruma, which backtracks. Here expressions without
//! look-around and back-references run in linear time, and the others backtrack a bounded number of
//! times. A hostile expression can still be slow on some text, so a search also ends with an error
//! after a time limit.

use std::ops::Range;
use std::time::{Duration, Instant};

use fancy_regex::{Regex, RegexBuilder};

use super::damaged;
use crate::error::Result;

/// The longest expression, in bytes. Those of large models have up to 500.
const PATTERN_SIZE_BYTES_MAX: usize = 4 << 10;

/// The most memory that a compiled expression takes, in bytes.
const COMPILED_SIZE_BYTES_MAX: usize = 4 << 20;

/// The most backtracking steps from one match to the next.
const ATTEMPTS_MAX: usize = 1_000_000;

/// The longest search through one text.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(10);

/// A compiled expression.
pub(super) struct Pattern {
    regex: Regex,
}

impl Pattern {
    /// Compiles an expression with Oniguruma's meaning: `^` and `$` match at the ends of every
    /// line.
    pub fn new(text: &str) -> Result<Self> {
        let shown: String = text.chars().take(200).collect();
        if text.len() > PATTERN_SIZE_BYTES_MAX {
            return Err(damaged(format!(
                "the pattern {shown:?} has {} bytes, expected at most {PATTERN_SIZE_BYTES_MAX}",
                text.len()
            )));
        }
        // In Oniguruma `(?m` lets a dot match line ends, here it changes anchors; nobody writes it.
        if text.contains("(?m") {
            return Err(damaged(format!("the pattern {shown:?}: the option m is not supported")));
        }
        let regex = RegexBuilder::new(&as_oniguruma(text)?)
            .multi_line(true)
            .backtrack_limit(ATTEMPTS_MAX)
            .delegate_size_limit(COMPILED_SIZE_BYTES_MAX)
            .build()
            .map_err(|cause| damaged(format!("the pattern {shown:?}: {cause}")))?;
        Ok(Self { regex })
    }

    /// Calls `found` with the range of every match, in order, until it fails. Matches may be empty.
    pub fn search(
        &self,
        text: &str,
        mut found: impl FnMut(Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let begin = Instant::now();
        for place in self.regex.find_iter(text) {
            let place = place.map_err(|_| self.slow(text))?;
            if begin.elapsed() > SEARCH_TIME_MAX {
                return Err(self.slow(text));
            }
            found(place.start()..place.end())?;
        }
        Ok(())
    }

    fn slow(&self, text: &str) -> crate::error::Error {
        let shown: String = self.regex.as_str().chars().take(200).collect();
        damaged(format!(
            "the pattern {shown:?} finds no end in a text of {} bytes; give shorter texts",
            text.len()
        ))
    }
}

/// Oniguruma's word characters; this engine also counts joiners among them.
const WORD_CLASS: &str = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}";

/// Classes by name, which cover Unicode in Oniguruma and ASCII here.
const NAMED_CLASSES: [(&str, &str); 6] = [
    ("[:alpha:]", r"\p{Alphabetic}"),
    ("[:digit:]", r"\p{Nd}"),
    ("[:alnum:]", r"\p{Alphabetic}\p{Nd}"),
    ("[:space:]", r"\s"),
    ("[:upper:]", r"\p{Uppercase}"),
    ("[:lower:]", r"\p{Lowercase}"),
];

/// Spells out the classes that the two engines read differently.
fn as_oniguruma(text: &str) -> Result<String> {
    let mut out = text.to_owned();
    for (name, class) in NAMED_CLASSES {
        out = out.replace(name, class);
    }
    if let Some(at) = out.find("[[:").or_else(|| out.find("[^[:")) {
        let shown: String = out[at..].chars().take(40).collect();
        return Err(damaged(format!(
            "the pattern has the class {shown:?}, which is not supported"
        )));
    }
    let mut characters = out.chars();
    let mut spelt = String::with_capacity(out.len());
    while let Some(character) = characters.next() {
        match (character, (character == '\\').then(|| characters.next()).flatten()) {
            (_, Some('w')) => spelt.push_str(&format!("[{WORD_CLASS}]")),
            (_, Some('W')) => spelt.push_str(&format!("[^{WORD_CLASS}]")),
            (first, second) => spelt.extend([Some(first), second].into_iter().flatten()),
        }
    }
    Ok(spelt)
}
