//! Targets: the module-name patterns by which a component selects its sites.

use crate::error::{Code, Error, Result};
use crate::sites::Site;

/// The largest number of modules that an error names.
const MODULES_SHOWN_MAX: usize = 8;

/// Checks that there is at least one target and that none is empty.
///
/// # Errors
/// [`Code::ArgumentInvalid`] naming the field.
pub fn check<'a>(field: &str, targets: impl IntoIterator<Item = &'a String>) -> Result<()> {
    let mut targets = targets.into_iter().peekable();
    if targets.peek().is_none() || targets.any(String::is_empty) {
        let message = format!("{field}: expected at least one module name");
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    Ok(())
}

/// The sites that the targets match, in graph order.
///
/// # Errors
/// [`Code::AdapterNoSite`] when a target matches no site, with some of the modules that exist.
pub fn select<'a, 't>(
    targets: impl Iterator<Item = &'t String> + Clone,
    sites: &'a [Site],
) -> Result<Vec<&'a Site>> {
    for target in targets.clone() {
        if !sites.iter().any(|site| site.matches(target)) {
            return Err(unknown(target, sites));
        }
    }
    let chosen = |site: &&Site| targets.clone().any(|target| site.matches(target));
    Ok(sites.iter().filter(chosen).collect())
}

fn unknown(target: &str, sites: &[Site]) -> Error {
    let known: Vec<_> =
        sites.iter().take(MODULES_SHOWN_MAX).map(|site| site.module.as_str()).collect();
    let message = format!(
        "no module of the backbone is named {target:?}; it has {} linear layers: {}",
        sites.len(),
        known.join(", ")
    );
    Error::new(Code::AdapterNoSite, message)
}
