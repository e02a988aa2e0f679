//! What both devices do. Nothing here knows which way it goes.

use super::{Device, Labelled};
use std::fmt::Debug;
use std::path::Path;

const TASK: &str = "light";

const LINES: &str = "{\"lang\": \"de\", \"text\": \"tree 1 up\", \"label\": \"on\"}\n\
                     {\"lang\": \"de\", \"text\": \"tree 2 down\", \"label\": \"off\"}\n\
                     {\"lang\": \"lb\", \"text\": \"tree 3 up\", \"label\": \"on\"}\n";

fn examples(language: &'static str, count: usize) -> Vec<Labelled> {
    let one = |number: usize| match number % 2 {
        0 => (language, format!("tree {number} up"), "on"),
        _ => (language, format!("tree {number} down"), "off"),
    };
    (0..count).map(one).collect()
}

/// Runs everything and writes down each result.
pub fn run<D: Device>(device: &D, folder: &Path, lines: &mut Vec<String>) {
    let mut note = |what: &str, result: &dyn Debug| lines.push(format!("{what}: {result:?}"));
    empty(device, &mut note);
    learn(device, &mut note);
    exchange(device, folder, &mut note);
    look_after(device, &mut note);
    erase(device, &mut note);
}

type Note<'a> = &'a mut dyn FnMut(&str, &dyn Debug);

/// A device that has nothing yet.
fn empty<D: Device>(device: &D, note: Note<'_>) {
    note("predict nothing", &device.predict(TASK, "de", "tree"));
    note("predict no language", &device.predict(TASK, "German", "tree"));
    note("predict no task", &device.predict("No Task", "de", "tree"));
    note("versions", &device.versions(TASK));
    note("roll back nothing", &device.roll_back(TASK, "de"));
    note("evaluate nothing", &device.evaluate(TASK, LINES));
    note("statistics", &device.statistics());
    note("explain", &device.explain(TASK, "lb"));
}

/// Learning, and going back and forth between versions.
fn learn<D: Device>(device: &D, note: Note<'_>) {
    note("teach one class", &device.teach(TASK, &examples("de", 1), true));
    note("teach", &device.teach(TASK, &examples("de", 40), true));
    let more = [examples("de", 60), examples("en", 40)].concat();
    note("teach more", &device.teach(TASK, &more, true));
    note("teach without a gate", &device.teach(TASK, &examples("en", 30), false));
    note("versions", &device.versions(TASK));
    for language in ["de", "en", "lb", "ja", "de-CH"] {
        note("predict", &device.predict(TASK, language, "tree 5 up"));
    }
    note("predict an empty text", &device.predict(TASK, "de", " "));
    note("roll back", &device.roll_back(TASK, "en"));
    note("predict", &device.predict(TASK, "en", "tree 5 up"));
    note("pin", &device.pin(TASK, "en"));
    note("activate a pinned one", &device.activate(TASK, "en", 2));
    note("unpin", &device.unpin(TASK, "en"));
    note("activate", &device.activate(TASK, "en", 2));
    note("activate none", &device.activate(TASK, "en", 99));
    note("versions", &device.versions(TASK));
}

fn exchange<D: Device>(device: &D, folder: &Path, note: Note<'_>) {
    let path = folder.join("exported.safetensors");
    note("export none", &device.export(TASK, "de", 99, &path));
    note("export", &device.export(TASK, "de", 1, &path));
    note("export over it", &device.export(TASK, "de", 1, &path));
    note("import through the gate", &device.import(TASK, "de", &path, true));
    note("import", &device.import(TASK, "fr", &path, false));
    note("import nothing", &device.import(TASK, "fr", &folder.join("nothing"), true));
    note("predict", &device.predict(TASK, "fr", "tree 5 up"));
}

fn look_after<D: Device>(device: &D, note: Note<'_>) {
    note("evaluate", &device.evaluate(TASK, LINES));
    let unknown = "{\"lang\": \"de\", \"text\": \"tree\", \"label\": \"sideways\"}";
    note("evaluate another label", &device.evaluate(TASK, unknown));
    note("evaluate no examples", &device.evaluate(TASK, "{\"lang\": 7}"));
    for language in ["de", "lb", "ja", "de-CH"] {
        note("explain", &device.explain(TASK, language));
    }
    note("statistics", &device.statistics());
    note("verify", &device.verify());
    note("remove versions", &device.remove_versions(TASK, 1));
    note("versions", &device.versions(TASK));
}

fn erase<D: Device>(device: &D, note: Note<'_>) {
    note("wipe a label", &device.wipe(TASK, Some("de"), Some("off"), false));
    note("pin", &device.pin(TASK, "de"));
    note("wipe a pinned language", &device.wipe(TASK, Some("de"), None, true));
    note("unpin", &device.unpin(TASK, "de"));
    note("wipe a language", &device.wipe(TASK, Some("de"), None, true));
    note("wipe all", &device.wipe(TASK, None, None, true));
    note("versions", &device.versions(TASK));
    note("predict", &device.predict(TASK, "de", "tree 5 up"));
    note("statistics", &device.statistics());
    note("verify", &device.verify());
}
