//! Options and results of reading and writing adapters of other libraries.

use crate::adapter::{Adapter, HeadInputs};
use crate::reading::Reading;
use crate::sites::Site;

/// The backbone that an adapter is for.
#[derive(Clone, Copy, Debug)]
pub struct Backbone<'a> {
    /// blake3 hash (hexadecimal) of the backbone.
    pub hash: &'a str,
    /// How its bundle reads texts, which an imported adapter records as its own reading; `None` for
    /// a graph without a bundle.
    pub reading: Option<&'a Reading>,
    /// Every site of its graph, as [`find_sites`](crate::sites::find_sites) finds them.
    pub sites: &'a [Site],
    /// The size of the hidden states, the input of a head over tokens.
    pub hidden: usize,
    /// The size of the vector of a text, the input of a head over the whole input.
    pub pooled: usize,
    /// Whether heads read the hidden state of the first token as it is.
    pub first_token: bool,
    /// The modules of the sites on which the backbone's output does not depend, as
    /// [`unread_sites`](crate::sites::unread_sites) finds them.
    pub unread: &'a [String],
}

impl Backbone<'_> {
    /// The sizes of what heads read.
    pub fn head_inputs(&self) -> HeadInputs {
        HeadInputs { pooled: self.pooled, hidden: self.hidden }
    }
}

/// What a file of another library does not state.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The labels of the head, in the order of its outputs, instead of those beside the adapter. An
    /// adapter without a head gets a new one of zeros for them; without labels it gets none.
    pub labels: Option<Vec<String>>,
    /// States that the head reads the hidden states as the backbone's bundle pools them, even if
    /// the file names a model class that usually has layers in between.
    pub head_on_pooled: bool,
    /// The prefix of the layers in the other library's model, without the dot: `bert`, or empty.
    /// Found from the names if absent.
    pub encoder: Option<String>,
    /// The prefix of the same layers in the backbone, as `encoder`.
    pub within: Option<String>,
}

/// An imported adapter, and the notes on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The adapter.
    pub adapter: Adapter,
    /// Notes on the translation: modules that were left out, and names that were matched with each
    /// other. They have no period at the end.
    pub notes: Vec<String>,
}

impl Imported {
    /// An adapter without notes.
    pub(super) fn silent(adapter: Adapter) -> Self {
        Self { adapter, notes: Vec::new() }
    }
}

/// What another library needs beside the adapter.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// The prefix of the backbone's module paths in the other library's model, without the dot:
    /// `bert`, or empty for the encoder alone.
    pub encoder: String,
    /// The prefix of the same layers in the backbone that is not written, without the dot. If
    /// absent, the one that a wrapper added to the layers of a known architecture.
    pub within: Option<String>,
    /// The module of the head in the other library's model.
    pub head_module: Option<String>,
    /// Whether to leave the head out.
    pub without_head: bool,
    /// The adapter's name in AdapterHub.
    pub name: Option<String>,
    /// AdapterHub's name of the architecture, such as `xlm-roberta`; `encoder` if absent, and
    /// `bert` without that.
    pub model_type: Option<String>,
}
