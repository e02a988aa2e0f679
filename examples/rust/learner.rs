//! Collects feedback, and runs one update at a time; a part of the example `serve`.

use polygraft::Result;
use polygraft::example::{Example, json};
use polygraft::model::Model;
use polygraft::update::UpdateOptions;
use serde::Serialize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a client may know about the updates.
#[derive(Clone, Default, Serialize)]
pub struct Learning {
    /// Examples that wait for the next update.
    pub waiting: usize,
    pub running: bool,
    pub phase: Option<String>,
    pub fraction: f64,
    pub updates: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub changed: Vec<Change>,
}

/// A language that the last update gave a new version.
#[derive(Clone, Serialize)]
pub struct Change {
    language: String,
    version: u32,
    reason: String,
}

#[derive(Default)]
pub struct Learner {
    steps_max: usize,
    cancelled: AtomicBool,
    /// The feedback that no update has taken yet, and the state of the updates.
    inner: Mutex<(Vec<Example>, Learning)>,
}

impl Learner {
    pub fn new(steps_max: usize) -> Self {
        Self { steps_max, ..Self::default() }
    }

    /// Nothing that holds the lock can fail halfway, so what a panic left is whole.
    fn lock(&self) -> MutexGuard<'_, (Vec<Example>, Learning)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn state(&self) -> Learning {
        let (waiting, state) = &*self.lock();
        Learning { waiting: waiting.len(), ..state.clone() }
    }

    /// Checks feedback and keeps it for the next update.
    pub fn remember(&self, lines: &str) -> Result<()> {
        let examples = json::parse_all(lines, "feedback")?;
        self.lock().0.extend(examples);
        Ok(())
    }

    /// Takes the feedback for an update, whose [`Self::learn`] must follow; otherwise says with
    /// which status of HTTP that is refused, and why.
    pub fn start(&self) -> std::result::Result<Vec<Example>, (u16, &'static str)> {
        let (waiting, state) = &mut *self.lock();
        if state.running {
            return Err((409, "an update is running"));
        }
        if waiting.is_empty() {
            return Err((400, "there is no feedback to learn from"));
        }
        *state = Learning { running: true, updates: state.updates, ..Learning::default() };
        Ok(std::mem::take(waiting))
    }

    /// Trains, and activates what did not get worse. What it did not learn stays for the next one.
    pub fn learn(&self, model: &Model, examples: Vec<Example>) {
        let learnt = self.train(model, &examples);
        let (waiting, state) = &mut *self.lock();
        (state.running, state.phase, state.fraction) = (false, None, 0.0);
        match learnt {
            Ok(changed) => {
                state.updates += 1;
                state.changed = changed;
            }
            Err(error) => {
                state.error = Some(error.to_string());
                waiting.splice(0..0, examples);
            }
        }
    }

    fn train(&self, model: &Model, examples: &[Example]) -> Result<Vec<Change>> {
        let options = UpdateOptions {
            new_labels: true,
            steps_max: self.steps_max,
            background: true, // answers come first
            threads: 1,
            ..UpdateOptions::default()
        };
        let mut update = model.begin_update(super::TASK, options)?;
        for example in examples {
            update.add(example.clone())?;
        }
        update.run(&mut |progress| {
            let state = &mut self.lock().1;
            state.phase = Some(progress.phase.name().to_owned());
            state.fraction = progress.fraction;
            match self.cancelled.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        let changed = update.commit()?.languages.into_iter().filter_map(|entry| {
            let (language, reason) = (entry.language.to_string(), entry.reason);
            entry.version.map(|version| Change { language, version, reason })
        });
        Ok(changed.collect())
    }

    /// Ends a running update, and every later one at its first step.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
