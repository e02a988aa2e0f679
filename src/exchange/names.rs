//! Module paths of other libraries, matched with the sites of a backbone.
//!
//! The same layer is `bert.encoder.layer.0.attention.self.query` in a model with a head,
//! `encoder.layer.0.attention.self.query` in the encoder alone, and `m.encoder...` in a graph that
//! was exported inside of a wrapper. A path and a site belong together when they end alike, and
//! what each of them has in front must be the same for every path of an adapter: it is the name of
//! the encoder inside of either model. The longest common end decides. Where both have something
//! in front, the end must at least tell the layer, and the two must not name different parts of a
//! model: an adapter of a decoder's layer 0 is none of the encoder's. Of several possibilities
//! none is taken; the caller can say which.

use super::{ReadOptions, unsupported};
use crate::error::Result;
use crate::sites::Site;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Words in the names of a model's parts that are not to be taken for each other.
const PARTS: [&str; 11] = [
    "audio", "context", "ctx", "decoder", "image", "question", "speech", "student", "text",
    "vision", "visual",
];

/// Those that a part is never called without.
const STATED_PARTS: [&str; 6] = ["audio", "decoder", "image", "speech", "vision", "visual"];

/// What stands in front of the paths of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// In front of the other library's paths, with a dot at its end unless it is empty.
    pub theirs: String,
    /// In front of the sites' paths.
    pub ours: String,
}

impl Prefix {
    /// The other library's path of one of our module paths; none when it lies outside its model.
    pub fn theirs(&self, module: &str) -> Option<String> {
        module.strip_prefix(self.ours.as_str()).map(|rest| format!("{}{rest}", self.theirs))
    }

    /// Our module path of one of the other library's paths.
    fn ours(&self, path: &str) -> Option<String> {
        path.strip_prefix(self.theirs.as_str()).map(|rest| format!("{}{rest}", self.ours))
    }

    /// What to tell of it where it is more than one side's longer name.
    pub fn note(&self) -> Option<String> {
        let Self { theirs, ours } = self;
        let both = !theirs.is_empty() && !ours.is_empty();
        both.then(|| format!("{theirs}* of the adapter is {ours}* of the backbone"))
    }

    /// Whether the two may be names of the same part of a model, when a common end follows them.
    fn is_sound(&self, end: &str) -> bool {
        let (theirs, ours) = (numbers(&self.theirs), numbers(&self.ours));
        let tells_layer = numbers(end) > 0 && (theirs == 0 || ours == 0);
        self.theirs.is_empty() || self.ours.is_empty() || tells_layer
    }

    /// Whether the two name different parts of a model.
    fn is_torn(&self) -> bool {
        if self.theirs.is_empty() || self.ours.is_empty() {
            return false;
        }
        let parts = |path: &str| -> BTreeSet<&str> {
            let words = path.split(['.', '_']);
            words.filter_map(|word| PARTS.into_iter().find(|part| *part == word)).collect()
        };
        let (theirs, ours) = (parts(&self.theirs), parts(&self.ours));
        let stated = |parts: &BTreeSet<&str>| parts.iter().any(|one| STATED_PARTS.contains(one));
        let unlike = theirs != ours;
        unlike && (!theirs.is_empty() && !ours.is_empty() || stated(&theirs) || stated(&ours))
    }
}

/// How many parts of a path are numbers, as those of layers are.
fn numbers(path: &str) -> usize {
    path.split('.').filter(|part| is_number(part)).count()
}

/// Whether a part of a path is a number, as that of a layer is.
pub fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Paths with their sites.
pub struct Matched<'a> {
    /// The site of each path that has one.
    pub sites: BTreeMap<String, &'a Site>,
    /// What stands in front of both.
    pub prefix: Prefix,
    /// The paths without a site, in order.
    pub outside: Vec<String>,
}

/// The sites of a backbone, by module path.
pub struct Modules<'a> {
    by_path: BTreeMap<String, &'a Site>,
}

impl<'a> Modules<'a> {
    /// Sorts the sites by their paths.
    pub fn new(sites: &'a [Site]) -> Self {
        Self { by_path: sites.iter().map(|site| (site.module.clone(), site)).collect() }
    }

    /// Sites under other paths than their own.
    pub fn under(by_path: BTreeMap<String, &'a Site>) -> Self {
        Self { by_path }
    }

    /// The module paths, with their sites.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &'a Site)> {
        self.by_path.iter().map(|(path, site)| (path.as_str(), *site))
    }

    /// The sites of the other library's paths, and what stands in front.
    ///
    /// # Errors
    /// `adapter.unsupported` when none of them is a linear layer of the backbone, when one could be
    /// several, and when two lie in different parts of a model; the message names them and the
    /// options that decide.
    pub fn matched(
        &self,
        file: &Path,
        paths: &BTreeSet<String>,
        options: &ReadOptions,
    ) -> Result<Matched<'a>> {
        let found = self.candidates(paths, options);
        let Some(first) = paths.first() else {
            let (sites, outside) = (BTreeMap::new(), Vec::new());
            return Ok(Matched { sites, prefix: Prefix::default(), outside });
        };
        let Some(prefix) = Self::best(&found).cloned() else {
            return Err(self.unknown(file, first));
        };
        let (mut sites, mut outside) = (BTreeMap::new(), Vec::new());
        for path in paths {
            match self.site(&prefix, path) {
                Some(site) => drop(sites.insert(path.clone(), site)),
                None => outside.push(path.clone()),
            }
        }
        for other in found.keys().filter(|other| **other != prefix) {
            self.check_other(file, (&prefix, &sites, &outside), other)?;
        }
        if prefix.is_torn() && !(options.encoder.is_some() || options.within.is_some()) {
            return Err(torn(file, &prefix));
        }
        Ok(Matched { sites, prefix, outside })
    }

    fn site(&self, prefix: &Prefix, path: &str) -> Option<&'a Site> {
        prefix.ours(path).and_then(|module| self.by_path.get(&module).copied())
    }

    /// Every pair of prefixes under which some path is a site, with the number of these paths.
    fn candidates(
        &self,
        paths: &BTreeSet<String>,
        options: &ReadOptions,
    ) -> BTreeMap<Prefix, usize> {
        let (theirs, ours) = (dotted(&options.encoder), dotted(&options.within));
        let mut by_end: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for module in self.by_path.keys() {
            by_end.entry(last(module)).or_default().push(module);
        }
        let mut found = BTreeMap::new();
        for path in paths {
            let modules = by_end.get(last(path)).into_iter().flatten();
            let prefixes: BTreeSet<Prefix> = modules
                .filter_map(|module| match (&theirs, &ours) {
                    (None, None) => common(path, module),
                    (theirs, ours) => stated(path, module, theirs.as_deref(), ours.as_deref()),
                })
                .collect();
            for prefix in prefixes {
                *found.entry(prefix).or_insert(0) += 1;
            }
        }
        found
    }

    /// The pair under which the most paths are sites, of several the one with the longest end.
    fn best(found: &BTreeMap<Prefix, usize>) -> Option<&Prefix> {
        let rank = |(prefix, count): &(&Prefix, &usize)| {
            let Prefix { theirs, ours } = *prefix;
            (**count, !prefix.is_torn(), std::cmp::Reverse(theirs.len()), ours.is_empty())
        };
        // Which of equals is taken does not matter, as they are refused.
        found.iter().rev().max_by_key(rank).map(|(prefix, _)| prefix)
    }

    /// Refuses another pair that is as good for the same paths, or good for paths left over.
    fn check_other(
        &self,
        file: &Path,
        (prefix, sites, outside): (&Prefix, &BTreeMap<String, &'a Site>, &[String]),
        other: &Prefix,
    ) -> Result<()> {
        let elsewhere = outside.iter().find_map(|path| Some((path, self.site(other, path)?)));
        if let (Some((path, _)), Some(of)) = (elsewhere, sites.keys().next())
            && !other.is_torn()
        {
            let message = format!(
                "{path} and {of} do not lie in the same encoder: {} stands in front of one and {} \
                 of the other; --encoder says which of them to take",
                quoted(&other.theirs),
                quoted(&prefix.theirs)
            );
            return Err(unsupported(file, message));
        }
        let is_alike = other.theirs == prefix.theirs && !prefix.ours.is_empty();
        let as_good = is_alike && sites.keys().all(|path| self.site(other, path).is_some());
        match sites.iter().next() {
            Some((path, first)) if as_good => {
                let second = self.site(other, path).map_or("", |site| site.module.as_str());
                let first = &first.module;
                let message = format!(
                    "{path} could be several layers of the backbone, such as {first} and {second}; \
                     --within {} or --within {} says which",
                    undotted(&prefix.ours),
                    undotted(&other.ours)
                );
                Err(unsupported(file, message))
            }
            _ => Ok(()),
        }
    }

    /// The error for a path that no site ends like.
    pub fn unknown(&self, file: &Path, path: &str) -> crate::error::Error {
        let known: Vec<&str> = self.by_path.keys().take(4).map(String::as_str).collect();
        let known = known.join(", ");
        let message = format!(
            "{path} is no linear layer of the backbone; its layers are named like {known}. If the \
             same layers are called otherwise, --encoder says what stands in front of them in the \
             adapter and --within what stands there in the backbone"
        );
        unsupported(file, message)
    }
}

/// The error for paths that end like sites of another part of the model.
fn torn(file: &Path, prefix: &Prefix) -> crate::error::Error {
    let (theirs, ours) = (undotted(&prefix.theirs), undotted(&prefix.ours));
    let message = format!(
        "its layers lie in {theirs} and those of the backbone in {ours}, which are named as \
         different parts of a model; if they are the same, --encoder {theirs} --within {ours} says \
         so"
    );
    unsupported(file, message)
}

/// The prefixes before the longest common end of a path and a module.
fn common(path: &str, module: &str) -> Option<Prefix> {
    let ends = path.rsplit('.').zip(module.rsplit('.')).take_while(|(theirs, ours)| theirs == ours);
    // Every part brings the dot before it, but for the first part of a whole path.
    let length: usize = ends.map(|(part, _)| part.len() + 1).sum();
    let cut = |whole: &str| whole[..(whole.len() + 1).saturating_sub(length)].to_owned();
    let prefix = Prefix { theirs: cut(path), ours: cut(module) };
    let end = &path[prefix.theirs.len()..];
    (length > 0 && prefix.is_sound(end)).then_some(prefix)
}

/// The prefixes when the caller has said one of them or both.
fn stated(path: &str, module: &str, theirs: Option<&str>, ours: Option<&str>) -> Option<Prefix> {
    let rest = match (theirs, ours) {
        (Some(theirs), _) => path.strip_prefix(theirs)?,
        (None, Some(ours)) => module.strip_prefix(ours)?,
        (None, None) => return None,
    };
    let prefix =
        Prefix { theirs: end_of(path, rest)?.to_owned(), ours: end_of(module, rest)?.to_owned() };
    ours.is_none_or(|ours| prefix.ours == ours).then_some(prefix)
}

/// What stands in front of `end` in `path` when `path` ends in it after a dot, or is equal to it.
pub fn end_of<'p>(path: &'p str, end: &str) -> Option<&'p str> {
    let before = path.strip_suffix(end)?;
    (before.is_empty() || before.ends_with('.')).then_some(before)
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// A name of an option as a prefix.
pub fn dotted(name: &Option<String>) -> Option<String> {
    let name = name.as_deref()?.trim_end_matches('.');
    Some(if name.is_empty() { String::new() } else { format!("{name}.") })
}

/// A prefix as an option takes it.
fn undotted(prefix: &str) -> &str {
    match prefix.trim_end_matches('.') {
        "" => "\"\"",
        name => name,
    }
}

/// A prefix in a sentence.
fn quoted(prefix: &str) -> String {
    if prefix.is_empty() { "nothing".to_owned() } else { format!("{prefix:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::Role;

    fn site(module: &str) -> Site {
        let module = module.to_owned();
        Site { module, nodes: Vec::new(), inputs: 2, outputs: 2, role: Role::Other }
    }

    /// The site of each path and the prefixes; or the error as text.
    fn matched_as(
        modules: &[&str],
        paths: &[&str],
        [encoder, within]: [Option<&str>; 2],
    ) -> std::result::Result<(Vec<String>, Prefix), String> {
        let sites: Vec<Site> = modules.iter().map(|module| site(module)).collect();
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let owned = |name: Option<&str>| name.map(str::to_owned);
        let (encoder, within) = (owned(encoder), owned(within));
        let options = ReadOptions { encoder, within, ..ReadOptions::default() };
        let found = Modules::new(&sites)
            .matched(Path::new("file"), &paths, &options)
            .map_err(|error| error.to_string())?;
        Ok((found.sites.values().map(|site| site.module.clone()).collect(), found.prefix))
    }

    fn matched(
        modules: &[&str],
        paths: &[&str],
    ) -> std::result::Result<(Vec<String>, Prefix), String> {
        matched_as(modules, paths, [None, None])
    }

    fn prefix(theirs: &str, ours: &str) -> Prefix {
        Prefix { theirs: theirs.to_owned(), ours: ours.to_owned() }
    }

    #[test]
    fn one_is_the_end_of_the_other() {
        let own = ["encoder.0.query", "encoder.1.query", "query"];
        let longer = matched(&own, &["bert.encoder.0.query", "bert.encoder.1.query"]).unwrap();
        assert_eq!(longer.0, ["encoder.0.query", "encoder.1.query"]);
        assert_eq!(longer.1, prefix("bert.", ""));
        assert_eq!(matched(&own, &["encoder.1.query"]).unwrap().1, Prefix::default());
        let shorter = matched(&["bert.encoder.0.query"], &["encoder.0.query"]).unwrap();
        assert_eq!(shorter.1, prefix("", "bert."));
        assert_eq!(shorter.1.theirs("bert.encoder.7.key").unwrap(), "encoder.7.key");
        assert_eq!(shorter.1.theirs("other.encoder.7.key"), None);
    }

    #[test]
    fn both_may_have_a_name_in_front() {
        let own = ["m.encoder.layer.0.query", "m.encoder.layer.1.query"];
        let paths = ["bert.encoder.layer.0.query", "bert.encoder.layer.1.query"];
        let found = matched(&own, &paths).unwrap();
        assert_eq!((found.0, found.1), (own.map(str::to_owned).to_vec(), prefix("bert.", "m.")));
        // The wrapper of another library has a number of its own.
        let own = ["0.auto_model.encoder.layer.1.query", "0.auto_model.encoder.layer.0.query"];
        assert_eq!(matched(&own, &paths).unwrap().1, prefix("bert.", "0.auto_model."));
        let two = ["a.encoder.0.query", "b.encoder.0.query"];
        let text = matched(&two, &["bert.encoder.0.query"]).unwrap_err();
        assert!(text.contains("--within a or --within b"), "{text}");
        let chosen = matched_as(&two, &["bert.encoder.0.query"], [None, Some("b")]).unwrap();
        assert_eq!((chosen.0, chosen.1), (vec![two[1].to_owned()], prefix("bert.", "b.")));
    }

    #[test]
    fn nothing_is_guessed() {
        let both = ["encoder.0.query", "decoder.0.query"];
        let refused = |modules: &[&str], paths: &[&str], expected: &str| {
            let text = matched(modules, paths).unwrap_err();
            assert!(text.contains(expected), "{expected:?} is not in {text}");
        };
        refused(&both, &["0.query"], "could be several layers");
        refused(&both, &["other.0.query"], "could be several layers");
        refused(&both, &["other.0.key"], "is no linear layer");
        refused(&both, &["coder.query"], "is no linear layer");
        refused(&both, &["a.encoder.0.query", "b.decoder.0.query"], "not lie in the same encoder");
        refused(&["x.query"], &["query", "x.query"], "not lie in the same encoder");
        // Another layer, another part of the model, and a head are not the same layer.
        refused(&["m.layer.1.query"], &["bert.layer.0.query"], "is no linear layer");
        refused(&both[..1], &["decoder.0.query"], "--encoder decoder --within encoder");
        refused(&["text_model.layers.0.q"], &["vision_model.layers.0.q"], "different parts");
        refused(&["classifier.dense"], &["pooler.dense"], "is no linear layer");
        let said = [Some("decoder"), Some("encoder")];
        assert!(matched_as(&both[..1], &["decoder.0.query"], said).is_ok());
    }
}
