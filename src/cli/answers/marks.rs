//! Tags inside a text: `turn on the [light|name]` for spans, `light/NOUN` for plain tags.

use super::piece;
use polygraft::example::tags::{self, Bio};
use polygraft::example::{Input, words};
use polygraft::model::{TaggedSpan, TaggedWord, Tagging};
use std::ops::Range;

/// The text with its spans in brackets, or each word with its tag.
pub fn given(text: &str, given: &Tagging) -> String {
    if is_plain(given.tags()) {
        let one = |word: &TaggedWord| {
            format!("{}/{}", piece(text, word.byte_start..word.byte_end), word.tag)
        };
        return given.words.iter().map(one).collect::<Vec<_>>().join(" ");
    }
    let place = |span: &TaggedSpan| (span.byte_start..span.byte_end, span.kind.clone());
    bracketed(text, given.spans.iter().map(place))
}

/// The input with the expected tags of its words.
pub fn expected(input: &Input, wanted: &[String]) -> String {
    let text = input.text();
    let words = match input {
        Input::Words(list) => words::joined(&text, list),
        _ => words::split(&text),
    };
    if is_plain(wanted.iter().map(String::as_str)) {
        let pairs = words.iter().zip(wanted).map(|(word, tag)| format!("{}/{tag}", word.text));
        return pairs.collect::<Vec<_>>().join(" ");
    }
    let place = |span: tags::Span| {
        let (first, last) = (words.get(span.first)?, words.get(span.last)?);
        Some((first.byte..last.bytes().end, span.kind))
    };
    let spans = tags::spans(wanted.iter().map(String::as_str));
    bracketed(&text, spans.into_iter().filter_map(place))
}

/// Whether some tag is not a BIO tag. Words beyond the token limit have no tag.
pub fn is_plain<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|tag| !tag.is_empty() && Bio::parse(tag).is_none())
}

/// The spans must be in order and must not overlap.
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
        let words = Input::Words(owned(&["turn", "on", "灯", "in", "the", "küche"]));
        let bio = owned(&["O", "O", "B-name", "O", "B-area", "I-area"]);
        assert_eq!(expected(&words, &bio), "turn on [灯|name] in [the küche|area]");
        let plain = owned(&["VERB", "ADP", "NOUN", "ADP", "DET", "NOUN"]);
        let marked = "turn/VERB on/ADP 灯/NOUN in/ADP the/DET küche/NOUN";
        assert_eq!(expected(&words, &plain), marked);
        let tags = owned(&["O", "O", "B-area", "I-area", "O"]);
        assert_eq!(expected(&Input::from("打开客厅 !"), &tags), "打开[客厅|area] !");
    }
}
