//! Builds a new bundle and puts it in its place.
//!
//! The folder is built and synced beside its final place under another name and moved there at the
//! end, so a folder of the final name is always complete. An old bundle stays until the new one is
//! complete; any other folder is never touched.

use std::path::Path;
use std::sync::Arc;

use super::contents::{Contents, invalid};
use super::manifest::{MANIFEST_FILE, Manifest};
use super::place::BundlePlace;
use super::trial::{Created, Trial};
use super::verify::{BundlePhase, BundleProgress};
use super::{Bundle, Verify, check_room};
use crate::error::{Code, Error, Result, ResultExt};
use crate::files::{sync_folder, write_synced};

/// Builds the bundle `out` from the contents that `read` returns, tries it if there is a `trial`,
/// and opens it.
///
/// # Errors
/// [`Code::ArgumentInvalid`] when `out` exists and must not be replaced; [`Code::IoWrite`] and
/// [`Code::IoFull`]; and those of `read` and `trial`.
pub(super) fn publish(
    out: &Path,
    overwrite: bool,
    read: impl FnOnce() -> Result<Contents>,
    trial: Option<&dyn Trial>,
    progress: &mut dyn FnMut(BundleProgress),
) -> Result<Created> {
    let place = BundlePlace::of(out);
    place.tidy();
    check_target(out, overwrite)?;
    progress(BundleProgress { phase: BundlePhase::Read, done_bytes: 0, total_bytes: 0 });
    let contents = read()?;
    let folder = place.workplace()?;
    let weights_size_bytes = contents.weights_size_bytes();
    let mut written = |done_bytes| {
        progress(BundleProgress {
            phase: BundlePhase::Write,
            done_bytes,
            total_bytes: weights_size_bytes,
        });
    };
    written(0);
    contents.write(folder.path())?;
    written(weights_size_bytes);
    let mut manifest = contents.manifest(folder.path(), progress)?;
    write_manifest(folder.path(), &manifest)?;
    let mut notes = Vec::new();
    if let Some(trial) = trial {
        progress(BundleProgress { phase: BundlePhase::Try, done_bytes: 0, total_bytes: 0 });
        notes = try_out(folder.path(), trial, contents.asked, &mut manifest)?;
        write_manifest(folder.path(), &manifest)?;
    }
    sync_folder(folder.path())?;
    place.put(folder)?;
    // The files were just hashed; everything else is checked as by any reader.
    Ok(Created { bundle: Bundle::open(out, Verify::Quick)?, notes })
}

fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<()> {
    write_synced(&folder.join(MANIFEST_FILE), manifest.to_json()?.as_bytes())
}

/// Runs the trial, writes its findings into the manifest, and returns the notes.
fn try_out(
    folder: &Path,
    trial: &dyn Trial,
    asked: [Option<usize>; 2],
    manifest: &mut Manifest,
) -> Result<Vec<String>> {
    let bundle = Arc::new(Bundle::open(folder, Verify::Quick)?);
    let found = trial.run(&bundle).context(|| "trying the model".to_owned())?;
    let limits =
        [("tokens_max", Some(found.tokens_max)), ("target_tokens_max", found.target_tokens_max)];
    for ((name, most), asked) in limits.into_iter().zip(asked) {
        if let (Some(most), Some(asked)) = (most, asked)
            && asked > most
        {
            let notes = found.notes.join("; ");
            return Err(invalid(format!("{name} is {asked}, expected at most {most}: {notes}")));
        }
    }
    manifest.tokens_max = found.tokens_max;
    manifest.runs_alone = found.runs_alone;
    if let (Some(decoder), Some(most)) = (&mut manifest.decoder, found.target_tokens_max) {
        decoder.tokens_max = most;
    }
    check_room(bundle.tokenizer(), &manifest.prefix, manifest.tokens_max)
        .map_err(|message| Error::new(Code::BundleUnusable, message))?;
    Ok(found.notes)
}

/// Refuses to replace anything but a missing folder or, if requested, an old bundle.
fn check_target(out: &Path, overwrite: bool) -> Result<()> {
    let exists = out.symlink_metadata().is_ok();
    if !exists {
        return Ok(());
    }
    if !overwrite {
        return Err(invalid(format!("{} exists already", out.display())));
    }
    Manifest::read(out).map(drop).map_err(|error| {
        invalid(format!("{} exists and is not a bundle, so it stays: {error}", out.display()))
    })
}
