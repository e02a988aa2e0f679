//! Reports as one self-contained HTML file with charts.
//!
//! Input: reports. Output: the text of a page without scripts and external resources, readable
//! without colour, in light and dark, on a telephone and on paper. Everything from outside is
//! escaped by [`Html`], the only type that pages are made of. Other pages are built from the same
//! pieces: [`Page`], [`table()`] and the charts of [`chart`]. This module must never write a file
//! and never decide anything: it shows what the reports say.

mod change;
pub mod chart;
mod evidence;
mod markup;
mod neighbours;
mod page;
mod stages;
mod table;

pub use markup::Html;
pub use page::Page;
pub use table::table;

use super::{Decision, LanguageReport, Report, Summary, utc};
use crate::language::Language;
use chart::Unit;

/// The content of a page: the updates of one task, in the order in which they were made.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// The heading of the page.
    pub title: &'a str,
    /// One report per stage. The page shows the last one in full, and the development up to it.
    pub reports: &'a [Report],
}

/// Renders the page as one file, to be written as UTF-8. It is also well-formed XML.
pub fn page(document: &Document) -> String {
    let mut page = Page::new(document.title);
    let Some((last, earlier)) = document.reports.split_last() else {
        page.push(&Html::paragraph("There is no update to show."));
        return page.finish();
    };
    page.push(&headline(last));
    let by_language =
        if change::compared(last) { "Change by language" } else { "Score by language" };
    page.section(by_language, &[change::by_language(last)]);
    if let Some(families) = change::by_family(last) {
        page.section("Change by language family", &[families]);
    }
    page.section("Typological neighbours", &neighbours::tables(last));
    if !earlier.is_empty() {
        page.section("Stages over time", &stages::pieces(document.reports));
    }
    page.section("Evidence", &[evidence::listing(last)]);
    page.section("Training", &[evidence::training(last)]);
    if !earlier.is_empty() {
        let stages: Vec<Html> = earlier.iter().rev().map(evidence::earlier_stage).collect();
        page.section("Earlier stages", &stages);
    }
    page.finish()
}

/// Renders the page of one or more updates of one task, oldest first.
pub fn updates(reports: &[Report]) -> String {
    let title = match reports {
        [only] => format!("Update {} of the task {}", only.stage, only.task),
        [.., last] => format!("{} updates of the task {}", reports.len(), last.task),
        [] => "No updates".to_owned(),
    };
    page(&Document { title: &title, reports })
}

/// The outcome of the update, as the first thing on the page.
fn headline(report: &Report) -> Html {
    let languages = || report.languages.iter().filter(|entry| !entry.language.is_shared());
    let total = languages().count();
    let kept = languages().filter(|entry| entry.decision == Decision::Keep).count();
    let mut html = Html::default();
    html.element("ul", &[("class", &"tiles")], |list| {
        if change::compared(report) {
            tile(list, "Served to users", &better_worse(&report.summary), &totals(&report.summary));
            let ungated = &report.candidate_summary;
            tile(list, "Without the gate", &better_worse(ungated), &totals(ungated));
        } else {
            tile(
                list,
                "Served to users",
                "First versions",
                "There is nothing to compare them with.",
            );
        }
        let kept = format!("{kept} of {}", count(total, "language"));
        tile(list, "Kept what they had", &kept, "The gate did not activate a candidate there.");
    });
    html.line();
    html.push(&facts(report));
    html
}

/// What the update was, where it was made and what it was trained on.
fn facts(report: &Report) -> Html {
    let (stage, seed) = (report.stage.to_string(), report.seed.to_string());
    let (examples, time) = (evidence::examples(report), evidence::time(report));
    let origin = report.origin.clone().unwrap_or_default();
    let measured =
        format!("{} UTC by polygraft {}", utc(origin.measured_unix_ms), origin.polygraft);
    let backbone: String = origin.backbone.chars().take(12).collect();
    let backbone = format!("{}, {backbone}", origin.bundle);
    let mut facts = vec![
        ("Task", report.task.as_str()),
        ("Stage", &stage),
        ("Strategy", &report.strategy),
        ("Seed", &seed),
        ("Gate", &report.gate),
        ("Examples", &examples),
        ("Time", &time),
    ];
    // Reports of polygraft 0.1 have no origin.
    if report.origin.is_some() {
        facts.extend([("Measured", measured.as_str()), ("Backbone", &backbone)]);
    }
    definitions(&facts)
}

fn tile(list: &mut Html, name: &str, figure: &str, detail: &str) {
    list.element("li", &[], |item| {
        item.leaf("span", &[], name);
        item.leaf("strong", &[], figure);
        item.leaf("small", &[], detail);
    });
}

fn definitions(facts: &[(&str, &str)]) -> Html {
    Html::of("dl", &[], |list| {
        for (name, text) in facts {
            list.element("div", &[], |pair| {
                pair.leaf("dt", &[], name);
                pair.leaf("dd", &[("dir", &"auto")], text);
            });
        }
    })
}

fn better_worse(summary: &Summary) -> String {
    format!("{} better, {} worse", summary.improved, summary.lost)
}

fn totals(summary: &Summary) -> String {
    format!(
        "gains {}, losses {} points in all",
        Unit::Points.label(summary.gain_total),
        Unit::Points.label(-summary.loss_total),
    )
}

/// A number with its noun: `1 language`, `14 languages`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The English name of a language, if it is known.
fn name(language: &Language) -> &'static str {
    language.typology().map(|typology| typology.name).or(language.name()).unwrap_or_default()
}

/// The name of a language, with what is special about it in this update.
fn about(entry: &LanguageReport) -> String {
    let language = &entry.language;
    let name = if language.is_shared() { "shared adapter" } else { name(language) };
    let parts = [
        (!name.is_empty()).then_some(name),
        language.lacks_typology().then_some("no typology"),
        entry.updated.then_some("new data"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// The entries by family, sorted by name; entries without a known family come last, under `None`.
fn families<'a>(
    entries: impl IntoIterator<Item = &'a LanguageReport>,
) -> Vec<(Option<&'static str>, Vec<&'a LanguageReport>)> {
    let mut families: Vec<(Option<&str>, Vec<&LanguageReport>)> = Vec::new();
    for entry in entries {
        let family = entry.language.typology().map(|typology| typology.family);
        match families.iter_mut().find(|(known, _)| *known == family) {
            Some((_, members)) => members.push(entry),
            None => families.push((family, vec![entry])),
        }
    }
    families.sort_by_key(|(family, _)| (family.is_none(), *family));
    families
}
