//! How good generated texts are: exact match, character error rate, chrF.
//!
//! Counts add up over texts. A character is a Unicode scalar value, and nothing is normalised: what
//! looks the same but is written otherwise is another text. Memory is bounded by the texts
//! themselves; time is that of sorting for chrF and the product of the lengths for the error rate.
//!
//! Input: expected and given texts. Output: figures of all texts together.

/// The longest n-grams of chrF.
const ORDERS: usize = 6;
/// How much recall weighs against precision in chrF, squared.
const BETA_SQUARED: f64 = 4.0;

/// Counts of exact matches and of character errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Texts.
    pub texts: usize,
    /// Texts that are what was expected.
    pub exact: usize,
    /// Characters that were inserted, deleted or replaced.
    pub edits: usize,
    /// Characters of the expected texts.
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

    /// The share of texts that are what was expected; absent without texts.
    pub fn exact_match(&self) -> Option<f64> {
        (self.texts > 0).then(|| self.exact as f64 / self.texts as f64)
    }

    /// Edits per expected character, which exceeds 1 where much too much was given; absent when no
    /// character was expected.
    pub fn character_error_rate(&self) -> Option<f64> {
        (self.characters > 0).then(|| self.edits as f64 / self.characters as f64)
    }
}

/// The fewest insertions, deletions and replacements of a character that turn one text into the
/// other (Levenshtein, 1966). Keeps one row of the table, of the shorter text.
pub fn edits(expected: &str, given: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) =
        (expected.chars().collect(), given.chars().collect());
    let (left, right) = without_common_ends(&left, &right);
    let (short, long) = if left.len() < right.len() { (left, right) } else { (right, left) };
    let mut row: Vec<usize> = (0..=short.len()).collect();
    for (line, letter) in long.iter().enumerate() {
        // What stood to the upper left before it was overwritten.
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

/// What is left when the same characters are cut off both beginnings and both ends: no edit is
/// needed there.
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
/// without white space, recall weighing twice. Counts add up over texts, and precision and recall
/// are each averaged over the lengths that both sides have, as sacrebleu's chrF2 does.
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
            // Where nothing of this length was expected, nothing given can be wrong.
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
        // No number at all where no length was counted.
        if precision + recall > 0.0 {
            let weighed = BETA_SQUARED * precision + recall;
            (1.0 + BETA_SQUARED) * precision * recall / weighed
        } else {
            0.0
        }
    }
}

/// The characters that are no white space. The four separators of ASCII are among it, as in Python,
/// in which chrF is defined.
fn visible(text: &str) -> Vec<char> {
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    text.chars().filter(|c| !space(*c)).collect()
}

/// All n-grams of one length, in order.
fn sorted(characters: &[char], length: usize) -> Vec<&[char]> {
    let mut grams: Vec<&[char]> = characters.windows(length).collect();
    grams.sort_unstable();
    grams
}

/// How many n-grams two ordered lists have in common, each as often as in both.
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
