//! `per-language`: a language with new examples gets its own version, trained on these examples
//! only and starting from the version that serves it. Other languages do not change.

use super::plan::{Body, Candidate, Strategy, TrainingData, TrainingRun};
use crate::example::Example;
use crate::language::Language;
use crate::report::CandidateKind;

/// One training run and one version per language.
pub struct PerLanguage;

impl Strategy for PerLanguage {
    fn runs(&self, data: &TrainingData<'_>) -> Vec<TrainingRun> {
        data.languages().into_iter().map(|language| TrainingRun { language }).collect()
    }

    fn epoch<'a>(
        &self,
        data: &TrainingData<'a>,
        run: &TrainingRun,
        _epoch: usize,
    ) -> Vec<&'a Example> {
        data.new_in(&run.language)
    }

    fn candidates(&self, runs: &[TrainingRun], language: &Language) -> Vec<Candidate> {
        let own = runs.iter().position(|run| run.language == *language);
        let candidate = own.map(|run| Candidate::whole(CandidateKind::Own, Body::Whole(run)));
        candidate.into_iter().collect()
    }
}
