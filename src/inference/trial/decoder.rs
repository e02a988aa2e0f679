//! Tests encoder and decoder with two sources together, with and without a cache, and with the
//! longest target.

use super::{lengths, unusable};
use crate::bundle::Findings;
use crate::error::Result;
use crate::inference::generation::{GenerateOptions, Generator, StageInputs};
use crate::inference::session::two_tokens;
use std::ops::ControlFlow;

/// The number of tokens of a short target.
const TARGET_TOKENS: usize = 3;

/// Tests the sessions of encoder and decoder.
pub(super) fn try_out(generator: &Generator, findings: &mut Findings) -> Result<()> {
    let bundle = generator.bundle();
    let stated = bundle.decoder()?.tokens_max;
    let [first, second] = two_tokens(bundle).map(|id| u32::try_from(id).unwrap_or(0));
    let longer = vec![second; 5.min(findings.tokens_max)];
    let sources: [&[u32]; 2] = [&[first], &longer];
    let short = TARGET_TOKENS.min(stated);
    for use_cache in [false, true] {
        let options = GenerateOptions {
            max_new_tokens: short,
            min_new_tokens: short,
            use_cache,
            ..GenerateOptions::default()
        };
        let emit = &mut |_: usize, _: &str| ControlFlow::Continue(());
        let kept = if use_cache { "with" } else { "without" };
        let what = format!("two sources do not give targets of {short} tokens, {kept} a cache");
        generator
            .generate(&sources, &StageInputs::default(), &options, None, emit)
            .map_err(|error| unusable(error, &what))?;
    }
    let runs = |length: usize| generator.try_target(&longer, length);
    let found = lengths::longest("target_tokens_max", short, stated, &runs)?;
    findings.target_tokens_max = Some(found.tokens);
    findings.notes.extend(found.note);
    Ok(())
}
