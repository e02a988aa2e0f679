//! Module paths of other libraries, matched with the sites of a backbone.
//!
//! The same layer is `bert.encoder.layer.0.attention.self.query` in a model with a head and
//! `encoder.layer.0.attention.self.query` in the encoder alone. A path and a site belong together
//! when one is the end of the other, and what one of them has in front must be the same for every
//! path of an adapter: it is the name of the encoder inside the model. Anything less would put an
//! adapter of a decoder's layer 0 on the encoder's.

use super::{malformed, unsupported};
use crate::adapter::Site;
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What stands in front of the paths of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// The other library's paths are longer by this; empty when they are equal.
    Theirs(String),
    /// The sites' paths are longer by this.
    Ours(String),
}

impl Prefix {
    /// The other library's path of one of our module paths; none when it lies outside its model.
    pub fn theirs(&self, module: &str) -> Option<String> {
        match self {
            Prefix::Theirs(prefix) => Some(format!("{prefix}{module}")),
            Prefix::Ours(prefix) => module.strip_prefix(prefix.as_str()).map(str::to_owned),
        }
    }
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

    /// The module paths.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }

    /// For each of the other library's paths the site, and what stands in front.
    ///
    /// # Errors
    /// `adapter.unsupported` naming the path that is no linear layer of the backbone, or that
    /// could be several; `adapter.malformed` when two paths mean the same layer.
    pub fn matched(
        &self,
        file: &Path,
        paths: &BTreeSet<String>,
    ) -> Result<(BTreeMap<String, &'a Site>, Prefix)> {
        let mut found = BTreeMap::new();
        let mut common: Option<(Prefix, &String)> = None;
        for path in paths {
            let (site, prefix) = self.matched_one(file, path)?;
            match &common {
                None => common = Some((prefix, path)),
                Some((first, _)) if *first == prefix => {}
                Some((first, of)) => {
                    let message = format!(
                        "{path} and {of} do not lie in the same encoder: against the backbone, \
                         one has {prefix:?} in front and the other {first:?}"
                    );
                    return Err(unsupported(file, message));
                }
            }
            found.insert(path.clone(), site);
        }
        let distinct: BTreeSet<&str> = found.values().map(|site| site.module.as_str()).collect();
        if distinct.len() < found.len() {
            return Err(malformed(file, "two of its modules are the same layer of the backbone"));
        }
        let prefix = common.map_or(Prefix::Theirs(String::new()), |(prefix, _)| prefix);
        Ok((found, prefix))
    }

    fn matched_one(&self, file: &Path, path: &str) -> Result<(&'a Site, Prefix)> {
        let longest = self
            .by_path
            .iter()
            .filter_map(|(module, site)| Some((*site, end_of(path, module)?)))
            .min_by_key(|(_, before)| before.len());
        if let Some((site, before)) = longest {
            return Ok((site, Prefix::Theirs(before.to_owned())));
        }
        let inside: Vec<(&Site, &str)> = self
            .by_path
            .iter()
            .filter_map(|(module, site)| Some((*site, end_of(module, path)?)))
            .collect();
        match inside[..] {
            [(site, before)] => Ok((site, Prefix::Ours(before.to_owned()))),
            [] => {
                let known: Vec<&str> = self.paths().take(4).collect();
                let known = known.join(", ");
                let message = format!(
                    "{path} is no linear layer of the backbone; its layers are named like {known}"
                );
                Err(unsupported(file, message))
            }
            [(first, _), (second, _), ..] => {
                let (first, second) = (&first.module, &second.module);
                let message = format!(
                    "{path} could be several layers of the backbone, such as {first} and {second}"
                );
                Err(unsupported(file, message))
            }
        }
    }
}

/// What stands in front of `end` in `path` when `path` ends in it after a dot, or is equal to it.
fn end_of<'p>(path: &'p str, end: &str) -> Option<&'p str> {
    let before = path.strip_suffix(end)?;
    (before.is_empty() || before.ends_with('.')).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::Role;

    fn site(module: &str) -> Site {
        let module = module.to_owned();
        Site { module, nodes: Vec::new(), inputs: 2, outputs: 2, role: Role::Other }
    }

    /// The site of each path, and the prefix; or the error as text.
    fn matched(
        modules: &[&str],
        paths: &[&str],
    ) -> std::result::Result<(Vec<String>, Prefix), String> {
        let sites: Vec<Site> = modules.iter().map(|module| site(module)).collect();
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let (found, prefix) = Modules::new(&sites)
            .matched(Path::new("file"), &paths)
            .map_err(|error| error.to_string())?;
        Ok((found.values().map(|site| site.module.clone()).collect(), prefix))
    }

    #[test]
    fn one_is_the_end_of_the_other() {
        let own = ["encoder.0.query", "encoder.1.query", "query"];
        let longer = matched(&own, &["bert.encoder.0.query", "bert.encoder.1.query"]).unwrap();
        assert_eq!(longer.0, ["encoder.0.query", "encoder.1.query"]);
        assert_eq!(longer.1, Prefix::Theirs("bert.".to_owned()));
        let equal = matched(&own, &["encoder.1.query"]).unwrap();
        assert_eq!(equal.1, Prefix::Theirs(String::new()));
        let shorter = matched(&["bert.encoder.0.query"], &["encoder.0.query"]).unwrap();
        assert_eq!(shorter.1, Prefix::Ours("bert.".to_owned()));
        assert_eq!(shorter.1.theirs("bert.encoder.7.key").unwrap(), "encoder.7.key");
        assert_eq!(shorter.1.theirs("other.encoder.7.key"), None);
    }

    #[test]
    fn nothing_is_guessed() {
        let both = ["encoder.0.query", "decoder.0.query"];
        let refused = |modules: &[&str], paths: &[&str], expected: &str| {
            let text = matched(modules, paths).unwrap_err();
            assert!(text.contains(expected), "{expected:?} is not in {text}");
        };
        refused(&both, &["0.query"], "could be several layers");
        refused(&both, &["other.0.query"], "is no linear layer");
        refused(&both, &["coder.0.query"], "is no linear layer");
        refused(&both, &["a.encoder.0.query", "b.decoder.0.query"], "not lie in the same encoder");
        refused(&["x.query"], &["query", "x.query"], "not lie in the same encoder");
    }
}
