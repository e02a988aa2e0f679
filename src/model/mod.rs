//! Under construction.
use crate::error::Result;
use crate::rehearsal::Example;
use crate::runtime::{Cancel, Mode, Runtime};
use crate::store::Store;
use crate::bundle::Verify;
use crate::language::Language;
use crate::update::{Update, UpdateOptions};
use std::{path::Path, sync::Arc};

#[derive(Clone, Debug, Default)]
pub struct ModelOptions { pub mode: Mode, pub threads: usize, pub verify: Verify }

/// Cheap to clone (Arc inside), Send + Sync.
#[derive(Clone)]
pub struct Model { _p: () }

pub struct LabelScore { pub label: String, pub probability: f32 }
pub struct Prediction {
    /// Highest probability first, at most `top_k`.
    pub labels: Vec<LabelScore>,
    /// Whose version answered: the language itself or what it fell back to.
    pub language: Language,
    pub version: u32,
    /// The text was longer than the model reads and was cut.
    pub truncated: bool,
}
#[derive(Clone, Debug, Default)]
pub struct PredictOptions { /// 0 = all
    pub top_k: usize, pub cancel: Option<Cancel> }

/// Accuracy of one language's active version over labelled examples.
pub struct LanguageScore { pub language: Language, pub examples: usize, pub correct: usize, pub version: Option<u32> }

impl Model {
    pub fn open(runtime: &Arc<Runtime>, bundle: &Path, store: &Arc<Store>, options: &ModelOptions) -> Result<Model> { todo!() }
    pub fn store(&self) -> &Arc<Store> { todo!() }
    pub fn predict(&self, task: &str, language: &Language, text: &str, options: &PredictOptions) -> Result<Prediction> { todo!() }
    pub fn predict_batch(&self, task: &str, language: &Language, texts: &[&str], options: &PredictOptions) -> Result<Vec<Prediction>> { todo!() }
    pub fn evaluate(&self, task: &str, examples: &[Example], progress: &mut dyn FnMut(usize, usize) -> std::ops::ControlFlow<()>) -> Result<Vec<LanguageScore>> { todo!() }
    pub fn begin_update(&self, task: &str, options: UpdateOptions) -> Result<Update> { todo!() }
}
