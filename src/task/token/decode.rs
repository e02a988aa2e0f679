//! Decodes the logits of tokens into tagged words and spans, and scores them.

use super::Transitions;
use super::score::Counts;
use crate::error::{Code, Error, Result};
use crate::example::tags;
use crate::inference::finite;
use crate::inference::probabilities::{log_softmax, softmax};
use crate::task::sample::{PlacedWord, tagged_tokens};
use crate::task::{Encoded, Metric, TaggedSpan, TaggedWord, Tagging, mean};
use ndarray::{ArrayView2, ArrayView3};

/// The tags of every input, from logits `[inputs, longest, tags]`.
pub(in crate::task) fn decode(
    names: &[String],
    inputs: &[&Encoded],
    logits: &[f32],
) -> Result<Vec<Tagging>> {
    let logits = shaped(names, inputs, logits)?;
    let transitions = Transitions::new(names);
    let rows = inputs.iter().zip(logits.outer_iter());
    let tagging = |(one, row): (&&Encoded, _)| {
        let words = tag(names, &transitions, one, row)?;
        Ok(Tagging { spans: spans(names, &words), words })
    };
    rows.map(tagging).collect()
}

/// The logits as `[inputs, longest, tags]`.
fn shaped<'a>(
    names: &[String],
    inputs: &[&Encoded],
    logits: &'a [f32],
) -> Result<ArrayView3<'a, f32>> {
    let longest = inputs.iter().map(|input| input.encoding.ids.len()).max().unwrap_or(0);
    let shape = (inputs.len(), longest, names.len());
    ArrayView3::from_shape(shape, logits).map_err(|_| {
        let (found, (inputs, longest, tags)) = (logits.len(), shape);
        let message = format!(
            "the session gave {found} logits of tags, expected {inputs} x {longest} x {tags}"
        );
        Error::new(Code::Internal, message)
    })
}

/// The mean over the words of each input of the probability of the expected tag, from logits
/// `[inputs, longest, tags]`. A word without a token has the probability 0, and so has a tag that
/// is not among `names`. Words that share a token count once, with the tag of the first one.
pub(in crate::task) fn probabilities(
    names: &[String],
    inputs: &[&Encoded],
    expected: &[&[String]],
    logits: &[f32],
) -> Result<Vec<f32>> {
    let logits = shaped(names, inputs, logits)?;
    let of = |((input, row), tags): ((&&Encoded, ArrayView2<'_, f32>), &&[String])| {
        let words: Vec<_> = input.words.iter().zip(tags.iter()).collect();
        let own = words.chunk_by(|(before, _), (word, _)| word.shares_token(Some(before)));
        let probability = |same: &[(&PlacedWord, &String)]| {
            let (word, tag) = same.first()?;
            let tag = names.iter().position(|name| name == *tag)?;
            Some(f64::from(softmax(row.row(word.token?))[tag]))
        };
        mean(own.map(|same| probability(same).unwrap_or(0.0))).unwrap_or(0.0) as f32
    };
    Ok(inputs.iter().zip(logits.outer_iter()).zip(expected).map(of).collect())
}

/// The best valid tags of the tokens, and of the words that have a token; `logits` is `[longest,
/// tags]`.
fn tag(
    names: &[String],
    transitions: &Transitions,
    input: &Encoded,
    logits: ArrayView2<'_, f32>,
) -> Result<Vec<TaggedWord>> {
    let tokens = tagged_tokens(&input.words);
    // Padding and special tokens have no tag, so their logits are not checked.
    tokens.iter().try_for_each(|&token| finite::check("logits of tags", logits.row(token)))?;
    let rows = tokens.iter().flat_map(|&token| log_softmax(logits.row(token)));
    let scores: Vec<f32> = rows.collect();
    let mut path = transitions.best(&scores).into_iter().enumerate();
    let mut words: Vec<TaggedWord> = Vec::with_capacity(input.words.len());
    let mut before = None;
    for word in &input.words {
        let chosen = match words.last() {
            Some(last) if word.shares_token(before) => (continued(&last.tag), last.probability),
            _ => match word.token.and_then(|_| path.next()) {
                Some((position, tag)) => {
                    (names[tag].clone(), scores[position * names.len() + tag].exp())
                }
                None => (String::new(), 0.0),
            },
        };
        before = Some(word);
        words.push(TaggedWord {
            tag: chosen.0,
            probability: chosen.1,
            byte_start: word.byte_start,
            byte_end: word.byte_end,
            char_start: word.char_start,
            char_end: word.char_end,
        });
    }
    Ok(words)
}

/// The tag of a word that shares its token with a word of this tag.
fn continued(tag: &str) -> String {
    match tags::Bio::parse(tag) {
        Some(tags::Bio::Begin(kind)) => format!("I-{kind}"),
        _ => tag.to_owned(),
    }
}

/// The spans that the tags mark; empty unless they are BIO tags.
fn spans(names: &[String], words: &[TaggedWord]) -> Vec<TaggedSpan> {
    if !tags::is_bio(names.iter().map(String::as_str)) {
        return Vec::new();
    }
    let found = tags::spans(words.iter().map(|word| word.tag.as_str()));
    let span = |span: tags::Span| {
        let (first, last) = (&words[span.first], &words[span.last]);
        let within = &words[span.first..=span.last];
        TaggedSpan {
            kind: span.kind,
            probability: within.iter().map(|word| word.probability).fold(1.0, f32::min),
            first_word: span.first,
            last_word: span.last,
            byte_start: first.byte_start,
            byte_end: last.byte_end,
            char_start: first.char_start,
            char_end: last.char_end,
        }
    };
    found.into_iter().map(span).collect()
}

/// For BIO tags, the F1 of the spans of one input, 1 if there are none; otherwise the share of
/// words with the right tag.
pub(in crate::task) fn score(names: &[String], given: &Tagging, expected: &[String]) -> f32 {
    let counts = Counts::of(expected.iter().map(String::as_str), given.tags());
    let score = match tags::is_bio(names.iter().map(String::as_str)) {
        true => counts.f1().unwrap_or(1.0),
        false => counts.accuracy().unwrap_or(0.0),
    };
    score as f32
}

/// For BIO tags, the F1 of the spans of all inputs together; and the share of words with the right
/// tag. Each pair has the expected and the given tags.
pub(in crate::task) fn metrics(names: &[String], pairs: &[(&[String], &Tagging)]) -> Vec<Metric> {
    let mut counts = Counts::default();
    for (expected, given) in pairs {
        counts.add(expected.iter().map(String::as_str), given.tags());
    }
    let marks_spans = tags::is_bio(names.iter().map(String::as_str));
    Metric::known([
        ("span_f1", counts.f1().filter(|_| marks_spans)),
        ("word_accuracy", counts.accuracy()),
    ])
}
