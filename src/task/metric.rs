//! A named metric over many outputs.

/// A metric over many outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its usual name.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
}

/// The mean of some numbers; `None` of none.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut count = 0_usize;
    let total: f64 = values.into_iter().inspect(|_| count += 1).sum();
    (count > 0).then(|| total / count as f64)
}

impl Metric {
    /// The metrics whose value is defined.
    pub(super) fn known<const N: usize>(figures: [(&'static str, Option<f64>); N]) -> Vec<Self> {
        let metric =
            |(name, value): (&'static str, Option<f64>)| Some(Self { name, value: value? });
        figures.into_iter().filter_map(metric).collect()
    }
}
