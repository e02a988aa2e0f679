//! Finds the longest length that runs.

use super::TRIAL_TOKENS_MAX;
use crate::error::{Code, Error, Result};

/// A length that runs, and a note on how it was found.
pub(super) struct Longest {
    pub tokens: usize,
    pub note: Option<String>,
}

/// Finds the longest length from `least`, which is known to run, to `stated`. `runs` tests a
/// length; `name` is the name of the limit.
///
/// # Errors
/// The errors of `runs` that do not depend on the length, such as [`Code::Cancelled`].
pub(super) fn longest(
    name: &str,
    least: usize,
    stated: usize,
    runs: &dyn Fn(usize) -> Result<()>,
) -> Result<Longest> {
    let top = stated.min(TRIAL_TOKENS_MAX);
    let Some(mut failure) = failure(runs(top))? else {
        let note = (top < stated)
            .then(|| format!("{name} is {stated}; {top} tokens ran, more were not tried"));
        return Ok(Longest { tokens: stated, note });
    };
    if is_memory(&failure) {
        let note = format!("{name} is {stated}; {top} tokens did not run here: {failure}");
        return Ok(Longest { tokens: stated, note: Some(note) });
    }
    let (mut good, mut bad) = (least.min(top), top);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        match self::failure(runs(middle))? {
            None => good = middle,
            Some(error) => (bad, failure) = (middle, error),
        }
    }
    let note = format!("{name} is {good}, since {bad} tokens do not run: {failure}");
    Ok(Longest { tokens: good, note: Some(note) })
}

/// The error, if it depends on the length.
fn failure(outcome: Result<()>) -> Result<Option<Error>> {
    match outcome {
        Ok(()) => Ok(None),
        Err(error) => match error.code() {
            Code::RuntimeFailed | Code::GraphUnsupported | Code::BundleUnusable => Ok(Some(error)),
            _ => Err(error),
        },
    }
}

/// Whether the length needed too much memory for this machine.
fn is_memory(error: &Error) -> bool {
    let message = error.to_string();
    ["allocate memory", "bad_alloc", "bad allocation"].iter().any(|sign| message.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_at(limit: usize) -> impl Fn(usize) -> Result<()> {
        let failed = |length| Err(Error::new(Code::RuntimeFailed, format!("{length} is too long")));
        move |length| if length <= limit { Ok(()) } else { failed(length) }
    }

    #[test]
    fn the_longest_length_is_found_wherever_it_lies() {
        for limit in [3, 4, 5, 62, 63, 511, 512] {
            let found = longest("tokens_max", 3, 512, &ends_at(limit)).unwrap();
            assert_eq!(found.tokens, limit);
            assert_eq!(found.note.is_some(), limit < 512, "{:?}", found.note);
        }
    }

    #[test]
    fn lengths_beyond_what_is_tried_stay_as_stated_and_are_noted() {
        let found = longest("tokens_max", 3, 8_192, &ends_at(TRIAL_TOKENS_MAX)).unwrap();
        assert_eq!(found.tokens, 8_192);
        assert!(found.note.unwrap().contains("2048"));
    }

    #[test]
    fn what_says_nothing_about_a_length_is_no_limit() {
        let full = |_: usize| Err(Error::new(Code::RuntimeFailed, "Failed to allocate memory"));
        assert_eq!(longest("tokens_max", 3, 512, &full).unwrap().tokens, 512);
        let cancelled = |_: usize| Err(Error::new(Code::Cancelled, "cancelled"));
        assert_eq!(
            longest("tokens_max", 3, 512, &cancelled).err().unwrap().code(),
            Code::Cancelled
        );
    }
}
