//! Converts text to token ids exactly as the `tokenizer.json` of a bundle describes.
//!
//! A Unigram vocabulary (250,000 pieces in multilingual models) costs the `tokenizers` library
//! hundreds of megabytes of private memory and most of a second. It is therefore compiled once,
//! when the bundle is made, into a file that is memory-mapped and searched in place; the stages
//! around it (normaliser, splitting, added tokens, template) stay the library's. Other models
//! (WordPiece, BPE) run in the library. The ids are the same either way.
//!
//! Input: a tokenizer file and texts. Output: ids. This module must never panic on a damaged or
//! hostile file, never emit an id outside [`Tokenizer::vocabulary_size`], and never spend more than
//! linear time and memory on a text.

mod around;
mod bytes;
mod charsmap;
mod compile;
mod compound;
mod decode;
mod incremental;
mod library;
mod normalize;
mod pattern;
mod probe;
mod run;
mod split;
mod stages;
mod unigram;
mod vocabulary;
mod vocabulary_file;
mod words;

use std::path::Path;

use tokenizers::pipeline::{PipelinePostProcessor, Template};

use crate::error::{Code, Error, Result, ResultExt};
use crate::files::Mapping;
pub use bytes::byte_tokenizer;
pub use compile::compile;
pub use compound::WordsEncoding;
pub(crate) use incremental::IncrementalText;
use library::{damaged, guarded, library_error};
pub use normalize::NORMALIZED_SIZE_BYTES_MAX;
use stages::{Stages, StagesText};
use vocabulary::Vocabulary;
use words::{LibraryWords, MarkedCharacters, Spare, UnigramWords};

/// The longest text that is tokenized, in bytes; longer ones are refused with
/// [`Code::TaskTooLong`]. It bounds the scratch memory of one call to about 100 MB.
pub const TEXT_SIZE_BYTES_MAX: usize = 4 << 20;

/// The largest `tokenizer.json` that is read, in bytes; parsing takes a multiple of that.
const JSON_SIZE_BYTES_MAX: usize = 64 << 20;

/// The largest compiled tokenizer that is mapped, in bytes.
const FILE_SIZE_BYTES_MAX: u64 = 512 << 20;

/// The token ids of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// The ids, including special tokens; at most the requested `tokens_max`.
    pub ids: Vec<u32>,
    /// Whether the text had more tokens than fit. The first ones and the special tokens are kept.
    pub truncated: bool,
    /// The text of a pair that each token belongs to, as the tokenizer's template numbers them;
    /// empty where all are 0.
    pub type_ids: Vec<u8>,
}

/// A tokenizer, shared by any number of threads.
pub struct Tokenizer {
    stages: Stages,
    model: Model,
    vocabulary_size: usize,
    pad_id: u32,
}

/// The two ways of running a model; see the module's text.
enum Model {
    Compiled {
        vocabulary: Vocabulary,
        pieces: decode::Pieces,
    },
    /// The model of the last group of the stages.
    Library {
        marked: MarkedCharacters,
        spare: Spare,
    },
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("compiled", &matches!(self.model, Model::Compiled { .. }))
            .field("vocabulary_size", &self.vocabulary_size)
            .field("pad_id", &self.pad_id)
            .finish()
    }
}

impl Tokenizer {
    /// Opens a compiled tokenizer (mapped, fast) or a `tokenizer.json` (read whole), depending on
    /// the first bytes of the file.
    pub fn open(path: &Path) -> Result<Self> {
        let opening = || format!("opening the tokenizer {}", path.display());
        let map = map(path)?;
        if Vocabulary::is_compiled(map.as_ref()) {
            let vocabulary = Vocabulary::from_map(map).context(opening)?;
            return Self::from_vocabulary(vocabulary).context(opening);
        }
        Self::from_json(utf8(map.as_ref()).context(opening)?).context(opening)
    }

    /// Opens the bytes that [`compile()`] returned.
    pub fn from_compiled(bytes: Vec<u8>) -> Result<Self> {
        Self::from_vocabulary(Vocabulary::from_bytes(bytes)?)
    }

    /// Builds a tokenizer from the text of a `tokenizer.json`, of this or an older format version.
    pub fn from_json(text: &str) -> Result<Self> {
        match compile(text)? {
            Some(bytes) => Self::from_compiled(bytes),
            None => {
                let (stages, id_end, marked) = compile::library_stages(text)?;
                let read = || Stages::of_library(stages);
                let stages = guarded("reading the tokenizer", read)??;
                Self::checked(stages, Model::Library { marked, spare: Spare::default() }, id_end)
            }
        }
    }

    fn from_vocabulary(vocabulary: Vocabulary) -> Result<Self> {
        let text: StagesText = serde_json::from_slice(vocabulary.stages())
            .map_err(|cause| damaged(format!("the stages of the compiled tokenizer: {cause}")))?;
        if text.is_extended() != vocabulary.is_extended() {
            return Err(damaged("the flags of the compiled tokenizer are not those of its stages"));
        }
        let find = |token: &str| vocabulary.find(token.as_bytes());
        let read = || Stages::read(text, vocabulary.pieces_count(), find);
        let stages = guarded("reading the stages", read)??;
        let id_end = vocabulary.pieces_count();
        let model = Model::Compiled { vocabulary, pieces: Default::default() };
        Self::checked(stages, model, id_end)
    }

    /// `id_end` is one more than the largest id of the model.
    fn checked(stages: Stages, model: Model, id_end: usize) -> Result<Self> {
        let templates_id_end = templates_id_end(stages.templates());
        let vocabulary_size = id_end.max(stages.added_id_end()).max(templates_id_end);
        let pad_id = stages.pad_id();
        if pad_id as usize >= vocabulary_size {
            return Err(damaged(format!(
                "the padding token has id {pad_id}, expected less than {vocabulary_size}"
            )));
        }
        Ok(Self { stages, model, vocabulary_size, pad_id })
    }

    /// The number of ids: every id this tokenizer emits is smaller.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary_size
    }

    /// The id that pads short rows of a batch; it is masked, so its value never reaches a result.
    pub fn pad_id(&self) -> u32 {
        self.pad_id
    }

    /// Whether the vocabulary is compiled and mapped.
    pub fn is_compiled(&self) -> bool {
        matches!(self.model, Model::Compiled { .. })
    }

    /// BLAKE3 of the `tokenizer.json` that a compiled tokenizer was made from, in hexadecimal.
    pub fn source_hash(&self) -> Option<String> {
        match &self.model {
            Model::Compiled { vocabulary, .. } => {
                Some(blake3::Hash::from_bytes(vocabulary.source_hash()).to_hex().to_string())
            }
            Model::Library { .. } => None,
        }
    }

    /// The ids of `text` with special tokens around them, at most `tokens_max` in all.
    ///
    /// A text with more tokens is cut after the last one that fits, after segmentation, so that the
    /// kept ids equal the first ids of the whole text. Time is linear in the text; splitting stops
    /// at the word in which the limit is reached.
    ///
    /// # Errors
    /// [`Code::TaskTooLong`] over [`TEXT_SIZE_BYTES_MAX`]; [`Code::ArgumentInvalid`] when
    /// `tokens_max` leaves no room beside the special tokens; [`Code::BundleTokenizer`] when the
    /// vocabulary cannot express the text.
    pub fn encode(&self, text: &str, tokens_max: usize) -> Result<Encoding> {
        let room = room_in(&self.stages.templates().single, tokens_max, 1)?;
        let inner = self.pieces(text, room)?;
        let kept = &inner[..inner.len().min(room)];
        self.framed(kept, inner.len() > room)
    }

    /// The ids of a text without special tokens; may stop once there are more than `room`.
    fn pieces(&self, text: &str, room: usize) -> Result<Vec<u32>> {
        if text.len() > TEXT_SIZE_BYTES_MAX {
            return Err(Error::new(
                Code::TaskTooLong,
                format!("the text has {} bytes, at most {TEXT_SIZE_BYTES_MAX} allowed", text.len()),
            ));
        }
        guarded("encoding a text", || self.inner_ids(text, room))?
    }

    /// Ids with the special tokens of a single text around them.
    fn framed(&self, inner: &[u32], truncated: bool) -> Result<Encoding> {
        let template = &self.stages.templates().single;
        let mut ids = Vec::with_capacity(inner.len() + template.n_special());
        ids.extend(template.prefix.iter().map(|(token, _)| token.id()));
        ids.extend_from_slice(inner);
        ids.extend(template.suffix.iter().map(|(token, _)| token.id()));
        self.check_ids(&ids)?;
        Ok(Encoding { ids, truncated, type_ids: Vec::new() })
    }

    fn check_ids(&self, ids: &[u32]) -> Result<()> {
        match ids.iter().find(|&&id| id as usize >= self.vocabulary_size) {
            Some(id) => Err(damaged(format!(
                "a token has id {id}, expected less than {}",
                self.vocabulary_size
            ))),
            None => Ok(()),
        }
    }

    /// Ids without the template; may stop once there are more than `room`.
    fn inner_ids(&self, text: &str, room: usize) -> Result<Vec<u32>> {
        match &self.model {
            Model::Compiled { vocabulary, .. } => {
                self.stages.encode(&mut UnigramWords::new(vocabulary), text, room)
            }
            Model::Library { marked, spare } => {
                let model = self.stages.last().get_model();
                let mut words = LibraryWords::new(model, marked, spare);
                let ids = self.stages.encode(&mut words, text, room)?;
                words.keep();
                Ok(ids)
            }
        }
    }
}

/// The number of tokens that fit between the special ones, at least `least`.
fn room_in(template: &Template, tokens_max: usize, least: usize) -> Result<usize> {
    let special_count = template.n_special();
    let room = tokens_max.checked_sub(special_count).filter(|&room| room >= least);
    room.ok_or_else(|| {
        Error::new(
            Code::ArgumentInvalid,
            format!(
                "tokens_max is {tokens_max}, expected at least {least} more than the \
                 {special_count} special tokens around a text"
            ),
        )
    })
}

/// Reads the text of a `tokenizer.json`.
pub(super) fn read_json(path: &Path) -> Result<String> {
    let map = map(path)?;
    utf8(map.as_ref()).map(str::to_owned).context(|| format!("reading {}", path.display()))
}

/// Maps a tokenizer file.
fn map(path: &Path) -> Result<Mapping> {
    let read_error = |cause| Error::io(Code::IoRead, "reading", path, &cause);
    // Checked before opening: opening a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(read_error)?;
    let size_bytes = metadata.len();
    if !metadata.is_file() || size_bytes == 0 || size_bytes > FILE_SIZE_BYTES_MAX {
        return Err(damaged(format!(
            "{}: expected a file of 1 to {FILE_SIZE_BYTES_MAX} bytes, found {size_bytes}",
            path.display()
        )));
    }
    Mapping::open(path)
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    if bytes.len() > JSON_SIZE_BYTES_MAX {
        let found = bytes.len();
        return Err(damaged(format!("{found} bytes, expected at most {JSON_SIZE_BYTES_MAX}")));
    }
    std::str::from_utf8(bytes)
        .map_err(|cause| damaged(format!("neither compiled nor UTF-8: {cause}")))
}

/// One more than the largest id that the templates add to a text or a pair, or 0.
fn templates_id_end(templates: &PipelinePostProcessor) -> usize {
    let runs = [&templates.single, &templates.pair]
        .into_iter()
        .flat_map(|one| one.prefix.iter().chain(&one.infix).chain(&one.suffix));
    runs.map(|(token, _)| token.id() as usize + 1).max().unwrap_or(0)
}
