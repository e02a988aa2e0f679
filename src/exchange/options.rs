//! What reading and writing adapters of other libraries is told, and what it tells.

use crate::adapter::Adapter;
use crate::reading::Reading;
use crate::sites::Site;

/// What an adapter is to be put on.
#[derive(Clone, Copy, Debug)]
pub struct Backbone<'a> {
    /// blake3 hash (hexadecimal) of the backbone.
    pub hash: &'a str,
    /// How its bundle reads texts, which an adapter that is read records as its own; `None` for a
    /// graph without a bundle.
    pub reading: Option<&'a Reading>,
    /// Every site of its graph, as [`find_sites`](crate::sites::find_sites) finds them.
    pub sites: &'a [Site],
    /// The size of the hidden states that a head reads.
    pub hidden: usize,
    /// Whether a head reads the hidden state of the first token; otherwise the mean.
    pub first_token: bool,
    /// The modules of the sites that the backbone's output does not depend on, as
    /// [`unread_sites`](crate::sites::unread_sites) finds them.
    pub unread: &'a [String],
}

/// What a file of another library does not say.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The labels of the head, in the order of its outputs, instead of those beside the adapter.
    /// An adapter without a head gets a new one for them, which is all zeros; without labels it
    /// stays without a head.
    pub labels: Option<Vec<String>>,
    /// States that the head reads the hidden states pooled as the backbone's bundle pools them,
    /// where the file speaks of a model class that usually has layers in between.
    pub head_on_pooled: bool,
    /// What stands in front of the layers in the other library's model, without the dot: `bert`, or
    /// nothing. Found by the names if left out.
    pub encoder: Option<String>,
    /// What stands in front of the same layers in the backbone, as `encoder`.
    pub within: Option<String>,
}

/// An adapter that was read, and what its reader has to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The adapter.
    pub adapter: Adapter,
    /// What a person should know of the translation: modules that were left out, and names that
    /// were taken for each other. Sentences without an end.
    pub notes: Vec<String>,
}

impl Imported {
    /// An adapter of which there is nothing to tell.
    pub(super) fn silent(adapter: Adapter) -> Self {
        Self { adapter, notes: Vec::new() }
    }
}

/// What another library wants to know beside the adapter.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// What stands in front of the backbone's module paths in the other library's model, without
    /// the dot: `bert`, or nothing for the encoder alone.
    pub encoder: String,
    /// What stands in front of the same layers in the backbone and is not written, without the
    /// dot. If left out, what a wrapper put in front of the layers of a known architecture.
    pub within: Option<String>,
    /// The module that the head is in the other library's model.
    pub head_module: Option<String>,
    /// Leave the head out.
    pub without_head: bool,
    /// The adapter's name in AdapterHub.
    pub name: Option<String>,
    /// The architecture as AdapterHub calls it, such as `xlm-roberta`; `encoder` if left out, and
    /// `bert` without that.
    pub model_type: Option<String>,
}
