//! Text as it is generated: emits whole characters and finds stop strings.

use crate::bundle::Tokenizer;
use crate::error::Result;
use std::ops::ControlFlow;

/// What a tokenizer decodes bytes to that are not a whole character (yet).
const REPLACEMENT: char = '\u{fffd}';

/// The texts that end a generation.
#[derive(Clone, Copy)]
pub(super) struct StopStrings<'a> {
    tokenizer: &'a Tokenizer,
    strings: &'a [String],
}

impl<'a> StopStrings<'a> {
    pub fn new(tokenizer: &'a Tokenizer, strings: &'a [String]) -> Self {
        Self { tokenizer, strings }
    }

    /// Whether the text of these tokens contains a stop string.
    pub fn hit(&self, ids: &[u32]) -> Result<bool> {
        if self.strings.is_empty() {
            return Ok(false);
        }
        let text = self.tokenizer.decode(ids)?;
        Ok(self.cut(&text).is_some())
    }

    /// The text of these tokens before the first stop string.
    pub fn text(&self, ids: &[u32]) -> Result<String> {
        let mut text = self.tokenizer.decode(ids)?;
        if let Some(end) = self.cut(&text) {
            text.truncate(end);
        }
        Ok(text)
    }

    /// The position of the first stop string.
    fn cut(&self, text: &str) -> Option<usize> {
        self.strings.iter().filter_map(|stop| text.find(stop.as_str())).min()
    }

    /// The length of the text that is final while more may follow: without an incomplete character
    /// at its end and without a possible beginning of a stop string.
    fn settled(&self, text: &str) -> usize {
        let whole = text.trim_end_matches(REPLACEMENT);
        let begins = |at: &usize| self.strings.iter().any(|stop| stop.starts_with(&whole[*at..]));
        let starts = whole.char_indices().map(|(at, _)| at);
        starts.filter(begins).min().unwrap_or(whole.len())
    }
}

/// One text that is emitted in chunks.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    emitted: String,
}

impl Stream {
    /// Emits the new text of `ids`. A chunk has whole characters.
    pub fn push(
        &mut self,
        stops: &StopStrings<'_>,
        ids: &[u32],
        is_last: bool,
        emit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let text = stops.text(ids)?;
        let end = if is_last { text.len() } else { stops.settled(&text) };
        // A tokenizer may change earlier text; then nothing is emitted until the beginnings agree
        // again.
        let Some(chunk) = text.get(..end).and_then(|text| text.strip_prefix(&*self.emitted)) else {
            return Ok(ControlFlow::Continue(()));
        };
        if chunk.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let flow = emit(chunk);
        self.emitted.push_str(chunk);
        Ok(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::tokenizer::byte_tokenizer;

    fn stream(text: &str, stops: &[String]) -> Vec<String> {
        let tokenizer = Tokenizer::from_json(&byte_tokenizer()).unwrap();
        let ids = tokenizer.encode(text, 1000).unwrap().ids;
        let stops = StopStrings::new(&tokenizer, stops);
        let (mut stream, mut chunks) = (Stream::default(), Vec::new());
        for end in 1..=ids.len() {
            let hit = stops.hit(&ids[..end]).unwrap();
            let last = hit || end == ids.len();
            let mut emit = |chunk: &str| {
                chunks.push(chunk.to_owned());
                ControlFlow::Continue(())
            };
            assert!(stream.push(&stops, &ids[..end], last, &mut emit).unwrap().is_continue());
            if last {
                break;
            }
        }
        chunks
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
}
