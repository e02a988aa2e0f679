//! Checks of what a manifest states: against itself and against the graph.

use super::{MANIFEST_FILE, Manifest, SEAL, malformed, version};
use crate::bundle::inputs::Inputs;
use crate::bundle::interface::Interface;
use crate::error::{Code, Error, Result, listed};
use serde_json::Value;
use std::collections::HashSet;
use std::path::{Component, Path};

/// Limits that no real bundle reaches.
const FILES_MAX: usize = 64;
const TOKENS_MAX: usize = 1 << 20;

impl Manifest {
    /// Checks everything that needs no other file.
    pub(super) fn check(&self) -> Result<()> {
        let (expected, found) = (version(&self.layers), self.version);
        if found != expected {
            let count = self.layers.len();
            return Err(malformed(format!(
                "its version is {found}, expected {expected} with {count} layers"
            )));
        }
        if self.files.len() > FILES_MAX {
            let count = self.files.len();
            return Err(malformed(format!("it lists {count} files, expected at most {FILES_MAX}")));
        }
        let mut paths = HashSet::new();
        for file in &self.files {
            check_path(&file.path)?;
            check_hash(&file.blake3)?;
            if !paths.insert(file.path.as_str()) {
                return Err(malformed(format!("it lists {:?} twice", file.path)));
            }
        }
        let used = [&self.backbone.graph, &self.tokenizer.file].into_iter();
        let used = used.chain(&self.backbone.data).chain(&self.tokenizer.compiled);
        for path in used.chain(self.with_past()) {
            self.file(path)?;
        }
        let target = self.decoder.as_ref().map(|decoder| decoder.tokens_max);
        for found in std::iter::once(self.tokens_max).chain(target) {
            if found == 0 || found > TOKENS_MAX {
                return Err(malformed(format!(
                    "tokens_max is {found}, expected 1 to {TOKENS_MAX}"
                )));
            }
        }
        let hash = self.backbone_hash()?;
        if hash != self.backbone.hash {
            return Err(malformed(format!(
                "the backbone's hash is {:?}, its files give {hash:?}",
                self.backbone.hash
            )));
        }
        Ok(())
    }

    /// Checks the stated interface against the graph's.
    pub(in crate::bundle) fn check_interface(&self, interface: &Interface) -> Result<()> {
        let backbone = &self.backbone;
        let differs = |what: &str, stated: String, found: String| {
            Err(malformed(format!("the backbone's {what}: stated {stated}, the graph has {found}")))
        };
        if backbone.inputs != interface.inputs {
            let shown = |inputs: &Inputs| {
                let segments = inputs.token_type_ids.iter();
                listed([&inputs.input_ids, &inputs.attention_mask].into_iter().chain(segments))
            };
            return differs("inputs", shown(&backbone.inputs), shown(&interface.inputs));
        }
        if backbone.hidden != interface.hidden {
            let found = interface.hidden.to_string();
            return differs("hidden size", backbone.hidden.to_string(), found);
        }
        if backbone.opset != interface.opset {
            let found = interface.opset.to_string();
            return differs("operator set", backbone.opset.to_string(), found);
        }
        match interface.position_rows {
            Some(rows) if self.tokens_max > rows => {
                differs("tokens_max", self.tokens_max.to_string(), format!("{rows} positions"))
            }
            _ => Ok(()),
        }
    }
}

/// Checks the manifest's own hash, if it states one.
pub(super) fn seal(value: &Value) -> Result<()> {
    let Some(stated) = value.get(SEAL) else { return Ok(()) };
    let found = super::seal(value.clone());
    let stated = stated.as_str().unwrap_or_default();
    if stated == found {
        return Ok(());
    }
    let stated: String = stated.chars().take(found.len()).collect();
    Err(Error::new(
        Code::BundleMismatch,
        format!(
            "{MANIFEST_FILE:?}: it was changed after the bundle was made: its content has the hash \
             {found}, it states {stated:?}; restore it, or make the bundle again with the settings \
             that you want"
        ),
    ))
}

/// Checks that a path stays inside the folder and has only one spelling.
fn check_path(path: &str) -> Result<()> {
    let plain = |component| matches!(component, Component::Normal(_));
    let one_spelling = !path.contains(['\\', ':', '\0']) && path.split('/').all(|p| !p.is_empty());
    let inside = Path::new(path).components().all(plain) && path.split('/').all(|p| p != ".");
    if path.is_empty() || !one_spelling || !inside || path == MANIFEST_FILE {
        return Err(malformed(format!(
            "the path {path:?} is not a plain relative path inside the bundle"
        )));
    }
    Ok(())
}

fn check_hash(hash: &str) -> Result<()> {
    let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if hash.len() != 64 || !hash.chars().all(digit) {
        return Err(malformed(format!("{hash:?} is not a hash of 64 hexadecimal digits")));
    }
    Ok(())
}
