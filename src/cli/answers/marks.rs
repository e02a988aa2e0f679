//! Tags inside a text: `turn on the [light|name]` for spans, `light/NOUN` for plain tags.

use super::piece;
use polygraft::example::tags::{self, Bio};
use polygraft::model::{Given, TaggedSpan, TaggedWord};
use std::ops::Range;

/// The text with its spans in brackets, or each word with its tag.
pub fn given(text: &str, given: &Given) -> String {
    if is_plain(given.words.iter().map(|word| word.tag.as_str())) {
        let one = |word: &TaggedWord| {
            format!("{}/{}", piece(text, word.byte_start..word.byte_end), word.tag)
        };
        return given.words.iter().map(one).collect::<Vec<_>>().join(" ");
    }
    let place = |span: &TaggedSpan| (span.byte_start..span.byte_end, span.kind.clone());
    bracketed(text, given.spans.iter().map(place))
}

/// Words with the tags that they should have.
pub fn expected(words: &[String], wanted: &[String]) -> String {
    if is_plain(wanted.iter().map(String::as_str)) {
        let pairs = words.iter().zip(wanted).map(|(word, tag)| format!("{word}/{tag}"));
        return pairs.collect::<Vec<_>>().join(" ");
    }
    let mut places = Vec::with_capacity(words.len());
    let mut at = 0;
    for word in words {
        places.push(at..at + word.len());
        at += word.len() + 1;
    }
    let place = |span: tags::Span| {
        let (first, last) = (places.get(span.first)?, places.get(span.last)?);
        Some((first.start..last.end, span.kind))
    };
    let spans = tags::spans(wanted.iter().map(String::as_str));
    bracketed(&words.join(" "), spans.into_iter().filter_map(place))
}

/// Whether some tag is none of the scheme BIO. The words behind what the model reads have none.
pub fn is_plain<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|tag| !tag.is_empty() && Bio::parse(tag).is_none())
}

/// Spans are in order and do not overlap.
fn bracketed(text: &str, spans: impl Iterator<Item = (Range<usize>, String)>) -> String {
    let mut marked = String::new();
    let mut at = 0;
    for (place, kind) in spans {
        marked.push_str(piece(text, at..place.start));
        marked.push_str(&format!("[{}|{kind}]", piece(text, place.clone())));
        at = place.end;
    }
    marked.push_str(piece(text, at..text.len()));
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn spans_stand_in_brackets_and_plain_tags_behind_words() {
        let words = owned(&["turn", "on", "灯", "in", "the", "küche"]);
        let bio = owned(&["O", "O", "B-name", "O", "B-area", "I-area"]);
        assert_eq!(expected(&words, &bio), "turn on [灯|name] in [the küche|area]");
        let plain = owned(&["VERB", "ADP", "NOUN", "ADP", "DET", "NOUN"]);
        let marked = "turn/VERB on/ADP 灯/NOUN in/ADP the/DET küche/NOUN";
        assert_eq!(expected(&words, &plain), marked);
    }
}
