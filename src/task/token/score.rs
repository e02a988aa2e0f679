//! How good tags are: accuracy per word and the F1 of spans.
//!
//! A span counts as right when kind, first and last word are; precision and recall are taken over
//! all spans of all texts together, as the tool conlleval of CoNLL-2000 prints them.

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
    /// Spans in the predicted tags.
    pub predicted: usize,
    /// Spans in both.
    pub right: usize,
}

impl Counts {
    /// Adds one text; both lists of tags have one tag per word.
    pub fn add<'a>(
        &mut self,
        expected: impl Iterator<Item = &'a str> + Clone,
        predicted: impl Iterator<Item = &'a str> + Clone,
    ) {
        let pairs = expected.clone().zip(predicted.clone());
        self.words += pairs.clone().count();
        self.words_right += pairs.filter(|(expected, predicted)| expected == predicted).count();
        let (expected, predicted) = (tags::spans(expected), tags::spans(predicted));
        self.expected += expected.len();
        self.predicted += predicted.len();
        // Both lists are ordered by their first word, and no two spans of one text begin together.
        self.right += predicted.iter().filter(|span| expected.binary_search(span).is_ok()).count();
    }

    /// The share of words with the right tag; absent without words.
    pub fn accuracy(&self) -> Option<f64> {
        share(self.words_right, self.words)
    }

    /// Twice the spans that are right over those expected and predicted; absent without any.
    pub fn f1(&self) -> Option<f64> {
        share(2 * self.right, self.expected + self.predicted)
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
