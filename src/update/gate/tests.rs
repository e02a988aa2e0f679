//! The gate on simulated languages.

use super::posterior::tests::normals;
use super::*;
use crate::update::reason::Uncertainty;

/// The scores of examples with these log-odds of the target.
fn scores(log_odds: impl Iterator<Item = f64>) -> Vec<ExampleScore> {
    let score = |log_odds: f64| ExampleScore {
        score: f32::from(u8::from(log_odds > 0.0)),
        probability: Some((1.0 / (1.0 + (-log_odds).exp())) as f32),
    };
    log_odds.map(score).collect()
}

/// A language whose active version is right on about three quarters of `count` examples, and a
/// candidate that raises the log-odds by each of `gains`, give or take 0.8 an example.
fn language(seed: u64, count: usize, gains: &[f64]) -> Evidence {
    let mut random = fastrand::Rng::with_seed(seed);
    let drawn: Vec<[f64; 2]> = (0..count).map(|_| normals(&mut random)).collect();
    let candidate = |(index, gain): (usize, &f64)| CandidateEvidence {
        kind: CandidateKind::Combined,
        strength: 0.5f64.powi(index as i32),
        scores: scores(drawn.iter().map(|[base, noise]| 1.5 + 2.0 * base + gain + 0.8 * noise)),
    };
    Evidence {
        shared: false,
        updated: false,
        pinned: false,
        before: Some(scores(drawn.iter().map(|[base, _]| 1.5 + 2.0 * base))),
        candidates: gains.iter().enumerate().map(candidate).collect(),
    }
}

fn verdicts(languages: &[Evidence]) -> Vec<Verdict> {
    judge(&GateOptions::default(), languages)
}

fn alone(language: Evidence) -> Verdict {
    verdicts(&[language]).remove(0)
}

#[test]
fn gains_pass_and_losses_do_not() {
    assert_eq!(alone(language(1, 150, &[1.0])).decision, Decision::Activate);
    let loss = alone(language(1, 150, &[-1.0]));
    assert_eq!(loss.decision, Decision::Keep);
    assert!(matches!(loss.reason, Reason::Worse(_)), "{:?}", loss.reason);
}

#[test]
fn languages_judged_together_show_what_none_shows_alone() {
    let languages = || (0..16).map(|seed| language(seed, 40, &[0.3]));
    let estimate = |verdict: &Verdict| verdict.comparisons[0].estimate.expect("one");
    let width = |verdicts: &[Verdict]| {
        let widths = verdicts.iter().map(estimate).map(|one| one.upper_bound - one.lower_bound);
        widths.sum::<f64>() / verdicts.len() as f64
    };
    let alone: Vec<Verdict> = languages().map(alone).collect();
    let together = verdicts(&languages().collect::<Vec<_>>());
    let (wide, narrow) = (width(&alone), width(&together));
    assert!(narrow < 0.8 * wide, "{narrow} {wide}");
    let borrowed = estimate(&together[0]).examples_borrowed;
    assert!(borrowed > 20.0 && estimate(&alone[0]).examples_borrowed < borrowed, "{borrowed}");
}

#[test]
fn a_language_with_strong_evidence_of_its_own_is_refused_among_others_that_gain() {
    let mut languages: Vec<Evidence> = (0..12).map(|seed| language(seed, 100, &[0.4])).collect();
    languages.push(language(99, 200, &[-1.0]));
    let decided = verdicts(&languages);
    assert_eq!(decided[12].decision, Decision::Keep);
    assert!(decided[..12].iter().all(|one| one.decision == Decision::Activate));
}

/// A candidate that is certainly no worse by the margin, and expected to be worse, gains nothing.
#[test]
fn what_is_not_expected_to_gain_is_not_activated() {
    let decided = verdicts(&(0..16).map(|seed| language(seed, 300, &[-0.01])).collect::<Vec<_>>());
    let expected = |one: &Verdict| one.comparisons[0].estimate.expect("one").change;
    let is_activated = |one: &Verdict| one.decision == Decision::Activate;
    assert!(decided.iter().all(|one| !is_activated(one) || expected(one) > 0.0));
}

/// Few examples of a language with new data lean on what the others gain, but not the reverse.
#[test]
fn what_the_others_gain_is_expected_where_the_data_is_new_and_not_the_reverse() {
    let updated = || Evidence { updated: true, ..language(7, 6, &[0.0]) };
    let change = |verdict: &Verdict| verdict.comparisons[0].estimate.expect("one").change;
    let others = || (20..32).map(|seed| language(seed, 150, &[0.6]));
    let without = change(&verdicts(&others().collect::<Vec<_>>())[0]);
    let own = change(&alone(updated()));
    let together = verdicts(&others().chain([updated()]).collect::<Vec<_>>());
    assert!(change(&together[12]) > own + 0.003, "{} {own}", change(&together[12]));
    assert_eq!(change(&together[0]), without);
}

/// The others hardly change, all alike. That says nothing against a large gain where the data is
/// new, and the weaker candidate must not be taken for its sake.
#[test]
fn a_gain_where_the_data_is_new_stands_beside_others_that_hardly_change() {
    let others = (20..46).map(|seed| language(seed, 100, &[0.02, 0.01]));
    let updated = (0..4).map(|seed| Evidence { updated: true, ..language(seed, 45, &[0.7, 0.2]) });
    let decided = verdicts(&updated.chain(others).collect::<Vec<_>>());
    for verdict in &decided[..4] {
        assert_eq!((verdict.chosen, verdict.decision), (Some(0), Decision::Activate));
    }
}

/// A candidate that only doubles its certainty raises the mean probability, and gains nothing.
#[test]
fn more_certain_is_not_better() {
    let languages: Vec<Evidence> = (0..8)
        .map(|seed| {
            let mut one = language(seed, 100, &[0.0]);
            let mut random = fastrand::Rng::with_seed(seed);
            let drawn = std::iter::repeat_with(|| normals(&mut random)[0]).take(100);
            one.candidates[0].scores = scores(drawn.map(|base| 2.0 * (1.5 + 2.0 * base)));
            one
        })
        .collect();
    for verdict in verdicts(&languages) {
        let change = verdict.comparisons[0].estimate.expect("one").change;
        assert!(change.abs() < 0.002, "{change}");
    }
}

#[test]
fn of_safe_candidates_the_one_with_the_largest_change_is_chosen() {
    let languages: Vec<Evidence> =
        (0..8).map(|seed| language(seed, 100, &[-0.5, 0.5, 0.4])).collect();
    for verdict in verdicts(&languages) {
        assert_eq!((verdict.chosen, verdict.decision), (Some(1), Decision::Activate));
    }
}

/// Of two harmful candidates the weaker one is chosen, and kept out all the same.
#[test]
fn without_a_safe_candidate_the_one_with_the_smallest_chance_of_a_loss_is_chosen() {
    let languages: Vec<Evidence> = (0..8).map(|seed| language(seed, 100, &[-0.6, -0.2])).collect();
    for verdict in verdicts(&languages) {
        assert_eq!((verdict.chosen, verdict.decision), (Some(1), Decision::Keep));
    }
}

/// There is no number of examples at which the gate begins to decide.
#[test]
fn less_evidence_means_more_caution_gradually() {
    let bound = |count| {
        let estimates = (0..40)
            .map(|seed| alone(language(seed, count, &[0.6])).comparisons[0].estimate.expect("one"));
        estimates.map(|one| one.lower_bound).sum::<f64>() / 40.0
    };
    let bounds = [0, 3, 10, 30, 100, 300].map(bound);
    assert!(bounds.is_sorted() && bounds[0] < -0.03 && bounds[5] > 0.0, "{bounds:?}");
    for pair in bounds.windows(2) {
        assert!(pair[1] - pair[0] < 0.04, "{bounds:?}");
    }
}

#[test]
fn what_is_missing_is_stated() {
    let verdict = alone(language(3, 12, &[0.1]));
    let Reason::Uncertain(_, Uncertainty { found, missing, .. }) = verdict.reason else {
        panic!("{:?}", verdict.reason)
    };
    assert_eq!(found, 12);
    assert!((3..300).contains(&missing), "{missing}");
}

#[test]
fn scores_without_probabilities_are_compared_as_they_are() {
    let graded = |score: f32| vec![ExampleScore { score, probability: None }; 60];
    let decide = |score: f32| {
        let mut one = language(0, 60, &[0.0]);
        one.before = Some(graded(0.5));
        one.candidates[0].scores = graded(score);
        alone(one).decision
    };
    assert_eq!(decide(0.6), Decision::Activate);
    assert_eq!(decide(0.4), Decision::Keep);
}

/// A candidate that is not finite is never activated, whatever else is known.
#[test]
fn a_candidate_that_is_not_finite_is_none() {
    let off = GateOptions { enabled: false, ..GateOptions::default() };
    for options in [GateOptions::default(), off] {
        for served in [true, false] {
            let with = |bad: &[usize]| {
                let mut one = language(5, 60, &[1.0, 1.0]);
                one.before = one.before.filter(|_| served);
                for &index in bad {
                    one.candidates[index].scores[7] = ExampleScore::NOT_FINITE;
                }
                judge(&options, &[one]).remove(0)
            };
            let verdict = with(&[0, 1]);
            assert_eq!(verdict.decision, Decision::Keep);
            assert_eq!(verdict.reason, Reason::NotFinite);
            assert!(verdict.comparisons.iter().all(|one| *one == Comparison::default()));
            // The next candidate takes its place.
            let verdict = with(&[0]);
            assert_eq!((verdict.chosen, verdict.decision), (Some(1), Decision::Activate));
        }
    }
}

#[test]
fn what_is_not_measured_is_decided_by_what_it_is() {
    let one = |change: fn(&mut Evidence)| {
        let mut one = language(0, 30, &[1.0]);
        change(&mut one);
        alone(one).reason
    };
    assert_eq!(one(|one| one.before = None), Reason::FirstVersion);
    assert_eq!(one(|one| one.pinned = true), Reason::Pinned);
    assert_eq!(one(|one| one.candidates.clear()), Reason::NoCandidate);
    let off = GateOptions { enabled: false, ..GateOptions::default() };
    let harmful = judge(&off, &[language(0, 30, &[-3.0])]).remove(0);
    assert_eq!((harmful.decision, harmful.reason), (Decision::Activate, Reason::GateOff));
    assert_eq!(verdicts(&[]), []);
}

/// A language with a candidate, and an earlier version, that raise the log-odds so much.
fn drifted(seed: u64, count: usize, gain: f64, lead: f64) -> Evidence {
    let mut drifted = language(seed, count, &[gain, lead]);
    drifted.candidates[1].kind = CandidateKind::Earlier;
    drifted.candidates[1].strength = 1.0;
    drifted
}

#[test]
fn what_is_activated_passes_beside_an_earlier_version_too() {
    let margin = GateOptions::default().margin;
    for verdict in (0..100).map(|seed| alone(drifted(seed, 40, 0.6, 0.8))) {
        if verdict.decision == Decision::Activate {
            let chosen = verdict.comparisons[verdict.chosen.expect("a candidate")];
            let bounds = [chosen.estimate, chosen.beside_earlier].into_iter().flatten();
            assert!(chosen.estimate.is_some_and(|one| one.change > 0.0));
            assert!(bounds.map(|one| one.lower_bound).all(|bound| bound >= -margin));
        }
    }
}

/// The candidates hardly differ from the active versions. Beside some of the earlier versions that
/// is not enough, although nothing shows that these are better.
#[test]
fn small_losses_do_not_add_up() {
    let verdict = |seed| {
        let mut drifted = drifted(seed, 100, 0.0, 0.0);
        let odds = |one: &ExampleScore| f64::from(one.probability.expect("one"));
        let before = drifted.before.iter().flatten().map(odds);
        drifted.candidates[0].scores = scores(before.map(|one| (one / (1.0 - one)).ln() + 0.01));
        alone(drifted)
    };
    let reasons: Vec<Reason> = (0..40).map(|seed| verdict(seed).reason).collect();
    let below = reasons.iter().filter(|one| matches!(one, Reason::BelowEarlier(_))).count();
    assert!((1..20).contains(&below), "{reasons:?}");
}

#[test]
fn the_gate_returns_to_an_earlier_version_that_is_better() {
    let verdict = alone(drifted(3, 150, 0.0, 1.0));
    assert_eq!((verdict.chosen, verdict.decision), (Some(1), Decision::Activate));
    assert!(matches!(verdict.reason, Reason::Better(_)), "{:?}", verdict.reason);
    let without = alone(language(3, 150, &[0.0]));
    assert!(without.comparisons[0].beside_earlier.is_none());
}

#[test]
fn an_earlier_version_that_is_not_finite_is_no_measure() {
    let mut broken = drifted(3, 150, 0.0, 1.0);
    broken.candidates[1].scores[0] = ExampleScore::NOT_FINITE;
    let verdict = alone(broken);
    assert!(verdict.comparisons[0].beside_earlier.is_none());
}
