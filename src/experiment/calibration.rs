//! Whether the gate's chances are right: of the languages with a stated chance of a loss of 20 %, a
//! fifth should lose.
//!
//! Input: records. Output: bins of stated chances with the share of languages that lost on the test
//! split. This module must never look at how a chance was computed.

use crate::run::Record;
use polygraft::report::html::Html;
use polygraft::report::html::chart::{Line, Lines, Point, Unit};

/// The upper ends of the bins.
const BINS: [f64; 6] = [0.05, 0.2, 0.4, 0.6, 0.8, 1.0];

/// The activated languages whose stated chance of a loss is in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bin {
    languages: f64,
    stated: f64,
    /// How many lost; a language whose score did not change counts half.
    lost: f64,
}

/// The chart of all records; `None` when none states a chance.
pub fn chart(records: &[&Record]) -> Option<Html> {
    let bins = bins(records);
    let all: f64 = bins.iter().map(|bin| bin.languages).sum();
    if all == 0.0 {
        return None;
    }
    let begins = [0.0].into_iter().chain(BINS);
    let name = |(begin, end): (f64, f64)| format!("{:.0} to {:.0} %", 100.0 * begin, 100.0 * end);
    let point = |bin: &Bin, sum: f64, error: f64| {
        (bin.languages > 0.0).then(|| {
            let value = sum / bin.languages;
            let spread =
                (error > 0.0).then(|| ((value - error).max(0.0), (value + error).min(1.0)));
            let tooltip = format!("{} languages", bin.languages);
            Point { value, spread, tooltip, ..Point::default() }
        })
    };
    // The standard error of a share.
    let error = |bin: &Bin| {
        let share = (bin.lost + 1.0) / (bin.languages + 2.0);
        (share * (1.0 - share) / bin.languages.max(1.0)).sqrt()
    };
    let chart = Lines {
        caption: format!(
            "Share of the activated languages that lost on the test split, by the chance of a loss \
             that the gate had stated ({all} languages; half of those without a change count as \
             lost)"
        ),
        across: "stated".to_owned(),
        columns: begins.zip(BINS).map(name).collect(),
        unit: Unit::Percent,
        lines: vec![
            Line {
                name: "stated".to_owned(),
                points: bins.iter().map(|bin| point(bin, bin.stated, 0.0)).collect(),
            },
            Line {
                name: "lost".to_owned(),
                points: bins.iter().map(|bin| point(bin, bin.lost, error(bin))).collect(),
            },
        ],
    };
    Some(chart.html())
}

fn bins(records: &[&Record]) -> [Bin; BINS.len()] {
    let mut bins = [Bin::default(); BINS.len()];
    // Only the first stage starts from the base that it is compared with.
    for record in records {
        let Some(stage) = record.stages.first() else { continue };
        for language in &stage.activated {
            let (Some(stated), Some(before), Some(after)) = (
                stage.estimates.get(language),
                record.base.get(language),
                stage.scores.get(language),
            ) else {
                continue;
            };
            let index = BINS.iter().position(|end| stated.loss_chance <= *end);
            let bin = &mut bins[index.unwrap_or(BINS.len() - 1)];
            bin.languages += 1.0;
            bin.stated += stated.loss_chance;
            bin.lost += match after.total_cmp(before) {
                std::cmp::Ordering::Less => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 0.0,
            };
        }
    }
    bins
}
