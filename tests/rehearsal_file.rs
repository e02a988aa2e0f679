//! The file of a rehearsal buffer: damage, wiping, several handles.

use polygraft::Code;
use polygraft::example::Example;
use polygraft::language::Language;
use polygraft::rehearsal::{Limits, Rehearsal};
use polygraft::store::Store;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const TASK: &str = "intent";

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn example(tag: &str, text: &str, label: &str) -> Example {
    Example::labelled(language(tag), text, label)
}

fn open(folder: &Path) -> polygraft::Result<Rehearsal> {
    Rehearsal::open(folder, TASK, Limits::default())
}

fn file_path(folder: &Path) -> PathBuf {
    folder.join("rehearsal").join(TASK).join("examples.jsonl")
}

fn fill(folder: &Path) {
    let mut rehearsal = open(folder).unwrap();
    let examples = ["de", "fr"].map(|tag| {
        (0..6).map(move |n| example(tag, &format!("{tag} geheim {n}"), ["on", "off"][n % 2]))
    });
    rehearsal.add(&examples.into_iter().flatten().collect::<Vec<_>>(), 1).unwrap();
    rehearsal.save().unwrap();
}

static FIXTURE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    fs::read(file_path(folder.path())).unwrap()
});

fn open_bytes(bytes: &[u8]) -> polygraft::Result<Rehearsal> {
    let folder = tempfile::tempdir().unwrap();
    let path = file_path(folder.path());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    open(folder.path())
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

/// A JSON object with the checksum that `docs/formats.md` describes.
fn sealed(object: &str) -> String {
    let opened = object.strip_suffix('}').unwrap();
    let hash = blake3::hash(opened.as_bytes()).to_hex();
    format!("{opened},\"check\":\"{}\"}}", &hash[..16])
}

/// A whole file with right checksums around any example lines.
fn sealed_file(task: &str, objects: &[String]) -> String {
    let lines: String = objects.iter().map(|object| sealed(object) + "\n").collect();
    let (count, hash) = (objects.len(), blake3::hash(lines.as_bytes()).to_hex());
    let header = format!(
        "{{\"format\":\"polygraft-rehearsal\",\"version\":1,\"task\":\"{task}\",\
         \"held_out_percent\":20,\"examples\":{count},\"blake3\":\"{hash}\"}}"
    );
    sealed(&header) + "\n" + &lines
}

fn object(tag: &str, text: &str, label: &str, priority: &str) -> String {
    let value = |text: &str| serde_json::to_string(text).unwrap();
    let (text, label) = (value(text), value(label));
    format!(
        "{{\"language\":\"{tag}\",\"text\":{text},\"label\":{label},\"priority\":\"{priority}\"}}"
    )
}

const PRIORITY: &str = "0123456789abcdef";

/// Without files for failures found: the failing input is in the message.
fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_damaged_file_is_refused_and_the_line_named(
        at in any::<prop::sample::Index>(), kind in 0u8..11
    ) {
        let mut bytes = FIXTURE.clone();
        let at = at.index(bytes.len());
        match kind {
            0..8 => bytes[at] ^= 1 << kind,
            8 => bytes.truncate(at),
            9 => bytes.insert(at, b'e'),
            _ => { bytes.remove(at); }
        }
        prop_assume!(bytes != *FIXTURE);
        let error = open_bytes(&bytes).unwrap_err();
        prop_assert_eq!(error.code(), Code::RehearsalMalformed);
        let number = FIXTURE[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let text = error.to_string();
        prop_assert!(text.contains("examples.jsonl"), "{}", text);
        // A cut between two lines shows at the last line that is left.
        let named = [number, number - 1].map(|number| text.contains(&format!("line {number}: ")));
        prop_assert!(named[0] || kind == 8 && named[1], "damage in line {}: {}", number, text);
    }

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(open_bytes(&bytes).unwrap_err().code(), Code::RehearsalMalformed);
    }
}

#[test]
fn lost_swapped_and_repeated_lines_are_found() {
    let good = lines(&FIXTURE);
    let edits: [fn(&mut Vec<String>); 4] = [
        |lines| drop(lines.remove(3)),
        |lines| lines.swap(3, 4),
        |lines| lines.push(lines[3].clone()),
        |lines| lines[3] = lines[4].clone(),
    ];
    for edit in edits {
        let mut lines = good.clone();
        edit(&mut lines);
        let error = open_bytes((lines.join("\n") + "\n").as_bytes()).unwrap_err();
        assert_eq!(error.code(), Code::RehearsalMalformed);
        assert!(error.to_string().contains("line "), "{error}");
    }
}

/// Texts whose words have changed since a release wrote them are forgotten, and only they.
#[test]
fn tags_of_other_words_are_forgotten() {
    let tagged = |text: &str, tags: &str| {
        format!(
            "{{\"language\":\"si\",\"text\":\"{text}\",\"tags\":{tags},\
             \"priority\":\"{PRIORITY}\"}}"
        )
    };
    let objects =
        [tagged("ක්‍රම", r#"["NOUN","NOUN","NOUN"]"#), tagged("ක්‍රම බලන්න", r#"["NOUN","VERB"]"#)];
    let rehearsal = open_bytes(sealed_file(TASK, &objects).as_bytes()).unwrap();
    let si = language("si");
    let kept: Vec<&Example> = rehearsal.training_in(&si).chain(rehearsal.held_out(&si)).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].input.text(), "ක්‍රම බලන්න");
}

#[test]
fn the_file_is_as_documented() {
    let objects = [object("de", "Licht an", "on", PRIORITY)];
    let rehearsal = open_bytes(sealed_file(TASK, &objects).as_bytes()).unwrap();
    assert_eq!(rehearsal.languages().count(), 1);
    for line in lines(&FIXTURE) {
        let (opened, _) = line.rsplit_once(",\"check\":").unwrap();
        assert_eq!(sealed(&format!("{opened}}}")), line);
    }
}

#[test]
fn hostile_lines_with_right_checksums_are_refused() {
    let cases = [
        object("not a language", "text", "on", PRIORITY),
        object("de", "", "on", PRIORITY),
        object("de", &"x".repeat(70_000), "on", PRIORITY),
        object("de", "text", "", PRIORITY),
        object("de", "text", "on", "123"),
        object("de", "text", "on", "+123456789abcdef"),
        object("de", "text", "on", PRIORITY).replace("\"text\":", "\"extra\":1,\"text\":"),
        "{\"language\":[[[[[[]]]]]]}".to_owned(),
    ];
    for case in cases {
        let objects = [object("de", "first", "on", PRIORITY), case];
        let error = open_bytes(sealed_file(TASK, &objects).as_bytes()).unwrap_err();
        assert_eq!(error.code(), Code::RehearsalMalformed);
        assert!(error.to_string().contains("line 3: "), "{error}");
    }
    let twice =
        [object("de", "Licht an", "on", PRIORITY), object("DE", "licht  AN", "off", PRIORITY)];
    let error = open_bytes(sealed_file(TASK, &twice).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("line 3: it repeats"), "{error}");
}

#[test]
fn the_file_of_another_task_or_version_is_named() {
    let error = open_bytes(sealed_file("other", &[]).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("belongs to task other"), "{error}");
    let newer = sealed("{\"format\":\"polygraft-rehearsal\",\"version\":2,\"shape\":[]}") + "\n";
    let error = open_bytes(newer.as_bytes()).unwrap_err();
    assert_eq!(error.code(), Code::RehearsalMalformed);
    assert!(error.to_string().contains("version 2"), "{error}");
}

#[test]
fn another_held_out_share_is_refused_until_wiped() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let limits = Limits { held_out_percent: 30, ..Limits::default() };
    let error = Rehearsal::open(folder.path(), TASK, limits).unwrap_err();
    assert_eq!(error.code(), Code::ArgumentInvalid);
    assert!(error.to_string().contains("20 percent, 30 wanted"), "{error}");
    open(folder.path()).unwrap().wipe(None).unwrap();
    Rehearsal::open(folder.path(), TASK, limits).unwrap();
}

/// Whether any file below a folder has these bytes.
fn occurs(folder: &Path, needle: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return occurs(&path, needle);
        }
        fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

#[test]
fn a_wiped_language_is_gone_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    // What a crashed writer left is wiped as well.
    let partial = file_path(folder.path()).with_extension("jsonl.partial");
    fs::write(partial, "de geheim").unwrap();
    let mut rehearsal = open(folder.path()).unwrap();
    rehearsal.wipe(Some(&language("de"))).unwrap();
    assert!(!occurs(folder.path(), "de geheim"));
    assert!(occurs(folder.path(), "fr geheim"));
    let tags: Vec<_> = rehearsal.languages().map(Language::as_str).collect();
    assert_eq!(tags, ["fr"]);
    rehearsal.wipe(Some(&language("sw"))).unwrap();
    rehearsal.wipe(None).unwrap();
    assert!(!occurs(folder.path(), "geheim"));
    assert_eq!(open(folder.path()).unwrap().languages().count(), 0);
}

#[test]
fn a_damaged_buffer_can_be_discarded() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    fs::write(file_path(folder.path()), "geheim rubbish").unwrap();
    assert_eq!(open(folder.path()).unwrap_err().code(), Code::RehearsalMalformed);
    Rehearsal::discard(folder.path(), TASK).unwrap();
    assert!(!occurs(folder.path(), "geheim"));
    assert_eq!(open(folder.path()).unwrap().languages().count(), 0);
    Rehearsal::discard(folder.path(), "never-used").unwrap();
    assert_eq!(Rehearsal::discard(folder.path(), "..").unwrap_err().code(), Code::TaskName);
}

#[test]
fn one_update_at_a_time_changes_a_buffer() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let mut first = open(folder.path()).unwrap();
    let mut second = open(folder.path()).unwrap();
    first.add(&[example("sw", "washa taa", "on")], 1).unwrap();
    let error = second.add(&[example("ja", "電気をつけて", "on")], 1).unwrap_err();
    assert_eq!(error.code(), Code::StoreLocked);
    assert_eq!(Rehearsal::discard(folder.path(), TASK).unwrap_err().code(), Code::StoreLocked);
    first.save().unwrap();
    // The second now builds on what the first has saved.
    second.add(&[example("ja", "電気をつけて", "on")], 1).unwrap();
    second.save().unwrap();
    let tags: Vec<_> = second.languages().map(Language::as_str).collect();
    assert_eq!(tags, ["de", "fr", "ja", "sw"]);
    let read = open(folder.path()).unwrap();
    assert_eq!(read.stats(), second.stats());
}

#[test]
fn a_store_and_its_buffers_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.verify().unwrap(), []);
    drop(store);
    Store::open(folder.path()).unwrap();
    assert_eq!(open(folder.path()).unwrap().languages().count(), 2);
}

#[test]
fn pending_examples_stay_so_until_they_are_settled() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let before = fs::read(file_path(folder.path())).unwrap();
    let german = language("de");
    let mut rehearsal = open(folder.path()).unwrap();
    let training: Vec<Example> = rehearsal.training_in(&german).cloned().collect();
    // What is held out or of another language never waits.
    let all = [example("fr", "fr geheim 1", "off"), example("de", "nie gesehen", "on")];
    let all = [&training[1..], &all, &rehearsal.held_out(&german).cloned().collect::<Vec<_>>()];
    rehearsal.set_pending(&german, &all.concat()).unwrap();
    rehearsal.save().unwrap();

    let mut rehearsal = open(folder.path()).unwrap();
    let waiting: Vec<Example> = rehearsal.pending(&german).cloned().collect();
    assert_eq!(waiting, training[1..]);
    assert_eq!(rehearsal.pending(&language("fr")).count(), 0);
    rehearsal.set_pending(&german, &[]).unwrap();
    rehearsal.save().unwrap();
    assert_eq!(fs::read(file_path(folder.path())).unwrap(), before);
}

#[test]
fn a_held_out_example_cannot_be_pending() {
    let mut line = None;
    for number in 0.. {
        let text = format!("text {number}");
        let side = open(Path::new("nowhere")).unwrap().split(&example("de", &text, "on"));
        if side == polygraft::rehearsal::Split::HeldOut {
            line = Some(object("de", &text, "on", "0123456789abcdef"));
            break;
        }
    }
    let line = line.unwrap().replace('}', ",\"pending\":true}");
    let error = open_bytes(sealed_file(TASK, &[line]).as_bytes()).unwrap_err();
    assert_eq!(error.code(), Code::RehearsalMalformed);
    assert!(error.to_string().contains("held out and pending"), "{error}");
}
