//! The version of the library and of its binary interface.

use super::object::guarded;
use super::text::{StringView, Text};
use std::sync::LazyLock;

/// The version of the binary interface. It grows when programs that were built against an older
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

/// Returns the version of the binary interface of the loaded library. Compare it with the macro
/// `POLYGRAFT_ABI_VERSION` of the header that the program was compiled with.
///
/// Ownership: the function returns a plain number.
/// Threads: may be called from any thread at any time.
/// Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn polygraft_abi_version() -> u32 {
    POLYGRAFT_ABI_VERSION
}

/// Returns the version of the loaded library, for example `0.1.0`.
///
/// Ownership: the view is static; it is valid for as long as the library is loaded.
/// Threads: may be called from any thread at any time.
/// Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn polygraft_version_string() -> StringView {
    guarded(StringView::EMPTY, || VERSION.view())
}

/// Returns the version, build kind and platform of the loaded library in one line, for logs.
///
/// Ownership: the view is static; it is valid for as long as the library is loaded.
/// Threads: may be called from any thread at any time.
/// Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn polygraft_build_info() -> StringView {
    guarded(StringView::EMPTY, || BUILD.view())
}
