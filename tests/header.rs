//! The C header: generated from `src/ffi`, current, documented, and clean for C and C++ compilers.
//!
//! `POLYGRAFT_BLESS=1 cargo test --test header` writes `include/polygraft.h` and
//! its copy in the Go module.

#[path = "c/support.rs"]
mod support;

use polygraft::Code;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

const HEADER: &str = "include/polygraft.h";
/// The Go module is fetched without the rest of the repository, so it has the header too.
const HEADER_OF_GO: &str = "bindings/go/polygraft.h";

/// Generates the header's text.
fn generate() -> String {
    let mut config = cbindgen::Config::from_file(support::in_repository("cbindgen.toml")).unwrap();
    config.after_includes = Some(preamble());
    let mut builder = cbindgen::Builder::new().with_config(config);
    // The order of the files is the order of the header, so it is spelled out: a new file must
    // find its place here, and the check below notices when it does not.
    let order = [
        "text",
        "version",
        "error",
        "engine",
        "store",
        "cancel",
        "model",
        "input",
        "predict",
        "prediction",
        "tagging",
        "generation",
        "vectors",
        "reason",
        "report",
        "reports",
        "update_options",
        "update",
        "examples",
        "format",
        "imported",
        "exchange",
        "compose",
        "wipe",
        "explain",
        "example_list",
        "evaluate",
        "statistics",
        "checks",
        "round",
    ];
    let internal = ["mod", "boundary", "handle", "object", "sized", "uses"];
    for file in fs::read_dir(support::in_repository("src/ffi")).unwrap() {
        let path = file.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let known = order.contains(&&*stem) || internal.contains(&&*stem);
        assert!(known, "{} has no place in the header's order", path.display());
    }
    for name in order {
        builder = builder.with_src(support::in_repository(&format!("src/ffi/{name}.rs")));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

/// What the header has and `src/ffi` does not: visibility, version macros and the statuses.
fn preamble() -> String {
    let mut text = String::from(
        "#if defined(_WIN32)\n#define POLYGRAFT_API __declspec(dllimport)\n\
         #elif defined(__GNUC__)\n#define POLYGRAFT_API __attribute__((visibility(\"default\")))\n\
         #else\n#define POLYGRAFT_API\n#endif\n",
    );
    let parts = [
        ("MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ];
    text.push_str(
        "\n/** The version of this header; polygraft_version_string() is the library's. */\n",
    );
    for (name, number) in parts {
        writeln!(text, "#define POLYGRAFT_VERSION_{name} {number}").unwrap();
    }
    writeln!(text, "#define POLYGRAFT_VERSION_STRING \"{}\"", env!("CARGO_PKG_VERSION")).unwrap();
    text.push_str(
        "\n/** Statuses. Numbers are never reused; later versions add more. */\nenum {\n",
    );
    text.push_str("  /** Success. */\n  POLYGRAFT_OK = 0,\n");
    for status in statuses() {
        writeln!(text, "  /** {} */", status.sentence).unwrap();
        writeln!(text, "  POLYGRAFT_ERROR_{} = {},", status.constant, status.number).unwrap();
    }
    text.push_str("};");
    text
}

struct StatusLine {
    constant: String,
    number: i32,
    name: String,
    sentence: String,
}

/// The lines of the table in `src/error.rs`, with the sentences that only its text has.
fn statuses() -> Vec<StatusLine> {
    let source = fs::read_to_string(support::in_repository("src/error.rs")).unwrap();
    let table = source.split_once("\ncodes! {\n").unwrap().1.split_once("\n}\n").unwrap().0;
    let mut lines = Vec::new();
    let mut sentence = String::new();
    for line in table.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            sentence = format!("{sentence} {}", text.trim()).trim().to_owned();
            continue;
        }
        let (variant, rest) = line.split_once(" = ").unwrap();
        let (number, name) = rest.trim_end_matches(';').split_once(", ").unwrap();
        lines.push(StatusLine {
            constant: upper_snake(variant),
            number: number.parse().unwrap(),
            name: name.trim_matches('"').to_owned(),
            sentence: std::mem::take(&mut sentence),
        });
    }
    lines
}

fn upper_snake(camel: &str) -> String {
    let mut text = String::new();
    for (index, letter) in camel.char_indices() {
        if index > 0 && letter.is_uppercase() {
            text.push('_');
        }
        text.extend(letter.to_uppercase());
    }
    text
}

#[test]
fn header_is_current() {
    let generated = generate();
    for header in [HEADER, HEADER_OF_GO] {
        let path = support::in_repository(header);
        if std::env::var_os("POLYGRAFT_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == generated,
            "{header} is stale: run POLYGRAFT_BLESS=1 cargo test --test header"
        );
    }
}

#[test]
fn the_statuses_of_the_header_are_the_codes_of_the_library() {
    let lines = statuses();
    let numbers: Vec<_> = lines.iter().map(|line| (line.number, &*line.name)).collect();
    let codes: Vec<_> = Code::ALL.iter().map(|code| (code.number(), code.name())).collect();
    assert_eq!(numbers, codes);
    assert!(lines.iter().all(|line| line.sentence.ends_with('.')), "each has a sentence");
}

#[test]
fn every_function_states_ownership_threads_and_errors() {
    let header = fs::read_to_string(support::in_repository(HEADER)).unwrap();
    let functions = support::functions(&header);
    assert!(functions.len() > 40, "{}", functions.len());
    for function in functions {
        for line in ["Ownership: ", "Threads: ", "Errors: "] {
            let found = function.comment.matches(&format!("\n * {line}")).count();
            assert_eq!(found, 1, "{} states \"{line}\" {found} times", function.name);
        }
    }
}

#[test]
fn every_error_name_in_the_header_exists() {
    let header = fs::read_to_string(support::in_repository(HEADER)).unwrap();
    let exists = |name: &str| match name.strip_suffix(".*") {
        Some(group) => Code::ALL.iter().any(|code| code.name().split('.').next() == Some(group)),
        None => Code::ALL.iter().any(|code| code.name() == name),
    };
    for function in support::functions(&header) {
        let comment = function.comment.replace("\n * ", " ");
        let errors = comment.split_once("Errors: ").unwrap().1;
        let words = errors.split(|c: char| c.is_whitespace() || ",;()".contains(c));
        // Names have a dot inside or a star at the end; `cancelled` has neither and is a word too.
        let names = words.map(|word| word.trim_end_matches('.')).filter(|word| word.contains('.'));
        for name in names {
            assert!(exists(name), "{}: `{name}` is no error", function.name);
        }
    }
}

/// Compiles a file that includes the header and nothing else.
fn compile(compiler: &str, standard: &str, extension: &str) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("only").with_extension(extension);
    let probe = "#include <polygraft.h>\n#include <polygraft.h>\n\
                 int main(void) { return (int)polygraft_abi_version(); }\n";
    fs::write(&source, probe).unwrap();
    let output = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
        .arg(support::in_repository("include"))
        .arg(&source)
        .output()
        .unwrap_or_else(|cause| panic!("running {compiler}: {cause}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_header_alone_compiles_as_c11() {
    compile("cc", "-std=c11", "c");
}

#[test]
fn the_header_alone_compiles_as_cpp17() {
    compile("c++", "-std=c++17", "cpp");
}

#[test]
fn the_header_names_no_rust_types() {
    let header = fs::read_to_string(support::in_repository(HEADER)).unwrap();
    let is_camel_case = |word: &&str| {
        let mut pairs = word.as_bytes().windows(2);
        word.starts_with(|c: char| c.is_ascii_uppercase())
            && pairs.any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
    };
    let words = header.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let found: Vec<_> = words
        .filter(is_camel_case)
        .filter(|word| !["NaN", "LoRA", "AdapterHub", "OrtGetApiBase"].contains(word))
        .collect();
    assert!(found.is_empty(), "{HEADER} names {found:?}: rename them in cbindgen.toml");
    assert!(!header.contains("::") && !header.contains("[`"), "{HEADER} has Rust paths or links");
}
