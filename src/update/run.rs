//! One run of an update: prepare, train, measure every candidate.
//!
//! Input: the examples and the store as it is. Output: an [`Outcome`], from which the gate can be
//! asked again and again. Nothing on disk changes but the checkpoint, if one is wanted.

use super::candidates::{self, CandidateSpec, PlannedCandidate};
use super::checkpoint::CheckpointFile;
use super::measure::{self, Requests};
use super::options::{GateOptions, UpdateOptions};
use super::progress::{Phase, Reporter};
use super::start::{Initialiser, Names};
use super::strategy::{StrategyKind, TrainingData, TrainingRun};
use super::training::{Delta, Trainer};
use super::{checkpoint, history, judge, start};
use crate::adapter::Adapter;
use crate::error::{Code, Error, Result};
use crate::evaluation::EvaluationSet;
use crate::example::{Example, Fields, TaskKind};
use crate::inference::{LoadedAdapter, Predictor};
use crate::language::Language;
use crate::rehearsal::{Rehearsal, Split};
use crate::report::{Origin, Report, Summary, Training};
use crate::store::{ObjectHash, Snapshot, Store};
use crate::task::Task;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What an update works on.
pub(super) struct Job<'a> {
    pub predictor: &'a Predictor,
    pub store: &'a Arc<Store>,
    pub task: &'a str,
    pub options: &'a UpdateOptions,
    pub examples: &'a [Example],
}

/// What a run leaves for the gate and the commit.
pub(super) struct Outcome {
    pub deltas: Vec<Delta>,
    pub measured: Vec<Measured>,
    pub rehearsal: Rehearsal,
    /// The training examples that were new to it: those that were brought, and pending ones.
    pub trained_on: Vec<Example>,
    /// What was planned, which holds for whatever the languages are served by.
    kind: StrategyKind,
    /// The versions that the training runs started from.
    starts: Vec<Option<ObjectHash>>,
    stage: u32,
    training: Training,
    measured_unix_ms: u64,
}

/// What the candidates of a language are made of, whoever serves it.
struct Plan {
    kind: StrategyKind,
    starts: Vec<Option<ObjectHash>>,
}

/// Everything that was found out about one language; positions in all lists of scores are the same
/// held-out examples.
pub(super) struct Measured {
    pub language: Language,
    pub updated: bool,
    pub pinned: bool,
    /// The version that serves the language, which candidates were compared with.
    pub serving: Option<ObjectHash>,
    /// The scores of the version that serves the language.
    pub before: Option<Vec<f32>>,
    pub candidates: Vec<(PlannedCandidate, Vec<f32>)>,
    /// Which examples are of the report split.
    pub in_report_split: Vec<bool>,
}

impl Outcome {
    /// Checks that every language is still served as it was when it was measured.
    ///
    /// # Errors
    /// [`Code::StoreChanged`] naming the first language that is not.
    pub fn check_unchanged(&self, snapshot: &Snapshot, task: &str) -> Result<()> {
        for one in &self.measured {
            let serving = snapshot.resolve(task, &one.language).map(|(_, version)| version.hash);
            let pinned = snapshot.is_pinned(task, &one.language);
            if serving == one.serving && pinned == one.pinned {
                continue;
            }
            let what = if serving == one.serving { "pinned or unpinned" } else { "served anew" };
            let message = format!(
                "{} was {what} since the update was measured; the deltas are kept: measure again, \
                 then commit",
                one.language
            );
            return Err(Error::new(Code::StoreChanged, message));
        }
        Ok(())
    }

    /// Asks the gate about every language.
    pub fn judge(&self, job: &Job<'_>, gate: &GateOptions) -> Report {
        let limits = &job.options.rehearsal;
        let language = |one: &Measured| judge::language(one, gate, limits);
        let mut report = Report {
            task: job.task.to_owned(),
            stage: self.stage,
            strategy: job.options.strategy.name().to_owned(),
            seed: job.options.seed,
            gate: super::gate::describe(gate),
            languages: self.measured.iter().map(language).collect(),
            summary: Summary::default(),
            candidate_summary: Summary::default(),
            training: self.training.clone(),
            origin: Some(self.origin(job)),
            warnings: Vec::new(),
        };
        report.summarise();
        report
    }

    fn origin(&self, job: &Job<'_>) -> Origin {
        let bundle = job.predictor.bundle();
        let name = bundle.folder().file_name().unwrap_or_default();
        Origin {
            polygraft: env!("CARGO_PKG_VERSION").to_owned(),
            measured_unix_ms: self.measured_unix_ms,
            bundle: name.to_string_lossy().into_owned(),
            backbone: bundle.backbone_hash().to_owned(),
        }
    }

    /// The spec of each language that the gate of `report` activates.
    pub fn chosen<'a>(&'a self, report: &Report) -> Vec<(&'a Language, &'a CandidateSpec)> {
        let activated: BTreeMap<&Language, _> = report
            .languages
            .iter()
            .filter(|entry| entry.decision == crate::report::Decision::Activate)
            .map(|entry| (&entry.language, entry.chosen))
            .collect();
        let spec = |one: &'a Measured| {
            let kind = (*activated.get(&one.language)?)?;
            let (planned, _) = one.candidates.iter().find(|(planned, _)| planned.kind == kind)?;
            Some((&one.language, &planned.spec))
        };
        self.measured.iter().filter_map(spec).collect()
    }
}

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
        let strategy = kind.strategy(self.options);
        let runs = if new.is_empty() { Vec::new() } else { strategy.runs(&data) };
        let serving = |language: &Language| {
            snapshot.resolve(self.task, language).map(|(_, version)| version.hash)
        };
        let start_hashes: Vec<_> = runs.iter().map(|one| serving(&one.language)).collect();
        // Where all is held out no training run says which labels there are; the shared adapter
        // does.
        let shared = [serving(&Language::shared())];
        let naming = if runs.is_empty() { &shared[..] } else { &start_hashes[..] };
        let known = self.known(task, naming)?;
        let starts = self.starts(task, &start_hashes, known, &data, &new[brought_count..])?;
        let held_out = measure::held_out(self.predictor.bundle(), task, &rehearsal)?;
        // Until the candidates are known: one of each language, measured like the version before.
        reporter.expect(Phase::MeasureBefore, measure::examples_count(&held_out));
        reporter.expect(Phase::MeasureAfter, measure::examples_count(&held_out));
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
        };
        let (deltas, mut training) = trainer.train(runs, starts, reporter)?;

        let plan = Plan { kind, starts: start_hashes };
        let measured = self.measure(&snapshot, &held_out, &deltas, &plan, reporter)?;
        training.elapsed_ms = reporter.elapsed().as_millis() as u64;
        let Plan { kind, starts } = plan;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let measured_unix_ms = since.as_millis() as u64;
        Ok(Outcome {
            deltas,
            measured,
            rehearsal,
            trained_on: new,
            kind,
            starts,
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
        let held_out = measure::held_out(self.predictor.bundle(), task, &before.rehearsal)?;
        let questions_count = measure::examples_count(&held_out);
        reporter.expect(Phase::MeasureBefore, questions_count);
        reporter.expect(Phase::MeasureAfter, questions_count);
        let plan = Plan { kind: before.kind, starts: before.starts.clone() };
        self.measure(&snapshot, &held_out, &before.deltas, &plan, reporter)
    }

    /// The task that learns answers of the kind that the examples have, new and remembered.
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

    /// The new examples to train on, how many of them were brought, and the remembered ones that
    /// are not among them. Pending examples of the languages that are updated count as new, and
    /// come last.
    fn training_examples(&self, rehearsal: &Rehearsal) -> (Vec<Example>, usize, Vec<Example>) {
        let mut seen = BTreeSet::new();
        // Of an example that comes twice the last one counts, as in the rehearsal buffer.
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

    /// The strategy of the options; while nothing serves the task there is nothing to share or to
    /// keep apart, and all data trains the shared adapter.
    fn strategy_kind(&self, snapshot: &Snapshot) -> StrategyKind {
        let begun = snapshot.resolve(self.task, &Language::shared()).is_some();
        if begun { self.options.strategy } else { StrategyKind::Replay }
    }

    /// The versions that know the labels of the task, which answer as the task does.
    fn known(&self, task: Task, hashes: &[Option<ObjectHash>]) -> Result<Vec<Arc<LoadedAdapter>>> {
        let known = hashes.iter().flatten().map(|hash| self.load(hash));
        let known = known.collect::<Result<Vec<_>>>()?;
        known.iter().try_for_each(|loaded| start::check_kind(task, loaded.adapter()))?;
        Ok(known)
    }

    /// The adapter that each training run starts from, with a head for all labels; those of
    /// `pending` examples were allowed when they were brought.
    fn starts(
        &self,
        task: Task,
        hashes: &[Option<ObjectHash>],
        versions: Vec<Arc<LoadedAdapter>>,
        data: &TrainingData<'_>,
        pending: &[Example],
    ) -> Result<Vec<Adapter>> {
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
        let start = |loaded: &Option<Arc<LoadedAdapter>>| {
            let previous = loaded.as_deref().map(LoadedAdapter::adapter);
            let initialiser =
                Initialiser { predictor: self.predictor, task, options: self.options };
            initialiser.adapter(previous, &known, data.new)
        };
        previous.iter().map(start).collect()
    }

    fn load(&self, hash: &ObjectHash) -> Result<Arc<LoadedAdapter>> {
        self.predictor.load_cached(hash.as_bytes(), || self.store.read_object(hash))
    }

    /// Makes the adapter of a spec.
    pub fn make(&self, spec: &CandidateSpec, deltas: &[Delta]) -> Result<Adapter> {
        let load = &mut |hash: &ObjectHash| Ok(self.load(hash)?.adapter().clone());
        let mut made = candidates::make(spec, deltas, load)?;
        // It is measured as this bundle reads, also if what it was added to did not say how.
        made.reading = Some(self.predictor.bundle().reading().clone());
        Ok(made)
    }

    /// One entry per language that has held-out examples, a version or new data, then `mul`.
    fn measure(
        &self,
        snapshot: &Snapshot,
        held_out: &EvaluationSet,
        deltas: &[Delta],
        plan: &Plan,
        reporter: &mut Reporter<'_>,
    ) -> Result<Vec<Measured>> {
        let runs: Vec<TrainingRun> = deltas.iter().map(|one| one.run.clone()).collect();
        let strategy = plan.kind.strategy(self.options);
        let updated: BTreeSet<&Language> = self.examples.iter().map(|one| &one.language).collect();
        let mut languages: BTreeSet<Language> = snapshot.languages(self.task).cloned().collect();
        languages.extend(held_out.languages().cloned());
        languages.extend(updated.iter().map(|language| (*language).clone()));
        languages.remove(&Language::shared());
        // The shared adapter answers the questions of every language.
        let asked: Vec<(Language, Vec<&Language>)> = languages
            .iter()
            .map(|language| (language.clone(), vec![language]))
            .chain([(Language::shared(), held_out.languages().collect())])
            .collect();

        let mut stored = Requests::new();
        let mut made = Requests::new();
        let mut plans = Vec::with_capacity(asked.len());
        for (language, questions) in &asked {
            let serving = snapshot.resolve(self.task, language).map(|(_, version)| version.hash);
            let starts = &plan.starts;
            // Without a training run there is nothing that a candidate could be made of.
            let planned = match runs.as_slice() {
                [] => Vec::new(),
                all => candidates::plan(strategy.as_ref(), all, starts, language, serving),
            };
            if let Some(hash) = serving {
                let asked = stored.entry(hash).or_insert_with(BTreeSet::new);
                asked.extend(questions.iter().copied().cloned());
            }
            for one in &planned {
                let asked = made.entry(one.spec.clone()).or_insert_with(BTreeSet::new);
                asked.extend(questions.iter().copied().cloned());
            }
            plans.push((serving, planned));
        }
        reporter.expect(Phase::MeasureBefore, measure::requested_count(held_out, &stored));
        reporter.expect(Phase::MeasureAfter, measure::requested_count(held_out, &made));
        let predictor = self.predictor;
        let load = &mut |hash: &ObjectHash| self.load(hash);
        let before =
            measure::evaluate(held_out, predictor, Phase::MeasureBefore, &stored, load, reporter)?;
        let make = &mut |spec: &CandidateSpec| {
            self.make(spec, deltas).and_then(|one| predictor.load(one)).map(Arc::new)
        };
        let after =
            measure::evaluate(held_out, predictor, Phase::MeasureAfter, &made, make, reporter)?;

        let entries = asked.iter().zip(plans).map(|((language, questions), (serving, planned))| {
            let gather = |answers: &BTreeMap<Language, Vec<f32>>| -> Vec<f32> {
                let lists = questions.iter().filter_map(|question| answers.get(*question));
                lists.flatten().copied().collect()
            };
            let measured = |one: PlannedCandidate| {
                let answers = after.get(&one.spec).map(gather).unwrap_or_default();
                (one, answers)
            };
            let in_report_split = questions.iter().flat_map(|one| held_out.is_in_report_split(one));
            Measured {
                updated: updated.contains(language),
                pinned: snapshot.is_pinned(self.task, language),
                serving,
                // A version that gives no finite numbers answers nothing.
                before: serving.and_then(|hash| before.get(&hash)).map(|answers| {
                    let scores = gather(answers).into_iter();
                    scores.map(|score| if score.is_nan() { 0.0 } else { score }).collect()
                }),
                candidates: planned.into_iter().map(measured).collect(),
                in_report_split: in_report_split.copied().collect(),
                language: language.clone(),
            }
        });
        Ok(entries.collect())
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
                // A JSON text says where each part ends.
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

/// An error for a language that a report names and a run did not measure.
pub(super) fn unmeasured(language: &Language) -> Error {
    Error::new(Code::Internal, format!("{language} was not measured"))
}
