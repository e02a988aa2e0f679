//! What the measurements of several languages say together about each of them.
//!
//! A language is measured on few examples, so its mean change has a large error. The changes of
//! several languages by the same kind of candidate are similar, though: they are taken as draws
//! from one normal distribution, whose mean and standard deviation are unknown too (the
//! random-effects model of meta-analysis, DerSimonian and Laird, Controlled Clinical Trials 7,
//! 1986). Given the standard deviation, everything is normal and has a closed form (Gelman et al.,
//! Bayesian Data Analysis, 3rd edition, section 5.4); the standard deviation is integrated out on a
//! grid, because its best estimate would claim too much when there are few languages.
//!
//! A language with many examples keeps its own mean, and one with few takes that of the others.
//! Without any examples the prior is left: no change, within a few points. This module must never
//! know what is measured or decide anything.

/// A mean change that was measured, and the variance of its error, more than 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// The mean.
    pub mean: f64,
    /// The variance of the mean; infinite when nothing was measured.
    pub variance: f64,
}

/// What is assumed before anything is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// What the common mean is expected to be.
    pub mean: f64,
    /// The standard deviation of the common mean around that.
    pub mean_deviation: f64,
    /// The scale of the half-normal distribution of the standard deviation between languages.
    pub spread_scale: f64,
}

/// The change of one language, given all measurements: a mixture of normal distributions.
#[derive(Clone, Debug, PartialEq)]
pub struct Posterior {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    weight: f64,
    mean: f64,
    deviation: f64,
}

/// The number of standard deviations between languages that are integrated over.
const GRID: usize = 48;
/// The grid reaches from this part of the prior's scale to `GRID_MAX` times it.
const GRID_MIN: f64 = 0.01;
const GRID_MAX: f64 = 8.0;

/// The posteriors of languages that were measured alike, in their order.
pub fn posteriors(measured: &[Measurement], prior: Prior) -> Vec<Posterior> {
    let given = given(measured, prior);
    measured.iter().map(|one| Posterior::new(&given, one)).collect()
}

/// The posterior of one more language, of which nothing was measured.
pub fn unmeasured(measured: &[Measurement], prior: Prior) -> Posterior {
    let given = given(measured, prior);
    Posterior::new(&given, &Measurement { mean: 0.0, variance: f64::INFINITY })
}

/// The common mean for each standard deviation between languages of the grid, and the weights of
/// these, which add up to 1.
fn given(measured: &[Measurement], prior: Prior) -> Vec<(Given, f64)> {
    let step = (GRID_MAX / GRID_MIN).ln() / (GRID - 1) as f64;
    let spreads = (0..GRID).map(|index| GRID_MIN * (step * index as f64).exp());
    let given: Vec<Given> = spreads
        .map(|part| {
            let mut given = Given::new(measured, part * prior.spread_scale, prior);
            // The density of the prior, times the width of a step of the logarithmic grid.
            given.log_weight += part.ln() - 0.5 * part * part;
            given
        })
        .collect();
    let highest = given.iter().map(|one| one.log_weight).fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = given.iter().map(|one| (one.log_weight - highest).exp()).collect();
    let total: f64 = weights.iter().sum();
    given.into_iter().zip(weights).map(|(one, weight)| (one, weight / total)).collect()
}

/// The common mean, given one standard deviation between languages.
struct Given {
    spread: f64,
    mean: f64,
    variance: f64,
    /// The logarithm of the likelihood of this standard deviation.
    log_weight: f64,
}

impl Given {
    fn new(measured: &[Measurement], spread: f64, prior: Prior) -> Self {
        let mut precision = prior.mean_deviation.powi(-2);
        let (mut sum, mut log_weight) = (precision * prior.mean, 0.0);
        for one in measured.iter().filter(|one| one.variance.is_finite()) {
            let own = 1.0 / (one.variance + spread * spread);
            precision += own;
            sum += own * one.mean;
            log_weight += 0.5 * own.ln() - 0.5 * own * one.mean * one.mean;
        }
        let mean = sum / precision;
        log_weight += 0.5 * sum * mean - 0.5 * precision.ln();
        Self { spread, mean, variance: 1.0 / precision, log_weight }
    }

    fn part(&self, one: &Measurement, weight: f64) -> Part {
        let between = self.spread * self.spread;
        // The shrinkage: the part of the difference to the common mean that is taken for an error.
        let shrunk = match one.variance.is_finite() {
            true => one.variance / (one.variance + between),
            false => 1.0,
        };
        let own = if shrunk < 1.0 { (1.0 - shrunk) * one.mean } else { 0.0 };
        // `between * shrunk` is the variance of the language's own part, also if it is unmeasured.
        let variance = between * shrunk + shrunk * shrunk * self.variance;
        Part { weight, mean: own + shrunk * self.mean, deviation: variance.sqrt() }
    }
}

impl Posterior {
    fn new(given: &[(Given, f64)], one: &Measurement) -> Self {
        Self { parts: given.iter().map(|(given, weight)| given.part(one, *weight)).collect() }
    }

    /// The expected change.
    pub fn mean(&self) -> f64 {
        self.parts.iter().map(|part| part.weight * part.mean).sum()
    }

    /// The standard deviation of the change.
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        let square = |part: &Part| part.deviation.powi(2) + (part.mean - mean).powi(2);
        self.parts.iter().map(|part| part.weight * square(part)).sum::<f64>().sqrt()
    }

    /// The probability that the change is less than `change`.
    pub fn chance_below(&self, change: f64) -> f64 {
        let below = |part: &Part| normal_below((change - part.mean) / part.deviation);
        self.parts.iter().map(|part| part.weight * below(part)).sum::<f64>().clamp(0.0, 1.0)
    }

    /// The change that the true one is below with this probability, between 0 and 1.
    pub fn quantile(&self, probability: f64) -> f64 {
        let reach = 12.0 * self.deviation();
        let (mut low, mut high) = (self.mean() - reach, self.mean() + reach);
        // Sixty halvings leave less than the spacing of doubles.
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if self.chance_below(middle) < probability { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}

/// The distribution function of the standard normal distribution, to 1e-7 (Abramowitz and Stegun,
/// Handbook of Mathematical Functions, 26.2.17).
fn normal_below(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = series.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    let above = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum;
    if x > 0.0 { 1.0 - above } else { above }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRIOR: Prior = Prior { mean: 0.0, mean_deviation: 0.05, spread_scale: 0.02 };

    fn measured(mean: f64, error: f64) -> Measurement {
        Measurement { mean, variance: error * error }
    }

    const UNMEASURED: Measurement = Measurement { mean: 0.0, variance: f64::INFINITY };

    /// Two draws of the standard normal distribution (Box and Muller, 1958).
    pub fn normals(random: &mut fastrand::Rng) -> [f64; 2] {
        let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
        let angle = std::f64::consts::TAU * random.f64();
        [radius * angle.cos(), radius * angle.sin()]
    }

    #[test]
    fn the_normal_distribution_matches_the_tables() {
        for (x, expected) in
            [(0.0, 0.5), (1.0, 0.841_344_7), (-1.959_964, 0.025), (3.0, 0.998_650_1)]
        {
            assert!((normal_below(x) - expected).abs() < 2e-7, "{x}");
        }
    }

    /// The definition of a posterior: of all worlds that the prior draws, those with a stated
    /// chance of a loss of 0.3 lose in 30 % of the cases.
    #[test]
    fn chances_are_calibrated_over_worlds_drawn_from_the_prior() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut bins = [(0.0, 0.0, 0.0); 5];
        for _ in 0..4_000 {
            let [common, spread] = normals(&mut random);
            let (common, spread) =
                (common * PRIOR.mean_deviation, spread.abs() * PRIOR.spread_scale);
            let drawn: Vec<(f64, Measurement)> = [0.004, 0.01, 0.01, 0.03, 0.1]
                .iter()
                .map(|error| {
                    let [own, noise] = normals(&mut random);
                    let change = common + own * spread;
                    (change, measured(change + noise * error, *error))
                })
                .collect();
            let given: Vec<Measurement> = drawn.iter().map(|(_, one)| *one).collect();
            for ((change, _), posterior) in drawn.iter().zip(posteriors(&given, PRIOR)) {
                let chance = posterior.chance_below(-0.01);
                let bin = &mut bins[((chance * 5.0) as usize).min(4)];
                *bin = (bin.0 + 1.0, bin.1 + chance, bin.2 + f64::from(u8::from(*change < -0.01)));
            }
        }
        for (count, stated, found) in bins {
            let error = (0.25f64 / count).sqrt();
            assert!((stated - found).abs() / count < 4.0 * error, "{stated} {found} of {count}");
        }
    }

    #[test]
    fn much_evidence_stands_alone_and_little_borrows() {
        let others = [measured(-0.02, 0.003); 8];
        let of = |one: Measurement| {
            let all: Vec<Measurement> = others.iter().copied().chain([one]).collect();
            posteriors(&all, PRIOR).pop().expect("one for each").mean()
        };
        assert!((of(measured(0.05, 0.0005)) - 0.05).abs() < 0.001);
        assert!(of(UNMEASURED) < -0.015);
        assert!(of(measured(0.05, 0.05)) < -0.01);
    }

    #[test]
    fn without_evidence_the_prior_is_left() {
        let alone = &posteriors(&[UNMEASURED], PRIOR)[0];
        assert!(alone.mean().abs() < 1e-12);
        assert!((alone.chance_below(0.0) - 0.5).abs() < 1e-6);
        let expected = PRIOR.mean_deviation.hypot(PRIOR.spread_scale);
        assert!((alone.deviation() / expected - 1.0).abs() < 0.02, "{}", alone.deviation());
        let moved = unmeasured(&[], Prior { mean: 0.03, ..PRIOR });
        assert!((moved.mean() - 0.03).abs() < 1e-12);
        assert!((moved.deviation() - alone.deviation()).abs() < 1e-12);
        assert_eq!(posteriors(&[], PRIOR), []);
    }

    proptest! {
        #[test]
        fn quantiles_and_chances_agree(
            means in prop::collection::vec(-0.2f64..0.2, 1..12),
            error in 0.0005f64..0.1,
            probability in 0.01f64..0.99,
        ) {
            let given: Vec<Measurement> =
                means.iter().map(|mean| measured(*mean, error)).collect();
            for posterior in posteriors(&given, PRIOR) {
                let change = posterior.quantile(probability);
                prop_assert!((posterior.chance_below(change) - probability).abs() < 1e-6);
                prop_assert!(posterior.deviation() <= error * 1.5 + PRIOR.mean_deviation);
            }
        }

        /// A better measurement of one language never makes any language look worse.
        #[test]
        fn chances_are_monotonous(
            means in prop::collection::vec(-0.1f64..0.1, 2..8), more in 0.001f64..0.01,
        ) {
            let given: Vec<Measurement> = means.iter().map(|mean| measured(*mean, 0.02)).collect();
            let mut better = given.clone();
            better[0].mean += more;
            let (before, after) = (posteriors(&given, PRIOR), posteriors(&better, PRIOR));
            prop_assert!(after[0].mean() > before[0].mean());
        }
    }
}
