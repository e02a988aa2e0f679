//! What `make install` and `make dist` lay out, seen from outside the repository: moved to another
//! folder, it builds and runs programs in C and C++, by pkg-config and by CMake, shared and static.
//!
//! The libraries are those that were built with the tests. What the machine lacks is skipped by
//! name.

#![cfg(all(target_os = "linux", feature = "cli"))]

#[path = "c/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

const LIST: &str = "share/polygraft/installed-files";

/// A script of `packaging/`.
fn script(name: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg(support::in_repository("packaging").join(name));
    command
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|cause| panic!("{command:?}: {cause}"))
}

/// Lays out what is installed, from libraries in a folder and the command.
fn stage(libraries: &Path, command: &Path, libdir: &str, out: &Path) {
    let mut stage = script("stage.sh");
    stage.env("LIBRARIES", libraries).env("COMMAND", command);
    support::succeed(&run(stage.env("OUT", out).env("LIBDIR", libdir)));
}

/// The folder that all tests install from. It is made once, because that takes seconds.
fn staged() -> &'static Path {
    static STAGED: OnceLock<PathBuf> = OnceLock::new();
    STAGED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stage");
        let library = support::shared_library();
        let command = Path::new(env!("CARGO_BIN_EXE_polygraft"));
        stage(library.parent().expect("a folder"), command, "lib", &folder);
        folder
    })
}

fn install(action: &str, prefix: &str, destdir: &Path) -> Output {
    let mut install = script("install.sh");
    install.arg(action).env("STAGE", staged()).env("PREFIX", prefix);
    run(install.env("DESTDIR", destdir))
}

/// A prefix that was installed to one place and then moved to another, of this name.
fn moved(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    support::succeed(&install("install", "/first/place", &folder.path().join("root")));
    let prefix = folder.path().join(name);
    fs::rename(folder.path().join("root/first/place"), &prefix).expect("a folder that moves");
    (folder, prefix)
}

/// Every file and link below a folder, as paths from it.
fn tree(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a readable folder").flatten() {
            if entry.file_type().expect("a type").is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(folder).expect("below it").to_owned());
            }
        }
    }
    found
}

/// Whether a program is there; if not, the test says that it is skipped.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: needs {program}");
    }
    there
}

/// Names that a library shows to the linker.
fn names(library: &Path, flags: &[&str]) -> BTreeSet<String> {
    let mut nm = Command::new("nm");
    nm.args(["--defined-only", "--format=posix"]).args(flags).arg(library);
    let text = support::succeed(&run(&mut nm));
    let lines = text.lines().filter(|line| !line.ends_with(':'));
    lines.filter_map(|line| line.split(' ').next()).map(String::from).collect()
}

#[test]
fn everything_is_installed_and_removed_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let prefix = root.join("usr/local");
    support::succeed(&install("install", "/usr/local", &root));
    let listed = fs::read_to_string(prefix.join(LIST)).unwrap();
    let listed: BTreeSet<_> = listed.lines().map(PathBuf::from).collect();
    // The list names itself, too.
    assert_eq!(listed, tree(&prefix));
    for name in [
        "bin/polygraft",
        "include/polygraft.h",
        "include/polygraft.hpp",
        "include/polygraft/model.hpp",
        "lib/libpolygraft.a",
        "lib/pkgconfig/polygraft.pc",
        "share/man/man1/polygraft-update.1",
        "share/bash-completion/completions/polygraft",
        "share/zsh/site-functions/_polygraft",
        "share/fish/vendor_completions.d/polygraft.fish",
        "share/doc/polygraft/LICENSE-MIT",
    ] {
        assert!(listed.contains(Path::new(name)), "{name} is missing");
    }
    // The loader finds the library by its soname, the linker by its plain name.
    let version = env!("CARGO_PKG_VERSION");
    let link = |name: &str| fs::read_link(prefix.join("lib").join(name)).unwrap();
    assert_eq!(link("libpolygraft.so"), Path::new("libpolygraft.so.0"));
    assert_eq!(link("libpolygraft.so.0"), PathBuf::from(format!("libpolygraft.so.{version}")));

    // A second installation replaces the first, and removes what it does not have any more.
    let old = "share/doc/polygraft/OLD.md";
    fs::write(prefix.join(old), "old").unwrap();
    let list = fs::read_to_string(prefix.join(LIST)).unwrap();
    fs::write(prefix.join(LIST), list.replacen("share/doc/", &format!("{old}\nshare/doc/"), 1))
        .unwrap();
    support::succeed(&install("install", "/usr/local", &root));
    assert!(!prefix.join(old).exists());

    let foreign = prefix.join("lib/libother.so");
    fs::write(&foreign, "of another program").unwrap();
    support::succeed(&install("uninstall", "/usr/local", &root));
    assert_eq!(tree(&root), BTreeSet::from([PathBuf::from("usr/local/lib/libother.so")]));
    assert!(!prefix.join("share").exists() && !prefix.join("lib/pkgconfig").exists());
}

#[test]
fn wrong_places_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |output: Output, words: &str| {
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && messages.contains(words), "{messages}");
    };
    refused(install("install", "usr/local", folder.path()), "PREFIX is a full path");
    refused(install("uninstall", "/usr", folder.path()), "nothing to remove");
    let mut stage = script("stage.sh");
    stage.env("LIBRARIES", folder.path()).env("COMMAND", "polygraft").env("OUT", folder.path());
    refused(run(stage.env("LIBDIR", "/usr/lib")), "a folder below PREFIX");
    refused(run(stage.env("LIBDIR", "lib")), "libpolygraft.so is not there");
    // A list that leads out of the prefix removes nothing.
    let victim = folder.path().join("victim");
    fs::write(&victim, "stays").unwrap();
    fs::create_dir_all(folder.path().join("usr/share/polygraft")).unwrap();
    fs::write(folder.path().join("usr").join(LIST), "../victim\n").unwrap();
    refused(install("uninstall", "/usr", folder.path()), "not below /usr");
    assert!(victim.exists());
}

#[test]
fn libraries_show_the_c_interface_and_nothing_else() {
    let listed = fs::read_to_string(support::in_repository("docs/abi-symbols.txt")).unwrap();
    let listed: BTreeSet<_> = listed.lines().map(String::from).collect();
    let lib = staged().join("lib");
    assert_eq!(names(&lib.join("libpolygraft.so"), &["--dynamic"]), listed);
    assert_eq!(names(&lib.join("libpolygraft.a"), &["--extern-only"]), listed);
}

/// The arguments that pkg-config prints for a prefix.
fn pkg_config(prefix: &Path, libdir: &str, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    let path = prefix.join(libdir).join("pkgconfig");
    command.args(arguments).env("PKG_CONFIG_PATH", path).env("PKG_CONFIG_LIBDIR", "");
    let text = support::succeed(&run(&mut command));
    text.split_whitespace().map(String::from).collect()
}

/// Runs the two programs from outside and checks what they did.
fn check_programs(learn: &Path, update: &Path, library_path: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = support::in_repository("tests/fixtures/written-by-0.1.0/encoder");
    let command = |program: &Path, store: &str| {
        let mut command = Command::new(program);
        command.env("ORT_DYLIB_PATH", support::onnxruntime()).env("ORT_DISABLE_TELEMETRY", "1");
        command.env("LD_LIBRARY_PATH", library_path).arg(&bundle).arg(folder.path().join(store));
        command
    };
    let output = support::succeed(&run(&mut command(learn, "learn")));
    assert_eq!(output, "on, version 1\nrolled back\n");

    let examples = folder.path().join("examples.tsv");
    let lines = (0..16).map(|index| {
        let (first, label) = if index % 2 == 0 { (10, "on") } else { (20, "off") };
        format!("de\tw{} w{}\t{label}\n", first + index / 2, 40 + index)
    });
    fs::write(&examples, lines.collect::<String>()).unwrap();
    let mut update = command(update, "update");
    let output = support::succeed(&run(update.arg(examples).args(["de", "w10 w40"])));
    assert!(output.contains("\nafter: on "), "{output}");
    assert!(output.contains("rolled back: task \"intent\" has no version for de"), "{output}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn programs_are_built_by_pkg_config_wherever_the_prefix_lies() {
    if !has("pkg-config") {
        return;
    }
    let (folder, prefix) = moved("second");
    let version = pkg_config(&prefix, "lib", &["--modversion", "polygraft"]);
    assert_eq!(version, [env!("CARGO_PKG_VERSION")]);
    let private = pkg_config(&prefix, "lib", &["--libs", "--static", "polygraft"]);
    assert!(private.contains(&"-lpthread".to_owned()), "{private:?}");

    let sources = [
        ("c++", "-std=c++17", "tests/install/learn.cpp", "learn"),
        ("cc", "-std=c11", "examples/c/update.c", "update"),
    ];
    let compile_flags = pkg_config(&prefix, "lib", &["--cflags", "polygraft"]);
    for (compiler, standard, source, name) in sources {
        let mut command = Command::new(compiler);
        command.args([standard, "-Wall", "-Wextra", "-Werror", "-c"]).args(&compile_flags);
        command.arg(support::in_repository(source)).arg("-o");
        support::succeed(&run(command.arg(folder.path().join(format!("{name}.o")))));
    }
    for package in ["polygraft", "polygraft-static"] {
        let link_flags = pkg_config(&prefix, "lib", &["--libs", package]);
        let [learn, update] = sources.map(|(compiler, _, _, name)| {
            let program = folder.path().join(format!("{name}-{package}"));
            let mut command = Command::new(compiler);
            command.arg(folder.path().join(format!("{name}.o"))).args(&link_flags).arg("-o");
            support::succeed(&run(command.arg(&program)));
            program
        });
        check_programs(&learn, &update, &prefix.join("lib"));
    }
    // The static program needs no library of ours at run time.
    let mut readelf = Command::new("readelf");
    readelf.arg("--dynamic").arg(folder.path().join("learn-polygraft-static"));
    let needed = support::succeed(&run(&mut readelf));
    assert!(needed.contains("libc.so") && !needed.contains("libpolygraft"), "{needed}");
}

/// Configures a project against a prefix.
fn configure(source: &Path, build: &Path, prefix: &Path) -> Output {
    let mut cmake = Command::new("cmake");
    cmake.arg("-S").arg(source).arg("-B").arg(build).arg("-DCMAKE_BUILD_TYPE=Debug");
    run(cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())))
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn programs_are_built_by_cmake_wherever_the_prefix_lies() {
    if !has("cmake") {
        return;
    }
    let (folder, prefix) = moved("second place");
    let source = folder.path().join("project");
    fs::create_dir(&source).unwrap();
    for path in ["tests/install/CMakeLists.txt", "tests/install/learn.cpp", "examples/c/update.c"] {
        let name = Path::new(path).file_name().unwrap();
        fs::copy(support::in_repository(path), source.join(name)).unwrap();
    }
    let build = folder.path().join("build");
    support::succeed(&configure(&source, &build, &prefix));
    support::succeed(&run(Command::new("cmake").arg("--build").arg(&build)));
    // CMake writes the place of the shared library into the programs, so none is named here.
    let nowhere = folder.path();
    check_programs(&build.join("learn"), &build.join("update"), nowhere);
    check_programs(&build.join("learn-static"), &build.join("update-static"), nowhere);
}

/// Runs a program that learns and rolls back, and gives what it said.
fn learn(command: &mut Command) -> String {
    let store = tempfile::tempdir().unwrap();
    command.env("ORT_DYLIB_PATH", support::onnxruntime()).env("ORT_DISABLE_TELEMETRY", "1");
    command.arg(support::in_repository("tests/fixtures/written-by-0.1.0/encoder"));
    support::succeed(&run(command.arg(store.path())))
}

/// A folder that is empty but for `go.mod` and one file, and a prefix.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_go_module_of_one_file_is_built_wherever_the_prefix_lies() {
    if !has("pkg-config") || !has("go") {
        return;
    }
    let (folder, prefix) = moved("second");
    let module = folder.path().join("module");
    fs::create_dir(&module).unwrap();
    fs::copy(support::in_repository("tests/install/learn.go"), module.join("main.go")).unwrap();
    let binding = "github.com/polygraft/polygraft/bindings/go";
    // The module of the binding is taken from the repository: nothing is downloaded here.
    let place = support::in_repository("bindings/go");
    let text = format!(
        "module example.com/learn\n\ngo 1.24\n\nrequire {binding} v0.0.0\n\n\
         replace {binding} => {}\n",
        place.display()
    );
    fs::write(module.join("go.mod"), text).unwrap();
    let lib = prefix.join("lib");
    let mut go = Command::new("go");
    go.args(["build", "-o", "learn", "."]).current_dir(&module);
    go.env("GOFLAGS", "-mod=mod").env("GOPROXY", "off").env("CGO_ENABLED", "1");
    go.env("PKG_CONFIG_PATH", lib.join("pkgconfig"));
    // go's cache knows this variable, but not what pkg-config said for another prefix.
    go.env("CGO_LDFLAGS", format!("-Wl,-rpath,{}", lib.display()));
    support::succeed(&run(&mut go));
    let said = learn(&mut Command::new(module.join("learn")));
    assert_eq!(said, "on, version 1\nrolled back\n");
}

#[test]
fn cmake_says_what_is_wrong_with_a_package() {
    if !has("cmake") {
        return;
    }
    let (folder, prefix) = moved("second place");
    let source = folder.path().join("project");
    fs::create_dir(&source).unwrap();
    let ask = |words: &str, build: &str| {
        let text = format!(
            "cmake_minimum_required(VERSION 3.16)\nproject(asks LANGUAGES C)\n\
             find_package(polygraft {words} REQUIRED)\n\
             message(STATUS \"found ${{polygraft_VERSION}}\")\n"
        );
        fs::write(source.join("CMakeLists.txt"), text).unwrap();
        let output = configure(&source, &folder.path().join(build), &prefix);
        let texts = [&output.stdout[..], &output.stderr[..]].concat();
        let texts = String::from_utf8_lossy(&texts);
        (output.status.success(), texts.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let expected = format!("found {}", env!("CARGO_PKG_VERSION"));
    for words in ["", "0", "0.1", "0.1.0 EXACT", "0.1...<0.2"] {
        let (found, texts) = ask(words, "same");
        assert!(found && texts.contains(&expected), "{words}: {texts}");
    }
    for words in ["0.2", "0.0.9", "1.0", "0.2...1.0"] {
        let (found, texts) = ask(words, "other");
        assert!(!found && texts.contains("version: 0.1.0"), "{words}: {texts}");
    }
    fs::remove_file(prefix.join("lib/libpolygraft.a")).unwrap();
    let (found, texts) = ask("0.1", "damaged");
    assert!(!found && texts.contains("libpolygraft.a is missing"), "{texts}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_program_may_have_functions_of_the_same_names_as_our_dependencies() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("own.c");
    // The names that BLAKE3's C library has, and one of Rust's standard library.
    let own = ["blake3_hasher_init", "blake3_hash_many", "blake3_compress_in_place", "rust_panic"];
    let own = own.map(|name| format!("void {name}(void) {{ abort(); }}\n")).concat();
    let program = format!(
        "#include <polygraft.h>\n#include <stdio.h>\n#include <stdlib.h>\n{own}\
         int main(int argc, char **argv) {{\n\
         polygraft_engine *engine = NULL;\npolygraft_store *store = NULL;\n\
         polygraft_model *model = NULL;\npolygraft_error *error = NULL;\n\
         polygraft_model_options options;\n\
         if (argc == 3 && !polygraft_model_options_init(&options, sizeof options, &error)) {{\n\
         options.verify = POLYGRAFT_VERIFY_FULL;\n\
         if (!polygraft_engine_open(NULL, &engine, &error) &&\n\
         !polygraft_store_open(argv[2], &store, &error) &&\n\
         !polygraft_model_open(engine, argv[1], store, &options, &model, &error)) puts(\"open\");\n\
         }}\nif (error) puts(polygraft_error_message(error).ptr);\nreturn 0;\n}}\n"
    );
    fs::write(&source, program).unwrap();
    let path = folder.path().join("own");
    let mut cc = Command::new("cc");
    cc.arg("-I")
        .arg(staged().join("include"))
        .arg(&source)
        .arg(staged().join("lib/libpolygraft.a"));
    cc.args("-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc -o".split(' ')).arg(&path);
    support::succeed(&run(&mut cc));
    let mut own = Command::new(path);
    own.env("ORT_DYLIB_PATH", support::onnxruntime()).env("ORT_DISABLE_TELEMETRY", "1");
    own.arg(support::in_repository("tests/fixtures/written-by-0.1.0/encoder"));
    let output = support::succeed(&run(own.arg(folder.path().join("store"))));
    assert_eq!(output, "open\n");
}

#[test]
fn archives_have_what_is_installed() {
    let folder = tempfile::tempdir().unwrap();
    // All but the static library, which takes long to compress where it is not optimised.
    let whole = folder.path().join("whole");
    support::succeed(&run(Command::new("cp").arg("-al").arg(staged()).arg(&whole)));
    fs::remove_file(whole.join("lib/libpolygraft.a")).unwrap();
    fs::write(whole.join("lib/libpolygraft.a"), "!<arch>\n").unwrap();
    let mut dist = script("dist.sh");
    dist.env("STAGE", &whole).env("OUT", folder.path()).env("LEVEL", "0");
    let output = support::succeed(&run(&mut dist));
    assert!(output.contains("  oldest glibc: 2."), "{output}");
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("polygraft-{version}-linux-{}", std::env::consts::ARCH);
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(folder.path()).arg("-xf").arg(folder.path().join(format!("{name}.tar.xz")));
    support::succeed(&run(&mut tar));
    assert_eq!(tree(&folder.path().join(&name)), tree(staged()));

    if !has("dpkg-deb") {
        return;
    }
    let package = tree(folder.path())
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = folder.path().join(package.expect("a .deb"));
    let ask = |flag: &str| {
        let mut dpkg = Command::new("dpkg-deb");
        support::succeed(&run(dpkg.arg(flag).arg(&package)))
    };
    let about = ask("--field");
    for line in ["Package: polygraft", &format!("Version: {version}"), "Depends: libc6 (>= 2."] {
        assert!(about.contains(line), "{about}");
    }
    let files = ask("--contents");
    assert_eq!(files.lines().filter(|line| !line.contains(" root/root ")).count(), 0, "{files}");
    for name in ["lib/libpolygraft.so.0 -> ", "share/zsh/vendor-completions/_polygraft"] {
        assert!(files.contains(&format!("./usr/{name}")), "{files}");
    }
}

#[test]
fn libraries_may_lie_deeper() {
    if !has("pkg-config") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // What is installed already serves as what cargo wrote; it is smaller.
    let (library, command) = (staged().join("lib"), staged().join("bin/polygraft"));
    stage(&library, &command, "lib/some-machine", folder.path());
    let flags = pkg_config(folder.path(), "lib/some-machine", &["--cflags", "--libs", "polygraft"]);
    let at = |flag: &str| {
        let found = flags.iter().find_map(|one| one.strip_prefix(flag)).expect("a flag");
        fs::canonicalize(found).unwrap()
    };
    let folder = fs::canonicalize(folder.path()).unwrap();
    assert_eq!(at("-I"), folder.join("include"));
    assert_eq!(at("-L"), folder.join("lib/some-machine"));
    if has("cmake") {
        let project = tempfile::tempdir().unwrap();
        let text = "cmake_minimum_required(VERSION 3.16)\nproject(asks LANGUAGES C)\n\
                    find_package(polygraft REQUIRED)\nget_target_property(place \
                    polygraft::polygraft IMPORTED_LOCATION)\nfile(WRITE place ${place})\n";
        fs::write(project.path().join("CMakeLists.txt"), text).unwrap();
        let path = folder.join("lib/some-machine/cmake/polygraft");
        let mut cmake = Command::new("cmake");
        cmake.arg("-S").arg(project.path()).arg("-B").arg(project.path().join("build"));
        support::succeed(&run(cmake.arg(format!("-Dpolygraft_DIR={}", path.display()))));
        let place = fs::read_to_string(project.path().join("place")).unwrap();
        assert!(Path::new(&place).starts_with(folder.join("lib/some-machine")), "{place}");
        assert!(Path::new(&place).is_file(), "{place}");
    }
}
