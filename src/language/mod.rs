//! Languages as BCP 47 tags in one spelling, their fallbacks and their typological distances.
//!
//! A [`Language`] is always well-formed and in canonical case, so equal languages have equal bytes
//! and a tag is safe as a file name or a map key. [`Language::parse`] also requires that the
//! language is registered, because a tag like "German" is a mistake. This part must never guess a
//! language from a text and never know about versions or tasks.
//!
//! Input: text. Output: tags, primary subtags, fallback chains and distances.

mod registry;
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

/// The maximum length of a tag in bytes. RFC 5646 recommends room for 35; private-use subtags may
/// be longer.
pub const TAG_SIZE_BYTES_MAX: usize = 64;

/// ISO 639-2's code for "multiple languages".
const SHARED_TAG: &str = "mul";

static SHARED: LazyLock<Language> = LazyLock::new(|| Language(SHARED_TAG.into()));

/// A well-formed BCP 47 tag in canonical case (`zh-Hant-TW`). Cloning it is cheap.
///
/// Languages are ordered by the bytes of their tags.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(Arc<str>);

impl Language {
    /// Reads a BCP 47 tag of a registered or private language, in any case.
    ///
    /// Registered languages are all codes of ISO 639-1, 639-2, 639-3 and 639-5, including withdrawn
    /// ones. Private languages are tags that begin with `x-` and the codes `qaa` to `qtz`. The
    /// subtags after the first one (script, region, variants) only have to be well-formed.
    ///
    /// # Errors
    /// [`Code::LanguageMalformed`] if the tag is empty, longer than [`TAG_SIZE_BYTES_MAX`] or not
    /// well-formed by RFC 5646; [`Code::LanguageUnknown`] if its first subtag is not registered.
    /// The message suggests the tag that was probably meant, if there is one.
    pub fn parse(text: &str) -> Result<Self> {
        let language = Self::well_formed(text)?;
        if language.is_registered() { Ok(language) } else { Err(unknown(text)) }
    }

    /// Reads a well-formed BCP 47 tag in any case, whether or not its language is registered. This
    /// is for files of polygraft 0.1, which accepted unregistered languages.
    ///
    /// # Errors
    /// [`Code::LanguageMalformed`] as for [`Language::parse`].
    pub fn well_formed(text: &str) -> Result<Self> {
        Self::read(text).map_err(|why| malformed(text, &why))
    }

    /// Like [`Language::well_formed`], but the error is only the cause.
    fn read(text: &str) -> std::result::Result<Self, String> {
        if text.len() > TAG_SIZE_BYTES_MAX {
            return Err(format!("it has {} bytes", text.len()));
        }
        let tag = LanguageTag::parse_and_normalize(text).map_err(|cause| cause.to_string())?;
        Ok(Self(tag.into_inner().into()))
    }

    /// The shared language `mul`. Its versions serve every language without a version of its own.
    pub fn shared() -> Self {
        SHARED.clone()
    }

    /// Whether this is [`Language::shared`].
    pub fn is_shared(&self) -> bool {
        self.as_str() == SHARED_TAG
    }

    /// Whether the tag stands for an unknown language or for none: `und` (undetermined), `zxx` (no
    /// linguistic content) or `mis` (no code), with any further subtags.
    pub fn is_undetermined(&self) -> bool {
        matches!(self.primary(), "und" | "zxx" | "mis")
    }

    /// Whether [`Language::parse`] accepts the tag, because its language is registered or private.
    pub fn is_registered(&self) -> bool {
        let primary = self.primary();
        // A first subtag of one letter begins a private tag, or one of the old tags that are
        // registered as a whole (`i-klingon`); the parser knows those.
        primary.as_bytes().get(1) == Some(&b'-')
            || registry::is_private(primary)
            || registry::code(primary).is_some()
    }

    /// The name of the language in English; `None` for private languages and unregistered ones.
    pub fn name(&self) -> Option<&'static str> {
        registry::code(self.primary()).map(|registered| registered.name)
    }

    /// The code that replaces the first subtag: `he` for `iw`, which is withdrawn, and `de` for
    /// `deu` and `ger`, which are longer than necessary. polygraft never replaces a tag by itself:
    /// for a store they are different languages.
    pub fn replacement(&self) -> Option<&'static str> {
        registry::code(self.primary())?.replacement
    }

    /// The tag in canonical case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first subtag: `zh` of `zh-Hant-TW`. For a private-use or grandfathered tag it is the
    /// whole tag.
    pub fn primary(&self) -> &str {
        let first = self.0.split('-').next().unwrap_or(&self.0);
        if first.len() > 1 { first } else { &self.0 }
    }

    /// This language, then the shorter prefixes of its tag, then the shared language.
    ///
    /// For example `zh-Hant-TW`, `zh-Hant`, `zh`, `mul`. As in RFC 4647 lookup, a prefix never ends
    /// in a single-letter subtag, because that only introduces the next one. A store also tries
    /// near languages before the shared one.
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
    let joined = if text.contains('_') { "; subtags are joined by '-', not '_'" } else { "" };
    Error::new(
        Code::LanguageMalformed,
        format!(
            "{} is not a language: {why}{joined}; expected a BCP 47 tag such as \"de\" or \
             \"zh-Hant-TW\", at most {TAG_SIZE_BYTES_MAX} bytes{}",
            shown(text),
            suggestion(text),
        ),
    )
}

fn unknown(text: &str) -> Error {
    Error::new(
        Code::LanguageUnknown,
        format!(
            "{} is not a registered language; expected a BCP 47 tag that begins with a code of \
             ISO 639, such as \"de\" or \"zh-Hant-TW\", or a private one such as \"x-robot\"{}",
            shown(text),
            suggestion(text),
        ),
    )
}

/// The text in quotes, cut to a bounded length, for a message.
fn shown(text: &str) -> String {
    let shown: String = text.chars().take(TAG_SIZE_BYTES_MAX).collect();
    let cut = if shown.len() < text.len() { " (cut)" } else { "" };
    format!("{shown:?}{cut}")
}

/// The suggestion of a tag that was probably meant, for a message; empty if nothing is similar.
fn suggestion(text: &str) -> String {
    let Some(meant) = registry::meant(text) else { return String::new() };
    let name = meant.name().map_or_else(String::new, |name| format!(" ({name})"));
    format!("; did you mean \"{meant}\"{name}?")
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

/// Accepts every well-formed tag, as [`Language::well_formed`] does, so that files of polygraft 0.1
/// stay readable. Tags of users go through [`Language::parse`].
impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        Self::well_formed(&text).map_err(serde::de::Error::custom)
    }
}
