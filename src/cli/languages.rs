//! `polygraft languages`: the table of languages, and how polygraft interprets a tag.

use crate::model;
use polygraft::Result;
use polygraft::console::by_name;
use polygraft::console::output::{ExitStatus, Output};
use polygraft::language::{self, Distance, Language, SERVING_DISTANCE_MAX, Typology};
use polygraft::report::{Align, Table};
use polygraft::store::{Step, StepKind};
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Explain one tag: its meaning, its near languages, and the version that serves it
    #[arg(long, value_name = "TAG")]
    explain: Option<String>,
    /// The folder of a store, to show which of its versions serves the tag
    #[arg(long, value_name = "DIR", requires = "explain", requires = "task")]
    store: Option<PathBuf>,
    /// The task within the store
    #[arg(long, value_name = "NAME", requires = "store")]
    pub task: Option<String>,
    /// The distance by which near languages are sorted
    #[arg(long, value_name = "KIND", requires = "explain", default_value_t,
          value_parser = by_name(Distance::ALL, Distance::name))]
    distance: Distance,
    /// The number of near languages to show
    #[arg(long, value_name = "N", requires = "explain", default_value_t = 8)]
    count: usize,
}

pub fn run(args: &Args, output: &Output) -> Result<ExitStatus> {
    match &args.explain {
        Some(tag) => explain(args, &model::language("--explain", tag)?, output)?,
        None => list(output)?,
    }
    Ok(ExitStatus::Done)
}

fn list(output: &Output) -> Result<()> {
    if output.is_json() {
        let languages: Vec<Typology> = language::languages().collect();
        return output.document(&json!({"languages": languages}));
    }
    let mut table = Table::new(&[
        ("language", Align::Left),
        ("ISO 639-3", Align::Left),
        ("name", Align::Left),
        ("family", Align::Left),
        ("features", Align::Left),
    ]);
    for Typology { tag, iso639_3, name, family, observed } in language::languages() {
        table.row([tag, iso639_3, name, family, certainty(observed)]);
    }
    output.text(&table.to_string())
}

fn certainty(observed: bool) -> &'static str {
    if observed { "observed" } else { "predicted" }
}

/// The languages of the table that are near to one language.
struct Near {
    language: Language,
    typology: Typology,
    distance: f64,
}

fn near(args: &Args, to: &Language) -> Result<Vec<Near>> {
    let Some(own) = to.typology() else { return Ok(Vec::new()) };
    let others = language::languages().filter(|other| other.tag != own.tag);
    let others = others.map(|other| Language::parse(other.tag)).collect::<Result<Vec<_>>>()?;
    let nearest = language::nearest(to, others.iter(), args.distance, args.count);
    let near = nearest.into_iter().filter_map(|(other, distance)| {
        Some(Near { language: other.clone(), typology: other.typology()?, distance })
    });
    Ok(near.collect())
}

fn explain(args: &Args, language: &Language, output: &Output) -> Result<()> {
    let near = near(args, language)?;
    let chain = match (&args.store, &args.task) {
        (Some(store), Some(task)) => {
            Some(model::open_store(store)?.snapshot()?.explain(task, language))
        }
        _ => None,
    };
    if output.is_json() {
        let near = near.iter().map(|near| {
            json!({"language": near.language, "name": near.typology.name,
                "family": near.typology.family, "observed": near.typology.observed,
                "distance": near.distance})
        });
        return output.document(&json!({
            "language": language,
            "name": language.name(),
            "replacement": language.replacement(),
            "typology": language.typology(),
            "undetermined": language.is_undetermined(),
            "distance": args.distance,
            "nearest": near.collect::<Vec<_>>(),
            "serving_distance_max": SERVING_DISTANCE_MAX,
            "fallbacks": language.fallbacks().collect::<Vec<_>>(),
            "chain": chain,
        }));
    }
    let mut text = facts(language);
    if !near.is_empty() {
        text.push_str(&format!("\nnearest by {} distance:\n", args.distance.name()));
        text.push_str(&near_table(&near).to_string());
    }
    match &chain {
        Some(steps) => text.push_str(&served_text(steps)),
        None => text.push_str(&order_text(language)),
    }
    output.text(&text)
}

fn facts(language: &Language) -> String {
    let mut text = format!("{language}\n");
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<9}  {value}\n"));
    if let Some(tag) = language.replacement() {
        line("prefer", &format!("{tag}, the shorter or newer code of the same language"));
    }
    match language.typology() {
        Some(Typology { tag, iso639_3, name, family, observed }) => {
            line("name", name);
            if tag != language.as_str() {
                line("table", tag);
            }
            line("ISO 639-3", iso639_3);
            line("family", family);
            line("features", certainty(observed));
        }
        None if language.is_undetermined() => {
            line("name", "undetermined: no language is near to it");
        }
        None if language.is_shared() => line("name", "the shared adapter"),
        None => {
            line("name", language.name().unwrap_or("private"));
            line("typology", "none: no near language stands in for it");
        }
    }
    text
}

fn near_table(near: &[Near]) -> Table {
    let mut table = Table::new(&[
        ("language", Align::Left),
        ("distance", Align::Right),
        ("name", Align::Left),
        ("family", Align::Left),
        ("features", Align::Left),
    ]);
    for Near { language, typology, distance } in near {
        table.row([
            language.as_str(),
            &format!("{distance:.3}"),
            typology.name,
            typology.family,
            certainty(typology.observed),
        ]);
    }
    table
}

/// The order in which versions are searched, for when no store is given.
fn order_text(language: &Language) -> String {
    let mut order: Vec<String> = language.fallbacks().map(|tag| tag.to_string()).collect();
    if language.typology().is_some() {
        let nearest =
            format!("the nearest language with a version, at most {SERVING_DISTANCE_MAX} away");
        order.insert(order.len() - 1, nearest);
    }
    format!("\nserved by the first that has a version:\n  {}\n", order.join("\n  "))
}

fn served_text(steps: &[Step]) -> String {
    let mut table = Table::new(&[
        ("step", Align::Left),
        ("language", Align::Left),
        ("mixed distance", Align::Right),
        ("version", Align::Right),
        ("", Align::Left),
    ]);
    for Step { language, kind, distance, version, taken } in steps {
        let shown = distance.map_or_else(String::new, |distance| format!("{distance:.3}"));
        let version = version.map_or_else(|| "none".to_owned(), |number| number.to_string());
        let note = match kind {
            _ if *taken => "serves".to_owned(),
            StepKind::TooFar => format!("more than {SERVING_DISTANCE_MAX} away"),
            _ => String::new(),
        };
        table.row([kind.name(), language.as_str(), &shown, &version, &note]);
    }
    let served = steps.iter().any(|step| step.taken);
    let end = if served { "" } else { "no version serves it\n" };
    format!("\nwho serves it:\n{table}{end}")
}
