//! Metrics for people: their headings, and the format of their values.
//!
//! Most metrics are shares; correlations and errors are plain numbers.

use super::percent;
use super::text::minus;

/// Metrics that are not shares.
const NUMBERS: [&str; 2] = ["spearman", "mean_error"];

/// Whether the metric is a share of which more is better.
pub fn is_share_of_right(name: &str) -> bool {
    !NUMBERS.contains(&name) && !name.ends_with("error_rate")
}

/// The name as a heading: `macro F1` for `macro_f1`.
pub fn heading(name: &str) -> String {
    let word = |word: &str| match word {
        "f1" => "F1".to_owned(),
        "chrf" => "chrF".to_owned(),
        "spearman" => "Spearman".to_owned(),
        word => word.to_owned(),
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

/// Formats a value: a share as per cent with one decimal, another number with three; `-` for
/// `None`.
pub fn show(name: &str, value: Option<f64>) -> String {
    match value {
        Some(value) if NUMBERS.contains(&name) => minus(&format!("{value:.3}")),
        value => percent(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_written_for_people() {
        assert_eq!(heading("span_f1"), "span F1");
        assert_eq!(show("span_f1", Some(0.9125)), "91.2 %");
        assert!(is_share_of_right("chrf") && !is_share_of_right("character_error_rate"));
        assert_eq!(show("spearman", Some(-0.5)), "\u{2212}0.500");
        assert_eq!((heading("chrf"), show("chrf", None)), ("chrF".to_owned(), "-".to_owned()));
    }
}
