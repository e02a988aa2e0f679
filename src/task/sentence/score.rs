//! Scores and metrics of labels, sets of labels and numbers.
//!
//! The values are those of scikit-learn and scipy. A metric that is undefined for the pairs is
//! absent, never 0: the F1 of no labels, or the correlation of numbers that are all equal.

use crate::task::metric::mean;
use ndarray::Array1;
use std::collections::BTreeMap;

/// The share of pairs that are equal.
pub fn accuracy(pairs: &[(&str, &str)]) -> Option<f64> {
    mean(pairs.iter().map(|(expected, given)| f64::from(u8::from(expected == given))))
}

/// The F1 of each label that was expected or given, averaged over labels, so that a rare label has
/// the same weight as a frequent one.
pub fn macro_f1(pairs: &[(&str, &str)]) -> Option<f64> {
    let mut counts = BTreeMap::<&str, Counts>::new();
    for (expected, given) in pairs {
        counts.entry(expected).or_default().expected += 1;
        counts.entry(given).or_default().given += 1;
        if expected == given {
            counts.entry(given).or_default().both += 1;
        }
    }
    mean(counts.values().map(Counts::f1))
}

/// As [`macro_f1`] for sets of labels; each set is sorted and distinct.
pub fn macro_f1_of_sets(pairs: &[(&[String], &[String])]) -> Option<f64> {
    let mut counts = BTreeMap::<&str, Counts>::new();
    for (expected, given) in pairs {
        for label in *expected {
            counts.entry(label).or_default().expected += 1;
        }
        for label in *given {
            let count = counts.entry(label).or_default();
            count.given += 1;
            count.both += usize::from(expected.binary_search(label).is_ok());
        }
    }
    mean(counts.values().map(Counts::f1))
}

/// The Jaccard index: the number of labels in both sets divided by that in either; 1 for two empty
/// sets. Both are sorted and distinct.
pub fn jaccard(expected: &[String], given: &[String]) -> f64 {
    let both = given.iter().filter(|label| expected.binary_search(label).is_ok()).count();
    let either = expected.len() + given.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

/// The mean of [`jaccard`] over pairs.
pub fn jaccard_mean(pairs: &[(&[String], &[String])]) -> Option<f64> {
    mean(pairs.iter().map(|(expected, given)| jaccard(expected, given)))
}

/// The mean absolute error.
pub fn mean_error(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs.iter().map(|(expected, given)| (expected - given).abs()))
}

/// Spearman's rank correlation, -1 to 1: the correlation of the ranks, where ties share the mean of
/// their ranks. Absent when all expected or all given numbers are equal.
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    // The sum of the ranks is the same with and without ties.
    let middle = (pairs.len() as f64 + 1.0) / 2.0;
    let expected = ranks(&pairs.iter().map(|(expected, _)| *expected).collect::<Vec<_>>()) - middle;
    let given = ranks(&pairs.iter().map(|(_, given)| *given).collect::<Vec<_>>()) - middle;
    let scale = expected.dot(&expected).sqrt() * given.dot(&given).sqrt();
    (scale > 0.0).then(|| (expected.dot(&given) / scale).clamp(-1.0, 1.0))
}

/// The rank of each value from 1; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Array1<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&left, &right| values[left].total_cmp(&values[right]));
    let mut ranks = Array1::zeros(values.len());
    let mut first = 0;
    // Compared as numbers, so that 0 and -0 are a tie.
    for tied in order.chunk_by(|&left, &right| values[left] == values[right]) {
        let last = first + tied.len() - 1;
        for &index in tied {
            ranks[index] = (first + last) as f64 / 2.0 + 1.0;
        }
        first = last + 1;
    }
    ranks
}

/// How often a label was expected, was given, and was both.
#[derive(Default)]
struct Counts {
    expected: usize,
    given: usize,
    both: usize,
}

impl Counts {
    fn f1(&self) -> f64 {
        2.0 * self.both as f64 / (self.expected + self.given) as f64
    }
}
