//! The version, besides the active one, that new versions of a language are compared with, so that
//! small losses do not add up over updates.
//!
//! The gate activates a version that is no worse by more than a margin, so ten updates could lose
//! ten margins. Every version stores the gate's reason and which version it replaced. Going back
//! over the versions that were merely no worse leads to the last one that was better than what it
//! replaced, or to the first one of the language. This module must never measure or decide.

use crate::error::Result;
use crate::language::Language;
use crate::report::{Decision, LanguageReport, ReasonKind};
use crate::store::{ObjectHash, Snapshot, VersionInfo};

/// The earlier version that new versions of `language` are compared with; `None` if that is the
/// active one, or if another language's version serves the language.
///
/// # Errors
/// [`Code::StoreMalformed`](crate::Code::StoreMalformed) if the evidence of a version is not JSON.
pub fn earlier(snapshot: &Snapshot, task: &str, language: &Language) -> Result<Option<ObjectHash>> {
    let Some(active) = snapshot.active(task, language) else { return Ok(None) };
    let lineage = snapshot.versions_of(task, language)?;
    let mut hash = active.hash;
    let mut below = active.number + 1;
    let find = |hash: ObjectHash, below: u32| -> Option<&VersionInfo> {
        lineage.iter().rev().find(|one| one.hash == hash && one.number < below)
    };
    while let Some(version) = find(hash, below) {
        below = version.number;
        match replaced(version) {
            Some(before) => hash = before,
            None => break,
        }
    }
    Ok((hash != active.hash && snapshot.has_object(&hash)).then_some(hash))
}

/// The version that this one replaced, if it was activated without being better.
fn replaced(version: &VersionInfo) -> Option<ObjectHash> {
    let entry: LanguageReport = serde_json::from_value(version.evidence.clone()).ok()?;
    let merely_no_worse =
        entry.decision == Decision::Keep || entry.reason_kind == ReasonKind::NoWorse;
    ObjectHash::parse(&entry.serving.filter(|_| merely_no_worse)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewVersion, Store};
    use serde_json::{Value, json};

    const TASK: &str = "intent";

    /// A store in which the language has a version for each pair of content and evidence.
    fn earlier_of(versions: &[(&str, Value)]) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        let german = Language::parse("de").expect("a tag");
        for (content, evidence) in versions {
            let (bytes, evidence) = (content.as_bytes().into(), evidence.clone());
            let version = NewVersion { language: german.clone(), bytes, activate: true, evidence };
            store.publish(TASK, &[version]).expect("a version");
        }
        let found = earlier(&store.snapshot().expect("a snapshot"), TASK, &german);
        let content = |hash| store.read_object(&hash).expect("the object");
        found.expect("evidence").map(|hash| String::from_utf8(content(hash)).expect("a text"))
    }

    /// The gate's evidence for a version that replaced `before`.
    fn evidence(decision: &str, reason: &str, before: &str) -> Value {
        json!({
            "language": "de", "updated": true, "choosing": 9, "reporting": 3, "before": 0.5,
            "after": 0.5, "candidates": [], "chosen": "own", "decision": decision,
            "reason_kind": reason, "reason": "", "version": null,
            "serving": ObjectHash::of(before.as_bytes()).to_string(),
        })
    }

    fn no_worse(before: &str) -> Value {
        evidence("activate", "no-worse", before)
    }

    #[test]
    fn it_is_the_last_version_that_was_better_or_the_first() {
        let better = || evidence("activate", "better", "a");
        assert_eq!(earlier_of(&[]), None);
        assert_eq!(earlier_of(&[("a", json!(null)), ("b", better())]), None);
        let two = [("a", json!(null)), ("b", no_worse("a")), ("c", no_worse("b"))];
        assert_eq!(earlier_of(&two).as_deref(), Some("a"));
        let since = [("a", json!(null)), ("b", better()), ("c", no_worse("b"))];
        assert_eq!(earlier_of(&since).as_deref(), Some("b"));
    }

    /// The gate may return to an earlier version, which is then published once more.
    #[test]
    fn a_version_that_was_returned_to_ends_the_way_back() {
        let back = [("a", json!(null)), ("b", no_worse("a")), ("a", no_worse("b"))];
        assert_eq!(earlier_of(&back), None);
        let kept = [("a", json!(null)), ("b", evidence("keep", "worse", "a"))];
        assert_eq!(earlier_of(&kept).as_deref(), Some("a"));
    }

    #[test]
    fn an_object_that_no_version_has_is_not_it() {
        assert_eq!(earlier_of(&[("b", no_worse("a"))]), None);
        let own = evidence("activate", "better", "b");
        assert_eq!(earlier_of(&[("b", own), ("b", json!("of another program"))]), None);
    }
}
