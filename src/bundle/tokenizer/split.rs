//! Splits a text into words by steps that the `tokenizers` library cannot run.
//!
//! Version 1.0 of the library splits by spans of the normalised text, so it does not support steps
//! that write into the words of an earlier step (marking words with `▁` or a space, or writing
//! bytes as characters) except in the usual places. Nor does it compile patterns. A configuration
//! with such a step is split here, step by step, as version 0.22 does; steps that only cut still
//! run in the library.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Value, json};
use tokenizers::SplitDelimiterBehavior;
use tokenizers::pipeline::{
    PipelinePreTokenizer, PipelineTokenizer, PreTokenizer, PreTokenizerScratch, Span, split_matches,
};
use tokenizers::utils::byte_level::{BYTES_CHAR_LOOKUP, GPT2_REGEX_STR};

use super::normalize::Growth;
use super::pattern::Pattern;
use super::{damaged, library_error};
use crate::error::Result;

/// The most steps of a split.
const STEPS_MAX: usize = 64;

/// A split that runs here.
pub(super) struct Split {
    steps: Vec<Step>,
}

enum Step {
    /// A step of the library that only cuts.
    Cut(PipelineTokenizer),
    Pattern {
        pattern: Pattern,
        inverted: bool,
        behavior: SplitDelimiterBehavior,
    },
    /// Replaces spaces by the mark, and puts the mark before words without one.
    Mark {
        mark: char,
        before: Before,
        cut: bool,
    },
    /// Writes bytes as characters, after adding a leading space and cutting words.
    Bytes {
        space_before: bool,
        words: Option<PipelineTokenizer>,
    },
}

/// Which words get a leading mark.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Every,
    /// Only the word that begins the text.
    First,
    None,
}

/// Words, as spans of a text.
#[derive(Default)]
struct Words<'a> {
    text: Cow<'a, str>,
    spans: Vec<Span>,
}

impl Split {
    /// Reads the steps of a pre-tokenizer, each as in `tokenizer.json`.
    pub fn read(steps: &[Value]) -> Result<Self> {
        if steps.len() > STEPS_MAX {
            let count = steps.len();
            return Err(damaged(format!("{count} pre-tokenizers, expected at most {STEPS_MAX}")));
        }
        Ok(Self { steps: steps.iter().map(Step::read).collect::<Result<_>>()? })
    }

    /// Splits `text`; `begins` says whether it begins the given text. The spans go to `out`.
    pub fn run<'a>(
        &self,
        text: &'a str,
        begins: bool,
        growth: &mut Growth,
        scratch: &mut PreTokenizerScratch,
        out: &mut Vec<Span>,
    ) -> Result<Cow<'a, str>> {
        let mut words = Words { text: Cow::Borrowed(text), spans: vec![span(0..text.len())] };
        for step in &self.steps {
            words = step.run(words, begins, growth, scratch)?;
        }
        growth.charge(words.text.len())?;
        out.extend(words.spans);
        Ok(words.text)
    }
}

impl Step {
    fn read(value: &Value) -> Result<Self> {
        match value["type"].as_str() {
            Some("Metaspace") => Self::mark(value),
            Some("ByteLevel") => {
                let flag = |name: &str, default| value[name].as_bool().unwrap_or(default);
                let words = json!({
                    "type": "Split", "pattern": { "Regex": GPT2_REGEX_STR },
                    "behavior": "Isolated", "invert": false,
                });
                Ok(Self::Bytes {
                    space_before: flag("add_prefix_space", true),
                    words: flag("use_regex", true).then(|| library_step(&words)).transpose()?,
                })
            }
            Some("Split") => match library_step(value) {
                Ok(step) if can_run(step.get_pre_tokenizer()) => Ok(Self::Cut(step)),
                _ => Self::pattern(value),
            },
            _ => library_step(value).map(Self::Cut),
        }
    }

    fn pattern(value: &Value) -> Result<Self> {
        let Some(text) = value["pattern"]["Regex"].as_str() else {
            return Err(damaged(format!("a Split has the pattern {:.200}", value["pattern"])));
        };
        let behavior = match value["behavior"].as_str() {
            Some("Removed") => SplitDelimiterBehavior::Removed,
            Some("Isolated") => SplitDelimiterBehavior::Isolated,
            Some("MergedWithPrevious") => SplitDelimiterBehavior::MergedWithPrevious,
            Some("MergedWithNext") => SplitDelimiterBehavior::MergedWithNext,
            Some("Contiguous") => SplitDelimiterBehavior::Contiguous,
            _ => {
                let found = &value["behavior"];
                return Err(damaged(format!("a Split has the behavior {found:.200}")));
            }
        };
        let inverted = value["invert"].as_bool().unwrap_or(false);
        Ok(Self::Pattern { pattern: Pattern::new(text)?, inverted, behavior })
    }

    fn mark(value: &Value) -> Result<Self> {
        let wrong =
            |name: &str| damaged(format!("a Metaspace has the {name} {:.200}", value[name]));
        let mut characters = value["replacement"].as_str().unwrap_or_default().chars();
        let (Some(mark), None) = (characters.next(), characters.next()) else {
            return Err(wrong("replacement"));
        };
        // Older files state only whether there is a leading mark; `prepend_scheme` takes
        // precedence.
        let before = match value["prepend_scheme"].as_str() {
            Some("always") => Before::Every,
            Some("first") => Before::First,
            Some("never") => Before::None,
            None if value["prepend_scheme"].is_null() => {
                if value["add_prefix_space"].as_bool() == Some(false) {
                    return Err(wrong("add_prefix_space"));
                }
                Before::Every
            }
            _ => return Err(wrong("prepend_scheme")),
        };
        Ok(Self::Mark { mark, before, cut: value["split"].as_bool().unwrap_or(true) })
    }

    fn run<'a>(
        &self,
        words: Words<'a>,
        begins: bool,
        growth: &Growth,
        scratch: &mut PreTokenizerScratch,
    ) -> Result<Words<'a>> {
        match self {
            Self::Cut(step) => cut(step, words, scratch),
            Self::Pattern { pattern, inverted, behavior } => words.cut(|text, out| {
                split_matches(out, places(pattern, *inverted, text)?, *behavior);
                Ok(())
            }),
            Self::Mark { mark, before, cut } => {
                let marked = words.rewrite(growth, |range, text, out| {
                    let is_marked = text.starts_with([' ', *mark]);
                    let first = begins && range.start == 0;
                    if !is_marked && (*before == Before::Every || *before == Before::First && first)
                    {
                        out.push(*mark);
                    }
                    out.extend(text.chars().map(|c| if c == ' ' { *mark } else { c }));
                })?;
                if *cut {
                    marked.cut(|text, out| {
                        before_each(*mark, text, out);
                        Ok(())
                    })
                } else {
                    Ok(marked)
                }
            }
            Self::Bytes { space_before, words: split } => {
                let words = match space_before {
                    true => words.rewrite(growth, |_, text, out| {
                        if !text.starts_with(' ') {
                            out.push(' ');
                        }
                        out.push_str(text);
                    })?,
                    false => words,
                };
                let words = match split {
                    Some(split) => cut(split, words, scratch)?,
                    None => words,
                };
                words.rewrite(growth, |_, text, out| {
                    out.extend(text.bytes().map(|byte| BYTES_CHAR_LOOKUP[usize::from(byte)]));
                })
            }
        }
    }
}

impl<'a> Words<'a> {
    /// Cuts every word by `cut`, which returns spans of the word's text.
    fn cut(self, mut cut: impl FnMut(&str, &mut Vec<Span>) -> Result<()>) -> Result<Self> {
        let mut spans = Vec::with_capacity(self.spans.len());
        for word in &self.spans {
            let from = spans.len();
            cut(part(&self.text, word)?, &mut spans)?;
            for span in &mut spans[from..] {
                span.start += word.start;
                span.end += word.start;
            }
        }
        spans.retain(|span| span.start < span.end);
        Ok(Self { text: self.text, spans })
    }

    /// Rewrites every word by `write`; empty words are dropped.
    fn rewrite(
        self,
        growth: &Growth,
        write: impl Fn(Range<usize>, &str, &mut String),
    ) -> Result<Self> {
        let mut text = String::with_capacity(self.text.len());
        let mut spans = Vec::with_capacity(self.spans.len());
        for word in self.spans.iter().filter(|word| word.start < word.end) {
            let from = text.len();
            write(word.range(), part(&self.text, word)?, &mut text);
            growth.check(text.len())?;
            spans.push(span(from..text.len()));
        }
        Ok(Self { text: Cow::Owned(text), spans })
    }
}

fn cut<'a>(
    step: &PipelineTokenizer,
    words: Words<'a>,
    scratch: &mut PreTokenizerScratch,
) -> Result<Words<'a>> {
    let step = step.get_pre_tokenizer();
    words.cut(|text, out| step.pre_tokenize(text, scratch, out).map_err(library_error))
}

fn before_each(mark: char, text: &str, out: &mut Vec<Span>) {
    let marks = text.match_indices(mark).map(|(position, _)| position);
    let mut begin = 0;
    for position in marks.filter(|position| *position > 0).chain([text.len()]) {
        out.push(span(begin..position));
        begin = position;
    }
}

/// All of `text` as matching ranges and ranges between them, as the library's behaviors take it.
fn places(pattern: &Pattern, inverted: bool, text: &str) -> Result<Vec<((usize, usize), bool)>> {
    let (mut places, mut end) = (Vec::new(), 0);
    pattern.search(text, |place| {
        if end < place.start {
            places.push(((end, place.start), inverted));
        }
        places.push(((place.start, place.end), !inverted));
        end = place.end;
        Ok(())
    })?;
    if end < text.len() {
        places.push(((end, text.len()), inverted));
    }
    Ok(places)
}

/// Whether the library runs this step: it reads patterns that it cannot execute.
pub(super) fn can_run(step: &PipelinePreTokenizer) -> bool {
    match step {
        PipelinePreTokenizer::Split(split) => match split.search {
            tokenizers::pre_tokenizers::split::Search::Literal(_) => true,
            _ => {
                let is_whole = !split.invert && split.behavior == SplitDelimiterBehavior::Isolated;
                split.grammar().is_some() && is_whole
            }
        },
        PipelinePreTokenizer::Sequence(sequence) => {
            sequence.is_deepseek() || sequence.pre_tokenizers().iter().all(can_run)
        }
        _ => true,
    }
}

fn library_step(value: &Value) -> Result<PipelineTokenizer> {
    super::library::read_pre_tokenizer(value).map_err(|error| {
        let name = value["type"].as_str().unwrap_or("without a type");
        damaged(format!("the pre-tokenizer {name:.80}: {}", error.message()))
    })
}

fn part<'t>(text: &'t str, span: &Span) -> Result<&'t str> {
    let part = text.get(span.range());
    part.ok_or_else(|| damaged("the pre-tokenizer cut through a character"))
}

/// A text has at most [`super::normalize::NORMALIZED_SIZE_BYTES_MAX`] bytes, so positions fit.
fn span(range: Range<usize>) -> Span {
    Span { start: range.start as u32, end: range.end as u32 }
}
