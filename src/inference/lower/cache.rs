//! The kept states of texts: in memory up to a bound, beyond it in a file.
//!
//! The key of a text is its tokens. States that find no room are computed again when they are
//! needed, so a full disk does not end an update. This module must never return the states of
//! another text.

use crate::bundle::Encoding;
use crate::error::{Code, Error, Result};
use crate::files::{read_exact_at, write_all_at};
use std::collections::HashMap;
use std::fs::File;

/// How many states are kept, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptStates {
    /// Texts whose states are kept.
    pub texts: usize,
    /// Bytes of them in memory.
    pub memory_bytes: u64,
    /// Bytes of them in the file.
    pub file_bytes: u64,
}

/// Where the states of a text are.
enum Place {
    Memory(Box<[f32]>),
    /// At this offset of the file, in bytes.
    File(u64),
}

/// States by text.
pub(super) struct StateCache {
    places: HashMap<Key, Place>,
    kept: KeptStates,
    memory_bytes_max: u64,
    file: Option<File>,
    /// Whether a text found no room.
    is_full: bool,
}

/// The tokens of a text and the segments that they belong to.
#[derive(PartialEq, Eq, Hash)]
struct Key(Box<[u32]>);

impl Key {
    /// The segments follow the tokens; where all are 0, they may be absent.
    fn of(text: &Encoding) -> Self {
        let segments = text.type_ids.iter().map(|&segment| u32::from(segment));
        let is_plain = text.type_ids.iter().all(|&segment| segment == 0);
        let segments = segments.take(if is_plain { 0 } else { text.ids.len() });
        // The length tells where the tokens end.
        let length = u32::try_from(text.ids.len()).unwrap_or(u32::MAX);
        Self([length].into_iter().chain(text.ids.iter().copied()).chain(segments).collect())
    }
}

impl StateCache {
    pub fn new(memory_bytes_max: u64, file: Option<File>) -> Self {
        let kept = KeptStates::default();
        Self { places: HashMap::new(), kept, memory_bytes_max, file, is_full: false }
    }

    pub fn kept(&self) -> KeptStates {
        self.kept
    }

    /// Whether a text found no room, so that there is little for others.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    pub fn has(&self, text: &Encoding) -> bool {
        self.places.contains_key(&Key::of(text))
    }

    /// Reads the states of a text into `states`; returns whether they are kept.
    ///
    /// # Errors
    /// [`Code::IoRead`] when the file cannot be read, [`Code::Internal`] when `states` has another
    /// size.
    pub fn read(&self, text: &Encoding, states: &mut [f32]) -> Result<bool> {
        match (self.places.get(&Key::of(text)), &self.file) {
            (Some(Place::Memory(kept)), _) if kept.len() == states.len() => {
                states.copy_from_slice(kept);
                Ok(true)
            }
            (Some(Place::Memory(kept)), _) => {
                let (found, wanted) = (kept.len(), states.len());
                let message = format!("a text has {found} kept states, not {wanted}");
                Err(Error::new(Code::Internal, message))
            }
            (Some(Place::File(offset)), Some(file)) => {
                let mut bytes = vec![0; size_of_val(states)];
                read_exact_at(file, &mut bytes, *offset).map_err(|cause| {
                    Error::new(Code::IoRead, format!("reading kept hidden states: {cause}"))
                })?;
                for (value, bytes) in states.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *value = f32::from_ne_bytes(*bytes);
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Keeps the states of a text, if there is room.
    pub fn keep(&mut self, text: &Encoding, states: &[f32]) {
        let (key, size) = (Key::of(text), size_of_val(states) as u64);
        if self.places.contains_key(&key) {
            return;
        }
        let place = if self.kept.memory_bytes + size <= self.memory_bytes_max {
            self.kept.memory_bytes += size;
            Place::Memory(states.into())
        } else {
            let bytes: Vec<u8> = states.iter().flat_map(|value| value.to_ne_bytes()).collect();
            let offset = self.kept.file_bytes;
            let is_written =
                |file: &File| !self.is_full && write_all_at(file, &bytes, offset).is_ok();
            if !self.file.as_ref().is_some_and(is_written) {
                self.is_full = true;
                return;
            }
            self.kept.file_bytes += size;
            Place::File(offset)
        };
        self.places.insert(key, place);
        self.kept.texts += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ids: &[u32], type_ids: &[u8]) -> Encoding {
        Encoding { ids: ids.to_vec(), truncated: false, type_ids: type_ids.to_vec() }
    }

    fn read(cache: &StateCache, text: &Encoding) -> Option<Vec<f32>> {
        let mut states = vec![0.0; text.ids.len()];
        cache.read(text, &mut states).unwrap().then_some(states)
    }

    #[test]
    fn what_does_not_fit_into_memory_is_in_the_file_or_nowhere() {
        let texts = [text(&[1, 2], &[]), text(&[3, 4], &[]), text(&[5], &[])];
        let states = [[0.5, -1.5].as_slice(), &[2.5, f32::MIN_POSITIVE], &[7.0]];
        for file in [true, false] {
            let file = file.then(|| tempfile::tempfile().unwrap());
            let has_file = file.is_some();
            let mut cache = StateCache::new(12, file);
            texts.iter().zip(states).for_each(|(text, states)| cache.keep(text, states));
            let found: Vec<_> = texts.iter().map(|text| read(&cache, text)).collect();
            let second = has_file.then(|| states[1].to_vec());
            assert_eq!(found, [Some(states[0].to_vec()), second, Some(states[2].to_vec())]);
            let (texts, file_bytes) = if has_file { (3, 8) } else { (2, 0) };
            assert_eq!(cache.kept(), KeptStates { texts, memory_bytes: 12, file_bytes });
        }
    }

    #[test]
    fn texts_differ_by_tokens_and_by_segments() {
        let mut cache = StateCache::new(1 << 10, None);
        cache.keep(&text(&[1, 2], &[0, 1]), &[1.0, 2.0]);
        assert_eq!(read(&cache, &text(&[1, 2], &[])), None);
        assert_eq!(read(&cache, &text(&[1, 2, 0, 1], &[])), None);
        cache.keep(&text(&[1, 2], &[]), &[3.0, 4.0]);
        assert_eq!(read(&cache, &text(&[1, 2], &[0, 0])), Some(vec![3.0, 4.0]));
        assert_eq!(read(&cache, &text(&[1, 2], &[0, 1])), Some(vec![1.0, 2.0]));
    }
}
