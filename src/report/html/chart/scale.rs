//! Maps values to positions on an axis, and to the text beside a mark.
//!
//! This module must never draw.

/// What the values are, and how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share from 0 to 1, written as per cent: `84.0 %`.
    Percent,
    /// A difference of shares from -1 to 1, written as signed percentage points: `+3.2`.
    Points,
    /// A plain number with two decimals: `0.42`.
    Number,
}

impl Unit {
    /// The value as text, with the minus sign U+2212.
    pub fn label(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{} %", decimal(100.0 * value, 1, false)),
            Self::Points => decimal(100.0 * value, 1, true),
            Self::Number => decimal(value, 2, false),
        }
    }

    /// The label of a tick whose neighbour is `step` away.
    fn tick(self, value: f64, step: f64) -> String {
        let factor = if self == Self::Number { 1.0 } else { 100.0 };
        let decimals = (-(factor * step).log10().floor()).clamp(0.0, 6.0) as usize;
        decimal(factor * value, decimals, self == Self::Points)
    }

    /// The heading of an axis or a column of such values.
    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Percent => "per cent",
            Self::Points => "points",
            Self::Number => "",
        }
    }
}

/// Values beyond this are drawn at the end of their axis.
const FARTHEST: f64 = 1e12;

fn decimal(value: f64, decimals: usize, signed: bool) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    // Hundreds of digits would break any layout.
    let digits = match value.abs() {
        large if large >= FARTHEST => format!("{large:.1e}"),
        size => format!("{size:.decimals$}"),
    };
    // A value that is rounded to zero must have no sign.
    let nothing = digits.chars().all(|c| matches!(c, '0' | '.'));
    match (nothing, value < 0.0, signed) {
        (false, true, _) => format!("\u{2212}{digits}"),
        (false, false, true) => format!("+{digits}"),
        _ => digits,
    }
}

/// A section of an axis: the values at its ends, and a round step between ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// An axis that contains all `values`, with at most `steps_max` round steps.
    pub fn over(values: impl IntoIterator<Item = f64>, steps_max: u32) -> Self {
        // Beyond this, steps and differences would overflow.
        let near = |value: f64| value.clamp(-FARTHEST, FARTHEST);
        let finite = values.into_iter().filter(|value| value.is_finite()).map(near);
        let (mut low, mut high) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high {
            (low, high) = (0.0, 0.0);
        }
        // An axis needs a length, even for equal values or none.
        if high - low < 1e-9 {
            (low, high) = (low - 0.01, high + 0.01);
        }
        let step = round_step((high - low) / f64::from(steps_max.max(1)));
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step }
    }

    /// The position of a value: 0 at the low end, 100 at the high end.
    pub fn place(&self, value: f64) -> f64 {
        if value.is_finite() {
            (100.0 * (value - self.low) / (self.high - self.low)).clamp(0.0, 100.0)
        } else {
            0.0
        }
    }

    /// The values with a line across the drawing, and their labels.
    pub fn ticks(&self, unit: Unit) -> Vec<(f64, String)> {
        let count = ((self.high - self.low) / self.step).round().clamp(0.0, 100.0) as u32;
        (0..=count)
            .map(|index| self.low + f64::from(index) * self.step)
            .map(|value| (value, unit.tick(value, self.step)))
            .collect()
    }
}

/// The next number of the form 1, 2 or 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let magnitude = 10f64.powf(least.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let factor = factors.into_iter().find(|factor| factor * magnitude >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_every_value() {
        let scale = Scale::over([-0.031, 0.114], 6);
        let ticks: Vec<String> = scale.ticks(Unit::Points).into_iter().map(|tick| tick.1).collect();
        assert_eq!(ticks, ["\u{2212}5", "0", "+5", "+10", "+15"]);
        assert!((scale.place(0.0) - 25.0).abs() < 1e-9);
    }

    #[test]
    fn small_steps_show_their_decimals() {
        let scale = Scale::over([0.0, 0.004], 4);
        let ticks: Vec<String> = scale.ticks(Unit::Points).into_iter().map(|tick| tick.1).collect();
        assert_eq!(ticks, ["0.0", "+0.1", "+0.2", "+0.3", "+0.4"]);
    }

    #[test]
    fn odd_values_still_have_an_axis() {
        for values in [vec![], vec![0.5], vec![f64::NAN, f64::INFINITY], vec![-1e300, 1e300]] {
            let scale = Scale::over(values.clone(), 5);
            assert!(!scale.ticks(Unit::Number).is_empty(), "{values:?}");
            for value in values.into_iter().chain([f64::NAN, 0.0, 1e308]) {
                let place = scale.place(value);
                assert!((0.0..=100.0).contains(&place), "{value} at {place}");
            }
        }
    }

    #[test]
    fn labels_have_real_signs_and_never_on_nothing() {
        assert_eq!(Unit::Points.label(-0.032), "\u{2212}3.2");
        assert_eq!(Unit::Points.label(0.032), "+3.2");
        assert_eq!(Unit::Points.label(-0.0001), "0.0");
        assert_eq!(Unit::Percent.label(0.84), "84.0 %");
        assert_eq!(Unit::Number.label(f64::NAN), "–");
    }
}
