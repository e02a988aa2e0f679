//! The trial of a new bundle before it is used.
//!
//! A graph may have faults that only running it shows: a batch size of one may be fixed in the
//! shape of a product, a position table may be shorter than the text, scores of words may be
//! mistaken for states. The trial runs short texts alone and together, the longest text and target,
//! and an adapter of each kind. This module must never change a bundle.
//!
//! Input: an engine and a bundle that is not in its place yet. Output: the limits that hold, or the
//! error that says what does not run and how to export.

mod decoder;
mod encoder;
mod lengths;

use super::generation::Generator;
use super::session::{AdapterSession, AddHeads};
use crate::adapter::{BottleneckConfig, Component, Ia3Config, LoraConfig};
use crate::bundle::{self, Bundle, EXPORT_ADVICE, Findings};
use crate::error::{Code, Error, Result};
use crate::runtime::{Engine, SessionOptions};
use crate::sites::Site;
use std::sync::Arc;

/// The longest texts and targets of a trial, in tokens: the memory of attention grows with the
/// square of the length.
pub const TRIAL_TOKENS_MAX: usize = 2_048;

/// Tests bundles by running them.
pub struct TrialRun {
    engine: Arc<Engine>,
}

impl TrialRun {
    /// A trial on this engine.
    pub fn new(engine: &Arc<Engine>) -> Self {
        Self { engine: engine.clone() }
    }
}

impl bundle::Trial for TrialRun {
    fn run(&self, bundle: &Arc<Bundle>) -> Result<Findings> {
        let refused = |error| unusable(error, "ONNX Runtime does not take the model");
        let options = SessionOptions::default();
        let no_heads: AddHeads = |_, _| {};
        let encoder = AdapterSession::open(&self.engine, bundle, options.clone(), &[], no_heads);
        let encoder = encoder.map_err(refused)?;
        let manifest = bundle.manifest();
        let mut findings = Findings {
            tokens_max: manifest.tokens_max,
            target_tokens_max: manifest.decoder.as_ref().map(|decoder| decoder.tokens_max),
            runs_alone: bundle.runs_alone(),
            notes: Vec::new(),
        };
        encoder::try_out(&encoder, &mut findings)?;
        prove_at(encoder.sites(), &|parts| encoder.prove_for(parts))?;
        if bundle.graphs().is_some() {
            let generator = Generator::open(&self.engine, bundle, &options, &[]);
            let generator = generator.map_err(refused)?;
            decoder::try_out(&generator, &mut findings)?;
            prove_at(generator.sites(), &|parts| generator.prove_for(parts))?;
        }
        Ok(findings)
    }
}

/// Proves that adapters of each kind that the backbone has sites for have an effect. All kinds are
/// tested at once, except those that the graph has no sites for.
fn prove_at(sites: &[Site], prove: &dyn Fn(&[Component]) -> Result<()>) -> Result<()> {
    let mut parts = vec![
        Component::Lora(LoraConfig::default().fitting(sites)),
        Component::Ia3(Ia3Config::default()),
        Component::Bottleneck(BottleneckConfig::default()),
    ];
    parts.retain(|part| part.select(sites).is_ok());
    if parts.is_empty() && !sites.is_empty() {
        let targets = sites.iter().map(|site| site.module.clone()).collect();
        parts.push(Component::Lora(LoraConfig { targets, ..LoraConfig::default() }));
    }
    let has_no_place =
        |error: &Error| matches!(error.code(), Code::AdapterNoSite | Code::GraphUnsupported);
    while !parts.is_empty() {
        match prove(&parts) {
            Err(error) if has_no_place(&error) => drop(parts.pop()),
            proven => return proven,
        }
    }
    Ok(())
}

/// The error of a run as an error of the bundle: `what` does not work.
fn unusable(error: Error, what: &str) -> Error {
    match error.code() {
        Code::RuntimeFailed | Code::GraphUnsupported => {
            let message = format!("{what}: {error}; {EXPORT_ADVICE}");
            Error::new(Code::BundleUnusable, message)
        }
        _ => error,
    }
}
