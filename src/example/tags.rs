//! Tags: which tag may follow which, and the spans that they mark.
//!
//! In the scheme BIO (Ramshaw and Marcus, 1995, in the form of CoNLL-2000) `B-x` begins a span of
//! kind x, `I-x` continues it and `O` is outside. A set of tags is BIO when all of them have that
//! form; otherwise they are plain, and any tag may follow any other.

use crate::error::{Code, Error, Result};

/// The tag of words outside of every span.
pub const OUTSIDE: &str = "O";

/// A tag in the scheme BIO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bio<'a> {
    /// Outside of every span.
    Outside,
    /// The first word of a span of this kind.
    Begin(&'a str),
    /// A later word of a span of this kind.
    Inside(&'a str),
}

impl<'a> Bio<'a> {
    /// Parses a tag; `None` if it is not a BIO tag.
    pub fn parse(tag: &'a str) -> Option<Self> {
        match tag.split_once('-') {
            _ if tag == OUTSIDE => Some(Self::Outside),
            Some(("B", kind)) if !kind.is_empty() => Some(Self::Begin(kind)),
            Some(("I", kind)) if !kind.is_empty() => Some(Self::Inside(kind)),
            _ => None,
        }
    }

    /// Whether the tag may follow `before`, or start a text.
    pub fn may_follow(self, before: Option<Self>) -> bool {
        match self {
            Self::Inside(kind) => before.is_some_and(|before| before.kind() == Some(kind)),
            Self::Outside | Self::Begin(_) => true,
        }
    }

    /// The kind of the span that the word belongs to.
    pub fn kind(self) -> Option<&'a str> {
        match self {
            Self::Outside => None,
            Self::Begin(kind) | Self::Inside(kind) => Some(kind),
        }
    }
}

/// Whether all tags are BIO tags, with at least one span among them.
pub fn is_bio<'a>(tags: impl IntoIterator<Item = &'a str>) -> bool {
    let mut spans = false;
    tags.into_iter().all(|tag| {
        let parsed = Bio::parse(tag);
        spans |= parsed.is_some_and(|tag| tag != Bio::Outside);
        parsed.is_some()
    }) && spans
}

/// Refuses a tag that may not follow its predecessor; plain tags are never refused.
///
/// # Errors
/// [`Code::ArgumentInvalid`] naming the position from 1, the tag and its predecessor.
pub fn check(tags: &[String]) -> Result<()> {
    if !is_bio(tags.iter().map(String::as_str)) {
        return Ok(());
    }
    let mut before = None;
    for (position, tag) in tags.iter().enumerate() {
        let tag_now = Bio::parse(tag);
        if tag_now.is_some_and(|tag| !tag.may_follow(before)) {
            let after = match position.checked_sub(1).and_then(|at| tags.get(at)) {
                Some(tag) => format!("after {tag:?}"),
                None => "at the start".to_owned(),
            };
            let message = format!(
                "tag {} is {tag:?} {after}: expected a span to begin with \"B-\"",
                position + 1
            );
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        before = tag_now;
    }
    Ok(())
}

/// Words `first..=last` are a span of `kind`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The position of its first word.
    pub first: usize,
    /// The position of its last word.
    pub last: usize,
    /// The kind of the span.
    pub kind: String,
}

/// The spans that BIO tags mark. An `I-x` that continues nothing begins a span, as in conlleval; a
/// tag of another form is outside.
pub fn spans<'a>(tags: impl IntoIterator<Item = &'a str>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut before = None;
    for (position, tag) in tags.into_iter().enumerate() {
        let tag = Bio::parse(tag).unwrap_or(Bio::Outside);
        match (tag, spans.last_mut()) {
            (Bio::Outside, _) => {}
            (Bio::Inside(_), Some(open)) if tag.may_follow(before) => open.last = position,
            (Bio::Begin(kind) | Bio::Inside(kind), _) => {
                spans.push(Span { first: position, last: position, kind: kind.to_owned() });
            }
        }
        before = Some(tag);
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn a_broken_sequence_is_named_by_its_place() {
        assert!(check(&owned(&["O", "B-a", "I-a", "B-a", "O"])).is_ok());
        assert!(check(&owned(&["NOUN", "VERB"])).is_ok());
        let error = check(&owned(&["B-a", "I-b"])).expect_err("I-b after B-a");
        assert!(error.message().starts_with("tag 2 is \"I-b\" after \"B-a\""), "{error}");
        let error = check(&owned(&["I-a"])).expect_err("I-a first");
        assert!(error.message().contains("at the start"), "{error}");
    }
}
