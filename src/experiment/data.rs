//! Which examples an experiment uses for which purpose: base, stages, held-out and test.
//!
//! Input: files of labelled examples. Output: a [`Selection`], the same for the same files, setting
//! and seed. Examples with the same `id` (a sentence and its translations) form a group; without
//! ids, examples with the same text do. A group has one purpose only, in all languages: what is
//! tested in one language is never trained or measured on in another, and what the gate measures on
//! is never trained on. This module must never use the test split for anything but the test.

use crate::settings::{Setting, Stage};
use polygraft::console::signal;
use polygraft::error::ResultExt;
use polygraft::example::json::{OneKind, parse_with_id};
use polygraft::example::lines::Lines;
use polygraft::example::{Example, Target, TaskKind};
use polygraft::language::Language;
use polygraft::rehearsal::{Rehearsal, Split};
use polygraft::{Code, Error, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// The seed of the selection of test examples. All runs share it, so that scores can be compared.
const TEST_SEED: u64 = 0x7e57;

/// The key of a group: the id, or the text in lower case with single spaces.
pub type Group = String;

/// An example and its group.
#[derive(Clone, Debug)]
struct Member {
    group: Group,
    example: Example,
    /// Whether it is from the split `dev`.
    is_dev: bool,
}

/// The lines of a data set in the languages of a setting.
pub struct Data {
    /// The examples for training and held-out: the splits `train` and, if it exists, `dev`.
    open: BTreeMap<Language, Vec<Member>>,
    /// The split `test`, whole.
    test: BTreeMap<Language, Vec<Member>>,
    /// Whether the groups are ids.
    has_ids: bool,
    /// The kind of all targets.
    pub kind: TaskKind,
    /// The hash of all bytes that were read.
    pub hash: blake3::Hash,
}

/// The examples of one seed.
#[derive(Debug)]
pub struct Selection {
    /// The examples of the base, with its held-out ones.
    pub base: Vec<Example>,
    /// The examples of each stage, with its held-out ones.
    pub stages: Vec<Vec<Example>>,
    /// The ids by purpose, for data sets that have ids.
    pub ids: BTreeMap<String, BTreeSet<Group>>,
}

impl Data {
    /// Reads `train`, `dev` if it exists, and `test` of every language, from the first of `folders`
    /// that has the setting's data.
    pub fn read(folders: &[PathBuf], setting: &Setting) -> Result<Self> {
        let folder = find(folders, &setting.data)?;
        let mut hasher = blake3::Hasher::new();
        let (mut ids, mut kinds) = (BTreeSet::new(), OneKind::default());
        let mut read = |split: &str, language: &Language, optional: bool| {
            let path = folder.join(split).join(format!("{language}.jsonl"));
            if optional && !path.exists() {
                return Ok(Vec::new());
            }
            read_file(&path, language, &mut hasher, &mut ids, &mut kinds)
                .context(|| missing_hint(&path))
        };
        let (mut open, mut test) = (BTreeMap::new(), BTreeMap::new());
        for language in &setting.languages {
            let mut members = read("train", language, false)?;
            let mut dev = read("dev", language, !setting.held_out_from_dev)?;
            dev.iter_mut().for_each(|member| member.is_dev = true);
            members.extend(dev);
            open.insert(language.clone(), members);
            test.insert(language.clone(), read("test", language, false)?);
        }
        if ids.len() > 1 {
            let what = format!("{}: expected all lines with \"id\" or none", folder.display());
            return Err(Error::new(Code::ExamplesMalformed, what));
        }
        let has_ids = ids.contains(&true);
        let kind = kinds.kind().unwrap_or_default();
        Ok(Self { open, test, has_ids, kind, hash: hasher.finalize() })
    }

    /// The test examples of every language.
    pub fn test(&self, setting: &Setting) -> Result<BTreeMap<Language, Vec<Example>>> {
        let wanted = setting.test_examples_per_language;
        let mut chosen = BTreeMap::new();
        for (language, members) in &self.test {
            let examples: Vec<Example> = shuffled(members, TEST_SEED, |member| &member.group)
                .into_iter()
                .take(wanted)
                .map(|member| member.example.clone())
                .collect();
            let least = if setting.fewer_allowed { 1 } else { wanted };
            if examples.len() < least {
                return Err(too_few("the test", wanted, "", language, examples.len()));
            }
            chosen.insert(language.clone(), examples);
        }
        Ok(chosen)
    }

    /// Draws the examples of base and stages.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] when the data has too few for the setting.
    pub fn select(&self, setting: &Setting, seed: u64) -> Result<Selection> {
        // This buffer is never saved; it only says which split an example is in.
        let nowhere = std::env::temp_dir().join("polygraft-bench-no-store");
        let sides = Rehearsal::open(&nowhere, crate::experiment::TASK, setting.limits())?;
        let tested: BTreeSet<&Group> =
            self.test.values().flatten().map(|member| &member.group).collect();
        let mut groups = HashMap::<&Group, Vec<&Member>>::new();
        for member in self.open.values().flatten() {
            if !tested.contains(&member.group) {
                groups.entry(&member.group).or_default().push(member);
            }
        }
        let groups: Vec<(&Group, Vec<&Member>)> = groups.into_iter().collect();
        let mut purposes = purposes(setting);
        for (group, members) in shuffled(&groups, seed, |(group, _)| group) {
            let members = members.iter().map(|member| (sides.split(&member.example), *member));
            let members: Vec<(Split, &Member)> = members.collect();
            let share = |purpose: &Purpose| purpose.share(&members);
            // The purpose for which the largest part of the group is useful; among equals the
            // earlier one.
            let best = purposes.iter().map(share).fold(0.0, f64::max);
            let chosen = purposes.iter_mut().find(|purpose| best > 0.0 && share(purpose) == best);
            if let Some(purpose) = chosen {
                purpose.take(group, &members);
            }
        }
        self.selection(setting, seed, purposes)
    }

    fn selection(
        &self,
        setting: &Setting,
        seed: u64,
        purposes: Vec<Purpose<'_>>,
    ) -> Result<Selection> {
        let mut stages = vec![Vec::new(); setting.stages.len()];
        let mut base = Vec::new();
        let mut ids = BTreeMap::<String, BTreeSet<Group>>::new();
        for purpose in purposes {
            if !setting.fewer_allowed {
                purpose.check()?;
            }
            if self.has_ids {
                ids.insert(purpose.name(), purpose.groups.into_iter().cloned().collect());
            }
            let mut taken: Vec<Example> = purpose.taken.into_iter().cloned().collect();
            let examples = match purpose.stage {
                Some(stage) => {
                    let Stage { examples_per_language, wrong_labels_share, .. } =
                        setting.stages[stage];
                    if purpose.split == Split::Training {
                        first_of_each(&mut taken, examples_per_language);
                        self.mislabel(&mut taken, wrong_labels_share, seed)?;
                    }
                    &mut stages[stage]
                }
                None => &mut base,
            };
            examples.extend(taken);
        }
        if self.has_ids {
            let tested = self.test.values().flatten().map(|member| member.group.clone());
            ids.insert("test".to_owned(), tested.collect());
        }
        Ok(Selection { base, stages, ids })
    }

    /// Gives a share of each language's examples another label of the data.
    fn mislabel(&self, examples: &mut [Example], share: f64, seed: u64) -> Result<()> {
        if share == 0.0 {
            return Ok(());
        }
        let all = self.open.values().flatten().flat_map(|member| member.example.target.labels());
        let labels: BTreeSet<&String> = all.collect();
        if self.kind != TaskKind::Classification || labels.len() < 2 {
            let what = "wrong_labels_share: expected a data set of classification";
            return Err(Error::new(Code::ArgumentInvalid, what));
        }
        let mut random = fastrand::Rng::with_seed(seed);
        examples.sort();
        for own in examples.chunk_by_mut(|a, b| a.language == b.language) {
            random.shuffle(own);
            let count = (own.len() as f64 * share).round() as usize;
            for example in &mut own[..count] {
                let own = example.target.labels();
                let others = labels.iter().filter(|label| !own.contains(label));
                if let Some(label) = random.choice(others.collect::<Vec<_>>()) {
                    example.target = Target::Classification((*label).clone());
                }
            }
        }
        Ok(())
    }
}

/// Keeps the first `count` examples of each language.
fn first_of_each(examples: &mut Vec<Example>, count: usize) {
    let mut kept = BTreeMap::<Language, usize>::new();
    examples.retain(|example| {
        let kept = kept.entry(example.language.clone()).or_default();
        *kept += 1;
        *kept <= count
    });
}

/// Examples of one split for the base or for one stage.
struct Purpose<'a> {
    /// The stage, counted from 0; `None` for the base.
    stage: Option<usize>,
    split: Split,
    /// Whether held-out examples come from `dev` only, and training examples from `train` only.
    dev_only: bool,
    /// The wanted number in each language.
    wanted: usize,
    /// The missing number by language.
    missing: BTreeMap<Language, usize>,
    groups: Vec<&'a Group>,
    taken: Vec<&'a Example>,
}

/// The purposes of a setting. Stages come first, because they need more examples of fewer
/// languages.
fn purposes<'a>(setting: &Setting) -> Vec<Purpose<'a>> {
    let mut purposes = Vec::new();
    let dev_only = setting.held_out_from_dev;
    let mut add = |stage, split, languages: &[Language], wanted: usize| {
        let missing = languages.iter().filter(|_| wanted > 0);
        let missing = missing.map(|language| (language.clone(), wanted)).collect();
        let (groups, taken) = (Vec::new(), Vec::new());
        purposes.push(Purpose { stage, split, dev_only, wanted, missing, groups, taken });
    };
    for (index, stage) in setting.stages.iter().enumerate() {
        let wanted = stage.reserved_per_language.unwrap_or(stage.examples_per_language);
        add(Some(index), Split::Training, &stage.languages, wanted);
        add(Some(index), Split::HeldOut, &stage.languages, stage.held_out_per_language);
    }
    let base = &setting.base;
    add(None, Split::Training, &setting.languages, base.examples_per_language);
    add(None, Split::HeldOut, &setting.languages, base.held_out_per_language);
    purposes
}

impl<'a> Purpose<'a> {
    fn needs(&self, split: Split, member: &Member) -> bool {
        let missing = self.missing.get(&member.example.language);
        let fits = !self.dev_only || member.is_dev == (self.split == Split::HeldOut);
        fits && split == self.split && missing.is_some_and(|missing| *missing > 0)
    }

    /// The fraction of the purpose's languages that a group would serve, 0 to 1.
    fn share(&self, members: &[(Split, &Member)]) -> f64 {
        let served = members.iter().filter(|(split, member)| self.needs(*split, member)).count();
        if served == 0 { 0.0 } else { served as f64 / self.missing.len() as f64 }
    }

    fn take(&mut self, group: &'a Group, members: &[(Split, &'a Member)]) {
        self.groups.push(group);
        for (split, member) in members {
            if self.needs(*split, member)
                && let Some(missing) = self.missing.get_mut(&member.example.language)
            {
                *missing -= 1;
                self.taken.push(&member.example);
            }
        }
    }

    fn name(&self) -> String {
        let side = match self.split {
            Split::Training => "training",
            Split::HeldOut => "held out",
        };
        match self.stage {
            Some(stage) => format!("stage {}, {side}", stage + 1),
            None => format!("base, {side}"),
        }
    }

    fn check(&self) -> Result<()> {
        match self.missing.iter().find(|(_, missing)| **missing > 0) {
            None => Ok(()),
            Some((language, missing)) => {
                let (name, found) = (self.name(), self.wanted - missing);
                Err(too_few(&name, self.wanted, " that serve nothing else", language, found))
            }
        }
    }
}

fn too_few(what: &str, wanted: usize, which: &str, language: &Language, found: usize) -> Error {
    let message = format!("{what}: expected {wanted} examples{which} in {language}, found {found}");
    Error::new(Code::ArgumentInvalid, message)
}

/// The items in an order that depends only on `seed` and their keys.
fn shuffled<T>(items: &[T], seed: u64, key: impl Fn(&T) -> &Group) -> Vec<&T> {
    let draw = |item: &&T| {
        let mut hasher = blake3::Hasher::new_derive_key("polygraft bench 1: order of examples");
        hasher.update(&seed.to_le_bytes());
        hasher.update(key(item).as_bytes());
        *hasher.finalize().as_bytes()
    };
    let mut items: Vec<&T> = items.iter().collect();
    items.sort_by_cached_key(draw);
    items
}

/// The setting's data in the first folder that has it.
fn find(folders: &[PathBuf], name: &str) -> Result<PathBuf> {
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_dir());
    found.ok_or_else(|| {
        let looked: Vec<String> =
            folders.iter().map(|folder| folder.join(name).display().to_string()).collect();
        let looked = looked.join(", ");
        let what = format!("no folder {looked}; `make setup` makes the intents, and docs/data.md");
        Error::new(Code::NotFound, format!("{what} says how to get the others"))
    })
}

fn missing_hint(path: &Path) -> String {
    format!("the data file {} (docs/data.md says how to get it)", path.display())
}

/// Reads one file; a repeated text is kept once, so that it cannot be in two splits.
fn read_file(
    path: &Path,
    language: &Language,
    hasher: &mut blake3::Hasher,
    ids: &mut BTreeSet<bool>,
    kinds: &mut OneKind,
) -> Result<Vec<Member>> {
    let mut lines = Lines::open(path)?;
    let mut seen = BTreeSet::new();
    let mut members = Vec::new();
    while let Some(line) = lines.next_line()? {
        signal::check("reading data")?;
        hasher.update(line.text.as_bytes());
        hasher.update(b"\n");
        let (example, id) = parse_with_id(&line)?;
        if example.language != *language {
            let found = &example.language;
            let what = format!("{}: expected the language {language}, found {found}", line.place);
            return Err(Error::new(Code::ExamplesMalformed, what));
        }
        kinds.check(&example, &line.place)?;
        let text = normalised(&example.input.text());
        ids.insert(id.is_some());
        let group = id.unwrap_or_else(|| text.clone());
        if seen.insert(text) {
            members.push(Member { group, example, is_dev: false });
        }
    }
    Ok(members)
}

/// Lower case and single spaces, so that two spellings of one sentence are equal.
fn normalised(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}
