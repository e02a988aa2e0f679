//! Names the shared library for the loader: a program that was linked against it asks for this
//! name at run time, so the number in it must grow with `POLYGRAFT_ABI_VERSION` in
//! `src/ffi/version.rs`; `tests/abi.rs` compares the two. Nothing is generated here.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
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
