//! Which languages are alike: a compiled-in table of languages and of the distances between them.
//!
//! The distances are URIEL-style: `tools/typology/build.py` computes them from the vectors of the
//! package `lang2vec`, they are not the official ones. Tags flow in; facts and distances from 0 to
//! 1 flow out, or `None` for a language that the table does not have. This part must never guess:
//! an unknown language is near to nothing.

use super::Language;
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::LazyLock;

/// The largest [`Distance::Mixed`] at which a version of one language may serve another one.
///
/// Unrelated languages lie at least a third apart, because their genetic distance is 1; this bound
/// stays below that and asks for likeness in syntax and place as well. Chosen for kinship, not by
/// a measured gain: `docs/languages.md` says what was measured.
pub const SERVING_DISTANCE_MAX: f64 = 0.2;

/// One byte for every pair of languages and kind of distance, behind lines of text that say which
/// languages there are; `tools/typology/build.py` describes the format and writes it.
static BYTES: &[u8] = include_bytes!("typology.bin");

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    Table::read(BYTES).expect("the compiled-in table is whole: the tests read all of it")
});

/// Which typological distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// The mean of syntactic, genetic and geographic: no single one tells relatives that are
    /// alike from relatives that have drifted apart.
    #[default]
    Mixed,
    /// How differently sentences are built: word order, agreement, marking of cases.
    Syntactic,
    /// How far apart the languages are spoken: 1 is the other side of the Earth.
    Geographic,
    /// How few ancestors the languages share: 1 for unrelated ones.
    Genetic,
    /// How differently sounds are put together: syllables, tones, stress.
    Phonological,
    /// How different the sets of sounds are.
    Inventory,
    /// Syntactic, phonological and inventory features in one.
    Featural,
}

impl Distance {
    /// All kinds of distance.
    pub const ALL: &'static [Distance] = &[
        Distance::Mixed,
        Distance::Syntactic,
        Distance::Geographic,
        Distance::Genetic,
        Distance::Phonological,
        Distance::Inventory,
        Distance::Featural,
    ];

    /// The name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Syntactic => "syntactic",
            Self::Geographic => "geographic",
            Self::Genetic => "genetic",
            Self::Phonological => "phonological",
            Self::Inventory => "inventory",
            Self::Featural => "featural",
        }
    }

    /// The distance of two languages, from 0 to 1 and the same both ways.
    ///
    /// Scripts and regions do not count: `zh-Hant` lies where `zh` does, so their distance is 0.
    /// `None` when either language has no [`Typology`].
    pub fn between(self, one: &Language, other: &Language) -> Option<f64> {
        Some(self.of_rows(row(one)?, row(other)?))
    }

    fn of_rows(self, one: usize, other: usize) -> f64 {
        let matrix = |kind: usize| TABLE.distance(kind, one, other);
        match self {
            Self::Mixed => (matrix(0) + matrix(1) + matrix(2)) / 3.0,
            // The order of the file.
            Self::Syntactic => matrix(0),
            Self::Geographic => matrix(1),
            Self::Genetic => matrix(2),
            Self::Phonological => matrix(3),
            Self::Inventory => matrix(4),
            Self::Featural => matrix(5),
        }
    }
}

impl FromStr for Distance {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            let (expected, found) = (known.join(", "), text.chars().take(64).collect::<String>());
            let what = format!("distance: expected one of {expected}, found {found:?}");
            Error::new(Code::ArgumentInvalid, what)
        })
    }
}

/// What the table knows about one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Typology {
    /// The primary subtag that the table lists the language under: `he`, also for `iw`.
    pub tag: &'static str,
    /// The code by ISO 639-3; of the macrolanguage where the tag means one.
    pub iso639_3: &'static str,
    /// The name in English.
    pub name: &'static str,
    /// The top of its family tree, such as `Indo-European`; `Isolate` for a language without kin.
    pub family: &'static str,
    /// Whether at least 30 of 289 features were observed. The features of other languages are
    /// predicted from their neighbours and kin, and so are the distances that rest on them: all
    /// but the geographic and the genetic one.
    pub observed: bool,
}

impl Language {
    /// What the table of languages knows about this one; `None` when it does not have it.
    pub fn typology(&self) -> Option<Typology> {
        row(self).map(|row| TABLE.languages[row].typology)
    }

    /// Whether this is a language of which nothing is known but its tag: neither one of the table
    /// nor the shared or an undetermined one, which have no kin by nature.
    pub fn lacks_typology(&self) -> bool {
        row(self).is_none() && self.primary() != "mul" && !self.is_undetermined()
    }

    /// The code by ISO 639-3, for languages of the table.
    pub fn iso639_3(&self) -> Option<&'static str> {
        self.typology().map(|typology| typology.iso639_3)
    }
}

/// Every language of the table, in the order of the tags.
pub fn languages() -> impl ExactSizeIterator<Item = Typology> {
    TABLE.languages.iter().map(|language| language.typology)
}

/// The `count` languages that lie nearest to `to`, with their distances, the nearest first; equally
/// near ones in the order of their tags.
///
/// `to` itself is left out, and so is every language without typology; nothing is near to a
/// language that has none.
pub fn nearest<'a>(
    to: &Language,
    among: impl Iterator<Item = &'a Language>,
    distance: Distance,
    count: usize,
) -> Vec<(&'a Language, f64)> {
    let others = among.filter(|other| *other != to);
    let mut near: Vec<(&Language, f64)> =
        others.filter_map(|other| Some((other, distance.between(to, other)?))).collect();
    near.sort_by(|(one, near), (other, far)| near.total_cmp(far).then_with(|| one.cmp(other)));
    near.truncate(count);
    near
}

/// The place of a language in the table: below [`languages`]' length, and the same for all
/// spellings, scripts and regions.
pub(crate) fn row(language: &Language) -> Option<usize> {
    TABLE.rows.get(language.primary()).copied()
}

/// Whether the table has a language under this primary subtag.
pub(super) fn is_listed(primary: &str) -> bool {
    TABLE.rows.contains_key(primary)
}

struct Entry {
    typology: Typology,
    /// Which vector its distances were computed from; languages may share one.
    vector: usize,
}

struct Table {
    languages: Vec<Entry>,
    /// Tags and aliases.
    rows: HashMap<&'static str, usize>,
    vectors_count: usize,
    /// One upper triangle without its diagonal per kind of distance.
    distances: &'static [u8],
}

impl Table {
    /// Reads the file; `None` when it is not whole.
    fn read(bytes: &'static [u8]) -> Option<Self> {
        let text_end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
        let (text, distances) = (std::str::from_utf8(&bytes[..text_end]).ok()?, text_end + 2);
        let (head, lines) = text.split_once('\n')?;
        let mut counts = head.strip_prefix("polygraft typology 1 ")?.split(' ');
        let mut count = || counts.next()?.parse::<usize>().ok();
        let (languages_count, vectors_count) = (count()?, count()?);
        let mut languages = Vec::with_capacity(languages_count);
        let mut rows = HashMap::new();
        for line in lines.split('\n') {
            let fields: Vec<&str> = line.split('\t').collect();
            let [tag, iso639_3, name, family, certainty, vector, aliases] = fields[..] else {
                return None;
            };
            for spelling in aliases.split_ascii_whitespace().chain([tag]) {
                rows.insert(spelling, languages.len());
            }
            let observed = certainty == "observed";
            let typology = Typology { tag, iso639_3, name, family, observed };
            let vector = vector.parse().ok().filter(|vector| *vector < vectors_count)?;
            languages.push(Entry { typology, vector });
        }
        let distances = &bytes[distances..];
        let whole = languages.len() == languages_count
            && distances.len() == 6 * (vectors_count * (vectors_count - 1) / 2);
        whole.then_some(Self { languages, rows, vectors_count, distances })
    }

    /// The distance of two languages of the table, by the kind's place in the file.
    fn distance(&self, kind: usize, one: usize, other: usize) -> f64 {
        let (one, other) = (self.languages[one].vector, self.languages[other].vector);
        if one == other {
            return 0.0;
        }
        let (low, high) = (one.min(other), one.max(other));
        let pairs_count = self.vectors_count * (self.vectors_count - 1) / 2;
        // The rows above `low` have one pair less each.
        let before = low * self.vectors_count - low * (low + 1) / 2;
        let byte = self.distances[kind * pairs_count + before + (high - low - 1)];
        f64::from(byte) / 255.0
    }
}
