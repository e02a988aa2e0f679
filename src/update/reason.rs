//! The reason for a decision of the gate: a stable kind, a sentence for people and, if examples
//! were missing, about how many more would be enough. This module must never decide.

use crate::language::Language;
use crate::rehearsal::{Limits, REPORT_SPLIT_PERCENT};
use crate::report::ReasonKind;

/// The reason for a decision of the gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// There was no candidate.
    NoCandidate,
    /// The language is pinned.
    Pinned,
    /// Nothing serves the language.
    FirstVersion,
    /// The gate is off.
    GateOff,
    /// There are fewer selection examples than the gate needs.
    TooFewExamples {
        /// How many there are.
        found: usize,
        /// How many are needed.
        least: usize,
    },
    /// Another candidate is clearly better than the first one and the active version.
    Better,
    /// The first candidate is no worse; the lower bound of its change.
    NoWorse(f64),
    /// The first candidate scores less; the lower bound of its change.
    Worse(f64),
    /// The first candidate scores no less, but its lower bound is below minus the margin.
    Uncertain(f64),
    /// Every candidate has an output that is not finite.
    NotFinite,
}

impl Reason {
    /// The kind in reports.
    pub fn kind(self) -> ReasonKind {
        match self {
            Self::NoCandidate => ReasonKind::NoCandidate,
            Self::Pinned => ReasonKind::Pinned,
            Self::FirstVersion => ReasonKind::FirstVersion,
            Self::GateOff => ReasonKind::GateOff,
            Self::TooFewExamples { .. } => ReasonKind::TooFewExamples,
            Self::Better => ReasonKind::Better,
            Self::NoWorse(_) => ReasonKind::NoWorse,
            Self::Worse(_) => ReasonKind::Worse,
            Self::Uncertain(_) => ReasonKind::Uncertain,
            Self::NotFinite => ReasonKind::NotFinite,
        }
    }

    /// About how many more examples of `language` the gate would need to decide; `None` when it had
    /// enough, or when no number is enough.
    pub fn examples_needed(self, language: &Language, limits: &Limits) -> Option<usize> {
        let Self::TooFewExamples { found, least } = self else { return None };
        let selection_percent = 100 - usize::from(REPORT_SPLIT_PERCENT);
        // The shared adapter is judged by the examples of all languages together.
        let kept_max = limits.held_out_per_language_max.saturating_mul(selection_percent) / 100;
        if least > kept_max && !language.is_shared() {
            return None;
        }
        let of_ten_thousand = usize::from(limits.held_out_percent) * selection_percent;
        let missing = least.saturating_sub(found);
        (of_ten_thousand > 0).then(|| missing.saturating_mul(10_000).div_ceil(of_ten_thousand))
    }

    /// One short sentence for people.
    pub fn text(self, language: &Language, limits: &Limits) -> String {
        match self {
            Self::NoCandidate => "nothing new for this language".to_owned(),
            Self::Pinned => "pinned to its version".to_owned(),
            Self::FirstVersion => "first version".to_owned(),
            Self::GateOff => "the gate is off".to_owned(),
            Self::Better => "better than the others".to_owned(),
            Self::NotFinite => "gives numbers that are not finite".to_owned(),
            Self::NoWorse(bound) => format!("at least {}", points(bound)),
            Self::Worse(bound) | Self::Uncertain(bound) => {
                format!("may be as low as {}", points(bound))
            }
            Self::TooFewExamples { found, least } => {
                let text = format!("{found} selection examples, at least {least} needed");
                match (self.remedies(language, limits, found), limits.held_out_percent) {
                    (Some(remedies), _) => format!("{text}: {remedies}"),
                    (None, 0) => format!("{text}: none are held out, see held_out_percent"),
                    (None, _) => format!("{text}: fewer are kept, see held_out_per_language_max"),
                }
            }
        }
    }

    /// What would help: more examples, or a gate that needs fewer.
    fn remedies(self, language: &Language, limits: &Limits, found: usize) -> Option<String> {
        let more = self.examples_needed(language, limits).map(|needed| {
            let examples = if needed == 1 { "example" } else { "examples" };
            let place =
                if language.is_shared() { "any language".to_owned() } else { language.to_string() };
            format!("about {needed} more {examples} in {place}")
        });
        let fewer = (found > 0).then(|| format!("held_out_min {found}"));
        match (more, fewer) {
            (Some(more), Some(fewer)) => Some(format!("{more}, or {fewer}")),
            (more, fewer) => more.or(fewer),
        }
    }
}

fn points(bound: f64) -> String {
    format!("{} points", crate::report::points(Some(bound)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NINE_OF_TEN: Reason = Reason::TooFewExamples { found: 9, least: 10 };

    fn text(reason: Reason, tag: &str, limits: Limits) -> String {
        reason.text(&Language::parse(tag).expect("a tag"), &limits)
    }

    /// A fifth is held out and three quarters of that are of the selection split: one of 6.67
    /// examples.
    #[test]
    fn what_is_missing_is_counted_in_examples_to_bring() {
        let german = Language::parse("de").expect("a tag");
        let needed = |found, limits| {
            Reason::TooFewExamples { found, least: 10 }.examples_needed(&german, &limits)
        };
        let limits = Limits::default();
        assert_eq!([9, 8, 0].map(|found| needed(found, limits)), [7, 14, 67].map(Some));
        let half = Limits { held_out_percent: 50, ..limits };
        assert_eq!(needed(9, half), Some(3));
        assert_eq!(needed(9, Limits { held_out_percent: 0, ..limits }), None);
        assert_eq!(needed(9, Limits { held_out_per_language_max: 12, ..limits }), None);
        assert_eq!(Reason::Pinned.examples_needed(&german, &limits), None);
    }

    #[test]
    fn the_sentence_says_what_would_help() {
        let limits = Limits::default();
        let begin = "9 selection examples, at least 10 needed: ";
        let about = |tag| text(NINE_OF_TEN, tag, limits).replace(begin, "");
        assert_eq!(about("de"), "about 7 more examples in de, or held_out_min 9");
        assert_eq!(about("mul"), "about 7 more examples in any language, or held_out_min 9");
        let none = Reason::TooFewExamples { found: 0, least: 10 };
        let none = text(none, "de", limits);
        assert_eq!(none, "0 selection examples, at least 10 needed: about 67 more examples in de");
        let closed = Reason::TooFewExamples { found: 0, least: 10 };
        let closed = text(closed, "de", Limits { held_out_percent: 0, ..limits });
        assert!(closed.ends_with("none are held out, see held_out_percent"), "{closed}");
    }
}
