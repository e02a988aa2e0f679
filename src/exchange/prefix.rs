//! The prefixes of module paths in the other library's model and in the backbone.

use std::collections::BTreeSet;

/// Words that name parts of a model, which must not be confused with each other.
const PARTS: [&str; 11] = [
    "audio", "context", "ctx", "decoder", "image", "question", "speech", "student", "text",
    "vision", "visual",
];

/// Words that the name of such a part always contains.
const STATED_PARTS: [&str; 6] = ["audio", "decoder", "image", "speech", "vision", "visual"];

/// The prefixes of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The prefix of the other library's paths, with a dot at its end unless it is empty.
    pub theirs: String,
    /// The prefix of the sites' paths.
    pub ours: String,
}

impl Prefix {
    /// The other library's path of a module; `None` when it is outside of that model.
    pub fn theirs(&self, module: &str) -> Option<String> {
        module.strip_prefix(self.ours.as_str()).map(|rest| format!("{}{rest}", self.theirs))
    }

    /// Our module path of one of the other library's paths.
    pub fn ours(&self, path: &str) -> Option<String> {
        path.strip_prefix(self.theirs.as_str()).map(|rest| format!("{}{rest}", self.ours))
    }

    /// A note, if both sides have a prefix.
    pub fn note(&self) -> Option<String> {
        let Self { theirs, ours } = self;
        let both = !theirs.is_empty() && !ours.is_empty();
        both.then(|| format!("{theirs}* of the adapter is {ours}* of the backbone"))
    }

    /// Whether the two can name the same part of a model, if a common end follows them.
    fn is_sound(&self, end: &str) -> bool {
        let (theirs, ours) = (numbers(&self.theirs), numbers(&self.ours));
        let tells_layer = numbers(end) > 0 && (theirs == 0 || ours == 0);
        self.theirs.is_empty() || self.ours.is_empty() || tells_layer
    }

    /// Whether the two name different parts of a model.
    pub fn is_torn(&self) -> bool {
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

/// How many parts of a path are numbers, such as a layer's.
fn numbers(path: &str) -> usize {
    path.split('.').filter(|part| is_number(part)).count()
}

/// Whether a part of a path is a number, such as a layer's.
pub fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// The layer number of a path: the first part after the prefix `before` that is a number.
pub fn layer_number(path: &str, before: &str) -> Option<usize> {
    let path = path.strip_prefix(before).unwrap_or(path);
    path.split('.').find(|part| is_number(part)).and_then(|part| part.parse().ok())
}

/// The prefixes before the longest common end of a path and a module.
pub fn common(path: &str, module: &str) -> Option<Prefix> {
    let ends = path.rsplit('.').zip(module.rsplit('.')).take_while(|(theirs, ours)| theirs == ours);
    // Every part counts the dot before it, except the first part of a whole path.
    let length: usize = ends.map(|(part, _)| part.len() + 1).sum();
    let cut = |whole: &str| whole[..(whole.len() + 1).saturating_sub(length)].to_owned();
    let prefix = Prefix { theirs: cut(path), ours: cut(module) };
    let end = &path[prefix.theirs.len()..];
    (length > 0 && prefix.is_sound(end)).then_some(prefix)
}

/// The prefixes if the caller states one or both of them.
pub fn stated(
    path: &str,
    module: &str,
    theirs: Option<&str>,
    ours: Option<&str>,
) -> Option<Prefix> {
    let rest = match (theirs, ours) {
        (Some(theirs), _) => path.strip_prefix(theirs)?,
        (None, Some(ours)) => module.strip_prefix(ours)?,
        (None, None) => return None,
    };
    let prefix =
        Prefix { theirs: end_of(path, rest)?.to_owned(), ours: end_of(module, rest)?.to_owned() };
    ours.is_none_or(|ours| prefix.ours == ours).then_some(prefix)
}

/// The prefix of `end` in `path`, if `path` equals it or ends in it after a dot.
pub fn end_of<'p>(path: &'p str, end: &str) -> Option<&'p str> {
    let before = path.strip_suffix(end)?;
    (before.is_empty() || before.ends_with('.')).then_some(before)
}

pub fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The value of an option as a prefix.
pub fn dotted(name: Option<&str>) -> Option<String> {
    let name = name?.trim_end_matches('.');
    Some(if name.is_empty() { String::new() } else { format!("{name}.") })
}

/// A prefix as the value of an option.
pub fn undotted(prefix: &str) -> &str {
    match prefix.trim_end_matches('.') {
        "" => "\"\"",
        name => name,
    }
}

/// A prefix for a message.
pub fn quoted(prefix: &str) -> String {
    if prefix.is_empty() { "nothing".to_owned() } else { format!("{prefix:?}") }
}
