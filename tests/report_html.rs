//! Report pages: well-formed whatever they are about, nothing from outside read as markup, and
//! every language on them.

mod report_support;

use polygraft::report::html::chart::{
    Bar, BarGroup, Bars, Cell, Heat, HeatGroup, HeatRow, Line, Lines, Panel, Panels, Point, Unit,
};
use polygraft::report::html::{Document, Html, Page, page, table};
use polygraft::report::{Align, Decision, ReasonKind, Report};
use proptest::prelude::*;
use report_support::{language, report, stages};
use serde_json::Value;

/// What a strict reader makes of a page: its elements in order, and its text without markup.
struct Read {
    elements: Vec<String>,
    text: String,
}

/// Reads a page as XML would: every element closed in order, every attribute quoted, no bare `<`,
/// `>`, `&` or control character in any text.
fn read(page: &str) -> Result<Read, String> {
    let body = page.strip_prefix("<!DOCTYPE html>\n").ok_or("no document type")?;
    let (mut open, mut found) = (Vec::new(), Read { elements: Vec::new(), text: String::new() });
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        let (before, after) = rest.split_at(at);
        found.text.push_str(&plain(before)?);
        let end = tag_end(after).ok_or_else(|| format!("open tag: {}", head(after)))?;
        let (tag, next) = (&after[1..end], &after[end + 1..]);
        rest = next;
        if let Some(name) = tag.strip_prefix('/') {
            let expected: Option<String> = open.pop();
            if expected.as_deref() != Some(name) {
                return Err(format!("</{name}> closes {expected:?}"));
            }
            continue;
        }
        let void = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("element {name:?}"));
        }
        check_attributes(attributes)?;
        found.elements.push(name.to_owned());
        if !void {
            open.push(name.to_owned());
        }
    }
    found.text.push_str(&plain(rest)?);
    if open.is_empty() { Ok(found) } else { Err(format!("never closed: {open:?}")) }
}

fn head(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Where a tag ends: at the first `>` outside quotes.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quoted = false;
    tag.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '>' && !quoted).then_some(at)
    })
}

fn check_attributes(attributes: &str) -> Result<(), String> {
    let mut rest = attributes.trim_start();
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or(format!("attribute {}", head(rest)))?;
        let (value, after) = after.split_once('"').ok_or(format!("value {}", head(after)))?;
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !name.chars().all(letters) || name.starts_with("on") || names.contains(&name) {
            return Err(format!("attribute {name:?}"));
        }
        names.push(name);
        plain(value)?;
        rest = after.trim_start();
    }
    Ok(())
}

/// Text with its references resolved.
fn plain(text: &str) -> Result<String, String> {
    if let Some(bad) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(format!("{bad:?} in {}", head(text)));
    }
    if text.contains(['<', '>']) {
        return Err(format!("markup in text: {}", head(text)));
    }
    let mut pieces = text.split('&');
    let mut read = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, after) = piece.split_once(';').ok_or(format!("bare & before {piece:?}"))?;
        read.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            _ => return Err(format!("reference &{name};")),
        });
        read.push_str(after);
    }
    Ok(read)
}

fn pages(title: &str, reports: &[Report]) -> Read {
    let page = page(&Document { title, reports });
    read(&page).unwrap_or_else(|wrong| panic!("{wrong}"))
}

const HOSTILE: [&str; 7] = [
    "</title></style><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "]]> & &amp; &#x3c;script>",
    "nul\0 escape\u{1b}[31m end\u{7f}\u{85}\u{FFFE}",
    "\u{202e}right to left\u{2066} and no way back",
    "<!-- --><svg/onload=alert(1)>",
];

#[test]
fn the_strict_reader_finds_what_is_wrong() {
    let wrongs = ["<p>", "<p></b>", "a & b", "<p x=1></p>", "<p onclick=\"\"></p>", "a > b", "\0"];
    for wrong in wrongs {
        assert!(read(&format!("<!DOCTYPE html>\n{wrong}")).is_err(), "{wrong}");
    }
    assert!(read("<!DOCTYPE html>\n<p x=\"&lt;\">a &amp; b<br/></p>").is_ok());
}

#[test]
fn every_language_is_on_the_page() {
    for count in [1, 3, 14, 34, 60] {
        let report = report(3, 1, count);
        let read = pages("intent", std::slice::from_ref(&report));
        for entry in &report.languages {
            let shown = read.text.matches(entry.language.as_str()).count();
            assert!(shown >= 3, "{} is shown {shown} times", entry.language);
            assert!(read.text.contains(&entry.reason), "{}", entry.reason);
        }
        assert!(!read.elements.iter().any(|name| name == "script"));
    }
}

#[test]
fn hostile_text_stays_text() {
    for hostile in HOSTILE {
        let mut reports = stages(5, 2, 5);
        for report in &mut reports {
            report.task = hostile.to_owned();
            report.strategy = hostile.to_owned();
            report.gate = hostile.to_owned();
            report.languages.iter_mut().for_each(|entry| entry.reason = hostile.to_owned());
        }
        let harmless = pages("title", &stages(5, 2, 5));
        let read = pages(hostile, &reports);
        assert_eq!(read.elements, harmless.elements, "{hostile}");
        let printable = |c: char| if c.is_control() || c == '\u{FFFE}' { '\u{FFFD}' } else { c };
        let expected: String = hostile.chars().map(printable).collect();
        assert!(read.text.contains(&expected), "{hostile:?}");
    }
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let reports = stages(1, 3, 14);
    let page = page(&Document { title: "intent", reports: &reports });
    for reference in ["http:", "https:", "src=", "href=", "@import", "//", "<script", "<link"] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert_eq!(page.matches("url(").count(), page.matches("url(#hatch-").count());
    assert!(page.contains("default-src &#39;none&#39;"), "a policy that forbids loading");
}

#[test]
fn a_kept_language_differs_without_colour() {
    let mut one = report(3, 1, 1);
    one.languages.retain(|entry| !entry.language.is_shared());
    let entry = &mut one.languages[0];
    (entry.before, entry.after) = (Some(0.80), Some(0.75));
    entry.decision = Decision::Keep;
    entry.reason = "may be as low as \u{2212}9.1 points".to_owned();
    entry.reason_kind = ReasonKind::Worse;
    entry.report_examples = 73;
    one.summarise();
    let kept = page(&Document { title: "kept", reports: std::slice::from_ref(&one) });
    assert!(kept.contains("class=\"loss hatched\""));
    let text = read(&kept).map(|read| read.text).unwrap_or_default();
    assert!(text.contains("\u{2212}5.0"), "what the candidate would have done: {text}");
    // Beside the bar stand what is served, on how many examples, and why.
    let row = "0.073kept: loss avoided, may be as low as \u{2212}9.1 points";
    assert!(text.contains(row), "{text}");
    assert!(text.contains("0 better, 0 worse"), "served");

    one.languages[0].decision = Decision::Activate;
    one.summarise();
    let served = page(&Document { title: "served", reports: std::slice::from_ref(&one) });
    assert!(served.contains("class=\"loss\"") && !served.contains("class=\"loss hatched\""));
    let text = read(&served).map(|read| read.text).unwrap_or_default();
    assert!(text.contains("0 better, 1 worse") && !text.contains("kept: "), "{text}");
    assert!(text.contains("\u{2212}5.073activate"), "{text}");
}

/// The page gives the gate's reason: too few examples are not an avoided loss.
#[test]
fn a_label_follows_the_reason_of_the_gate() {
    let mut one = report(3, 1, 4);
    one.languages.retain(|entry| !entry.language.is_shared());
    for entry in &mut one.languages {
        (entry.before, entry.after, entry.decision) = (Some(0.6), Some(0.5), Decision::Keep);
        entry.reason_kind = ReasonKind::TooFewExamples;
        entry.candidates.clear();
        entry.reason = "6 selection examples, at least 10 needed".to_owned();
    }
    one.summarise();
    let page = page(&Document { title: "kept", reports: std::slice::from_ref(&one) });
    let text = read(&page).map(|read| read.text).unwrap_or_default();
    assert_eq!(text.matches("kept: 6 selection examples, at least 10 needed").count(), 8, "{text}");
    let chart = text.split("Evidence").next().unwrap_or_default();
    let chart = chart.split_once("Change by language").map_or("", |(_, chart)| chart);
    assert!(!text.contains("loss avoided"), "{text}");
    for entry in &one.languages {
        let row = format!("0.0{}kept: ", entry.report_examples);
        assert!(chart.contains(&row), "{row} in {chart}");
    }
}

#[test]
fn the_head_says_where_a_report_comes_from_and_old_ones_do_without() {
    let mut one = report(3, 1, 2);
    let text = pages("new", std::slice::from_ref(&one)).text;
    for fact in [
        "Measured2000-02-29 00:00 UTC by polygraft 0.1.0",
        "Backbonee5-small, 0123456789ab",
        "Examples1200 new, 680 rehearsed per epoch",
        "Time184.3 s with measuring",
    ] {
        assert!(text.contains(fact), "{fact} in {text}");
    }
    let mut json = serde_json::to_value(&one).expect("JSON");
    json.as_object_mut().expect("an object").remove("origin");
    one = serde_json::from_value(json).expect("a report of 0.1");
    let text = pages("old", &[one]).text;
    assert!(!text.contains("Measured") && text.contains("Examples1200 new"), "{text}");
}

#[test]
fn little_or_nothing_still_makes_a_page() {
    assert!(pages("none", &[]).text.contains("There is no update to show."));

    let mut empty = report(1, 1, 1);
    empty.languages.clear();
    empty.summarise();
    assert!(pages("empty", &[empty.clone(), empty]).text.contains("measured no language"));

    let mut first = report(1, 1, 4);
    first.languages.iter_mut().for_each(|entry| entry.before = None);
    first.summarise();
    let text = pages("first", std::slice::from_ref(&first)).text;
    assert!(text.contains("First versions") && text.contains("Score of the first versions"));

    first.languages.iter_mut().for_each(|entry| {
        (entry.after, entry.chosen, entry.decision) = (None, None, Decision::Keep);
        entry.candidates.clear();
    });
    let text = pages("nothing", &[first]).text;
    assert!(
        text.contains("keep")
            && text.contains("candidates by")
            && text.contains("No candidate of this update")
    );
}

#[test]
fn a_language_that_is_not_compared_says_why() {
    let mut report = report(2, 1, 4);
    let [first, second, ..] = report.languages.as_mut_slice() else { panic!("two languages") };
    (first.before, first.after, first.decision) = (None, Some(0.75), Decision::Activate);
    (second.after, second.chosen, second.decision) = (None, None, Decision::Keep);
    second.reason = "nothing new for this language".to_owned();
    report.summarise();
    let text = pages("some", &[report]).text;
    assert!(
        text.contains("first version: 75.0 %")
            && text.contains("kept: nothing new for this language"),
        "{text}"
    );
}

#[test]
fn a_language_that_comes_later_leaves_a_gap() {
    let mut reports = stages(4, 3, 6);
    let late = language("fi");
    for report in &mut reports[..2] {
        report.languages.retain(|entry| entry.language != late);
    }
    let entry = reports[2].languages.iter_mut().find(|entry| entry.language == late);
    entry.expect("an entry").before = None;
    assert!(pages("late", &reports).text.contains("Stages over time"));
}

#[test]
fn stages_show_what_is_served() {
    let reports = stages(7, 10, 8);
    let text = pages("stages", &reports).text;
    for stage in 1..10 {
        assert!(text.contains(&format!("Stage {stage}, strategy uriel")), "{stage}");
    }
    let last = &reports[9];
    let languages = last.languages.iter().filter(|entry| !entry.language.is_shared());
    let served: Vec<f64> = languages
        .map(|entry| match entry.decision {
            Decision::Activate => entry.after.expect("a score"),
            Decision::Keep => entry.before.expect("a score"),
        })
        .collect();
    let mean = 100.0 * served.iter().sum::<f64>() / served.len() as f64;
    let worst = 100.0 * served.iter().copied().fold(1.0, f64::min);
    let best = 100.0 * served.iter().copied().fold(0.0, f64::max);
    let number = format!("{mean:.1} % ({worst:.1} % to {best:.1} %)");
    assert!(text.contains(&number), "{number}");
}

/// Equal but for the last digits of floats, which the reader of JSON may round.
fn assert_same(one: &Value, other: &Value) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            assert!(one.keys().eq(other.keys()), "{one:?} and {other:?}");
            one.iter().for_each(|(key, value)| assert_same(value, &other[key]));
        }
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len());
            one.iter().zip(other).for_each(|(one, other)| assert_same(one, other));
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() => {
            let (one, other) = (one.as_f64(), other.as_f64());
            let difference = one.zip(other).map(|(one, other)| (one - other).abs());
            assert!(difference.is_some_and(|difference| difference < 1e-12), "{one:?} {other:?}");
        }
        _ => assert_eq!(one, other),
    }
}

#[test]
fn a_report_comes_back_from_json_as_it_was() {
    for report in stages(6, 3, 60) {
        let json = serde_json::to_string(&report).expect("JSON");
        let back: Report = serde_json::from_str(&json).expect("a report");
        let value = |report| serde_json::to_value(report).expect("JSON");
        assert_same(&value(&back), &value(&report));
    }
    assert!(serde_json::from_str::<Report>("{\"task\":\"intent\"}").is_err());
}

/// One page with every chart, all texts and values given.
fn charts(text: &str, value: f64, spread: Option<(f64, f64)>) -> String {
    let text = || text.to_owned();
    let point = Some(Point { value, spread, hollow: false, tooltip: text() });
    let points = vec![point.clone(), None, point.clone(), point];
    let bar = Bar { label: text(), about: text(), value: Some(value), spread, ..Bar::default() };
    let bars = vec![BarGroup { heading: text(), bars: vec![bar, Bar::default()] }];
    let cells = vec![Cell { value: Some(value), tooltip: text() }; 3];
    let rows = vec![HeatRow { label: text(), about: text(), cells }];
    let mut page = Page::new(&text());
    for unit in [Unit::Percent, Unit::Points, Unit::Number] {
        let (caption, labels, values, notes) = (text(), text(), text(), text());
        let groups = bars.clone();
        let bars = Bars { caption, labels, values, notes, unit, groups };
        let groups = vec![HeatGroup { heading: text(), rows: rows.clone() }];
        let columns = vec![text(); 2];
        let heat = Heat { caption: text(), labels: text(), columns, unit, groups };
        let lines = vec![Line { name: text(), points: points.clone() }; 7];
        let columns = vec![text(); 3];
        let lines = Lines { caption: text(), across: text(), columns, unit, lines };
        let panel = Panel { label: text(), about: text(), points: points.clone() };
        let panels = Panels { caption: text(), columns: 3, unit, panels: vec![panel] };
        page.section(&text(), &[bars.html(), heat.html(), lines.html(), panels.html()]);
    }
    let rows = [vec![Html::from(text().as_str()); 3], vec![]];
    page.section("table", &[table(&text(), &[("a", Align::Left), ("b", Align::Right)], &rows)]);
    page.finish()
}

proptest! {
    #[test]
    fn charts_are_whole_whatever_goes_in(
        text in any::<String>(),
        value in any::<f64>(),
        spread in any::<Option<(f64, f64)>>(),
    ) {
        // Empty headings and notes are left out, with their cells.
        let text = format!("t{text}");
        let page = charts(&text, value, spread);
        let read = read(&page);
        prop_assert!(read.is_ok(), "{:?}", read.err());
        prop_assert!(!page.contains("NaN") || text.contains("NaN"));
        prop_assert!(!page.contains("\"inf") && !page.contains("\"-inf"));
        let plain = charts("text", 0.5, spread.map(|_| (0.4, 0.6)));
        let marks = |page: &str| page.matches("<th").count();
        prop_assert_eq!(marks(&page), marks(&plain));
    }
}

#[test]
fn odd_numbers_have_a_place_in_every_chart() {
    for value in [f64::NAN, f64::INFINITY, f64::MIN, f64::MAX, 0.0, -0.0, f64::MIN_POSITIVE] {
        let page = charts("text", value, Some((f64::NEG_INFINITY, value)));
        assert!(read(&page).is_ok(), "{value}");
        assert!(!page.contains("NaN") && !page.contains("\"inf"), "{value}");
    }
}
