//! Matches module paths of other libraries with the sites of a backbone.
//!
//! The same layer is `bert.encoder.layer.0.attention.self.query` in a model with a head,
//! `encoder.layer.0.attention.self.query` in the encoder alone, and `m.encoder...` in a graph that
//! was exported with a wrapper. A path matches a site when both have the same end. Their prefixes,
//! which name the encoder within each model, must be the same for every path of an adapter. The
//! longest common end decides. If both have a prefix, the common end must at least contain the
//! layer number, and the prefixes must not name different parts of a model: an adapter of a
//! decoder's layer 0 does not fit the encoder. An ambiguous match is an error; the caller can state
//! the prefixes.

use super::message::{malformed, unsupported};
use super::options::ReadOptions;
use super::prefix::{Prefix, common, dotted, last, layer_number, quoted, stated, undotted};
use crate::error::{Error, Result};
use crate::sites::Site;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The error `message` for a path without tensors. If its layer is above all that were `found`, the
/// adapter is intact and belongs to a smaller model.
pub fn missing<'p>(
    file: &Path,
    message: String,
    (path, before): (&str, &str),
    found: impl Iterator<Item = &'p str>,
) -> Error {
    let last = found.filter_map(|path| layer_number(path, before)).max();
    match last {
        Some(last) if layer_number(path, before) > Some(last) => {
            let count = last.saturating_add(1);
            let message = format!("{message}: the adapter belongs to a model of {count} layers");
            unsupported(file, message)
        }
        _ => malformed(file, message),
    }
}

/// Paths with their sites.
#[derive(Default)]
pub struct Matched<'a> {
    pub sites: BTreeMap<String, &'a Site>,
    /// The prefixes of both sides.
    pub prefix: Prefix,
    /// The paths without a site, sorted.
    pub outside: Vec<String>,
    /// The paths that were left out, because the output does not depend on them.
    pub left_out: Vec<String>,
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

    /// The sites under other paths than their own.
    pub fn under(by_path: BTreeMap<String, &'a Site>) -> Self {
        Self { by_path }
    }

    pub fn paths(&self) -> impl Iterator<Item = (&str, &'a Site)> {
        self.by_path.iter().map(|(path, site)| (path.as_str(), *site))
    }

    /// Finds the sites of the other library's paths, and the prefixes.
    ///
    /// # Errors
    /// `adapter.unsupported` when no path is a linear layer of the backbone, when one is ambiguous,
    /// or when two are in different parts of a model; the message names them and the options that
    /// decide.
    pub fn matched(
        &self,
        file: &Path,
        paths: &BTreeSet<String>,
        options: &ReadOptions,
    ) -> Result<Matched<'a>> {
        let found = self.candidates(paths, options);
        let Some(first) = paths.first() else {
            return Ok(Matched::default());
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
        Ok(Matched { sites, prefix, outside, left_out: Vec::new() })
    }

    fn site(&self, prefix: &Prefix, path: &str) -> Option<&'a Site> {
        prefix.ours(path).and_then(|module| self.by_path.get(&module).copied())
    }

    /// Every pair of prefixes under which some path matches a site, with the number of these paths.
    fn candidates(
        &self,
        paths: &BTreeSet<String>,
        options: &ReadOptions,
    ) -> BTreeMap<Prefix, usize> {
        let (theirs, ours) =
            (dotted(options.encoder.as_deref()), dotted(options.within.as_deref()));
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

    /// The pair under which most paths match sites; among equals the one with the longest end.
    fn best(found: &BTreeMap<Prefix, usize>) -> Option<&Prefix> {
        let rank = |(prefix, count): &(&Prefix, &usize)| {
            let Prefix { theirs, ours } = *prefix;
            (**count, !prefix.is_torn(), std::cmp::Reverse(theirs.len()), ours.is_empty())
        };
        // The choice among equals does not matter, because they are refused.
        found.iter().rev().max_by_key(rank).map(|(prefix, _)| prefix)
    }

    /// Refuses another pair that fits the same paths as well, or that fits the remaining paths.
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

    /// The error for a path that ends like no site.
    pub fn unknown(&self, file: &Path, path: &str) -> Error {
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
fn torn(file: &Path, prefix: &Prefix) -> Error {
    let (theirs, ours) = (undotted(&prefix.theirs), undotted(&prefix.ours));
    let message = format!(
        "its layers lie in {theirs} and those of the backbone in {ours}, which are named as \
         different parts of a model; if they are the same, --encoder {theirs} --within {ours} says \
         so"
    );
    unsupported(file, message)
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
        // The other library's wrapper has a number of its own.
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
