//! Metrics of tags: accuracy per word; precision, recall and F1 of spans.
//!
//! A span is right when its kind, first word and last word are. The metrics are computed over all
//! spans of all texts together, as in the tool conlleval of CoNLL-2000.

use crate::example::tags;

/// Counts that are summed over texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of words.
    pub words: usize,
    /// The number of words with the right tag.
    pub words_right: usize,
    /// The number of spans in the expected tags.
    pub expected: usize,
    /// The number of spans in the given tags.
    pub given: usize,
    /// The number of spans in both.
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
        // Both lists are sorted by first word, and no two spans of one text begin at the same word.
        self.right += given.iter().filter(|span| expected.binary_search(span).is_ok()).count();
    }

    /// The share of words with the right tag; absent without words.
    pub fn accuracy(&self) -> Option<f64> {
        share(self.words_right, self.words)
    }

    /// The share of given spans that are right; absent without given spans.
    pub fn precision(&self) -> Option<f64> {
        share(self.right, self.given)
    }

    /// The share of expected spans that were given; absent without expected spans.
    pub fn recall(&self) -> Option<f64> {
        share(self.right, self.expected)
    }

    /// The harmonic mean of precision and recall; absent if there are no spans at all.
    pub fn f1(&self) -> Option<f64> {
        share(2 * self.right, self.expected + self.given)
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
