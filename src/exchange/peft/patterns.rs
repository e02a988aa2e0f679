//! Which modules a PEFT configuration selects.
//!
//! PEFT selects modules by a list (of paths, or their ends after a dot) or by a regular expression
//! over the whole path, with exceptions and a choice of layers. The tensors in the file tell which
//! modules were adapted; comparing them with the configuration detects a file that lost some.
//! Regular expressions run in linear time; features that only Python's have are refused.

use crate::error::Result;
use crate::exchange::fields::Fields;
use crate::exchange::message::{malformed, unsupported};
use regex_lite::Regex;
use serde_json::Value;
use std::path::Path;

/// PEFT's word for every linear layer but the head.
const ALL_LINEAR: &str = "all-linear";

/// Modules by a list or an expression.
#[derive(Clone, Debug)]
pub enum Names {
    /// Paths, or the ends of paths.
    List(Vec<String>),
    /// An expression that must match a whole path.
    Expression(Regex),
    /// Every linear layer.
    All,
}

impl Names {
    /// Takes a field that is a list of names or one regular expression.
    pub fn take(fields: &mut Fields, name: &str) -> Result<Option<Self>> {
        let Some(value) = fields.take(name) else { return Ok(None) };
        match &value {
            Value::String(text) if text.eq_ignore_ascii_case(ALL_LINEAR) => Ok(Some(Self::All)),
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => {
                let whole = expression(fields.file(), name, text, |text| format!("^(?:{text})$"))?;
                Ok(Some(Self::Expression(whole)))
            }
            Value::Array(items) => {
                let list = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                let list: Option<Vec<String>> = list;
                let list = list.ok_or_else(|| fields.wrong(name, "a list of texts", &value))?;
                Ok((!list.is_empty()).then_some(Self::List(list)))
            }
            other => Err(fields.wrong(name, "a list of texts or an expression", other)),
        }
    }

    /// Whether `path` is selected.
    pub fn name(&self, path: &str) -> bool {
        match self {
            Self::List(list) => list.iter().any(|name| is_end(name, path)),
            Self::Expression(whole) => whole.is_match(path),
            Self::All => true,
        }
    }

    /// As [`Names::name`], with the rule of PEFT's (IA)3 for feed-forward modules: the end of a
    /// path need not begin after a dot.
    pub fn name_loosely(&self, path: &str) -> bool {
        match self {
            Self::List(list) => list.iter().any(|name| path.ends_with(name.as_str())),
            _ => self.name(path),
        }
    }
}

/// Whether `name` is the path, or its end after a dot.
pub fn is_end(name: &str, path: &str) -> bool {
    path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The modules that an adapter is on.
pub struct Selector {
    targets: Names,
    excluded: Option<Names>,
    layers: Vec<usize>,
    /// Finds the layer number in a path.
    layer_of: Vec<Regex>,
    saved: Vec<String>,
}

impl Selector {
    /// Takes the fields that select modules.
    pub fn take(fields: &mut Fields, saved: &[String]) -> Result<Self> {
        let targets = Names::take(fields, "target_modules")?.ok_or_else(|| {
            malformed(fields.file(), "target_modules: expected names of modules, found none")
        })?;
        let excluded = Names::take(fields, "exclude_modules")?;
        let layers = fields.counts("layers_to_transform")?.unwrap_or_default();
        let patterns = fields.texts("layers_pattern", true)?.unwrap_or_default();
        let file = fields.file();
        let layer_of = if patterns.is_empty() {
            vec![expression(file, "layers_pattern", r"[^.]*", layer_number)?]
        } else {
            let compile = |text: &String| {
                expression(file, "layers_pattern", text, |text| {
                    format!(r"^(?:.*?\.)?(?:{text})\.(?P<layer>\d+)\.")
                })
            };
            patterns.iter().map(compile).collect::<Result<_>>()?
        };
        Ok(Self { targets, excluded, layers, layer_of, saved: saved.to_vec() })
    }

    /// Whether the module at `path` should have an adapter.
    pub fn selects(&self, path: &str) -> bool {
        let is_excluded = self.excluded.as_ref().is_some_and(|names| names.name(path));
        if is_excluded || self.is_saved(path) || !self.targets.name(path) {
            return false;
        }
        if self.layers.is_empty() || !matches!(self.targets, Names::List(_)) {
            return true;
        }
        let found = self.layer_of.iter().find_map(|layer| layer.captures(path));
        let number = found.as_ref().and_then(|found| found.name("layer"));
        let number = number.and_then(|number| number.as_str().parse().ok());
        number.is_some_and(|number| self.layers.contains(&number))
    }

    /// Whether the module is a head or inside of one: PEFT does not adapt it.
    fn is_saved(&self, path: &str) -> bool {
        let starts = (0..path.len()).filter(|at| path.is_char_boundary(*at));
        let mut starts = starts.filter(|at| *at == 0 || path[..*at].ends_with('.'));
        starts.any(|at| {
            let inside = |name: &String| {
                let rest = path[at..].strip_prefix(name.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            self.saved.iter().any(inside)
        })
    }
}

/// The first number between dots that follows a name.
fn layer_number(name: &str) -> String {
    format!(r"^.*?\.{name}\.(?P<layer>\d+)\.")
}

/// Values by pattern: each pattern is an expression for a path, or for its end after a dot.
pub struct Patterns(Vec<(Regex, f64)>);

impl Patterns {
    /// Takes a field that maps patterns to numbers.
    pub fn take(fields: &mut Fields, name: &str) -> Result<Self> {
        let values = fields.numbers(name)?;
        let compile = |(pattern, value): (&String, &f64)| {
            let end = |text: &str| format!(r"^(?:.*\.)?(?:{text})$");
            Ok((expression(fields.file(), name, pattern, end)?, *value))
        };
        values.iter().map(compile).collect::<Result<_>>().map(Self)
    }

    /// The distinct values of the patterns that match.
    pub fn values(&self, path: &str) -> Vec<f64> {
        let matching = self.0.iter().filter(|(pattern, _)| pattern.is_match(path));
        let mut values: Vec<f64> = matching.map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }
}

fn expression(
    file: &Path,
    field: &str,
    text: &str,
    around: impl Fn(&str) -> String,
) -> Result<Regex> {
    // It is compiled alone first, so that the surrounding text cannot complete half an expression.
    let compiled = Regex::new(text).and_then(|_| Regex::new(&around(text)));
    compiled.map_err(|cause| {
        let shown: String = text.chars().take(80).collect();
        unsupported(file, format!("{field}: the regular expression {shown:?}: {cause}"))
    })
}
