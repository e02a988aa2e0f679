//! Why the gate decided as it did, as a kind that programs can match on.
//!
//! The sentence beside it, [`LanguageReport::reason`](super::LanguageReport::reason), is for people
//! and may change; the names here are stable. This module must never decide anything.

use serde::{Deserialize, Serialize};

/// The kind of a reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// Kept: the update had no candidate for the language.
    NoCandidate,
    /// Kept: an operator has pinned the language to its version.
    Pinned,
    /// Kept: too few selection examples; more examples help.
    TooFewExamples,
    /// Kept: the candidate scores less on the selection split.
    Worse,
    /// Kept: the candidate scores no less, but with so few examples a loss beyond the margin is
    /// possible.
    Uncertain,
    /// Activated: nothing served the language before.
    FirstVersion,
    /// Activated: the gate is off.
    GateOff,
    /// Activated: the strategy's first candidate is no worse by more than the margin.
    NoWorse,
    /// Activated: another candidate is clearly better than the active version and the first one.
    Better,
    /// Kept: every candidate has an example whose output is not finite.
    NotFinite,
    /// The kind is absent, or of a later version.
    #[default]
    #[serde(other)]
    Unstated,
}

impl ReasonKind {
    /// All kinds. New ones are appended, because C numbers them by position.
    pub const ALL: &'static [ReasonKind] = &[
        Self::Unstated,
        Self::NoCandidate,
        Self::Pinned,
        Self::TooFewExamples,
        Self::Worse,
        Self::Uncertain,
        Self::FirstVersion,
        Self::GateOff,
        Self::NoWorse,
        Self::Better,
        Self::NotFinite,
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unstated => "unstated",
            Self::NoCandidate => "no-candidate",
            Self::Pinned => "pinned",
            Self::TooFewExamples => "too-few-examples",
            Self::Worse => "worse",
            Self::Uncertain => "uncertain",
            Self::FirstVersion => "first-version",
            Self::GateOff => "gate-off",
            Self::NoWorse => "no-worse",
            Self::Better => "better",
            Self::NotFinite => "not-finite",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReasonKind;

    #[test]
    fn names_are_those_of_json_and_unknown_ones_are_read() {
        for kind in ReasonKind::ALL {
            let json = serde_json::to_value(kind).expect("JSON");
            assert_eq!(json, kind.name());
            assert_eq!(serde_json::from_value::<ReasonKind>(json).expect("a kind"), *kind);
        }
        let later: ReasonKind = serde_json::from_str("\"a-later-one\"").expect("a kind");
        assert_eq!(later, ReasonKind::Unstated);
    }
}
