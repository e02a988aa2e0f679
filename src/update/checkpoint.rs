//! The state of training on disk, so that it can continue after a stop or a crash.
//!
//! A checkpoint is one file in the store's work area, replaced at every save: 32 bytes of BLAKE3
//! over the rest, then safetensors. It has an identity of several lines; for another identity it is
//! refused, with the first line that differs. Its bytes are hostile until they are checked: what
//! does not fit the training runs is an error and is never trained on.

use super::optimizer::Optimizer;
use super::session::TrainingSession;
use crate::adapter::{Adapter, Tensor, open_tensors};
use crate::error::{Code, Error, Result, ResultExt};
use crate::store::{Store, WORK_NAME, checkpoint_name, checkpoint_partial_name};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Identifies the file, and is the metadata key of the description.
const FORMAT_NAME: &str = "polygraft-checkpoint";
const FORMAT_VERSION: u32 = 2;
/// The largest accepted checkpoint: three times some dozens of adapters.
const SIZE_BYTES_MAX: u64 = 1 << 30;
/// The largest number of tensors: those of a training run for each of some thousand languages.
const TENSORS_MAX: usize = 1 << 18;

/// The beginning of a checkpoint's identity.
const STAGE: &str = "update: ";

/// The first line of an identity. A checkpoint of a committed or superseded update is useless; only
/// a crash leaves one behind.
pub fn stage_line(stage: u32) -> String {
    format!("{STAGE}{stage}")
}

/// The state of training.
#[derive(Default)]
pub struct Checkpoint {
    /// The tensors at the end of each finished training run.
    pub finished: Vec<BTreeMap<String, Tensor>>,
    /// The number of steps of each finished training run.
    pub steps: Vec<usize>,
    /// The next training run, if it has begun.
    pub underway: Option<Underway>,
    /// The loss of every step so far.
    pub losses: Vec<f64>,
}

impl Checkpoint {
    /// Records that the training run underway has ended with these tensors.
    pub fn finish(&mut self, tensors: BTreeMap<String, Tensor>) {
        let before: usize = self.steps.iter().sum();
        self.steps.push(self.losses.len() - before);
        self.finished.push(tensors);
        self.underway = None;
    }

    /// The losses of each finished training run.
    pub fn by_run(&self) -> impl Iterator<Item = &[f64]> {
        let mut rest = self.losses.as_slice();
        self.steps.iter().map_while(move |steps| {
            let (losses, after) = rest.split_at_checked(*steps)?;
            rest = after;
            Some(losses)
        })
    }

    /// Checks that the tensors of every finished training run are those of its start, and that
    /// there is one loss per step.
    pub fn check<'a>(&self, starts: impl ExactSizeIterator<Item = &'a Adapter>) -> Result<()> {
        let shapes = |tensors: &BTreeMap<String, Tensor>| -> Vec<(String, Vec<usize>)> {
            tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect()
        };
        let fits = |(finished, start): (&BTreeMap<_, _>, &Adapter)| {
            shapes(finished) == shapes(&start.tensors)
        };
        if self.finished.len() > starts.len() || !self.finished.iter().zip(starts).all(fits) {
            return Err(malformed("its finished training runs are not those of the update"));
        }
        let underway = self.underway.as_ref().map_or(0, |underway| underway.step);
        let counts = self.steps.iter().chain([&underway]);
        let steps = counts.fold(0, |sum: usize, steps| sum.saturating_add(*steps));
        if self.steps.len() != self.finished.len() || steps != self.losses.len() {
            return Err(malformed("it does not have one loss for each step"));
        }
        Ok(())
    }
}

/// A training run that has begun: the tensors in the session's order, and the optimiser's moments.
pub struct Underway {
    /// The number of finished steps.
    pub step: usize,
    values: Vec<Vec<f32>>,
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
}

impl Underway {
    /// The state of `session` and `optimizer` after `step` steps.
    pub fn of(step: usize, session: &mut TrainingSession, optimizer: &Optimizer) -> Self {
        let values = session.tensors_mut().into_iter().map(|values| values.to_vec()).collect();
        let (first, second) = optimizer.moments();
        Self { step, values, first, second }
    }

    /// Restores the state of both.
    pub fn restore(self, session: &mut TrainingSession, optimizer: &mut Optimizer) -> Result<()> {
        let mut tensors = session.tensors_mut();
        let sizes: Vec<usize> = tensors.iter().map(|tensor| tensor.len()).collect();
        for saved in [&self.values, &self.first, &self.second] {
            if !saved.iter().map(Vec::len).eq(sizes.iter().copied()) {
                return Err(malformed("its tensors are not those of the training"));
            }
        }
        for (tensor, saved) in tensors.iter_mut().zip(&self.values) {
            tensor.copy_from_slice(saved);
        }
        optimizer.resume(self.step, self.first, self.second);
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    version: u32,
    /// What the checkpoint belongs to.
    identity: Vec<String>,
    /// The number of steps of each finished training run.
    finished: Vec<usize>,
    underway_step: Option<usize>,
}

/// The checkpoint file of one update.
pub struct CheckpointFile<'a> {
    store: &'a Store,
    task: &'a str,
    identity: Vec<String>,
}

impl<'a> CheckpointFile<'a> {
    /// The checkpoint of `task` in `store` for the update that `identity` describes, in lines such
    /// as `epochs: 4.0`.
    pub fn new(store: &'a Store, task: &'a str, identity: Vec<String>) -> Self {
        Self { store, task, identity }
    }

    /// Whether `task` has a checkpoint, or a partly written one.
    pub fn is_there(store: &Store, task: &str) -> Result<bool> {
        let Some(work) = store.folder().folder_if_there(WORK_NAME)? else { return Ok(false) };
        let partial = work.entry(&checkpoint_partial_name(task))?;
        Ok(partial.is_some() || work.entry(&checkpoint_name(task))?.is_some())
    }

    /// Removes the checkpoint of `task`, if there is one. The caller must hold the lock of the
    /// task.
    pub fn discard(store: &Store, task: &str) -> Result<()> {
        let Some(work) = store.folder().folder_if_there(WORK_NAME)? else { return Ok(()) };
        work.remove(&checkpoint_partial_name(task))?;
        work.remove(&checkpoint_name(task))
    }

    /// Reads the saved checkpoint; `None` without a file.
    ///
    /// # Errors
    /// [`Code::UpdateCheckpoint`] when it belongs to another update or is damaged.
    pub fn read(&self) -> Result<Option<Checkpoint>> {
        let Some(work) = self.store.folder().folder_if_there(WORK_NAME)? else { return Ok(None) };
        let name = checkpoint_name(self.task);
        let bytes = match work.read(&name, SIZE_BYTES_MAX, Code::UpdateCheckpoint) {
            Err(error) if error.code() == Code::NotFound => return Ok(None),
            read => read?,
        };
        let reading = || format!("reading {}", work.path_of(&name).display());
        self.decode(&bytes).context(reading)
    }

    /// Replaces the file durably.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<()> {
        let bytes = self.encode(checkpoint)?;
        let work = self.store.folder().create_folder(WORK_NAME)?;
        work.replace(&checkpoint_name(self.task), &checkpoint_partial_name(self.task), &bytes)
    }

    fn encode(&self, checkpoint: &Checkpoint) -> Result<Vec<u8>> {
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        let mut float = |name: String, shape: Vec<usize>, values: &[f32]| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            tensors.push((name, Dtype::F32, shape, bytes));
        };
        for (run, finished) in checkpoint.finished.iter().enumerate() {
            for (name, tensor) in finished {
                float(format!("finished/{run}/{name}"), tensor.shape.clone(), &tensor.values);
            }
        }
        if let Some(underway) = &checkpoint.underway {
            for (kind, all) in underway.kinds() {
                for (index, values) in all.iter().enumerate() {
                    float(format!("{kind}/{index}"), vec![values.len()], values);
                }
            }
        }
        let losses = checkpoint.losses.iter().flat_map(|loss| loss.to_le_bytes()).collect();
        tensors.push(("losses".to_owned(), Dtype::F64, vec![checkpoint.losses.len()], losses));
        let description = Description {
            version: FORMAT_VERSION,
            identity: self.identity.clone(),
            finished: checkpoint.steps.clone(),
            underway_step: checkpoint.underway.as_ref().map(|underway| underway.step),
        };
        let text = serde_json::to_string(&description).map_err(malformed)?;
        let mut views = Vec::with_capacity(tensors.len());
        for (name, kind, shape, bytes) in &tensors {
            views.push((name, TensorView::new(*kind, shape.clone(), bytes).map_err(malformed)?));
        }
        let metadata = HashMap::from([(FORMAT_NAME.to_owned(), text)]);
        let content = safetensors::serialize(views, Some(metadata)).map_err(malformed)?;
        Ok([blake3::hash(&content).as_bytes(), content.as_slice()].concat())
    }

    /// Parses the bytes; `None` when they belong to an update before the last commit.
    fn decode(&self, bytes: &[u8]) -> Result<Option<Checkpoint>> {
        let Some((hash, bytes)) = bytes.split_first_chunk::<32>() else {
            return Err(malformed(format!("it has only {} bytes", bytes.len())));
        };
        if blake3::hash(bytes) != *hash {
            return Err(malformed("its hash is not that of its content"));
        }
        let file = open_tensors(bytes, TENSORS_MAX).map_err(malformed)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
        let text = header.metadata().as_ref().and_then(|metadata| metadata.get(FORMAT_NAME));
        let text = text.ok_or_else(|| malformed("it is not a checkpoint"))?;
        let description: Description = serde_json::from_str(text).map_err(malformed)?;
        if description.version != FORMAT_VERSION {
            let found = description.version;
            return Err(malformed(format!("version: expected {FORMAT_VERSION}, found {found}")));
        }
        if self.is_past(&description.identity) {
            return Ok(None);
        }
        self.check_identity(&description.identity)?;
        let finished = read_finished(&file, description.finished.len())?;
        let underway =
            description.underway_step.map(|step| read_underway(&file, step)).transpose()?;
        let losses = file.tensor("losses").map_err(malformed)?;
        let (losses, []) = losses.data().as_chunks::<8>() else {
            return Err(malformed("losses: its byte length is not a multiple of 8"));
        };
        let losses = losses.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        Ok(Some(Checkpoint { finished, steps: description.finished, underway, losses }))
    }

    /// Whether an identity belongs to an earlier update of the task, or to one that polygraft 0.1
    /// began.
    fn is_past(&self, found: &[String]) -> bool {
        let stage =
            |lines: &[String]| -> Option<u32> { lines.first()?.strip_prefix(STAGE)?.parse().ok() };
        stage(found) < stage(&self.identity)
    }

    fn check_identity(&self, found: &[String]) -> Result<()> {
        let none = || "nothing".to_owned();
        let longest = self.identity.len().max(found.len());
        for line in 0..longest {
            let (expected, found) = (self.identity.get(line), found.get(line));
            if expected != found {
                let expected = expected.cloned().unwrap_or_else(none);
                let found: String = found.cloned().unwrap_or_else(none).chars().take(200).collect();
                let message = format!(
                    "the checkpoint is of another update: this one has {expected:?}, the \
                     checkpoint {found:?}; run that update to its end or discard the checkpoint"
                );
                return Err(Error::new(Code::UpdateCheckpoint, message));
            }
        }
        Ok(())
    }
}

impl Underway {
    fn kinds(&self) -> [(&'static str, &Vec<Vec<f32>>); 3] {
        [("values", &self.values), ("first", &self.first), ("second", &self.second)]
    }
}

/// The tensors of each finished training run. Each has at least one tensor, so there are at most as
/// many training runs as tensors.
fn read_finished(file: &SafeTensors<'_>, count: usize) -> Result<Vec<BTreeMap<String, Tensor>>> {
    let mut finished = vec![BTreeMap::new(); count.min(file.len())];
    for (name, view) in file.iter() {
        let place = name.strip_prefix("finished/").and_then(|rest| rest.split_once('/'));
        let Some((run, name)) = place else { continue };
        let run = run.parse().ok().and_then(|run: usize| finished.get_mut(run));
        if let Some(tensors) = run {
            let tensor = Tensor { shape: view.shape().to_vec(), values: floats(&view)?.into() };
            tensors.insert(name.to_owned(), tensor);
        }
    }
    Ok(finished)
}

fn read_underway(file: &SafeTensors<'_>, step: usize) -> Result<Underway> {
    let read = |kind: &str| {
        let views = (0..).map_while(|index| file.tensor(&format!("{kind}/{index}")).ok());
        views.map(|view| floats(&view)).collect::<Result<Vec<_>>>()
    };
    Ok(Underway { step, values: read("values")?, first: read("first")?, second: read("second")? })
}

fn floats(view: &TensorView<'_>) -> Result<Vec<f32>> {
    match view.data().as_chunks::<4>() {
        (chunks, []) if view.dtype() == Dtype::F32 => {
            Ok(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
        }
        _ => Err(malformed(format!("expected tensors of F32, found {}", view.dtype()))),
    }
}

fn malformed(cause: impl std::fmt::Display) -> Error {
    let hint = "discard it to start the training anew";
    Error::new(Code::UpdateCheckpoint, format!("malformed checkpoint: {cause}; {hint}"))
}
