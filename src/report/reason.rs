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
        /// Kept: so few selection examples could hide a loss beyond the margin; more help.
        TooFewExamples = "too-few-examples",
        /// Kept: the candidate is worse, with the gate's confidence.
        Worse = "worse",
        /// Kept: a loss beyond the margin is possible, and more examples than are remembered would
        /// be needed to exclude it.
        Uncertain = "uncertain",
        /// Activated: nothing served the language before.
        FirstVersion = "first-version",
        /// Activated: the gate is off.
        GateOff = "gate-off",
        /// Activated: the candidate is no worse by more than the margin.
        NoWorse = "no-worse",
        /// Activated: the candidate is better.
        Better = "better",
        /// Kept: every candidate has an example whose output is not finite.
        NotFinite = "not-finite",
        /// Kept: the candidate is no worse than the active version, but may be worse by more than
        /// the margin than an earlier one: small losses must not add up.
        BelowEarlier = "below-earlier",
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
