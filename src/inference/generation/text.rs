//! Text as it is generated: emits whole characters and finds stop strings.

use crate::bundle::Tokenizer;
use crate::bundle::tokenizer::IncrementalText;
use crate::error::Result;
use std::ops::ControlFlow;

/// What a tokenizer decodes bytes to that are not a whole character (yet).
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// The text of a hypothesis so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    text: IncrementalText,
    /// The bytes at the beginning of the text that contain no stop string.
    searched_bytes: usize,
    /// The position of the first stop string.
    stop: Option<usize>,
}

impl Written {
    /// Whether the text contains a stop string.
    pub fn has_stop(&self) -> bool {
        self.stop.is_some()
    }

    /// The text before the first stop string.
    fn before_stop(&self) -> &str {
        let text = self.text.text();
        &text[..self.stop.unwrap_or(text.len())]
    }
}

/// The texts that end a generation.
#[derive(Clone, Copy)]
pub(super) struct StopStrings<'a> {
    tokenizer: &'a Tokenizer,
    strings: &'a [String],
    /// The size of the longest one.
    bytes_max: usize,
}

impl<'a> StopStrings<'a> {
    pub fn new(tokenizer: &'a Tokenizer, strings: &'a [String]) -> Self {
        let bytes_max = strings.iter().map(String::len).max().unwrap_or(0);
        Self { tokenizer, strings, bytes_max }
    }

    pub fn is_empty(&self) -> bool {
        self.strings.is_empty()
    }

    /// Adds a token to a text.
    pub fn extend(&self, written: &mut Written, id: u32) -> Result<()> {
        written.text.push(self.tokenizer, id)?;
        let text = written.text.text();
        let searched = written.searched_bytes.min(written.text.unchanged_bytes());
        let begin = text.floor_char_boundary((searched + 1).saturating_sub(self.bytes_max));
        written.stop = self.find(&text[begin..]).map(|at| begin + at);
        written.searched_bytes = if written.has_stop() { searched } else { text.len() };
        Ok(())
    }

    /// The text of these tokens before the first stop string.
    pub fn text(&self, ids: &[u32]) -> Result<String> {
        let mut text = self.tokenizer.decode(ids)?;
        if let Some(end) = self.find(&text) {
            text.truncate(end);
        }
        Ok(text)
    }

    /// The position of the first stop string.
    fn find(&self, text: &str) -> Option<usize> {
        self.strings.iter().filter_map(|stop| text.find(stop.as_str())).min()
    }

    /// The length of the text that is final while more may follow: without an incomplete character
    /// at its end and without a possible beginning of a stop string.
    fn settled(&self, text: &str) -> usize {
        let whole = text.trim_end_matches(REPLACEMENT);
        let first = whole.floor_char_boundary(whole.len().saturating_sub(self.bytes_max));
        let begins = |at: &usize| self.strings.iter().any(|stop| stop.starts_with(&whole[*at..]));
        let starts = whole[first..].char_indices().map(|(at, _)| first + at);
        starts.filter(begins).min().unwrap_or(whole.len())
    }
}

/// One text that is emitted in chunks.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    emitted: String,
}

impl Stream {
    /// Emits what is new in the text. A chunk has whole characters.
    pub fn push(
        &mut self,
        stops: &StopStrings<'_>,
        written: &Written,
        is_last: bool,
        emit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let text = written.before_stop();
        let end = if is_last { text.len() } else { stops.settled(text) };
        // A tokenizer may change earlier text; then nothing is emitted until the beginnings agree
        // again.
        let Some(chunk) = text[..end].strip_prefix(&*self.emitted) else {
            return ControlFlow::Continue(());
        };
        if chunk.is_empty() {
            return ControlFlow::Continue(());
        }
        let flow = emit(chunk);
        self.emitted.push_str(chunk);
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::tokenizer::byte_tokenizer;
    use proptest::prelude::*;

    /// What is emitted of the tokens, one chunk each, until a stop string or the last one.
    fn chunks(tokenizer: &Tokenizer, ids: &[u32], stops: &[String]) -> Vec<String> {
        let stops = StopStrings::new(tokenizer, stops);
        let (mut stream, mut written, mut chunks) = Default::default();
        for (position, &id) in ids.iter().enumerate() {
            stops.extend(&mut written, id).unwrap();
            let last = written.has_stop() || position + 1 == ids.len();
            let mut emit = |chunk: &str| {
                Vec::push(&mut chunks, chunk.to_owned());
                ControlFlow::Continue(())
            };
            assert!(Stream::push(&mut stream, &stops, &written, last, &mut emit).is_continue());
            if last {
                break;
            }
        }
        chunks
    }

    /// The same, decoding and searching the whole text after each token.
    fn chunks_of_whole(tokenizer: &Tokenizer, ids: &[u32], stops: &[String]) -> Vec<String> {
        let (mut emitted, mut chunks) = (String::new(), Vec::new());
        for end in 1..=ids.len() {
            let mut text = tokenizer.decode(&ids[..end]).unwrap();
            let stop = stops.iter().filter_map(|stop| text.find(stop.as_str())).min();
            text.truncate(stop.unwrap_or(text.len()));
            let last = stop.is_some() || end == ids.len();
            if !last {
                let whole = text.trim_end_matches(REPLACEMENT).len();
                let begins =
                    |at: &usize| stops.iter().any(|stop| stop.starts_with(&text[*at..whole]));
                let starts = text[..whole].char_indices().map(|(at, _)| at);
                let end = starts.filter(begins).min().unwrap_or(whole);
                text.truncate(end);
            }
            if let Some(chunk) = text.strip_prefix(&*emitted).filter(|chunk| !chunk.is_empty()) {
                chunks.push(chunk.to_owned());
                emitted.push_str(chunk);
            }
            if last {
                break;
            }
        }
        chunks
    }

    fn stream(text: &str, stops: &[String]) -> Vec<String> {
        let tokenizer = Tokenizer::from_json(&byte_tokenizer()).unwrap();
        let ids = tokenizer.encode(text, 1000).unwrap().ids;
        chunks(&tokenizer, &ids, stops)
    }

    #[test]
    fn pieces_are_whole_characters() {
        assert_eq!(stream("aışb", &[]), ["a", "ı", "ş", "b"]);
    }

    #[test]
    fn the_beginning_of_a_stop_is_held_back_while_its_next_character_comes_in_pieces() {
        let stop = "灯 — END".to_owned();
        assert_eq!(stream("的灯 — END and more", &[stop]).concat(), "的");
    }

    #[test]
    fn what_may_begin_a_stop_is_held_back() {
        assert_eq!(stream("a--b", &["-->".to_owned()]), ["a", "--b"]);
        assert_eq!(stream("a-->b", &["-->".to_owned()]), ["a"]);
    }

    #[test]
    fn a_stop_stays_while_a_hypothesis_goes_on() {
        let tokenizer = Tokenizer::from_json(&byte_tokenizer()).unwrap();
        let (strings, mut written) = (["bc".to_owned()], Written::default());
        let stops = StopStrings::new(&tokenizer, &strings);
        let ids = tokenizer.encode_plain("abcdefgh", 1000).unwrap().ids;
        let hits: Vec<bool> = ids
            .iter()
            .map(|&id| {
                stops.extend(&mut written, id).unwrap();
                written.has_stop()
            })
            .collect();
        assert_eq!(hits, [false, false, true, true, true, true, true, true]);
        assert_eq!(written.before_stop(), "a");
    }

    proptest! {
        #[test]
        fn chunks_are_those_of_whole_texts(
            ids in prop::collection::vec(prop_oneof![2 => 100u32..104, 1 => 0u32..262], 0..60),
            stops in prop::collection::vec("[a-c灯\u{fffd}]{1,5}", 0..3),
        ) {
            let tokenizer = Tokenizer::from_json(&byte_tokenizer()).unwrap();
            prop_assert_eq!(
                chunks(&tokenizer, &ids, &stops), chunks_of_whole(&tokenizer, &ids, &stops)
            );
        }
    }
}
