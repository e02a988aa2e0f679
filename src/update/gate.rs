//! The gate: a language that would get worse keeps the version it had.
//!
//! Both versions answer the same held-out examples, so only the examples on which they differ tell
//! anything. With `gained` and `lost` of them among `n`, the change in accuracy is
//! `(gained - lost) / n` with standard error `sqrt(gained + lost - (gained - lost)^2 / n) / n`
//! (paired proportions, Wald). The candidate passes when the lower one-sided confidence bound of
//! the change is at least `-margin`: a test of non-inferiority. The gate decides; it must never
//! measure.

use super::options::GateOptions;
use crate::report::Decision;

/// What is known about one language when the gate is asked.
pub struct Evidence<'a> {
    /// For each held-out example whether the active version is right; `None` when nothing serves
    /// the language yet.
    pub before: Option<&'a [bool]>,
    /// The same for the candidate.
    pub after: &'a [bool],
    /// The language is pinned to its version.
    pub pinned: bool,
}

/// The gate's answer for one language.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Whether the candidate is activated.
    pub decision: Decision,
    /// Why, in one short sentence.
    pub reason: String,
    /// Examples that only the candidate gets right.
    pub gained: usize,
    /// Examples that only the active version gets right.
    pub lost: usize,
    /// Lower confidence bound of the change in accuracy.
    pub lower_bound: Option<f64>,
}

/// Decides for one language.
pub fn judge(options: &GateOptions, evidence: &Evidence<'_>) -> Verdict {
    let count = |better: &[bool], worse: &[bool]| {
        better.iter().zip(worse).filter(|(better, worse)| **better && !**worse).count()
    };
    let held_out = evidence.after.len();
    let (gained, lost) = match evidence.before {
        Some(before) => (count(evidence.after, before), count(before, evidence.after)),
        None => (0, 0),
    };
    let comparable = evidence.before.is_some() && held_out > 0;
    let lower_bound = comparable.then(|| lower_bound(gained, lost, held_out, options.confidence));
    let (decision, reason) = decide(options, evidence, lower_bound);
    Verdict { decision, reason, gained, lost, lower_bound }
}

fn decide(
    options: &GateOptions,
    evidence: &Evidence<'_>,
    lower_bound: Option<f64>,
) -> (Decision, String) {
    let held_out = evidence.after.len();
    if evidence.pinned {
        return (Decision::Keep, "pinned to its version".to_owned());
    }
    if evidence.before.is_none() {
        return (Decision::Activate, "first version".to_owned());
    }
    if !options.enabled {
        return (Decision::Activate, "the gate is off".to_owned());
    }
    if held_out < options.held_out_min {
        let least = options.held_out_min;
        return (Decision::Keep, format!("{held_out} held-out examples, at least {least} needed"));
    }
    // The rule's own tolerance, far below one example's worth of accuracy.
    const ROUNDING: f64 = 1e-12;
    match lower_bound {
        Some(bound) if bound + ROUNDING >= -options.margin => {
            (Decision::Activate, format!("change is at least {:+.1} points", bound * 100.0))
        }
        Some(bound) => {
            (Decision::Keep, format!("change may be as low as {:+.1} points", bound * 100.0))
        }
        None => (Decision::Keep, "nothing to compare".to_owned()),
    }
}

/// The rule in words, for reports.
pub fn describe(options: &GateOptions) -> String {
    if !options.enabled {
        return "off: the candidate is activated everywhere".to_owned();
    }
    format!(
        "non-inferiority: the {:.0} % lower bound of the paired change in accuracy is at least \
         {:+.1} points, on {} held-out examples or more",
        options.confidence * 100.0,
        -options.margin * 100.0,
        options.held_out_min
    )
}

/// Lower one-sided bound of the change in accuracy from paired outcomes.
pub fn lower_bound(gained: usize, lost: usize, held_out: usize, confidence: f64) -> f64 {
    let (gained, lost, count) = (gained as f64, lost as f64, held_out as f64);
    let difference = gained - lost;
    let variance = (gained + lost - difference * difference / count).max(0.0);
    (difference - normal_quantile(confidence) * variance.sqrt()) / count
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

    fn outcome(right: usize, wrong: usize) -> Vec<bool> {
        let mut outcome = vec![true; right];
        outcome.extend(vec![false; wrong]);
        outcome
    }

    fn decision(before: Option<&[bool]>, after: &[bool]) -> Decision {
        let evidence = Evidence { before, after, pinned: false };
        judge(&GateOptions::default(), &evidence).decision
    }

    #[test]
    fn quantiles_match_the_tables() {
        for (probability, expected) in [(0.5, 0.0), (0.8, 0.841_621), (0.95, 1.644_854)] {
            let found = normal_quantile(probability);
            assert!((found - expected).abs() < 5e-4, "{probability}: {found}");
        }
    }

    #[test]
    fn equal_answers_pass_and_clear_losses_do_not() {
        let before = outcome(80, 20);
        assert_eq!(decision(Some(&before), &before), Decision::Activate);
        assert_eq!(decision(Some(&before), &outcome(90, 10)), Decision::Activate);
        assert_eq!(decision(Some(&before), &outcome(70, 30)), Decision::Keep);
    }

    #[test]
    fn too_few_examples_keep_and_a_first_version_passes() {
        let nine = outcome(9, 0);
        assert_eq!(decision(Some(&nine), &nine), Decision::Keep);
        assert_eq!(decision(None, &outcome(1, 9)), Decision::Activate);
        let pinned = Evidence { before: None, after: &nine, pinned: true };
        assert_eq!(judge(&GateOptions::default(), &pinned).decision, Decision::Keep);
    }

    proptest! {
        #[test]
        fn one_more_loss_never_helps(gained in 0usize..40, lost in 0usize..40, same in 1usize..60) {
            let held_out = gained + lost + same;
            let bound = lower_bound(gained, lost, held_out, 0.8);
            let worse = lower_bound(gained, lost + 1, held_out, 0.8);
            prop_assert!(worse < bound);
            prop_assert!((-1.5..=1.0).contains(&bound));
        }
    }
}
