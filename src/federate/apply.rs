//! Applying an aggregate: its adapters become candidates of this device, and its own gate decides
//! about each. Nothing of an aggregate may serve without having passed that gate, unless the caller
//! says so.

use super::aggregate::RoundAggregate;
use super::message::check_identity;
use crate::adapter::Adapter;
use crate::error::{Result, ResultExt};
use crate::language::Language;
use crate::model::{Activation, ImportOptions, Model};
use crate::rehearsal::Rehearsal;
use crate::report::LanguageReport;
use crate::store::VersionId;
use crate::update;
use serde::{Deserialize, Serialize};

/// How an aggregate is applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApplyOptions {
    /// The languages to apply; empty for all.
    pub languages: Vec<Language>,
    /// The name of an [`Activation`]; `gated` unless stated.
    pub activation: String,
    /// The margin of the gate, 0 to 1.
    pub gate_margin: f64,
    /// The confidence of the gate, 0.5 to less than 1.
    pub gate_confidence: f64,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        let gate = ImportOptions::default().gate;
        Self {
            languages: Vec::new(),
            activation: Activation::default().name().to_owned(),
            gate_margin: gate.margin,
            gate_confidence: gate.confidence,
        }
    }
}

/// The outcome of applying the aggregate in one language.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The language.
    pub language: Language,
    /// Its version.
    pub version: VersionId,
    /// What the gate decided; absent if it was not asked.
    pub report: Option<LanguageReport>,
}

/// Publishes the adapters of an aggregate as versions of this device, each through its gate: on the
/// device's held-out examples, against what serves the language there. A language without held-out
/// examples keeps what serves it.
///
/// # Errors
/// [`Code::RoundMalformed`](crate::Code::RoundMalformed) for damaged bytes,
/// [`Code::RoundMismatch`](crate::Code::RoundMismatch) for another bundle, those of
/// [`update::import`]. All adapters are tried before the first is published, so bytes that cannot
/// serve change nothing.
pub fn apply(model: &Model, aggregate: &[u8], options: &ApplyOptions) -> Result<Vec<Applied>> {
    let activation: Activation = options.activation.parse()?;
    let aggregate = RoundAggregate::from_bytes(aggregate)?;
    check_identity(&aggregate.identity, model)?;
    let is_asked =
        |language: &Language| options.languages.is_empty() || options.languages.contains(language);
    let mut adapters = Vec::new();
    for (language, bytes) in aggregate.adapters.iter().filter(|(one, _)| is_asked(one)) {
        let applying = || format!("the aggregate of {language}");
        let adapter = Adapter::from_bytes(bytes).context(applying)?;
        model.predictor().load(adapter.clone()).context(applying)?;
        adapters.push((language, adapter));
    }
    let mut import = ImportOptions { activation, ..ImportOptions::default() };
    (import.gate.margin, import.gate.confidence) = (options.gate_margin, options.gate_confidence);
    let origin = format!("round {}", aggregate.round);
    let memory = Rehearsal::open_saved(model.store(), &aggregate.task)?;
    let mut applied = Vec::new();
    for (language, adapter) in adapters {
        let place = (aggregate.task.as_str(), language);
        let is_blind = memory.held_out(language).next().is_none()
            && model.store().snapshot()?.resolve(place.0, language).is_some();
        // However lenient the gate is, without an example it has seen nothing.
        import.activation = match activation {
            Activation::Gated if is_blind => Activation::Never,
            other => other,
        };
        let made = (adapter, origin.as_str());
        let imported = update::import(model.predictor(), model.store(), place, made, &import)?;
        let update::Imported { version, report } = imported;
        applied.push(Applied { language: language.clone(), version, report });
    }
    Ok(applied)
}
