//! How long each phase of an update takes, and the progress that people see of it.

use polygraft::console::progress::Meter;
use polygraft::update::{Phase, Progress};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

/// Time by phase, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timing {
    phases_ms: BTreeMap<String, u64>,
    #[serde(skip)]
    running: Option<(Phase, Instant)>,
}

impl Timing {
    /// Adds time to the phase of `progress` and shows the progress.
    pub fn show(&mut self, meter: &mut Meter, title: &str, progress: &Progress) -> ControlFlow<()> {
        if self.running.is_none_or(|(phase, _)| phase != progress.phase) {
            self.finish();
            self.running = Some((progress.phase, Instant::now()));
        }
        let loss = progress.loss.map(|loss| format!("loss {loss:.3}"));
        let left = self.running.and_then(|(_, since)| left(since, progress));
        let detail: Vec<String> = loss.into_iter().chain(left).collect();
        let phase = format!("{title}: {}", progress.phase.name());
        meter.show(&phase, progress.step, progress.steps_count, &detail.join(", "))
    }

    /// Ends the running phase.
    pub fn finish(&mut self) {
        if let Some((phase, since)) = self.running.take() {
            let name = phase.name().replace(' ', "_");
            *self.phases_ms.entry(name).or_default() += since.elapsed().as_millis() as u64;
        }
    }
}

/// The remaining time of the phase, once it can be estimated.
fn left(since: Instant, progress: &Progress) -> Option<String> {
    const PATIENCE_S: f64 = 3.0;
    let elapsed_s = since.elapsed().as_secs_f64();
    if elapsed_s < PATIENCE_S || progress.step == 0 || progress.step >= progress.steps_count {
        return None;
    }
    let steps_left = (progress.steps_count - progress.step) as f64;
    Some(format!("about {:.0} s left", elapsed_s / progress.step as f64 * steps_left))
}
