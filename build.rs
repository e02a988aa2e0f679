//! Names the shared library for the loader, and tells the tests whether `make setup` has run.
//!
//! A program that was linked against the library asks for the name at run time, so the number in
//! it must grow with `POLYGRAFT_ABI_VERSION` in `src/ffi/version.rs`; `tests/abi.rs` compares the
//! two. Tests that need ONNX Runtime, the reference backbone or the data are ignored unless the
//! configuration `set_up` is on. Nothing is generated here.

use std::path::Path;

/// What the last step of `make setup` leaves.
const SET_UP_STAMP: &str = ".cache/stamps/data-dates";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(set_up)");
    // Cargo would run this script at every build while a watched file is missing, and compile
    // everything again. So the stamp is watched where it exists; `make setup` touches this file.
    if Path::new(SET_UP_STAMP).exists() {
        println!("cargo::rerun-if-changed={SET_UP_STAMP}");
        println!("cargo::rustc-cfg=set_up");
    }
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    match target_os.as_str() {
        "linux" | "android" | "freebsd" => {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libpolygraft.so.0");
        }
        "macos" | "ios" => {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libpolygraft.0.dylib");
        }
        _ => {}
    }
}
