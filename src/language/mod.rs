//! Languages as BCP 47 tags, in one spelling, what a language falls back to, and which are alike.
//!
//! A [`Language`] is always well-formed and in canonical case, so equal languages have equal bytes
//! and a tag is safe as a file name or a map key. Text comes in through [`Language::parse`]; tags,
//! primary subtags, fallback chains and distances go out. This part must never guess a language
//! from a text and never know about versions or tasks: it only says what a tag is and what stands
//! in for it.

mod typology;

pub use typology::{Distance, SERVING_DISTANCE_MAX, Typology, languages, nearest};

pub(crate) use typology::row as typology_row;

use crate::error::{Code, Error, Result};
use oxilangtag::LanguageTag;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// The longest tag that is accepted, in bytes. RFC 5646 recommends room for 35; private-use parts
/// may be longer.
pub const TAG_SIZE_BYTES_MAX: usize = 64;

/// ISO 639-2's code for "multiple languages".
const SHARED_TAG: &str = "mul";

static SHARED: LazyLock<Language> = LazyLock::new(|| Language(SHARED_TAG.into()));

/// A well-formed BCP 47 tag in canonical case (`zh-Hant-TW`). Cheap to clone.
///
/// Languages are ordered by the bytes of their tags.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(Arc<str>);

impl Language {
    /// Reads a BCP 47 tag in any case.
    ///
    /// # Errors
    /// [`Code::LanguageMalformed`] when the tag is empty, longer than [`TAG_SIZE_BYTES_MAX`] or not
    /// well-formed by RFC 5646.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > TAG_SIZE_BYTES_MAX {
            return Err(malformed(text, &format!("it has {} bytes", text.len())));
        }
        match LanguageTag::parse_and_normalize(text) {
            Ok(tag) => Ok(Self(tag.into_inner().into())),
            Err(cause) if text.contains('_') => {
                Err(malformed(text, &format!("{cause}; subtags are joined by '-', not '_'")))
            }
            Err(cause) => Err(malformed(text, &cause.to_string())),
        }
    }

    /// The shared language `mul`: its versions serve every language that has none of its own.
    pub fn shared() -> Self {
        SHARED.clone()
    }

    /// Whether this is [`Language::shared`].
    pub fn is_shared(&self) -> bool {
        self.as_str() == SHARED_TAG
    }

    /// Whether the tag says that the language is not known, or that there is none: `und`
    /// (undetermined), `zxx` (no linguistic content) or `mis` (no code), with any further subtags.
    pub fn is_undetermined(&self) -> bool {
        matches!(self.primary(), "und" | "zxx" | "mis")
    }

    /// The tag in canonical case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first subtag: `zh` of `zh-Hant-TW`; for a private-use or grandfathered tag, all of it.
    pub fn primary(&self) -> &str {
        let first = self.0.split('-').next().unwrap_or(&self.0);
        if first.len() > 1 { first } else { &self.0 }
    }

    /// This language, then shorter and shorter prefixes of its tag, then the shared language.
    ///
    /// `zh-Hant-TW`, `zh-Hant`, `zh`, `mul`. As in RFC 4647 lookup, a prefix never ends in a
    /// single-letter subtag, because that only introduces what follows it. A store also asks near
    /// languages, before the shared one.
    pub fn fallbacks(&self) -> impl Iterator<Item = Language> + '_ {
        self.fallback_tags().map(|tag| match tag {
            SHARED_TAG => Self::shared(),
            tag if tag == self.as_str() => self.clone(),
            tag => Self(Arc::from(tag)),
        })
    }

    /// The tags of [`Language::fallbacks`], without allocating.
    pub fn fallback_tags(&self) -> impl Iterator<Item = &str> + '_ {
        let prefixes = std::iter::successors(Some(self.as_str()), |tag| shorter(tag));
        // A tag such as `mul-Latn` passes through `mul` already.
        let shared = (self.primary() != SHARED_TAG).then_some(SHARED_TAG);
        prefixes.chain(shared)
    }
}

/// The tag without its last subtag and without single-letter subtags left at its end.
fn shorter(tag: &str) -> Option<&str> {
    let mut rest = tag;
    loop {
        rest = &rest[..rest.rfind('-')?];
        let last = rest.rsplit('-').next().unwrap_or(rest);
        if last.len() > 1 {
            return Some(rest);
        }
    }
}

fn malformed(text: &str, why: &str) -> Error {
    let shown: String = text.chars().take(TAG_SIZE_BYTES_MAX).collect();
    let cut = if shown.len() < text.len() { " (cut)" } else { "" };
    Error::new(
        Code::LanguageMalformed,
        format!(
            "{shown:?}{cut} is not a language: {why}; expected a BCP 47 tag such as \"de\" or \
             \"zh-Hant-TW\", at most {TAG_SIZE_BYTES_MAX} bytes"
        ),
    )
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Language({})", self.0)
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// Lets maps be searched by a tag. `Arc<str>` hashes and orders as the `str` does.
impl Borrow<str> for Language {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
