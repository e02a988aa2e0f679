//! Lines of a file or of standard input, each of bounded length and valid UTF-8.

use crate::{Code, Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// The longest accepted line, in bytes. A text of the largest size that a task accepts fits, even
/// if it is fully escaped in JSON.
pub const LINE_BYTES_MAX: usize = 8 << 20;

/// The lines of one file, numbered from 1.
pub struct Lines {
    reader: Box<dyn BufRead>,
    source: String,
    number: usize,
}

/// One line without its line end.
pub struct Line {
    /// The text.
    pub text: String,
    /// Its position, for example `new.jsonl, line 3`.
    pub place: String,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new(Box::new(std::io::stdin().lock()), "standard input".to_owned()));
        }
        let file =
            File::open(path).map_err(|cause| Error::io(Code::IoRead, "opening", path, &cause))?;
        Ok(Self::new(Box::new(BufReader::new(file)), path.display().to_string()))
    }

    /// The lines of a text; `source` names it in messages.
    pub fn of_text(text: &str, source: &str) -> Self {
        let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
        Self::new(Box::new(bytes), source.to_owned())
    }

    fn new(reader: Box<dyn BufRead>, source: String) -> Self {
        Self { reader, source, number: 0 }
    }

    /// The next line that is not blank; `None` at the end of the file.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        loop {
            let Some(bytes) = self.next_bytes()? else { return Ok(None) };
            let place = format!("{}, line {}", self.source, self.number);
            let text = String::from_utf8(bytes).map_err(|cause| {
                let position = cause.utf8_error().valid_up_to() + 1;
                let message = format!("{place}: expected UTF-8, found another byte at {position}");
                Error::new(Code::ExamplesMalformed, message)
            })?;
            // A byte order mark is not part of the first line.
            let text = match text.strip_prefix('\u{feff}') {
                Some(rest) if self.number == 1 => rest.to_owned(),
                _ => text,
            };
            if !text.trim().is_empty() {
                return Ok(Some(Line { text, place }));
            }
        }
    }

    fn next_bytes(&mut self) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let count = (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut bytes)
            .map_err(|cause| Error::io(Code::IoRead, "reading", Path::new(&self.source), &cause))?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            bytes.pop();
        }
        if bytes.len() > LINE_BYTES_MAX {
            let (source, number) = (&self.source, self.number);
            let message = format!(
                "{source}, line {number}: expected at most {LINE_BYTES_MAX} bytes in a line"
            );
            return Err(Error::new(Code::ExamplesMalformed, message));
        }
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: Vec<u8>) -> Lines {
        Lines::new(Box::new(std::io::Cursor::new(bytes)), "test".to_owned())
    }

    #[test]
    fn blank_lines_and_line_ends_are_left_out() {
        let mut lines = lines(b"\xef\xbb\xbfone\r\n\n  \ntwo".to_vec());
        let first = lines.next_line().expect("readable").expect("a line");
        assert_eq!((first.text.as_str(), first.place.as_str()), ("one", "test, line 1"));
        let second = lines.next_line().expect("readable").expect("a line");
        assert_eq!((second.text.as_str(), second.place.as_str()), ("two", "test, line 4"));
        assert!(lines.next_line().expect("readable").is_none());
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let error = lines(vec![b'x'; LINE_BYTES_MAX + 2]).next_line().err().expect("an error");
        assert_eq!(error.code(), Code::ExamplesMalformed);
        assert!(error.message().starts_with("test, line 1: expected at most"), "{error}");
        assert!(lines(vec![b'x'; LINE_BYTES_MAX]).next_line().is_ok());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named_by_their_place() {
        let error = lines(b"fine\nab\xff".to_vec());
        let mut error = error;
        assert!(error.next_line().is_ok());
        let error = error.next_line().err().expect("an error");
        assert_eq!(error.message(), "test, line 2: expected UTF-8, found another byte at 3");
    }
}
