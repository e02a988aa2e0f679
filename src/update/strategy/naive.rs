//! `naive`: trains on the new examples only, without rehearsal for other languages.

use super::plan::{Candidate, Strategy, TrainingData, TrainingRun, joint, joint_candidate};
use crate::example::Example;
use crate::language::Language;

/// The baseline of the paper: plain finetuning.
pub struct Naive;

impl Strategy for Naive {
    fn runs(&self, _data: &TrainingData<'_>) -> Vec<TrainingRun> {
        joint()
    }

    fn epoch<'a>(
        &self,
        data: &TrainingData<'a>,
        _run: &TrainingRun,
        _epoch: usize,
    ) -> Vec<&'a Example> {
        data.new.iter().collect()
    }

    fn candidates(&self, _runs: &[TrainingRun], _language: &Language) -> Vec<Candidate> {
        joint_candidate()
    }
}
