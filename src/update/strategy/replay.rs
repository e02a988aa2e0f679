//! `replay`: the new examples and, in every epoch, other remembered ones, spread evenly over the
//! languages of the rehearsal buffer. Experience replay keeps the old tasks in the loss.

use super::plan::{
    Candidate, Strategy, TrainingData, TrainingRun, joint, joint_candidate, random, rehearse,
};
use crate::example::Example;
use crate::language::Language;

/// New examples with rehearsal.
pub struct Replay;

impl Strategy for Replay {
    fn runs(&self, _data: &TrainingData<'_>) -> Vec<TrainingRun> {
        joint()
    }

    fn epoch<'a>(
        &self,
        data: &TrainingData<'a>,
        run: &TrainingRun,
        epoch: usize,
    ) -> Vec<&'a Example> {
        let mut examples: Vec<&Example> = data.new.iter().collect();
        let wanted = data.rehearsed_count(examples.len());
        examples.extend(rehearse(data, wanted, &mut random(data, run, epoch)));
        examples
    }

    fn candidates(&self, _runs: &[TrainingRun], _language: &Language) -> Vec<Candidate> {
        joint_candidate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(tag: &str, count: usize) -> Vec<Example> {
        let language = Language::parse(tag).expect("a valid tag");
        let example =
            |index| Example::labelled(language.clone(), &format!("{tag} {index}"), "label");
        (0..count).map(example).collect()
    }

    #[test]
    fn rehearses_every_language_alike_and_changes_with_the_epoch() {
        let new = examples("de", 12);
        let remembered = [examples("fi", 100), examples("hi", 2), examples("en", 50)].concat();
        let data =
            TrainingData { new: &new, remembered: &remembered, rehearsal_ratio: 1.0, seed: 7 };
        let run = &Replay.runs(&data)[0];
        let epoch = Replay.epoch(&data, run, 0);
        let count = |tag: &str| epoch.iter().filter(|one| one.language.as_str() == tag).count();
        assert_eq!((count("de"), count("en"), count("fi"), count("hi")), (12, 25, 25, 2));
        assert_eq!(epoch, Replay.epoch(&data, run, 0));
        assert_ne!(epoch, Replay.epoch(&data, run, 1));
    }
}
