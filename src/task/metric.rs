//! A named metric over many outputs.

/// A metric over many outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its usual name.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
}

impl Metric {
    /// The metrics whose value is defined.
    pub(super) fn known<const N: usize>(figures: [(&'static str, Option<f64>); N]) -> Vec<Self> {
        let metric =
            |(name, value): (&'static str, Option<f64>)| Some(Self { name, value: value? });
        figures.into_iter().filter_map(metric).collect()
    }
}
