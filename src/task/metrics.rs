//! What is reported about many answers: the metrics that are usual for each kind.
//!
//! Expected and given answers flow in, names and values flow out; the counting is done beside each
//! family, in its `score`. The gate compares none of these but the mean of [`Task::score`].
//!
//! [`Task::score`]: super::Task::score

use super::Given;
use super::{sentence, sequence, token};
use crate::example::{Answer, AnswerKind, tags};

/// An expected answer and the one that was given.
pub type Pair<'a> = (&'a Answer, &'a Given);

/// The metrics of answers of one kind by name, most telling first; one that nothing can be said
/// about is left out.
///
/// Labels: `accuracy`, `macro_f1`. Sets of labels: `jaccard`, `macro_f1`. Numbers: `spearman`,
/// `mean_error`. Tags: `span_f1` where they are of the scheme BIO, and `word_accuracy`. A label and
/// tags: `label_accuracy` and those of tags. Texts: `exact_match`, `character_error_rate`, `chrf`.
pub fn of(kind: AnswerKind, pairs: &[Pair<'_>]) -> Vec<(&'static str, f64)> {
    let metrics = match kind {
        AnswerKind::Label => {
            let pairs = labels(pairs);
            vec![
                ("accuracy", sentence::score::accuracy(&pairs)),
                ("macro_f1", sentence::score::macro_f1(&pairs)),
            ]
        }
        AnswerKind::Labels => of_sets(pairs),
        AnswerKind::Number => {
            let pairs = numbers(pairs);
            vec![
                ("spearman", sentence::score::spearman(&pairs)),
                ("mean_error", sentence::score::mean_error(&pairs)),
            ]
        }
        AnswerKind::Tags => of_tags(pairs),
        AnswerKind::LabelAndTags => {
            let accuracy = sentence::score::accuracy(&labels(pairs));
            let mut metrics = vec![("label_accuracy", accuracy)];
            metrics.extend(of_tags(pairs));
            metrics
        }
        AnswerKind::Text => of_texts(pairs),
    };
    metrics.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

type Metrics = Vec<(&'static str, Option<f64>)>;

/// The one label of each.
fn labels<'a>(pairs: &[Pair<'a>]) -> Vec<(&'a str, &'a str)> {
    let label = |(expected, given): &Pair<'a>| {
        let expected = expected.labels().first().map_or("", String::as_str);
        (expected, given.labels.first().map_or("", |score| score.label.as_str()))
    };
    pairs.iter().map(label).collect()
}

fn of_sets(pairs: &[Pair<'_>]) -> Metrics {
    let given = |(_, given): &Pair<'_>| {
        let mut labels: Vec<String> = given.applying().into_iter().map(str::to_owned).collect();
        labels.sort();
        labels
    };
    let given: Vec<Vec<String>> = pairs.iter().map(given).collect();
    let expected = pairs.iter().map(|(expected, _)| expected.labels());
    let pairs: Vec<(&[String], &[String])> = expected.zip(given.iter().map(Vec::as_slice)).collect();
    vec![
        ("jaccard", sentence::score::jaccard_mean(&pairs)),
        ("macro_f1", sentence::score::macro_f1_of_sets(&pairs)),
    ]
}

fn numbers(pairs: &[Pair<'_>]) -> Vec<(f64, f64)> {
    let number = |(expected, given): &Pair<'_>| match (expected, given.number) {
        (Answer::Number(expected), Some(given)) => Some((expected.0, given)),
        _ => None,
    };
    pairs.iter().filter_map(number).collect()
}

fn of_tags(pairs: &[Pair<'_>]) -> Metrics {
    let mut counts = token::score::Counts::default();
    for (expected, given) in pairs {
        let given = given.words.iter().map(|word| word.tag.as_str());
        counts.add(expected.tags().iter().map(String::as_str), given);
    }
    let expected = pairs.iter().flat_map(|(expected, _)| expected.tags()).map(String::as_str);
    let given = pairs.iter().flat_map(|(_, given)| &given.words).map(|word| word.tag.as_str());
    // A word that was cut off has no tag, which says nothing about the scheme.
    let marks_spans = tags::is_bio(expected.chain(given).filter(|tag| !tag.is_empty()));
    vec![
        ("span_f1", counts.f1().filter(|_| marks_spans)),
        ("word_accuracy", counts.accuracy()),
    ]
}

fn of_texts(pairs: &[Pair<'_>]) -> Metrics {
    let mut counts = sequence::score::Counts::default();
    let mut chrf = sequence::score::Chrf::default();
    for (expected, given) in pairs {
        let Answer::Text(expected) = expected else { continue };
        let given = given.text.as_ref().map_or("", |generated| generated.text.as_str());
        counts.add(expected, given);
        chrf.add(expected, given);
    }
    vec![
        ("exact_match", counts.exact_match()),
        ("character_error_rate", counts.character_error_rate()),
        ("chrf", (counts.texts > 0).then(|| chrf.score())),
    ]
}
