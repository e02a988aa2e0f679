//! A figure about many outputs, by the name that the field has for it.
//!
//! Input: figures that may be absent. Output: those of them that are known.

/// A figure about many outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// What it is called.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
}

impl Metric {
    /// Those of some figures that there is something to say about.
    pub(super) fn known<const N: usize>(figures: [(&'static str, Option<f64>); N]) -> Vec<Self> {
        let metric =
            |(name, value): (&'static str, Option<f64>)| Some(Self { name, value: value? });
        figures.into_iter().filter_map(metric).collect()
    }
}
