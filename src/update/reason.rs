//! The reason for a decision of the gate: a stable kind, a sentence for people and, if examples
//! were missing, about how many more would be enough. This module must never decide.

use crate::language::Language;
use crate::rehearsal::{Limits, REPORT_SPLIT_PERCENT};
use crate::report::ReasonKind;
use std::fmt;

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
    /// The best candidate is better, with the gate's confidence.
    Better(Expected),
    /// The best candidate is no worse by more than the margin, with the gate's confidence.
    NoWorse(Expected),
    /// The best candidate is worse, with the gate's confidence.
    Worse(Expected),
    /// The best candidate may be better, or worse by more than the margin.
    Uncertain(Expected, Uncertainty),
    /// Every candidate has an output that is not finite.
    NotFinite,
    /// The best candidate is no worse than the active version, but may be worse by more than the
    /// margin than the earlier one, with which it is compared here.
    BelowEarlier(Expected),
}

/// What the gate expects of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The expected change in score.
    pub change: f64,
    /// The chance that it is worse.
    pub loss_chance: f64,
}

/// How far the gate is from knowing enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uncertainty {
    /// How many selection examples there are.
    pub found: usize,
    /// About how many more of them would be enough.
    pub missing: usize,
    /// Whether they can be of any language: the shared adapter is judged by all.
    pub any_language: bool,
}

impl Uncertainty {
    /// About how many more examples would be enough; `None` when fewer are held out or kept.
    fn examples_needed(self, limits: &Limits) -> Option<usize> {
        let selection_percent = 100 - usize::from(REPORT_SPLIT_PERCENT);
        let kept_max = limits.held_out_per_language_max.saturating_mul(selection_percent) / 100;
        if self.found.saturating_add(self.missing) > kept_max && !self.any_language {
            return None;
        }
        let of_ten_thousand = usize::from(limits.held_out_percent) * selection_percent;
        (of_ten_thousand > 0).then(|| self.missing.saturating_mul(10_000).div_ceil(of_ten_thousand))
    }
}

impl Reason {
    /// The kind in reports.
    pub fn kind(self, limits: &Limits) -> ReasonKind {
        match self {
            Self::NoCandidate => ReasonKind::NoCandidate,
            Self::Pinned => ReasonKind::Pinned,
            Self::FirstVersion => ReasonKind::FirstVersion,
            Self::GateOff => ReasonKind::GateOff,
            Self::Better(_) => ReasonKind::Better,
            Self::NoWorse(_) => ReasonKind::NoWorse,
            Self::Worse(_) => ReasonKind::Worse,
            Self::Uncertain(..) if self.examples_needed(limits).is_some() => {
                ReasonKind::TooFewExamples
            }
            Self::Uncertain(..) => ReasonKind::Uncertain,
            Self::NotFinite => ReasonKind::NotFinite,
            Self::BelowEarlier(_) => ReasonKind::BelowEarlier,
        }
    }

    /// About how many more examples of the language the gate would need to decide; `None` when it
    /// had enough, or when no number is enough.
    pub fn examples_needed(self, limits: &Limits) -> Option<usize> {
        match self {
            Self::Uncertain(_, uncertainty) => uncertainty.examples_needed(limits),
            _ => None,
        }
    }

    /// One short sentence for people.
    pub fn text(self, language: &Language, limits: &Limits) -> String {
        match self {
            Self::NoCandidate => "nothing new for this language".to_owned(),
            Self::Pinned => "pinned to its version".to_owned(),
            Self::FirstVersion => "first version".to_owned(),
            Self::GateOff => "the gate is off".to_owned(),
            Self::NotFinite => "gives numbers that are not finite".to_owned(),
            Self::Better(expected) | Self::NoWorse(expected) | Self::Worse(expected) => {
                expected.to_string()
            }
            Self::BelowEarlier(expected) => format!("compared with an earlier version: {expected}"),
            Self::Uncertain(expected, uncertainty) => {
                let Uncertainty { found, any_language, .. } = uncertainty;
                let text = format!("{expected}, by {found} selection examples");
                let place = if any_language { "any language" } else { language.as_str() };
                match (self.examples_needed(limits), limits.held_out_percent) {
                    (Some(1), _) => format!("{text}: about 1 more example in {place}"),
                    (Some(needed), _) => format!("{text}: about {needed} more examples in {place}"),
                    (None, 0) => format!("{text}: none are held out, see held_out_percent"),
                    (None, _) => text,
                }
            }
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = match 100.0 * self.loss_chance {
            chance if chance < 0.5 => "less than 1 %".to_owned(),
            chance if chance > 99.5 => "more than 99 %".to_owned(),
            chance => format!("{chance:.0} %"),
        };
        let change = crate::report::points(Some(self.change));
        write!(f, "expected {change} points, chance of a loss {percent}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uncertain(found: usize, missing: usize) -> Reason {
        let expected = Expected { change: 0.004, loss_chance: 0.38 };
        Reason::Uncertain(expected, Uncertainty { found, missing, any_language: false })
    }

    /// A fifth is held out and three quarters of that are of the selection split: one of 6.67
    /// examples.
    #[test]
    fn what_is_missing_is_counted_in_examples_to_bring() {
        let needed = |found, limits: Limits| uncertain(found, 10 - found).examples_needed(&limits);
        let limits = Limits::default();
        assert_eq!([9, 8, 0].map(|found| needed(found, limits)), [7, 14, 67].map(Some));
        let half = Limits { held_out_percent: 50, ..limits };
        assert_eq!(needed(9, half), Some(3));
        assert_eq!(needed(9, Limits { held_out_percent: 0, ..limits }), None);
        assert_eq!(needed(9, Limits { held_out_per_language_max: 12, ..limits }), None);
        assert_eq!(Reason::Pinned.examples_needed(&limits), None);
    }

    #[test]
    fn the_kind_and_the_sentence_say_what_would_help() {
        let limits = Limits::default();
        let german = Language::parse("de").expect("a tag");
        let few = uncertain(9, 1);
        assert_eq!(few.kind(&limits), ReasonKind::TooFewExamples);
        let begin = "expected +0.4 points, chance of a loss 38 %, by 9 selection examples";
        assert_eq!(few.text(&german, &limits), format!("{begin}: about 7 more examples in de"));
        let closed = Limits { held_out_percent: 0, ..limits };
        let expected = format!("{begin}: none are held out, see held_out_percent");
        assert_eq!(few.text(&german, &closed), expected);
        let many = uncertain(9, 1_000);
        assert_eq!(many.kind(&limits), ReasonKind::Uncertain);
        assert_eq!(many.text(&german, &limits), begin);
        let sure = |loss_chance| Expected { change: -0.0001, loss_chance }.to_string();
        assert_eq!(sure(0.001), "expected 0.0 points, chance of a loss less than 1 %");
        assert_eq!(sure(0.999), "expected 0.0 points, chance of a loss more than 99 %");
    }
}
