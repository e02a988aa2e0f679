//! Texts are generated in many languages in one call, each by the version of its language.

use crate::engine;
use crate::support::{components, create, random};
use polygraft::example::{Input, TaskKind};
use polygraft::language::Language;
use polygraft::model::{GenerateOptions, Model, ModelOptions, PredictOptions, TaskOutput};
use polygraft::store::{NewVersion, Store};
use std::sync::Arc;

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn each_language_has_the_text_of_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = create("mt5", folder.path());
    let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
    let options = ModelOptions { threads: 1, ..ModelOptions::default() };
    let model = Model::open(&engine::engine(), bundle.folder(), &store, &options).unwrap();
    let sites = model.predictor().sites(TaskKind::SequenceToSequence).unwrap();
    let modules: Vec<String> = sites.iter().map(|site| site.module.clone()).collect();
    let tags = ["de", "tr", "ja"].map(|tag| Language::parse(tag).unwrap());
    let version = |(seed, language): (usize, &Language)| {
        let part = components(&modules).remove(0);
        let adapter = random(model.predictor().bundle(), sites, part, seed as u32);
        NewVersion {
            language: language.clone(),
            bytes: adapter.to_bytes().unwrap().into(),
            activate: true,
            evidence: serde_json::Value::Null,
        }
    };
    let versions: Vec<NewVersion> = tags.iter().enumerate().map(version).collect();
    store.publish("lemma", &versions).unwrap();
    let generate = GenerateOptions { max_new_tokens: 8, ..GenerateOptions::default() };
    let options = PredictOptions { generate, ..PredictOptions::default() };
    let input = |index: usize| {
        let text = ["Häuser", "evler", "a much longer text"][index % 2 + index % 3 / 2];
        (tags[index % 3].clone(), Input::Text(text.to_owned()))
    };
    let inputs: Vec<(Language, Input)> = (0..8).map(input).collect();
    let found = model.predict_many("lemma", &inputs, &options).unwrap();
    for ((language, input), found) in inputs.iter().zip(&found) {
        assert_eq!(found.language, *language);
        let alone = model.predict("lemma", language, input.clone(), &options).unwrap();
        let [found, alone] = [&found.output, &alone.output].map(|output| match output {
            TaskOutput::SequenceToSequence(made) => (&made.ids, &made.text),
            other => panic!("{other:?}"),
        });
        assert_eq!(found, alone);
    }
}
