//! Why the gate decided as it did, as a kind that programs can match on.
//!
//! The sentence beside it, [`LanguageReport::reason`](super::LanguageReport::reason), is for people
//! and may change; the names here are stable. This module must never decide anything.

use serde::{Deserialize, Serialize};

named! {
    /// The kind of a reason. New kinds come just before the last one: C numbers them by position.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum ReasonKind {
        /// Kept: the update had no candidate for the language.
        NoCandidate = "no-candidate",
        /// Kept: an operator has pinned the language to its version.
        Pinned = "pinned",
        /// Kept: too few selection examples; more examples help.
        TooFewExamples = "too-few-examples",
        /// Kept: the candidate scores less on the selection split.
        Worse = "worse",
        /// Kept: the candidate scores no less, but with so few examples a loss beyond the margin is
        /// possible.
        Uncertain = "uncertain",
        /// Activated: nothing served the language before.
        FirstVersion = "first-version",
        /// Activated: the gate is off.
        GateOff = "gate-off",
        /// Activated: the strategy's first candidate is no worse by more than the margin.
        NoWorse = "no-worse",
        /// Activated: another candidate clearly beats the active version and the first one.
        Better = "better",
        /// Kept: every candidate has an example whose output is not finite.
        NotFinite = "not-finite",
        /// The kind is absent, or of a later version.
        #[default]
        #[serde(other)]
        Unstated = "unstated",
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
