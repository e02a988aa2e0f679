//! Loads, stores and functions of native vectors.
//!
//! Everything is inlined into a caller that was compiled for the processor's instructions. A
//! closure over vectors would be a function of its own, which is not, so nothing here takes one.
//! For the same reason, loops count by themselves instead of using iterators.

use fearless_simd::prelude::*;

/// The most elements of a native vector on any processor.
pub(super) const LANES_MAX: usize = 16;

/// `ln 2` in two parts, of which the first has few digits.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Below this, `exp` is zero: the smallest normal number is not reached.
const EXP_LOWEST: f32 = -87.0;

/// The step of `t = 1 / (1 + STEP x)` in the tail of the normal distribution.
const TAIL_STEP: f32 = 0.475;
/// `exp(x²/2) Φ(-x) ≈ t (c₀ + c₁ t + ...)` for `x ≥ 0`, fitted by reweighted least squares so that
/// the largest relative error is small: 3e-7 in float32.
const TAIL: [f32; 9] = [
    0.189_520_46,
    0.188_853_19,
    0.154_369_7,
    0.011_596_01,
    0.156_033_3,
    -0.556_094_7,
    0.577_376,
    -0.272_819_84,
    0.051_165_92,
];
/// `1 / √(2π)`
const NORMAL_DENSITY: f32 = 0.398_942_3;

/// The first elements of `values`, as many as fit into a vector; zeros where there are fewer.
#[inline(always)]
pub(super) fn load<S: Simd>(simd: S, values: &[f32]) -> S::f32s {
    match values.get(..S::f32s::LEN) {
        Some(whole) => S::f32s::from_slice(simd, whole),
        None => {
            let mut padded = [0.0; LANES_MAX];
            padded[..values.len()].copy_from_slice(values);
            S::f32s::from_slice(simd, &padded[..S::f32s::LEN])
        }
    }
}

/// Stores a vector at the beginning of `values`, as many elements as fit.
#[inline(always)]
pub(super) fn store<S: Simd>(vector: S::f32s, values: &mut [f32]) {
    match values.get_mut(..S::f32s::LEN) {
        Some(whole) => vector.store_slice(whole),
        None => {
            let mut padded = [0.0; LANES_MAX];
            vector.store_slice(&mut padded[..S::f32s::LEN]);
            let count = values.len();
            values.copy_from_slice(&padded[..count]);
        }
    }
}

/// The sum of a row.
#[inline(always)]
pub(super) fn sum<S: Simd>(simd: S, row: &[f32]) -> f32 {
    // Four sums at once, because an addition waits for the one before it.
    let lanes = S::f32s::LEN;
    let mut sums = [S::f32s::splat(simd, 0.0); 4];
    let whole = row.len() / (4 * lanes) * (4 * lanes);
    let mut at = 0;
    while at < whole {
        for index in 0..sums.len() {
            sums[index] += load(simd, &row[at + index * lanes..]);
        }
        at += 4 * lanes;
    }
    let mut at = whole;
    while at < row.len() {
        sums[0] += load(simd, &row[at..]);
        at += lanes;
    }
    ((sums[0] + sums[1]) + (sums[2] + sums[3])).reduce_sum()
}

/// The sum of the products of two rows of one length.
#[expect(clippy::needless_range_loop, reason = "iterators may stay calls")]
#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, left: &[f32], right: &[f32]) -> f32 {
    let lanes = S::f32s::LEN;
    let mut sums = [S::f32s::splat(simd, 0.0); 4];
    let whole = left.len() / (4 * lanes) * (4 * lanes);
    let mut at = 0;
    while at < whole {
        for index in 0..sums.len() {
            let at = at + index * lanes;
            sums[index] = load(simd, &left[at..]).mul_add(load(simd, &right[at..]), sums[index]);
        }
        at += 4 * lanes;
    }
    let mut at = whole;
    while at < left.len() {
        sums[0] = load(simd, &left[at..]).mul_add(load(simd, &right[at..]), sums[0]);
        at += lanes;
    }
    ((sums[0] + sums[1]) + (sums[2] + sums[3])).reduce_sum()
}

/// `exp(x)` for `x` of at most 0, with a relative error of 2e-7; not a number stays so.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let bounded = x.max(EXP_LOWEST);
    let whole = (bounded * std::f32::consts::LOG2_E).round_ties_even();
    let rest = whole.mul_add(-LN_2_HIGH, bounded);
    let rest = whole.mul_add(-LN_2_LOW, rest);
    // The Taylor series up to the seventh power: |rest| is at most ln 2 / 2.
    let mut series = S::f32s::splat(simd, 1.0 / 5040.0);
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series.mul_add(rest, coefficient);
    }
    let exponent: S::i32s = whole.to_int();
    let power: S::f32s = ((exponent + S::i32s::splat(simd, 127)) << 23).bitcast();
    let result = series * power;
    let result = x.simd_lt(EXP_LOWEST).select(S::f32s::splat(simd, 0.0), result);
    x.simd_eq(x).select(result, x)
}

/// The distribution function and the density of the standard normal distribution.
#[inline(always)]
pub(super) fn normal<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let one = S::f32s::splat(simd, 1.0);
    let bell = exp(simd, x * x * -0.5);
    let t = one / x.abs().mul_add(TAIL_STEP, one);
    let mut series = S::f32s::splat(simd, TAIL[8]);
    for index in 1..TAIL.len() {
        series = series.mul_add(t, TAIL[TAIL.len() - 1 - index]);
    }
    let tail = series * t * bell;
    let share = x.simd_lt(0.0).select(tail, one - tail);
    (share, bell * NORMAL_DENSITY)
}
