//! The command on a store: counting, removing versions, wiping examples.

mod cli_support;

use cli_support::{polygraft, run};
use polygraft::example::Example;
use polygraft::language::Language;
use polygraft::rehearsal::{Limits, Rehearsal};
use polygraft::store::{NewVersion, Store};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// A store with three versions of German, as updates publish them, and twenty remembered examples.
fn fill(folder: &Path) {
    let store = Arc::new(Store::open(folder).unwrap());
    let language = || Language::parse("de").unwrap();
    let mut rehearsal = Rehearsal::open_in(&store, "intent", Limits::default()).unwrap();
    let example = |number: usize| {
        Example::labelled(language(), &format!("text {number}"), ["on", "off"][number % 2])
    };
    rehearsal.add(&(0..20).map(example).collect::<Vec<_>>(), 1).unwrap();
    rehearsal.save().unwrap();
    for bytes in ["one", "two", "three"] {
        let bytes = bytes.as_bytes().into();
        let new = NewVersion { language: language(), bytes, activate: true, evidence: json!({}) };
        store.publish("intent", &[new]).unwrap();
    }
}

#[test]
fn a_store_is_counted_and_old_versions_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let command = |arguments: &[&str]| {
        let mut command = polygraft();
        run(command.arg("store").args(arguments).arg("--store").arg(folder.path()))
    };
    let counted = command(&["statistics", "--json"]).json();
    assert_eq!(counted["tasks"][0]["versions"], 3);
    assert_eq!(counted["tasks"][0]["examples"][0]["language"], "de");
    assert_eq!(counted["size_bytes"], 11);
    let table = command(&["statistics"]).stdout;
    assert!(table.contains("intent") && table.contains("11 B on disk"), "{table}");

    let removed = command(&["remove", "--task", "intent", "--keep-last", "2", "--json"]).json();
    assert_eq!(removed["removed"].as_array().unwrap().len(), 1);
    assert_eq!(removed["removed"][0]["number"], 1);
    let again = command(&["remove", "--task", "intent", "--keep-last", "2"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, "removed 0 versions\n"));
    let none = ["remove", "--task", "intent", "--language", "fr", "--keep-last", "0"];
    assert!(command(&none).stderr.contains("store.no_version"));
}

#[test]
fn examples_are_wiped_and_what_learnt_from_them_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let wipe = |arguments: &[&str]| {
        let mut command = polygraft();
        command.args(["store", "wipe", "--task", "intent", "--store"]).arg(folder.path());
        run(command.args(arguments))
    };
    assert_eq!(wipe(&[]).code, 2, "what is wiped must be said");
    assert_eq!(wipe(&["--all", "--label", "on"]).code, 2);
    let old = wipe(&["--older-than-days", "1", "--json"]).json();
    assert_eq!((&old["examples"], &old["learnt"]), (&json!({}), &json!([])));
    let label = wipe(&["--label", "on"]);
    assert!(label.stdout.starts_with("wiped 10 examples\n  10 in de\n"), "{}", label.stdout);
    assert!(label.stdout.contains("3 versions may have learnt from them; --retire removes them"));
    let rest = wipe(&["--older-than-days", "0", "--retire", "--json"]).json();
    assert_eq!(rest["examples"], json!({"de": 10}));
    assert_eq!(rest["learnt"].as_array().unwrap().len(), 3);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.versions(None).unwrap(), []);
}
