//! One run of an update: prepare, train, measure every candidate. Nothing on disk changes except an
//! optional checkpoint.

use super::checkpoint::{self, CheckpointFile};
use super::history;
use super::job::Job;
use super::measure::{self, Measured, Plan};
use super::outcome::Outcome;
use super::progress::{Phase, Reporter};
use super::start::{self, Initialiser, Names, Start};
use super::strategy::{StrategyKind, TrainingData};
use super::trainer::Trainer;
use crate::error::{Code, Error, Result};
use crate::evaluation::EvaluationSet;
use crate::example::{Example, Fields, TaskKind};
use crate::inference::{KeptStates, LoadedAdapter, LowerStates};
use crate::language::Language;
use crate::rehearsal::{Rehearsal, Split};
use crate::runtime::log;
use crate::store::{ObjectHash, Snapshot, WORK_NAME, states_name};
use crate::task::Task;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

impl Job<'_> {
    /// Trains and measures.
    pub fn run(&self, reporter: &mut Reporter<'_>) -> Result<Outcome> {
        reporter.step(Phase::Prepare, 0, 1, None)?;
        let snapshot = self.store.snapshot()?;
        let mut rehearsal = Rehearsal::open_in(self.store, self.task, self.options.rehearsal)?;
        rehearsal.add(self.examples, self.options.seed)?;
        let task = self.task_of_examples(&rehearsal)?;
        let (new, brought_count, remembered) = self.training_examples(&rehearsal);
        let data = TrainingData {
            new: &new,
            remembered: &remembered,
            rehearsal_ratio: self.options.rehearsal_ratio,
            seed: self.options.seed,
        };
        let kind = self.strategy_kind(&snapshot);
        let strategy = kind.strategy(self.options.uriel);
        let runs = if new.is_empty() { Vec::new() } else { strategy.runs(&data) };
        let serving = |language: &Language| {
            snapshot.resolve(self.task, language).map(|(_, version)| version.hash)
        };
        let start_hashes: Vec<_> = runs.iter().map(|one| serving(&one.language)).collect();
        // If all examples are held out, no training run tells which labels there are; the shared
        // adapter does.
        let shared = [serving(&Language::shared())];
        let naming = if runs.is_empty() { &shared[..] } else { &start_hashes[..] };
        let known = self.known(task, naming)?;
        let starts = self.starts(task, &start_hashes, known, &data, &new[brought_count..])?;
        let lower = self.lower_states(task, &starts)?.map(Arc::new);
        let mut held_out = self.held_out(task, &rehearsal, reporter)?;
        held_out.start_from(lower.clone());
        let stage = history::next_stage(self.store, self.task)?;
        let identity = self.identity(stage, &data, &start_hashes);
        let checkpoints = CheckpointFile::new(self.store, self.task, identity);
        let trainer = Trainer {
            predictor: self.predictor,
            task,
            strategy: strategy.as_ref(),
            data: &data,
            options: self.options,
            from_version: start_hashes.iter().all(Option::is_some),
            checkpoints: (self.options.checkpoint_steps > 0).then_some(&checkpoints),
            lower: lower.clone(),
            down_frozen: false,
        };
        let (deltas, mut training) = trainer.train(runs, starts, reporter)?;

        let plan = Plan { kind, starts: start_hashes };
        let measured = self.measure(&snapshot, &held_out, &deltas, &plan, reporter)?;
        if let Some(lower) = &lower {
            log_kept(lower);
        }
        training.elapsed_ms = reporter.elapsed().as_millis() as u64;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let measured_unix_ms = since.as_millis() as u64;
        Ok(Outcome {
            deltas,
            measured,
            rehearsal,
            trained_on: new,
            plan,
            stage,
            training,
            measured_unix_ms,
        })
    }

    /// Measures the candidates of a run against the store as it is now; nothing is trained.
    pub fn measure_again(
        &self,
        before: &Outcome,
        reporter: &mut Reporter<'_>,
    ) -> Result<Vec<Measured>> {
        let snapshot = self.store.snapshot()?;
        let task = self.task_of_examples(&before.rehearsal)?;
        let held_out = self.held_out(task, &before.rehearsal, reporter)?;
        self.measure(&snapshot, &held_out, &before.deltas, &before.plan, reporter)
    }

    /// The held-out examples; also reports their number.
    fn held_out(
        &self,
        task: Task,
        rehearsal: &Rehearsal,
        reporter: &mut Reporter<'_>,
    ) -> Result<EvaluationSet> {
        let set = measure::held_out(self.predictor.bundle(), task, rehearsal)?;
        // Until the candidates are known, one per language is assumed.
        reporter.expect(Phase::MeasureBefore, measure::examples_count(&set));
        reporter.expect(Phase::MeasureAfter, measure::examples_count(&set));
        Ok(set)
    }

    /// The task for the targets of the new and remembered examples.
    fn task_of_examples(&self, rehearsal: &Rehearsal) -> Result<Task> {
        let kind = self.examples.first().map_or(TaskKind::Classification, |one| one.target.kind());
        let held_out = rehearsal.languages().flat_map(|language| rehearsal.held_out(language));
        let other = rehearsal.training().chain(held_out).find(|one| one.target.kind() != kind);
        if let (Some(other), false) = (other, self.examples.is_empty()) {
            let known = other.target.kind();
            let message = format!("the task is {known}, not {kind}");
            return Err(Error::new(Code::TaskKind, message));
        }
        Ok(Task::of(kind))
    }

    /// The new examples to train on, how many of them were added, and the remembered ones that are
    /// not among them. Pending examples of the updated languages count as new, and come last.
    fn training_examples(&self, rehearsal: &Rehearsal) -> (Vec<Example>, usize, Vec<Example>) {
        let mut seen = BTreeSet::new();
        // Of a repeated example the last one counts, as in the rehearsal buffer.
        let mut new: Vec<Example> = self
            .examples
            .iter()
            .rev()
            .filter(|one| rehearsal.split(one) == Split::Training)
            .filter(|one| seen.insert((&one.language, &one.input)))
            .cloned()
            .collect();
        new.reverse();
        let brought_count = new.len();
        let languages: BTreeSet<&Language> =
            self.examples.iter().map(|one| &one.language).collect();
        let pending = languages.into_iter().flat_map(|language| rehearsal.pending(language));
        let pending = pending.filter(|one| seen.insert((&one.language, &one.input)));
        new.extend(pending.cloned());
        let is_new = |one: &&Example| seen.contains(&(&one.language, &one.input));
        let remembered = rehearsal.training().filter(|one| !is_new(one)).cloned().collect();
        (new, brought_count, remembered)
    }

    /// The strategy of the options. While nothing serves the task, there is nothing to share or to
    /// separate, so all data trains the shared adapter.
    fn strategy_kind(&self, snapshot: &Snapshot) -> StrategyKind {
        let begun = snapshot.resolve(self.task, &Language::shared()).is_some();
        if begun { self.options.strategy } else { StrategyKind::Replay }
    }

    /// The versions that determine the labels of the task; they must be of this task.
    fn known(&self, task: Task, hashes: &[Option<ObjectHash>]) -> Result<Vec<Arc<LoadedAdapter>>> {
        let known = hashes.iter().flatten().map(|hash| self.load(hash));
        let known = known.collect::<Result<Vec<_>>>()?;
        known.iter().try_for_each(|loaded| start::check_kind(task, loaded.adapter()))?;
        Ok(known)
    }

    /// The start of each training run, with a head for all labels. Labels of `pending` examples
    /// were allowed when these were added.
    fn starts(
        &self,
        task: Task,
        hashes: &[Option<ObjectHash>],
        versions: Vec<Arc<LoadedAdapter>>,
        data: &TrainingData<'_>,
        pending: &[Example],
    ) -> Result<Vec<Start>> {
        let load =
            |hash: &Option<ObjectHash>| hash.as_ref().map(|hash| self.load(hash)).transpose();
        let previous = hashes.iter().map(load).collect::<Result<Vec<_>>>()?;
        let mut known = Names::default();
        versions.iter().for_each(|loaded| known.add_adapter(loaded.adapter()));
        known.add_examples(data.remembered);
        known.add_examples(pending);
        let allowed = self.options.new_labels;
        start::check_labels(task, self.examples, &known, allowed)?;
        known.add_examples(self.examples);
        let initialiser = Initialiser { predictor: self.predictor, task, options: self.options };
        let start = |version| initialiser.start(version, &known, data.new);
        previous.into_iter().map(start).collect()
    }

    /// Keeps the hidden states below the adapters of all training runs; see [`LowerStates`]. A task
    /// that generates text has none.
    pub(super) fn lower_states(&self, task: Task, starts: &[Start]) -> Result<Option<LowerStates>> {
        let bytes_max = self.options.lower_states_bytes_max;
        if bytes_max == 0 || starts.is_empty() || task.kind().generates_text() {
            return Ok(None);
        }
        let components: Vec<_> =
            starts.iter().map(|start| start.adapter.components.as_slice()).collect();
        let threads = (self.options.mode, self.options.threads);
        // Where no file can be made, states beyond the bound are computed when they are needed.
        let work = self.store.folder().folder_if_there(WORK_NAME)?;
        let file = work.and_then(|work| work.nameless_file(&states_name(self.task)).ok());
        self.predictor.lower_states(&components, threads, bytes_max, file)
    }

    /// What a checkpoint belongs to: everything that training depends on.
    fn identity(
        &self,
        stage: u32,
        data: &TrainingData<'_>,
        starts: &[Option<ObjectHash>],
    ) -> Vec<String> {
        let hash = |examples: &[Example]| {
            let mut hasher = blake3::Hasher::new();
            for example in examples {
                // A JSON text is self-delimiting.
                let fields = serde_json::to_vec(&Fields::of(example)).unwrap_or_default();
                for part in [example.language.as_str().as_bytes(), &fields] {
                    hasher.update(&(part.len() as u64).to_le_bytes());
                    hasher.update(part);
                }
            }
            hasher.finalize().to_hex().to_string()
        };
        let start = |start: &Option<ObjectHash>| {
            start.map_or_else(|| "fresh".to_owned(), |hash| hash.to_string())
        };
        let mut lines = vec![
            checkpoint::stage_line(stage),
            format!("identity: {}", self.predictor.bundle().identity()),
            format!("task: {}", self.task),
            format!("new examples: {}", hash(data.new)),
            format!("remembered examples: {}", hash(data.remembered)),
            format!("starts: {}", starts.iter().map(start).collect::<Vec<_>>().join(" ")),
        ];
        lines.extend(self.options.identity());
        lines
    }
}

fn log_kept(lower: &LowerStates) {
    log::log(log::Severity::Info, "polygraft", || {
        let KeptStates { texts, memory_bytes, file_bytes } = lower.kept();
        let from = lower.input();
        format!(
            "kept the hidden states {from:?} of {texts} texts: {memory_bytes} bytes in memory, \
             {file_bytes} in a file"
        )
    });
}
