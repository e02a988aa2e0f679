//! Checks that outputs are finite.
//!
//! Damaged weights and overflows lead to infinities and NaN, which softmax, pooling and search
//! would turn into outputs that look valid. So the raw outputs of a run are checked before they are
//! used.

use crate::error::{Code, Error, Result};

/// Checks raw outputs of a model.
///
/// # Errors
/// [`Code::RuntimeNotFinite`] with the first value that is not finite.
pub(crate) fn check<'a>(what: &str, values: impl IntoIterator<Item = &'a f32>) -> Result<()> {
    let mut values = values.into_iter().enumerate();
    match values.find(|(_, value)| !value.is_finite()) {
        Some((position, value)) => Err(not_finite(what, position, *value)),
        None => Ok(()),
    }
}

/// Checks the logits of a next token. A graph may exclude tokens by minus infinity, but not all.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_choice(what: &str, logits: &[f32]) -> Result<()> {
    let bad = |value: &f32| value.is_nan() || *value == f32::INFINITY;
    let position = logits.iter().position(bad);
    let none = || logits.iter().all(|value| !value.is_finite()).then_some(0);
    match position.or_else(none) {
        Some(position) => {
            Err(not_finite(what, position, logits.get(position).copied().unwrap_or(f32::NAN)))
        }
        None => Ok(()),
    }
}

/// Checks a number that was computed from raw outputs.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_number(what: &str, value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(not_finite(what, 0, value as f32))
}

fn not_finite(what: &str, position: usize, value: f32) -> Error {
    let message = format!(
        "there is no output, because the model gave {value} among the {what} (position \
         {position}), expected finite numbers: the weights may be damaged (`polygraft bundle \
         verify` tells), the adapter may be unfit (roll it back), or the model may overflow \
         on this input"
    );
    Error::new(Code::RuntimeNotFinite, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_that_is_not_finite_is_named() {
        check("logits", &[0.0, -1.0, f32::MAX]).unwrap();
        check("logits", &[]).unwrap();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = check("logits", &[0.0, bad, bad]).unwrap_err();
            assert_eq!(error.code(), Code::RuntimeNotFinite);
            let expected = format!("gave {bad} among the logits (position 1)");
            assert!(error.message().contains(&expected), "{error}");
        }
        assert!(check_number("number", f64::MAX).is_ok());
        assert!(check_number("number", f64::NAN).is_err());
    }

    #[test]
    fn a_token_may_be_ruled_out_but_not_all_of_them() {
        let out = f32::NEG_INFINITY;
        check_choice("logits", &[out, 1.0, out]).unwrap();
        for bad in [&[out, out][..], &[], &[1.0, f32::NAN], &[1.0, f32::INFINITY]] {
            let error = check_choice("logits", bad).unwrap_err();
            assert_eq!(error.code(), Code::RuntimeNotFinite, "{bad:?}");
        }
    }
}
