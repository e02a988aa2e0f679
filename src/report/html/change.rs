//! What the update changed, by language and by family.

use super::chart::{Bar, BarGroup, Bars, Fill, Unit};
use super::markup::Html;
use super::{about, count, families};
use crate::report::text::decision;
use crate::report::{Decision, LanguageReport, ReasonKind, Report};

const CAPTION: &str = "Change in score that the chosen candidate makes on the report \
    split (n), in percentage points. Solid bar: activated, so users are served this change. \
    Hatched bar: not activated; users keep what they had, so the number beside it is 0.0.";

/// Whether any language had an earlier version to compare with.
pub(super) fn compared(report: &Report) -> bool {
    report.languages.iter().any(|entry| entry.candidate_change().is_some())
}

/// All languages, the largest gain first; the shared adapter comes last, on its own.
pub(super) fn by_language(report: &Report) -> Html {
    let (shared, languages): (Vec<_>, Vec<_>) =
        report.languages.iter().partition(|entry| entry.language.is_shared());
    if report.languages.is_empty() {
        return Html::paragraph("The update measured no language.");
    }
    if !compared(report) {
        return first_versions(&sorted(&report.languages, |entry| entry.after));
    }
    let mut groups =
        vec![group(String::new(), &sorted(languages, LanguageReport::candidate_change))];
    if !shared.is_empty() {
        groups.push(group("For languages without a version of their own".to_owned(), &shared));
    }
    bars(CAPTION, groups).html()
}

/// The same by family, the family with the largest gain first; `None` when nothing was compared.
pub(super) fn by_family(report: &Report) -> Option<Html> {
    let languages = report.languages.iter().filter(|entry| !entry.language.is_shared());
    let mut families: Vec<_> = families(languages)
        .into_iter()
        .map(|(family, members)| {
            let served = mean(members.iter().filter_map(|entry| entry.served_change()));
            let ungated = mean(members.iter().filter_map(|entry| entry.candidate_change()));
            (family, members, served, ungated)
        })
        .collect();
    families.iter().find(|(_, _, _, ungated)| ungated.is_some())?;
    let least = f64::NEG_INFINITY;
    families.sort_by(|one, other| {
        let key = |served: Option<f64>| served.unwrap_or(least);
        one.0.is_none().cmp(&other.0.is_none()).then(key(other.2).total_cmp(&key(one.2)))
    });
    let groups = families.into_iter().map(|(family, members, served, ungated)| {
        let mut heading = family.unwrap_or("Family not known").to_owned();
        heading.push_str(&format!(": {}", count(members.len(), "language")));
        if let (Some(served), Some(ungated)) = (served, ungated) {
            let (served, ungated) = (Unit::Points.label(served), Unit::Points.label(ungated));
            heading.push_str(&format!("; mean change served {served}, without the gate {ungated}"));
        }
        group(heading, &sorted(members, LanguageReport::candidate_change))
    });
    let caption = "The same changes with related languages together, the family whose served \
        change is best on average first.";
    Some(bars(caption, groups.collect()).html())
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Sorts by value, the largest first. Entries without a value come last; equal ones are sorted by
/// tag.
fn sorted<'a>(
    entries: impl IntoIterator<Item = &'a LanguageReport>,
    value: impl Fn(&LanguageReport) -> Option<f64>,
) -> Vec<&'a LanguageReport> {
    let mut entries: Vec<_> = entries.into_iter().collect();
    let key = |entry: &LanguageReport| value(entry).unwrap_or(f64::NEG_INFINITY);
    entries.sort_by(|one, other| {
        key(other).total_cmp(&key(one)).then_with(|| one.language.cmp(&other.language))
    });
    entries
}

fn bars(caption: &str, groups: Vec<BarGroup>) -> Bars {
    Bars {
        caption: caption.to_owned(),
        labels: "language".to_owned(),
        values: "change".to_owned(),
        notes: "decision".to_owned(),
        unit: Unit::Points,
        groups,
    }
}

fn group(heading: String, entries: &[&LanguageReport]) -> BarGroup {
    let bar = |entry: &&LanguageReport| Bar {
        served: entry.served_change(),
        ..bar(entry, entry.candidate_change())
    };
    BarGroup { heading, bars: entries.iter().map(bar).collect() }
}

/// The scores themselves, when nothing was served before.
fn first_versions(entries: &[&LanguageReport]) -> Html {
    let caption = "Score of the first versions on the report split (n). Solid bar: \
        activated. Hatched bar: not activated.";
    let bars = entries.iter().map(|entry| Bar { note: outcome(entry), ..bar(entry, entry.after) });
    let group = BarGroup { heading: String::new(), bars: bars.collect() };
    let usual = self::bars(caption, vec![group]);
    Bars { values: "score".to_owned(), unit: Unit::Percent, ..usual }.html()
}

fn bar(entry: &LanguageReport, value: Option<f64>) -> Bar {
    Bar {
        label: entry.language.to_string(),
        about: about(entry),
        value,
        count: Some(entry.report_examples),
        fill: match entry.decision {
            Decision::Activate => Fill::Solid,
            Decision::Keep => Fill::Hatched,
        },
        note: note(entry),
        tooltip: tooltip(entry),
        ..Bar::default()
    }
}

/// The decision and the candidate that it is about.
fn outcome(entry: &LanguageReport) -> String {
    match entry.chosen_name() {
        Some(name) => format!("{}, {name}", decision(entry)),
        None => decision(entry),
    }
}

/// What users get, in a few words.
fn note(entry: &LanguageReport) -> String {
    match (entry.decision, entry.candidate_change()) {
        (Decision::Activate, Some(_)) => outcome(entry),
        (Decision::Activate, None) => match (entry.before, entry.after) {
            (None, Some(after)) => {
                format!("{}, first version: {}", decision(entry), Unit::Percent.label(after))
            }
            _ => format!("{}, not measured", decision(entry)),
        },
        (Decision::Keep, Some(change))
            if change < 0.0 && entry.reason_kind == ReasonKind::Worse =>
        {
            format!("kept: loss avoided, {}", entry.reason)
        }
        (Decision::Keep, _) => format!("kept: {}", entry.reason),
    }
}

fn tooltip(entry: &LanguageReport) -> String {
    let score = |score: Option<f64>| {
        score.map_or_else(|| "not measured".to_owned(), |value| Unit::Percent.label(value))
    };
    format!(
        "{}: before {}, candidate {}, on {}. {}",
        entry.language,
        score(entry.before),
        score(entry.after),
        count(entry.report_examples, "report example"),
        entry.reason,
    )
}
