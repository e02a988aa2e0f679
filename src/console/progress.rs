//! Progress on standard error: a bar on a terminal, otherwise a plain line every few seconds.

use super::signal;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "the help of the flag says what its values do")]
pub enum Style {
    #[default]
    Auto,
    Bar,
    Plain,
    None,
}

/// The time between two plain lines of one phase.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);
/// A phase that ends earlier than this gets no plain line.
const PLAIN_PATIENCE: Duration = Duration::from_secs(1);

/// Shows the progress of a command, phase by phase.
pub struct Meter {
    shown: Shown,
    phase: String,
    started: Instant,
    interrupt_noted: bool,
}

enum Shown {
    Bar(ProgressBar),
    Plain {
        last: Option<Instant>,
        /// The last step that was printed.
        shown: usize,
    },
    Nothing,
}

/// The state before the first line.
const PLAIN: Shown = Shown::Plain { last: None, shown: 0 };

impl Meter {
    /// A meter that shows nothing yet.
    pub fn new(style: Style) -> Self {
        let shown = match style {
            Style::None => Shown::Nothing,
            Style::Plain => PLAIN,
            Style::Auto if !std::io::stderr().is_terminal() => PLAIN,
            Style::Auto | Style::Bar => Shown::Bar(bar()),
        };
        Self { shown, phase: String::new(), started: Instant::now(), interrupt_noted: false }
    }

    /// Shows a phase of work whose total is known, when `fraction` of the total is done. One bar
    /// covers all phases. Breaks when the user wants to stop.
    pub fn show_of(
        &mut self,
        phase: &str,
        (step, steps_count): (usize, usize),
        fraction: f64,
        detail: &str,
    ) -> ControlFlow<()> {
        let percent = (fraction * 100.0).floor();
        let comma = if detail.is_empty() { "" } else { ", " };
        if !matches!(self.shown, Shown::Bar(_)) {
            let detail = format!("{percent} % of the whole{comma}{detail}");
            return self.show(phase, step, steps_count, &detail);
        }
        if let Shown::Bar(bar) = &self.shown {
            if self.phase.is_empty() {
                bar.set_style(style(WHOLE_TEMPLATE));
                bar.set_length(PERMILLE as u64);
            }
            bar.set_prefix(phase.to_owned());
            bar.set_message(format!("{step}/{steps_count}{comma}{detail}"));
            bar.set_position((fraction * PERMILLE) as u64);
        }
        phase.clone_into(&mut self.phase);
        self.note_interrupt();
        signal::flow()
    }

    /// Shows step `step` of `steps_count` of a phase, followed by `detail`, for example the loss.
    /// Breaks when the user wants to stop.
    pub fn show(
        &mut self,
        phase: &str,
        step: usize,
        steps_count: usize,
        detail: &str,
    ) -> ControlFlow<()> {
        let first = self.phase != phase;
        if first {
            self.finish_phase();
            phase.clone_into(&mut self.phase);
            self.started = Instant::now();
        }
        match &mut self.shown {
            Shown::Bar(bar) => {
                if first {
                    bar.reset();
                }
                bar.set_length(steps_count as u64);
                bar.set_prefix(self.phase.clone());
                bar.set_message(detail.to_owned());
                bar.set_position(step as u64);
            }
            Shown::Plain { last, shown } => {
                if first {
                    (*last, *shown) = (None, 0);
                }
                let due = match last {
                    Some(last) => last.elapsed() >= PLAIN_INTERVAL,
                    None => self.started.elapsed() >= PLAIN_PATIENCE,
                };
                let ended = step == steps_count && self.started.elapsed() >= PLAIN_PATIENCE;
                // A step that is reported twice is printed once.
                if (due || ended) && *shown != step {
                    (*last, *shown) = (Some(Instant::now()), step);
                    let seconds = self.started.elapsed().as_secs();
                    plain_line(&self.phase, step, steps_count, seconds, detail);
                }
            }
            Shown::Nothing => {}
        }
        self.note_interrupt();
        signal::flow()
    }

    fn note_interrupt(&mut self) {
        if signal::interrupted() && !self.interrupt_noted {
            self.interrupt_noted = true;
            let text = "stopping; nothing will be changed (Ctrl-C again ends at once)";
            match &self.shown {
                Shown::Bar(bar) => bar.suspend(|| note(text)),
                _ => note(text),
            }
        }
    }

    /// Leaves the finished phase on the terminal and starts a new line.
    fn finish_phase(&mut self) {
        if self.phase.is_empty() {
            return;
        }
        if let Shown::Bar(bar) = &self.shown {
            // The next phase has begun, so this one is complete, even if it counted no steps.
            bar.set_position(bar.length().unwrap_or(0));
            bar.abandon();
            self.shown = Shown::Bar(self::bar());
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            if self.phase.is_empty() { bar.finish_and_clear() } else { bar.abandon() }
        }
    }
}

/// A bar of one phase.
const PHASE_TEMPLATE: &str = "{prefix:>15}  {bar:30}  {pos:>5}/{len:<5}  {elapsed:>4}  {msg}";
/// A bar of all phases.
const WHOLE_TEMPLATE: &str = "{prefix:>15}  {bar:30}  {percent:>3} %  {elapsed:>4}  {msg}";
/// The length of a bar of all phases.
const PERMILLE: f64 = 1000.0;

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    bar.set_style(style(PHASE_TEMPLATE));
    bar
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

fn plain_line(phase: &str, step: usize, steps_count: usize, seconds: u64, detail: &str) {
    let comma = if detail.is_empty() { "" } else { ", " };
    note(&format!("{phase}: {step}/{steps_count}, {seconds} s{comma}{detail}"));
}

fn note(text: &str) {
    // If standard error cannot be written, there is nowhere to report it.
    let _ = writeln!(std::io::stderr(), "{text}");
}
