//! What the tests of the C boundary share: where things are, the functions of the header, and how
//! a C program is compiled against the library that was built with the tests.
#![allow(dead_code, reason = "each test file uses its part of this module")]

use polygraft::bundle::{self, CreateSequenceOptions, FoundIds, Pooling};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A path inside the repository.
pub fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A function of the header.
pub struct Function {
    /// Its name.
    pub name: String,
    /// The comment before it.
    pub comment: String,
}

/// The exported functions of the header's text, in order.
pub fn functions(header: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    let mut rest = header;
    while let Some(at) = rest.find("\nPOLYGRAFT_API") {
        let (before, after) = rest.split_at(at);
        let comment = before.rfind("/**").map_or("", |start| &before[start..]);
        let after = &after["\nPOLYGRAFT_API".len()..];
        let name = after.split('(').next().unwrap_or_default();
        let name = name.rsplit([' ', '*', '\n']).next().unwrap_or_default();
        functions.push(Function { name: name.to_owned(), comment: comment.to_owned() });
        rest = after;
    }
    functions
}

/// The shared library that cargo built beside the running test.
pub fn shared_library() -> PathBuf {
    let name = format!("{}polygraft{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let test = std::env::current_exe().expect("a test has a path");
    let path = test.parent().expect("a test lies in a folder").join(name);
    assert!(path.is_file(), "{} is not there: was the cdylib built?", path.display());
    path
}

/// The ONNX Runtime library that set-up put in the cache, or that the environment names.
pub fn onnxruntime() -> PathBuf {
    std::env::var_os("ORT_DYLIB_PATH")
        .map_or_else(|| in_repository(".cache/onnxruntime/libonnxruntime.so"), PathBuf::from)
}

/// The reference bundle.
pub fn bundle() -> PathBuf {
    let path = in_repository(".cache/bundle/e5-small");
    assert!(path.is_dir(), "{} is not there: run `make bundle`", path.display());
    path
}

/// Makes a bundle of a small encoder and its decoder, with random weights, and gives its folder.
pub fn sequence_bundle(folder: &Path) -> PathBuf {
    let out = folder.join("bundle");
    let options = CreateSequenceOptions {
        folder: in_repository("tests/fixtures/sequence/mt5"),
        tokenizer: None,
        pooling: Pooling::Mean,
        prefix: String::new(),
        tokens_max: None,
        target_tokens_max: None,
        ids: FoundIds::default(),
        upcast: false,
        out: out.clone(),
        overwrite: false,
    };
    bundle::create_sequence(&options, &mut |_| {}).expect("a bundle");
    out
}

/// A C program compiled against the shared library, with the folder that it needs to run.
pub struct Program {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Program {
    /// Compiles a source of the repository in C or C++ with every warning as an error.
    pub fn compile(source: &str, extra_flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The loader looks for the soname; cargo's file has the plain name.
        let library = shared_library();
        for name in ["libpolygraft.so", "libpolygraft.so.0"] {
            std::os::unix::fs::symlink(&library, folder.path().join(name)).expect("a link");
        }
        let path = folder.path().join("program");
        let is_cpp = source.ends_with(".cpp");
        let (compiler, standard) = if is_cpp { ("c++", "-std=c++17") } else { ("cc", "-std=c11") };
        let output = Command::new(compiler)
            .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-pthread"])
            .args(extra_flags)
            .arg("-I")
            .arg(in_repository("include"))
            .arg("-I")
            .arg(in_repository("tests/c"))
            .arg(in_repository(source))
            .arg("-o")
            .arg(&path)
            .arg("-L")
            .arg(folder.path())
            .arg(format!("-Wl,-rpath,{}", folder.path().display()))
            .args(["-lpolygraft", "-lm"])
            .output()
            .unwrap_or_else(|cause| panic!("running {compiler}: {cause}"));
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "compiling {source}:\n{messages}");
        Self { folder, path }
    }

    /// The command that runs it, with ONNX Runtime found and its telemetry off.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env("ORT_DYLIB_PATH", onnxruntime()).env("ORT_DISABLE_TELEMETRY", "1");
        command
    }

    /// The program's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An empty folder that lives as long as the program.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        path
    }
}

/// Standard output of a command that must succeed.
pub fn succeed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}\n{messages}", output.status);
    text
}
