//! The typological distances between languages, in a compiled-in table.
//!
//! `tools/typology/build.py` computes the distances in the manner of URIEL from the vectors of the
//! package `lang2vec`; they are not the official URIEL distances. This module must never guess: an
//! unknown language is not near to any other.

use super::Language;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The largest [`Distance::Mixed`] at which a version of one language may serve another one.
///
/// The distance of unrelated languages is at least a third, because their genetic distance is 1.
/// This bound stays below that and also requires similar syntax and regions. It was chosen for
/// kinship and not by a measured gain; `docs/languages.md` says what was measured.
pub const SERVING_DISTANCE_MAX: f64 = 0.2;

/// Lines of text with the languages, then one byte for every pair of languages and kind of
/// distance. `tools/typology/build.py` describes the format and writes it.
static BYTES: &[u8] = include_bytes!("typology.bin");

#[expect(clippy::expect_used, reason = "the tests read all of the compiled-in table")]
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    Table::read(BYTES).expect("the compiled-in table is whole: the tests read all of it")
});

named! {
    /// A kind of typological distance.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Distance: "distance" {
        /// The mean of the syntactic, genetic and geographic distances. No single one separates
        /// relatives that are similar from relatives that have diverged.
        #[default]
        Mixed = "mixed",
        /// The difference in syntax: word order, agreement, case marking.
        Syntactic = "syntactic",
        /// The distance between the regions where the languages are spoken; 1 is the other side of
        /// the Earth.
        Geographic = "geographic",
        /// The distance in the tree of language families; 1 for unrelated languages.
        Genetic = "genetic",
        /// The difference in phonology: syllables, tones, stress.
        Phonological = "phonological",
        /// The difference in the inventory of sounds.
        Inventory = "inventory",
        /// The difference in syntactic, phonological and inventory features together.
        Featural = "featural",
    }
}

impl Distance {
    /// The distance between two languages, from 0 to 1. It is symmetric.
    ///
    /// Scripts and regions do not count: the distance between `zh-Hant` and `zh` is 0. The result
    /// is `None` if either language has no [`Typology`].
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

/// The facts of the table about one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Typology {
    /// The primary subtag that the table lists the language under: `he`, also for `iw`.
    pub tag: &'static str,
    /// The code of ISO 639-3; that of the macrolanguage if the tag means one.
    pub iso639_3: &'static str,
    /// The name in English.
    pub name: &'static str,
    /// The top of its family tree, such as `Indo-European`; `Isolate` for a language without
    /// relatives.
    pub family: &'static str,
    /// Whether at least 30 of 289 features were observed. The features of other languages are
    /// predicted from their neighbours and relatives, and so are the distances that depend on them:
    /// all except the geographic and the genetic distance.
    pub observed: bool,
}

impl Language {
    /// The facts of the table about this language; `None` if it is not in the table.
    pub fn typology(&self) -> Option<Typology> {
        row(self).map(|row| TABLE.languages[row].typology)
    }

    /// Whether nothing is known about this language but its tag. This holds for languages outside
    /// of the table, except the shared and undetermined languages, which have no relatives by
    /// nature.
    pub fn lacks_typology(&self) -> bool {
        row(self).is_none() && self.primary() != "mul" && !self.is_undetermined()
    }

    /// The code of ISO 639-3, for languages of the table.
    pub fn iso639_3(&self) -> Option<&'static str> {
        self.typology().map(|typology| typology.iso639_3)
    }
}

/// Every language of the table, in the order of the tags.
pub fn languages() -> impl ExactSizeIterator<Item = Typology> {
    TABLE.languages.iter().map(|language| language.typology)
}

/// The `count` languages nearest to `to`, with their distances, the nearest first. Languages of
/// equal distance are in the order of their tags.
///
/// The list does not contain `to` itself, nor languages without typology. It is empty if `to` has
/// no typology.
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

/// The position of a language in the table. It is less than the length of [`languages`], and the
/// same for all spellings, scripts and regions.
pub(crate) fn row(language: &Language) -> Option<usize> {
    TABLE.rows.get(language.primary()).copied()
}

/// Whether the table has a language with this primary subtag.
pub(super) fn is_listed(primary: &str) -> bool {
    TABLE.rows.contains_key(primary)
}

struct Entry {
    typology: Typology,
    /// The vector that its distances were computed from; languages may share one.
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
    /// Reads the file; `None` if it is not complete.
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

    /// The distance between two languages of the table, by the kind's position in the file.
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
