//! AdamW with warm-up, decay and clipping, over the tensors of an adapter.
//!
//! Sums run in a fixed order in one thread, so equal gradients give equal bytes. A step over the
//! several hundred thousand values of an adapter takes well under a millisecond.

use super::options::OptimizerOptions;

/// The state of AdamW for a fixed list of tensors.
pub struct Optimizer {
    options: OptimizerOptions,
    steps_count: usize,
    step: usize,
    moments: Vec<Moments>,
}

/// How one tensor is trained.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Whether weight decay applies.
    pub decays: bool,
    /// The factor on the learning rate.
    pub rate_factor: f64,
}

struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Optimizer {
    /// An optimiser for tensors of the given sizes that will take `steps_count` steps.
    pub fn new(
        options: OptimizerOptions,
        steps_count: usize,
        sizes: impl Iterator<Item = usize>,
    ) -> Self {
        let zeros = |size| Moments { first: vec![0.0; size], second: vec![0.0; size] };
        Self { options, steps_count, step: 0, moments: sizes.map(zeros).collect() }
    }

    /// The first and second moments of every tensor.
    pub fn moments(&self) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        self.moments.iter().map(|one| (one.first.clone(), one.second.clone())).unzip()
    }

    /// Continues after `step` steps with these moments, which must have the tensors' sizes.
    pub fn resume(&mut self, step: usize, first: Vec<Vec<f32>>, second: Vec<Vec<f32>>) {
        self.step = step;
        let moments = |(first, second)| Moments { first, second };
        self.moments = first.into_iter().zip(second).map(moments).collect();
    }

    /// The learning rate of a step, counted from 0: it rises linearly over the warm-up and falls
    /// linearly to 0 at `steps_count`.
    pub fn learning_rate(&self, step: usize) -> f64 {
        let warmup = (self.options.warmup_fraction * self.steps_count as f64).ceil();
        let step = step as f64;
        let factor = if step < warmup {
            (step + 1.0) / warmup
        } else {
            let rest = self.steps_count as f64 - warmup;
            ((self.steps_count as f64 - step) / rest.max(1.0)).clamp(0.0, 1.0)
        };
        self.options.learning_rate * factor
    }

    /// Takes one step. Gradients are scaled in place if their norm is above the limit.
    ///
    /// `rules` has one rule per tensor. Returns the norm of all gradients before clipping; if it is
    /// not finite, nothing is changed.
    pub fn step(
        &mut self,
        tensors: &mut [&mut [f32]],
        gradients: &mut [Vec<f32>],
        rules: &[Rule],
    ) -> f64 {
        let norm = norm(gradients);
        if !norm.is_finite() {
            return norm;
        }
        let limit = self.options.clip_norm;
        if limit > 0.0 && norm > limit {
            let factor = (limit / norm) as f32;
            gradients.iter_mut().flatten().for_each(|value| *value *= factor);
        }
        let rate = self.learning_rate(self.step);
        self.step += 1;
        let options = &self.options;
        let correction1 = 1.0 - options.beta1.powf(self.step as f64);
        let correction2 = 1.0 - options.beta2.powf(self.step as f64);
        let (beta1, beta2) = (options.beta1 as f32, options.beta2 as f32);
        let root = (1.0 / correction2.sqrt()) as f32;
        let epsilon = options.epsilon as f32;
        let all = tensors.iter_mut().zip(gradients.iter()).zip(&mut self.moments).zip(rules);
        for (((tensor, gradient), moments), rule) in all {
            let rate = rate * rule.rate_factor;
            let keep = if rule.decays { (1.0 - rate * options.weight_decay) as f32 } else { 1.0 };
            let step_size = (rate / correction1) as f32;
            let moments = moments.first.iter_mut().zip(&mut moments.second);
            for ((value, gradient), (first, second)) in tensor.iter_mut().zip(gradient).zip(moments)
            {
                *first = beta1 * *first + (1.0 - beta1) * gradient;
                *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
                *value = *value * keep - step_size * *first / (second.sqrt() * root + epsilon);
            }
        }
        norm
    }
}

/// The Euclidean norm over all tensors, summed in double precision.
fn norm(gradients: &[Vec<f32>]) -> f64 {
    gradients.iter().flatten().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Rule = Rule { decays: true, rate_factor: 1.0 };

    /// The textbook recurrences in double precision, written as loops over one value.
    fn naive(options: &OptimizerOptions, steps: usize, start: f64, gradients: &[f64]) -> f64 {
        let (mut value, mut first, mut second) = (start, 0.0, 0.0);
        for (step, gradient) in gradients.iter().enumerate() {
            let warmup = (options.warmup_fraction * steps as f64).ceil();
            let rate = options.learning_rate
                * if (step as f64) < warmup {
                    (step as f64 + 1.0) / warmup
                } else {
                    (steps - step) as f64 / (steps as f64 - warmup)
                };
            first = options.beta1 * first + (1.0 - options.beta1) * gradient;
            second = options.beta2 * second + (1.0 - options.beta2) * gradient * gradient;
            let first_hat = first / (1.0 - options.beta1.powi(step as i32 + 1));
            let second_hat = second / (1.0 - options.beta2.powi(step as i32 + 1));
            value -= rate * options.weight_decay * value;
            value -= rate * first_hat / (second_hat.sqrt() + options.epsilon);
        }
        value
    }

    #[test]
    fn follows_the_textbook_recurrences() {
        let options = OptimizerOptions {
            learning_rate: 0.05,
            weight_decay: 0.1,
            warmup_fraction: 0.2,
            clip_norm: 0.0,
            ..OptimizerOptions::default()
        };
        let gradients = [0.3, -0.7, 0.01, 2.0, -0.4, 0.0, 0.9, 0.2, -1.5, 0.6];
        let mut optimizer = Optimizer::new(options.clone(), gradients.len(), [1].into_iter());
        let mut value = [0.5f32];
        for gradient in gradients {
            optimizer.step(&mut [&mut value], &mut [vec![gradient as f32]], &[PLAIN]);
        }
        let expected = naive(&options, gradients.len(), 0.5, &gradients);
        assert!((f64::from(value[0]) - expected).abs() < 1e-5, "{} {expected}", value[0]);
    }

    #[test]
    fn clips_to_the_norm_and_refuses_what_is_not_finite() {
        let options = OptimizerOptions { clip_norm: 1.0, ..OptimizerOptions::default() };
        let mut optimizer = Optimizer::new(options, 10, [2].into_iter());
        let mut gradients = [vec![3.0, 4.0]];
        let mut tensor = [1.0f32, 1.0];
        assert_eq!(optimizer.step(&mut [&mut tensor], &mut gradients, &[PLAIN]), 5.0);
        assert!((norm(&gradients) - 1.0).abs() < 1e-6);
        let before = tensor;
        let norm = optimizer.step(&mut [&mut tensor], &mut [vec![f32::NAN, 0.0]], &[PLAIN]);
        assert!(norm.is_nan());
        assert_eq!(tensor, before);
    }
}
