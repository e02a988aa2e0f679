//! The normaliser: the steps that rewrite a text before it is split into words.
//!
//! The steps are the `tokenizers` library's, except for two kinds that would need a regular
//! expression there: collapsing runs of spaces, which nearly every SentencePiece conversion has,
//! and replacing a pattern. Growth multiplies: four steps that each replace one letter by a
//! thousand make a terabyte of one letter. So the possible output of a step is charged before it
//! runs, and its actual output is charged against the growth of the whole text.

use std::borrow::Cow;

use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::pipeline::{PipelineNormalizer, PipelineTokenizer, normalize_all};

use super::pattern::Pattern;
use super::{TEXT_SIZE_BYTES_MAX, library_error};
use crate::error::{Code, Error, Result};

/// The longest text after all normalising and marking of words, in bytes: a text of spaces that
/// become three bytes each fits.
pub const NORMALIZED_SIZE_BYTES_MAX: usize = 4 * TEXT_SIZE_BYTES_MAX;

/// The most that one step may output, in bytes, estimated by its longest replacement.
const STEP_SIZE_BYTES_MAX: usize = 256 << 20;

/// The growth factor of compatibility forms: U+FDFA, three bytes, becomes 33.
const COMPATIBILITY_GROWTH: usize = 11;

/// The growth factor of canonical decomposition and of changing the case.
const DECOMPOSED_GROWTH: usize = 6;

/// The growth that is left for a text.
pub(super) struct Growth {
    left: usize,
}

impl Growth {
    /// The initial growth of one text.
    pub fn of_text() -> Self {
        Self { left: NORMALIZED_SIZE_BYTES_MAX }
    }

    /// Refuses a text of `size_bytes` that does not fit.
    pub fn check(&self, size_bytes: usize) -> Result<()> {
        if size_bytes <= self.left {
            return Ok(());
        }
        Err(Error::new(
            Code::TaskTooLong,
            format!(
                "the tokenizer makes a text of {size_bytes} bytes or more of the text given, at \
                 most {NORMALIZED_SIZE_BYTES_MAX} allowed"
            ),
        ))
    }

    /// Charges the size of a normalised part of the text.
    pub fn charge(&mut self, size_bytes: usize) -> Result<()> {
        self.check(size_bytes)?;
        self.left -= size_bytes;
        Ok(())
    }
}

/// A step between two chains of the library's steps.
pub(super) enum Between {
    /// Each run of two or more spaces becomes one.
    Spaces,
    /// Each match of the pattern becomes the text.
    Pattern(Pattern, String),
}

/// The chains of a normaliser and the steps between them.
pub(super) struct Chains<'c> {
    pub groups: &'c [PipelineTokenizer],
    pub between: &'c [Between],
    /// The longest replacement of a character map, in bytes.
    pub replacement_max: usize,
    /// Whether the step that marks words, which a split adds, is omitted.
    pub declared_only: bool,
}

impl Chains<'_> {
    /// Runs all steps; `offset` is where `text` begins in the given text.
    pub fn run<'a>(&self, text: &'a str, offset: usize, growth: &Growth) -> Result<Cow<'a, str>> {
        let mut current = Cow::Borrowed(text);
        for (index, group) in self.groups.iter().enumerate() {
            if let Some(between) = index.checked_sub(1).and_then(|index| self.between.get(index))
                && let Some(replaced) = between.run(&current, growth)?
            {
                current = Cow::Owned(replaced);
            }
            let steps = match group.get_normalizers() {
                [declared @ .., PipelineNormalizer::Metaspace(_)]
                    if self.declared_only && index + 1 == self.groups.len() =>
                {
                    declared
                }
                all => all,
            };
            for step in steps {
                current = self.step(step, current, offset, growth)?;
            }
        }
        Ok(current)
    }

    fn step<'a>(
        &self,
        step: &PipelineNormalizer,
        text: Cow<'a, str>,
        offset: usize,
        growth: &Growth,
    ) -> Result<Cow<'a, str>> {
        let most = self.most(step, &text, growth)?;
        if most > STEP_SIZE_BYTES_MAX {
            growth.check(most)?;
        }
        let one = std::slice::from_ref(step);
        let made = match text {
            Cow::Borrowed(text) => normalize_all(one, text, offset).map_err(library_error)?,
            Cow::Owned(text) => {
                let made = normalize_all(one, &text, offset).map_err(library_error)?;
                Cow::Owned(made.into_owned())
            }
        };
        growth.check(made.len())?;
        Ok(made)
    }

    /// An upper bound for the output of a step, in bytes.
    fn most(&self, step: &PipelineNormalizer, text: &str, growth: &Growth) -> Result<usize> {
        let times = |factor: usize| text.len().saturating_mul(factor);
        Ok(match step {
            PipelineNormalizer::Replace(replace) => replaced_size(replace, text, growth)?,
            PipelineNormalizer::Prepend(step) => text.len().saturating_add(step.prepend.len()),
            // A delimiter of up to four bytes for each space, and one in front.
            PipelineNormalizer::Metaspace(_) => times(4).saturating_add(4),
            PipelineNormalizer::ByteLevel(_) | PipelineNormalizer::Lowercase(_) => times(2),
            PipelineNormalizer::Strip(_)
            | PipelineNormalizer::StripAccents(_)
            | PipelineNormalizer::Nmt(_) => text.len(),
            PipelineNormalizer::Bert(_)
            | PipelineNormalizer::NFC(_)
            | PipelineNormalizer::NFD(_) => times(DECOMPOSED_GROWTH),
            PipelineNormalizer::NFKC(_) | PipelineNormalizer::NFKD(_) => {
                times(COMPATIBILITY_GROWTH)
            }
            PipelineNormalizer::Precompiled(_) => times(self.replacement_max.max(1)),
        })
    }
}

/// The size of the text after a replacement, refused where it does not fit.
fn replaced_size(replace: &Replace, text: &str, growth: &Growth) -> Result<usize> {
    let ReplacePattern::String(pattern) = replace.pattern() else { return Ok(text.len()) };
    let (from, to) = (pattern.len(), replace.content.len());
    if from == 0 || to <= from {
        return Ok(text.len());
    }
    let size = |count: usize| text.len().saturating_add(count.saturating_mul(to - from));
    let bound = size(text.len() / from);
    if growth.check(bound).is_ok() {
        return Ok(bound);
    }
    let exact = size(text.matches(pattern.as_str()).count());
    growth.check(exact)?;
    Ok(exact)
}

impl Between {
    /// The text with every match replaced; `None` without a match.
    fn run(&self, text: &str, growth: &Growth) -> Result<Option<String>> {
        match self {
            Self::Spaces => Ok(collapse_spaces(text)),
            Self::Pattern(pattern, content) => replace(pattern, content, text, growth),
        }
    }
}

fn replace(
    pattern: &Pattern,
    content: &str,
    text: &str,
    growth: &Growth,
) -> Result<Option<String>> {
    let (mut places, mut size) = (Vec::new(), text.len());
    pattern.search(text, |place| {
        size = (size - place.len()).saturating_add(content.len());
        places.push(place);
        // The rest may still shrink the text, at most by its own length.
        growth.check(size.saturating_sub(text.len()))
    })?;
    growth.check(size)?;
    if places.is_empty() {
        return Ok(None);
    }
    let (mut out, mut end) = (String::with_capacity(size), 0);
    for place in places {
        out.push_str(&text[end..place.start]);
        out.push_str(content);
        end = place.end;
    }
    out.push_str(&text[end..]);
    Ok(Some(out))
}

/// `text` with each run of two or more spaces collapsed to one; `None` if there is no such run.
fn collapse_spaces(text: &str) -> Option<String> {
    let first = text.find("  ")?;
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut after_space = false;
    for character in text[first..].chars() {
        if character != ' ' || !after_space {
            out.push(character);
        }
        after_space = character == ' ';
    }
    Some(out)
}
