//! `replay`: the new examples and, in every epoch, other remembered ones, spread evenly over the
//! languages of the rehearsal buffer. Experience replay keeps the old tasks in the loss.

use super::{Material, Strategy};
use crate::language::Language;
use crate::rehearsal::Example;
use std::collections::BTreeMap;

/// New examples with rehearsal.
pub struct Replay;

impl Strategy for Replay {
    fn epoch<'a>(&self, material: &Material<'a>, epoch: usize) -> Vec<&'a Example> {
        let mut examples: Vec<&Example> = material.new.iter().collect();
        let wanted = (material.new.len() as f64 * material.rehearsal_ratio).round() as usize;
        let mut languages = BTreeMap::<&Language, Vec<&Example>>::new();
        for example in material.remembered {
            languages.entry(&example.language).or_default().push(example);
        }
        let mut random =
            fastrand::Rng::with_seed(material.seed ^ (epoch as u64 + 1).rotate_left(32));
        for remembered in languages.values_mut() {
            random.shuffle(remembered);
        }
        examples.extend(round_robin(languages.values(), wanted));
        examples
    }
}

/// Takes one from each list in turn until `wanted` are taken or all lists are empty.
fn round_robin<'a, 'b: 'a>(
    lists: impl Iterator<Item = &'a Vec<&'b Example>> + Clone,
    wanted: usize,
) -> Vec<&'b Example> {
    let longest = lists.clone().map(Vec::len).max().unwrap_or(0);
    let turns =
        (0..longest).flat_map(|turn| lists.clone().filter_map(move |list| list.get(turn).copied()));
    turns.take(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(tag: &str, count: usize) -> Vec<Example> {
        let language = Language::parse(tag).expect("a valid tag");
        let example = |index| Example {
            language: language.clone(),
            text: format!("{tag} {index}"),
            label: "label".to_owned(),
        };
        (0..count).map(example).collect()
    }

    #[test]
    fn rehearses_every_language_alike_and_changes_with_the_epoch() {
        let new = examples("de", 12);
        let remembered = [examples("fi", 100), examples("hi", 2), examples("en", 50)].concat();
        let material =
            Material { new: &new, remembered: &remembered, rehearsal_ratio: 1.0, seed: 7 };
        let epoch = Replay.epoch(&material, 0);
        let count = |tag: &str| epoch.iter().filter(|one| one.language.as_str() == tag).count();
        assert_eq!((count("de"), count("en"), count("fi"), count("hi")), (12, 5, 5, 2));
        assert_eq!(epoch, Replay.epoch(&material, 0));
        assert_ne!(epoch, Replay.epoch(&material, 1));
    }
}
