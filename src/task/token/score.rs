//! How good tags are: accuracy per word; precision, recall and F1 of spans.
//!
//! A span counts as right when kind, first and last word are; the figures are taken over all spans
//! of all texts together, as the tool conlleval of CoNLL-2000 prints them.

use crate::example::tags;

/// Counts that add up over texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Words.
    pub words: usize,
    /// Words with the right tag.
    pub words_right: usize,
    /// Spans in the expected tags.
    pub expected: usize,
    /// Spans in the given tags.
    pub given: usize,
    /// Spans in both.
    pub right: usize,
}

impl Counts {
    /// The counts of one text.
    pub fn of<'a>(
        expected: impl Iterator<Item = &'a str> + Clone,
        given: impl Iterator<Item = &'a str> + Clone,
    ) -> Self {
        let mut counts = Self::default();
        counts.add(expected, given);
        counts
    }

    /// Adds one text; both lists of tags have one tag per word.
    pub fn add<'a>(
        &mut self,
        expected: impl Iterator<Item = &'a str> + Clone,
        given: impl Iterator<Item = &'a str> + Clone,
    ) {
        let pairs = expected.clone().zip(given.clone());
        self.words += pairs.clone().count();
        self.words_right += pairs.filter(|(expected, given)| expected == given).count();
        let (expected, given) = (tags::spans(expected), tags::spans(given));
        self.expected += expected.len();
        self.given += given.len();
        // Both lists are ordered by their first word, and no two spans of one text begin together.
        self.right += given.iter().filter(|span| expected.binary_search(span).is_ok()).count();
    }

    /// The share of words with the right tag; absent without words.
    pub fn accuracy(&self) -> Option<f64> {
        share(self.words_right, self.words)
    }

    /// The share of given spans that are right; absent without any.
    pub fn precision(&self) -> Option<f64> {
        share(self.right, self.given)
    }

    /// The share of expected spans that were given; absent without any.
    pub fn recall(&self) -> Option<f64> {
        share(self.right, self.expected)
    }

    /// The harmonic mean of precision and recall; absent without any span on either side.
    pub fn f1(&self) -> Option<f64> {
        share(2 * self.right, self.expected + self.given)
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
