//! The gate: a language that would get worse keeps its version.
//!
//! All versions are measured on the same selection examples, so only the examples on which two of
//! them differ count. The gate asks two questions in turn.
//!
//! 1. Is the strategy's first candidate no worse than the active version? It is when its change in
//!    mean score is not negative and the lower one-sided confidence bound of the change is at least
//!    `-margin` (a test of non-inferiority). Else the active version is the one to beat.
//! 2. Is another candidate better than that? Only when the lower bound of its change against the
//!    one to beat is above 0, with the chance of an error squared (0.8 becomes 0.96), because the
//!    best of several candidates may be best by chance.
//!
//! A candidate with an output that is not finite is never activated, not even with the gate off;
//! the next one takes its place.
//!
//! For outcomes that are right or wrong, the bound is Tango's (Statistics in Medicine 17, 1998),
//! which inverts the score test for paired proportions. It is valid for ten examples, where Wald's
//! bound is 0 if no example differs, and agrees with Wald's for thousands. For scores in between,
//! it is that of the mean of paired changes ([`mean_bound`]). The gate must never measure, and
//! never see an example of the report split.

use super::options::GateOptions;
use super::reason::Reason;
use crate::report::Decision;

/// What the gate knows about one language.
pub struct Evidence<'a> {
    /// The score of the active version on each selection example, 0 for wrong to 1 for right;
    /// `None` when nothing serves the language yet.
    pub before: Option<&'a [f32]>,
    /// The same for every candidate, the strategy's first choice first; NaN for an output that is
    /// not finite.
    pub candidates: &'a [Vec<f32>],
    /// Whether the language is pinned to its version.
    pub pinned: bool,
}

/// The comparison of a candidate with the active version.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Comparison {
    /// How many examples the candidate scores higher on.
    pub gained: usize,
    /// How many examples the active version scores higher on.
    pub lost: usize,
    /// The change of the mean score.
    pub change: f64,
    /// The lower confidence bound of that change; absent when there is nothing to compare.
    pub lower_bound: Option<f64>,
}

/// The gate's decision for one language.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// One comparison per candidate.
    pub comparisons: Vec<Comparison>,
    /// The best candidate; absent when there are none.
    pub chosen: Option<usize>,
    /// Whether it is activated.
    pub decision: Decision,
    /// The reason.
    pub reason: Reason,
}

/// Decides for one language.
pub fn judge(options: &GateOptions, evidence: &Evidence<'_>) -> Verdict {
    let compare = |after: &Vec<f32>| compare(evidence.before, after, options.confidence);
    let comparisons: Vec<Comparison> = evidence.candidates.iter().map(compare).collect();
    let (chosen, decision, reason) = decide(options, evidence, &comparisons);
    Verdict { comparisons, chosen, decision, reason }
}

fn compare(before: Option<&[f32]>, after: &[f32], confidence: f64) -> Comparison {
    let Some(before) = before.filter(|before| !before.is_empty()) else {
        return Comparison::default();
    };
    if !is_finite(after) {
        return Comparison::default();
    }
    let count = |better: &[f32], worse: &[f32]| {
        better.iter().zip(worse).filter(|(better, worse)| better > worse).count()
    };
    let (gained, lost) = (count(after, before), count(before, after));
    let is_whole = |scores: &[f32]| scores.iter().all(|score| *score == 0.0 || *score == 1.0);
    let (change, bound) = if is_whole(before) && is_whole(after) {
        let change = (gained as f64 - lost as f64) / before.len() as f64;
        (change, lower_bound(gained, lost, before.len(), confidence))
    } else {
        let changes = after.iter().zip(before).map(|(a, b)| f64::from(*a) - f64::from(*b));
        mean_bound(&changes.collect::<Vec<_>>(), confidence)
    };
    Comparison { gained, lost, change, lower_bound: Some(bound) }
}

/// Whether all scores of a candidate are finite.
pub(super) fn is_finite(scores: &[f32]) -> bool {
    scores.iter().all(|score| score.is_finite())
}

fn decide(
    options: &GateOptions,
    evidence: &Evidence<'_>,
    comparisons: &[Comparison],
) -> (Option<usize>, Decision, Reason) {
    let keep = |chosen, reason| (chosen, Decision::Keep, reason);
    if comparisons.is_empty() {
        return keep(None, Reason::NoCandidate);
    }
    if evidence.pinned {
        return keep(Some(0), Reason::Pinned);
    }
    let finite = evidence.candidates.iter().position(|scores| is_finite(scores));
    let Some(first) = finite else { return keep(Some(0), Reason::NotFinite) };
    let Some(before) = evidence.before else {
        return (Some(first), Decision::Activate, Reason::FirstVersion);
    };
    if !options.enabled {
        return (Some(first), Decision::Activate, Reason::GateOff);
    }
    let (found, least) = (before.len(), options.held_out_min);
    if found < least {
        return keep(Some(first), Reason::TooFewExamples { found, least });
    }
    let compared = &comparisons[first];
    let no_worse = compared.change >= 0.0 && compared.lower_bound >= Some(-options.margin);
    let to_beat = if no_worse { &evidence.candidates[first] } else { before };
    if let Some(index) = challenger(options, evidence.candidates, first, to_beat) {
        return (Some(index), Decision::Activate, Reason::Better);
    }
    let bound = compared.lower_bound.unwrap_or(0.0);
    if no_worse {
        return (Some(first), Decision::Activate, Reason::NoWorse(bound));
    }
    let reason = if compared.change < 0.0 { Reason::Worse } else { Reason::Uncertain };
    keep(Some(first), reason(bound))
}

/// The candidate after the `first` one that is better than `to_beat` with confidence, and by the
/// most.
fn challenger(
    options: &GateOptions,
    candidates: &[Vec<f32>],
    first: usize,
    to_beat: &[f32],
) -> Option<usize> {
    let confidence = 1.0 - (1.0 - options.confidence).powi(2);
    let bound = |candidate: &Vec<f32>| {
        compare(Some(to_beat), candidate, confidence).lower_bound.unwrap_or(-1.0)
    };
    let bounds = candidates.iter().map(bound).enumerate().skip(first + 1);
    // Of equals, the first one is taken: a strategy lists its better guesses first.
    let best = bounds.rev().max_by(|(_, a), (_, b)| a.total_cmp(b));
    best.filter(|(_, bound)| *bound > 0.0).map(|(index, _)| index)
}

/// The rule in words, for reports.
pub fn describe(options: &GateOptions) -> String {
    if !options.enabled {
        return "off: the strategy's first candidate is activated everywhere".to_owned();
    }
    format!(
        "the strategy's first candidate, if the {:.0} % lower bound of its paired change in \
         score is at least {} points, on {} selection examples or more; another one only if \
         it is clearly better",
        options.confidence * 100.0,
        crate::report::points(Some(-options.margin)),
        options.held_out_min
    )
}

/// The lower one-sided bound of the change in accuracy from paired outcomes: the change at which
/// Tango's score statistic equals the quantile of `confidence`.
pub fn lower_bound(gained: usize, lost: usize, count: usize, confidence: f64) -> f64 {
    let (gained, lost, count) = (gained as f64, lost as f64, count as f64);
    let quantile = normal_quantile(confidence);
    let (mut low, mut high) = (-1.0, (gained - lost) / count);
    // The statistic falls as the assumed change rises. Sixty halvings of an interval of length 2
    // leave less than the spacing of doubles.
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if score(gained, lost, count, middle) > quantile {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The mean of paired changes of scores, and its lower one-sided bound.
///
/// It is the normal bound with one more squared change of full size in the variance, because a few
/// examples that happen not to differ prove little, about as little as by [`lower_bound`].
pub fn mean_bound(changes: &[f64], confidence: f64) -> (f64, f64) {
    let count = changes.len().max(1) as f64;
    let mean = changes.iter().sum::<f64>() / count;
    let squares: f64 = changes.iter().map(|change| (change - mean).powi(2)).sum();
    (mean, mean - normal_quantile(confidence) * (squares + 1.0).sqrt() / count)
}

/// How many standard errors the observed change is above `change`, if that were the true change.
///
/// The variance uses the maximum-likelihood estimate of the share of lost examples under that
/// constraint, the root of a quadratic (Tango 1998, formulas 7 and 8).
fn score(gained: f64, lost: f64, count: f64, change: f64) -> f64 {
    let a = 2.0 * count;
    let b = -gained - lost + (2.0 * count - gained + lost) * change;
    let c = -lost * change * (1.0 - change);
    let share = ((b * b - 4.0 * a * c).max(0.0).sqrt() - b) / (2.0 * a);
    let variance = count * (2.0 * share + change * (1.0 - change));
    (gained - lost - count * change) / variance.max(f64::MIN_POSITIVE).sqrt()
}

/// The quantile of the standard normal distribution, 0.5 <= `probability` < 1, to 5e-4
/// (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.23).
fn normal_quantile(probability: f64) -> f64 {
    let t = (-2.0 * (1.0 - probability).ln()).sqrt();
    let numerator = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let denominator = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (t - numerator / denominator).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outcome(right: usize, wrong: usize) -> Vec<f32> {
        let mut outcome = vec![1.0; right];
        outcome.extend(vec![0.0; wrong]);
        outcome
    }

    fn verdict(before: Option<&[f32]>, candidates: &[Vec<f32>]) -> Verdict {
        let evidence = Evidence { before, candidates, pinned: false };
        judge(&GateOptions::default(), &evidence)
    }

    /// A candidate that is not finite is never activated, whatever else is known.
    #[test]
    fn a_candidate_that_is_not_finite_is_none() {
        let mut bad = outcome(40, 0);
        bad[7] = f32::NAN;
        let (right, wrong) = (outcome(40, 0), outcome(0, 40));
        let off = GateOptions { enabled: false, ..GateOptions::default() };
        for options in [GateOptions::default(), off] {
            for before in [None, Some(&right), Some(&wrong)] {
                let before = before.map(Vec::as_slice);
                let candidates = [bad.clone(), bad.clone()];
                let evidence = Evidence { before, candidates: &candidates, pinned: false };
                let verdict = judge(&options, &evidence);
                assert_eq!(verdict.decision, Decision::Keep);
                assert_eq!(verdict.reason, Reason::NotFinite);
                assert!(verdict.comparisons.iter().all(|one| *one == Comparison::default()));
                // The next candidate takes its place.
                let candidates = [bad.clone(), right.clone(), bad.clone()];
                let evidence = Evidence { before, candidates: &candidates, pinned: false };
                let verdict = judge(&options, &evidence);
                assert_eq!((verdict.chosen, verdict.decision), (Some(1), Decision::Activate));
            }
        }
    }

    #[test]
    fn quantiles_match_the_tables() {
        for (probability, expected) in [(0.5, 0.0), (0.8, 0.841_621), (0.95, 1.644_854)] {
            let found = normal_quantile(probability);
            assert!((found - expected).abs() < 5e-4, "{probability}: {found}");
        }
    }

    /// If no example differs, the score equation has a closed form: `bound = -z^2 / (n + z^2)`.
    #[test]
    fn agreement_alone_proves_little_on_few_examples() {
        for count in [10usize, 100, 10_000] {
            let z = normal_quantile(0.8);
            let expected = -z * z / (count as f64 + z * z);
            let found = lower_bound(0, 0, count, 0.8);
            assert!((found - expected).abs() < 1e-9, "{count}: {found} {expected}");
        }
    }

    /// The example of Tango's paper: 44 pairs, of which 0 and 1 differ, 95 % two-sided.
    #[test]
    fn the_bound_solves_the_score_equation_and_nears_that_of_wald() {
        for (gained, lost, count) in [(1, 0, 44), (9, 4, 40), (0, 7, 25), (600, 500, 10_000)] {
            let bound = lower_bound(gained, lost, count, 0.975);
            let score = score(gained as f64, lost as f64, count as f64, bound);
            assert!((score - normal_quantile(0.975)).abs() < 1e-6, "{bound} {score}");
        }
        let difference = 100.0 / 10_000.0;
        let error = (1_100.0f64 - 100.0 * 100.0 / 10_000.0).sqrt() / 10_000.0;
        let wald = difference - 1.959_96 * error;
        assert!((lower_bound(600, 500, 10_000, 0.975) - wald).abs() < 1e-4);
    }

    #[test]
    fn gains_pass_and_clear_losses_do_not() {
        let before = outcome(80, 20);
        let decide = |after| verdict(Some(&before), &[after]).decision;
        assert_eq!(decide(outcome(90, 10)), Decision::Activate);
        assert_eq!(decide(outcome(70, 30)), Decision::Keep);
    }

    #[test]
    fn what_changes_no_answer_passes() {
        let before = outcome(80, 20);
        let same = std::slice::from_ref(&before);
        assert_eq!(verdict(Some(&before), same).decision, Decision::Activate);
    }

    #[test]
    fn another_candidate_must_be_clearly_better_than_the_first() {
        let before = outcome(80, 20);
        let chosen = |others: &[Vec<f32>]| {
            let verdict = verdict(Some(&before), others);
            (verdict.chosen, verdict.decision)
        };
        let first = outcome(82, 18);
        assert_eq!(chosen(&[first.clone(), outcome(84, 16)]), (Some(0), Decision::Activate));
        assert_eq!(chosen(&[first.clone(), outcome(95, 5)]), (Some(1), Decision::Activate));
        let several = [first, outcome(90, 10), outcome(95, 5), outcome(95, 5)];
        assert_eq!(chosen(&several), (Some(2), Decision::Activate));
        // A harmful first candidate leaves the active version as the one to beat.
        let harmful = outcome(60, 40);
        assert_eq!(chosen(&[harmful.clone(), outcome(82, 18)]), (Some(0), Decision::Keep));
        assert_eq!(chosen(&[harmful, outcome(95, 5)]), (Some(1), Decision::Activate));
    }

    #[test]
    fn too_few_examples_keep_and_a_first_version_passes() {
        let nine = [outcome(9, 0)];
        assert_eq!(verdict(Some(&outcome(0, 9)), &nine).decision, Decision::Keep);
        assert_eq!(verdict(None, &nine).decision, Decision::Activate);
        assert_eq!(verdict(Some(&nine[0]), &[]).chosen, None);
        let pinned = Evidence { before: None, candidates: &nine, pinned: true };
        assert_eq!(judge(&GateOptions::default(), &pinned).decision, Decision::Keep);
    }

    #[test]
    fn half_right_answers_are_judged_by_their_mean() {
        let before = vec![0.5; 60];
        let decide = |score: f32| verdict(Some(&before), &[vec![score; 60]]).decision;
        assert_eq!(decide(0.6), Decision::Activate);
        assert_eq!(decide(0.5), Decision::Activate);
        assert_eq!(decide(0.49), Decision::Keep);
    }

    proptest! {
        /// Both bounds estimate the same quantity, so they nearly agree for right and wrong
        /// answers.
        #[test]
        fn the_two_bounds_agree(gained in 0usize..30, lost in 0usize..30, same in 60usize..200) {
            let mut changes = vec![1.0; gained];
            changes.extend(vec![-1.0; lost]);
            changes.extend(vec![0.0; same]);
            let (mean, bound) = mean_bound(&changes, 0.8);
            let exact = lower_bound(gained, lost, changes.len(), 0.8);
            prop_assert!((bound - exact).abs() < 0.01, "{bound} {exact}");
            prop_assert!(bound < mean);
        }

        #[test]
        fn one_more_loss_never_helps(gained in 0usize..40, lost in 0usize..40, same in 1usize..60) {
            let count = gained + lost + same;
            let bound = lower_bound(gained, lost, count, 0.8);
            let worse = lower_bound(gained, lost + 1, count, 0.8);
            prop_assert!(worse < bound);
            prop_assert!((-1.0..=1.0).contains(&bound));
            prop_assert!(bound <= (gained as f64 - lost as f64) / count as f64);
        }
    }
}
