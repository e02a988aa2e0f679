//! Which polygraft this is.

use super::gate::gate_value;
use super::text::{StringView, Text};
use std::sync::LazyLock;

/// The version of the binary interface: it grows when a program that was built against an older
/// header can no longer use the library. It is the number in the library's soname.
pub const POLYGRAFT_ABI_VERSION: u32 = 0;

static VERSION: LazyLock<Text> = LazyLock::new(|| Text::new(env!("CARGO_PKG_VERSION")));
static BUILD: LazyLock<Text> = LazyLock::new(|| {
    let kind = if cfg!(debug_assertions) { "debug" } else { "release" };
    Text::new(format!(
        "polygraft {} {kind} for {} on {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    ))
});

/// The version of the binary interface of the loaded library; compare it with the macro
/// `POLYGRAFT_ABI_VERSION` of the header you compiled against.
///
/// Ownership: nothing is given or taken.
/// Threads: may be called from any thread at any time.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn polygraft_abi_version() -> u32 {
    POLYGRAFT_ABI_VERSION
}

/// The version of the loaded library, for example `0.1.0`.
///
/// Ownership: the view is static; it is valid for as long as the library is loaded.
/// Threads: may be called from any thread at any time.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn polygraft_version_string() -> StringView {
    gate_value(StringView::EMPTY, || VERSION.view())
}

/// The version, kind and platform of the loaded library in one line, for logs and reports.
///
/// Ownership: the view is static; it is valid for as long as the library is loaded.
/// Threads: may be called from any thread at any time.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn polygraft_build_info() -> StringView {
    gate_value(StringView::EMPTY, || BUILD.view())
}
