//! Spans of raw texts as tags of their words.

use polygraft::Code;
use polygraft::example::spans::{TextSpan, byte_of_character, tags};
use polygraft::example::{tags as bio, words};
use proptest::prelude::*;
use std::ops::Range;

fn span(kind: &str, bytes: Range<usize>) -> TextSpan {
    TextSpan { kind: kind.to_owned(), bytes }
}

#[test]
fn spans_become_the_tags_of_the_words_they_touch() {
    let text = "Mach das Badlicht, 5 an!";
    let spans = [span("area", 9..12), span("number", 19..20)];
    let expected = ["O", "O", "B-area", "O", "B-number", "O", "O"];
    assert_eq!(tags(text, &spans).unwrap(), expected);
    assert_eq!(
        tags("打开客厅灯", &[span("area", 6..12)]).unwrap()[1..4],
        ["O", "B-area", "I-area"]
    );
    assert_eq!(byte_of_character("打开", 1), Some(3));
    assert_eq!((byte_of_character("打开", 2), byte_of_character("打开", 3)), (Some(6), None));
}

#[test]
fn a_span_that_is_none_is_named() {
    for (spans, expected) in [
        (vec![span("a", 0..2), span("b", 2..2)], "span 2 covers the bytes 2 to 2"),
        (vec![span("a", 0..99)], "expected some of the 9 of the text"),
        (vec![span("a", 1..3)], "span 1 cuts a character at byte 1"),
        (vec![span("a", 4..5)], "span 1 covers white space only"),
        (vec![span(" ", 0..4)], "span 1 has no kind"),
        (vec![span(&"k".repeat(2_000), 0..4)], "span 1 has a kind of 2000 bytes"),
        (vec![span("a", 0..2), span("b", 2..4)], "spans 1 and 2 share the word \"él3\""),
    ] {
        let error = tags("él3  abc", &spans).unwrap_err();
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn more_spans_than_words_are_allowed_are_refused_at_once() {
    let many = vec![span("a", 0..1); polygraft::example::WORDS_COUNT_MAX + 1];
    assert_eq!(tags("a", &many).unwrap_err().code(), Code::TaskTooLong);
    let long = "a".repeat(polygraft::example::TEXT_SIZE_BYTES_MAX + 1);
    assert_eq!(tags(&long, &[]).unwrap_err().code(), Code::TaskTooLong);
}

proptest! {
    #[test]
    fn tags_of_spans_mark_the_same_words_again(
        text in "[a-z打开 ,.]{1,30}",
        places in prop::collection::vec((0usize..30, 1usize..6), 0..4),
    ) {
        let spans: Vec<TextSpan> = places
            .iter()
            .filter_map(|&(start, length)| {
                let start = byte_of_character(&text, start)?;
                let end = byte_of_character(&text[start..], length)? + start;
                Some(span("x", start..end))
            })
            .collect();
        if let Ok(tags) = tags(&text, &spans) {
            prop_assert!(bio::check(&tags).is_ok());
            let words = words::split(&text);
            let found = bio::spans(tags.iter().map(String::as_str));
            prop_assert_eq!(found.len(), spans.len());
            for span in &spans {
                let first = words.iter().position(|word| word.bytes().end > span.bytes.start);
                prop_assert!(found.iter().any(|one| Some(one.first) == first));
            }
        }
    }
}
