//! Scores of generated texts: exact match, character error rate, chrF.
//!
//! Counts are summed over texts. A character is a Unicode scalar value, and nothing is normalised:
//! texts that look the same but differ in code points are different. Memory is linear in the texts;
//! time is that of sorting for chrF and the product of the lengths for the error rate.

/// The longest n-grams of chrF.
const ORDERS: usize = 6;
/// The squared weight of recall against precision in chrF.
const BETA_SQUARED: f64 = 4.0;

/// Counts of exact matches and of character errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of texts.
    pub texts: usize,
    /// The number of exact matches.
    pub exact: usize,
    /// The number of inserted, deleted or replaced characters.
    pub edits: usize,
    /// The number of characters in the expected texts.
    pub characters: usize,
}

impl Counts {
    /// Adds one text.
    pub fn add(&mut self, expected: &str, given: &str) {
        self.texts += 1;
        self.exact += usize::from(expected == given);
        self.edits += edits(expected, given);
        self.characters += expected.chars().count();
    }

    /// The share of exact matches; absent without texts.
    pub fn exact_match(&self) -> Option<f64> {
        (self.texts > 0).then(|| self.exact as f64 / self.texts as f64)
    }

    /// Edits per expected character, which may exceed 1; absent when no character was expected.
    pub fn character_error_rate(&self) -> Option<f64> {
        (self.characters > 0).then(|| self.edits as f64 / self.characters as f64)
    }
}

/// The smallest number of inserted, deleted or replaced characters between two texts (Levenshtein,
/// 1966). Keeps one row of the table, of the shorter text.
pub fn edits(expected: &str, given: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) =
        (expected.chars().collect(), given.chars().collect());
    let (left, right) = without_common_ends(&left, &right);
    let (short, long) = if left.len() < right.len() { (left, right) } else { (right, left) };
    let mut row: Vec<usize> = (0..=short.len()).collect();
    for (line, letter) in long.iter().enumerate() {
        // The upper-left neighbour, before it was overwritten.
        let mut diagonal = line;
        let mut left = line + 1;
        for (other, cell) in short.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        row[0] = line + 1;
    }
    row.last().copied().unwrap_or(0)
}

/// Both texts without their common prefix and suffix, which need no edits.
fn without_common_ends<'a>(left: &'a [char], right: &'a [char]) -> (&'a [char], &'a [char]) {
    let start = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let (left, right) = (&left[start..], &right[start..]);
    let ends = left.iter().rev().zip(right.iter().rev());
    let end = ends.take_while(|(left, right)| left == right).count();
    (&left[..left.len() - end], &right[..right.len() - end])
}

/// The n-grams of one length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Grams {
    expected: usize,
    given: usize,
    both: usize,
}

/// Counts of chrF (Popović, 2015): the F-score of character n-grams of one to six characters,
/// without white space, with recall weighted twice. Counts are summed over texts; precision and
/// recall are each averaged over the lengths that both sides have, as in sacrebleu's chrF2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chrf {
    orders: [Grams; ORDERS],
}

impl Chrf {
    /// The counts of one text.
    pub fn of(expected: &str, given: &str) -> Self {
        let mut chrf = Self::default();
        chrf.add(expected, given);
        chrf
    }

    /// Adds one text.
    pub fn add(&mut self, expected: &str, given: &str) {
        let (expected, given) = (visible(expected), visible(given));
        for (order, grams) in self.orders.iter_mut().enumerate() {
            let (expected, given) = (sorted(&expected, order + 1), sorted(&given, order + 1));
            grams.expected += expected.len();
            // If no n-gram of this length was expected, the given ones are not counted.
            grams.given += if expected.is_empty() { 0 } else { given.len() };
            grams.both += common(&expected, &given);
        }
    }

    /// The score, 0 to 1.
    pub fn score(&self) -> f64 {
        let counted = self.orders.iter().filter(|grams| grams.expected > 0 && grams.given > 0);
        let count = counted.clone().count() as f64;
        let shares = |whole: fn(&Grams) -> usize| -> f64 {
            counted.clone().map(|grams| grams.both as f64 / whole(grams) as f64).sum::<f64>()
                / count
        };
        let (precision, recall) = (shares(|grams| grams.given), shares(|grams| grams.expected));
        // The quotient is undefined if no length was counted.
        if precision + recall > 0.0 {
            let weighed = BETA_SQUARED * precision + recall;
            (1.0 + BETA_SQUARED) * precision * recall / weighed
        } else {
            0.0
        }
    }
}

/// The characters except white space, which includes the four ASCII separators, as in Python, in
/// which chrF is defined.
fn visible(text: &str) -> Vec<char> {
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    text.chars().filter(|c| !space(*c)).collect()
}

/// All n-grams of one length, sorted.
fn sorted(characters: &[char], length: usize) -> Vec<&[char]> {
    let mut grams: Vec<&[char]> = characters.windows(length).collect();
    grams.sort_unstable();
    grams
}

/// The number of n-grams that two sorted lists have in common, with multiplicity.
fn common(left: &[&[char]], right: &[&[char]]) -> usize {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut count = 0;
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        match one.cmp(other) {
            std::cmp::Ordering::Less => drop(left.next()),
            std::cmp::Ordering::Greater => drop(right.next()),
            std::cmp::Ordering::Equal => {
                count += 1;
                left.next();
                right.next();
            }
        }
    }
    count
}
