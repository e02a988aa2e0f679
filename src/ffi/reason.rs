//! The reasons of the gate as numbers. A number must never be reused for another reason.

use crate::report::ReasonKind;

/// The report has only the sentence, or a kind of reason that this version does not know.
pub const POLYGRAFT_REASON_UNSTATED: u32 = 0;
/// Kept: the update had no candidate for the language.
pub const POLYGRAFT_REASON_NO_CANDIDATE: u32 = 1;
/// Kept: the language is pinned to its version.
pub const POLYGRAFT_REASON_PINNED: u32 = 2;
/// Kept: so few examples could hide a loss beyond the margin; `examples_needed` says how many more
/// would do.
pub const POLYGRAFT_REASON_TOO_FEW_EXAMPLES: u32 = 3;
/// Kept: the candidate is worse, with the gate's confidence.
pub const POLYGRAFT_REASON_WORSE: u32 = 4;
/// Kept: a loss beyond the margin is possible, and more examples than are remembered would be
/// needed to exclude it.
pub const POLYGRAFT_REASON_UNCERTAIN: u32 = 5;
/// Activated: no version served the language before.
pub const POLYGRAFT_REASON_FIRST_VERSION: u32 = 6;
/// Activated: the gate is off.
pub const POLYGRAFT_REASON_GATE_OFF: u32 = 7;
/// Activated: the candidate is not worse by more than the margin, with the gate's confidence.
pub const POLYGRAFT_REASON_NO_WORSE: u32 = 8;
/// Activated: the candidate is better, with the gate's confidence.
pub const POLYGRAFT_REASON_BETTER: u32 = 9;
/// Kept: no candidate gives finite numbers for every example.
pub const POLYGRAFT_REASON_NOT_FINITE: u32 = 10;
/// Kept: the candidate is no worse than the active version, but may be worse by more than the
/// margin than an earlier version: small losses must not add up.
pub const POLYGRAFT_REASON_BELOW_EARLIER: u32 = 11;

/// The number of a reason. Stated reasons count from 1 in the order of their declaration.
pub(super) fn number(kind: ReasonKind) -> u32 {
    match kind {
        ReasonKind::Unstated => POLYGRAFT_REASON_UNSTATED,
        stated => stated as u32 + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_for_the_reasons_that_their_names_say() {
        assert_eq!(number(ReasonKind::Unstated), POLYGRAFT_REASON_UNSTATED);
        assert_eq!(number(ReasonKind::NoCandidate), POLYGRAFT_REASON_NO_CANDIDATE);
        assert_eq!(number(ReasonKind::Pinned), POLYGRAFT_REASON_PINNED);
        assert_eq!(number(ReasonKind::TooFewExamples), POLYGRAFT_REASON_TOO_FEW_EXAMPLES);
        assert_eq!(number(ReasonKind::Worse), POLYGRAFT_REASON_WORSE);
        assert_eq!(number(ReasonKind::Uncertain), POLYGRAFT_REASON_UNCERTAIN);
        assert_eq!(number(ReasonKind::FirstVersion), POLYGRAFT_REASON_FIRST_VERSION);
        assert_eq!(number(ReasonKind::GateOff), POLYGRAFT_REASON_GATE_OFF);
        assert_eq!(number(ReasonKind::NoWorse), POLYGRAFT_REASON_NO_WORSE);
        assert_eq!(number(ReasonKind::Better), POLYGRAFT_REASON_BETTER);
        assert_eq!(number(ReasonKind::NotFinite), POLYGRAFT_REASON_NOT_FINITE);
        assert_eq!(number(ReasonKind::BelowEarlier), POLYGRAFT_REASON_BELOW_EARLIER);
    }
}
