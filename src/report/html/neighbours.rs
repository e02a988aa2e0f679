//! The shares of the deltas in the candidates of each language.

use super::chart::{Cell, Heat, HeatGroup, HeatRow, Unit};
use super::markup::Html;
use super::{about, families};
use crate::language::Language;
use crate::report::{CandidateKind, CandidateReport, LanguageReport, Report};
use std::collections::BTreeSet;

/// One table per kind of candidate that was weighted by distance, or a sentence when none was.
pub(super) fn tables(report: &Report) -> Vec<Html> {
    let kinds = [CandidateKind::Combined, CandidateKind::Own, CandidateKind::Shared];
    let tables: Vec<Html> = kinds.into_iter().filter_map(|kind| table(report, kind)).collect();
    if tables.is_empty() {
        let none = "No candidate of this update was weighted by typological distance.";
        return vec![Html::paragraph(none)];
    }
    tables
}

/// The candidate of this kind, if it was weighted by distance.
fn weighted(entry: &LanguageReport, kind: CandidateKind) -> Option<&CandidateReport> {
    let candidate = entry.candidates.iter().find(|candidate| candidate.kind == kind)?;
    candidate.shares.iter().any(|share| share.distance.is_some()).then_some(candidate)
}

fn table(report: &Report, kind: CandidateKind) -> Option<Html> {
    let entries = || report.languages.iter().filter(|entry| weighted(entry, kind).is_some());
    let candidates = entries().filter_map(|entry| weighted(entry, kind));
    let shares = candidates.flat_map(|candidate| &candidate.shares);
    let columns: BTreeSet<&Language> = shares.map(|share| &share.language).collect();
    if columns.is_empty() {
        return None;
    }
    let groups = families(entries()).into_iter().map(|(family, members)| HeatGroup {
        heading: family.unwrap_or("Family not known").to_owned(),
        rows: members.into_iter().map(|entry| row(entry, kind, &columns)).collect(),
    });
    let caption = format!(
        "The share that the delta of each language with new data (columns) has in the \
         {} candidate of each language (rows): near languages share, far ones are left alone. An \
         empty cell is no share at all.",
        kind.name()
    );
    let heat = Heat {
        caption,
        labels: "language".to_owned(),
        columns: columns.iter().map(|language| language.to_string()).collect(),
        unit: Unit::Number,
        groups: groups.collect(),
    };
    Some(heat.html())
}

fn row(entry: &LanguageReport, kind: CandidateKind, columns: &BTreeSet<&Language>) -> HeatRow {
    let shares = weighted(entry, kind).map_or(&[][..], |candidate| &candidate.shares);
    let cell = |language: &&Language| {
        let Some(share) = shares.iter().find(|share| share.language == **language) else {
            return Cell::default();
        };
        let weight = Unit::Number.label(share.weight);
        let mut tooltip = format!("{} learns from {language}: weight {weight}", entry.language);
        if let Some(distance) = share.distance {
            tooltip.push_str(&format!(", distance {}", Unit::Number.label(distance)));
        }
        Cell { value: Some(share.weight), tooltip }
    };
    HeatRow {
        label: entry.language.to_string(),
        about: about(entry),
        cells: columns.iter().map(cell).collect(),
    }
}
