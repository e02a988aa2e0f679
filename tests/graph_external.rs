//! Weights in files beside the model: mapping them, and hostile locations.

mod graph_support;

use std::path::{Path, PathBuf};

use graph_support::{external, model, raw, tensor};
use polygraft::Code;
use polygraft::graph::{
    ALIGNMENT_BYTES, Location, Model, TensorProto, Weights, data_type, inline_bytes,
    write_with_external_data,
};
use tempfile::TempDir;

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn maps_the_reference_backbone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/backbone/e5-small");
    let model = Model::read(&folder.join("model.onnx")).unwrap();
    let weights = Weights::map(&model).unwrap();
    assert_eq!(weights.len(), model.graph().unwrap().initializer.len());
    let embeddings = weights.get("embeddings.word_embeddings.weight").unwrap();
    assert_eq!(embeddings.dims, [250_037, 384]);
    assert_eq!(embeddings.bytes.len(), 250_037 * 384 * 4);
    let Location::External { path, offset } = embeddings.location else { panic!("inline") };
    assert_eq!(path, folder.join("model.onnx.data").canonicalize().unwrap());
    let mut file = std::fs::File::open(path).unwrap();
    let mut bytes = vec![0; 1 << 16];
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(offset)).unwrap();
    std::io::Read::read_exact(&mut file, &mut bytes).unwrap();
    assert!(embeddings.bytes[..1 << 16] == bytes);
    // Views of one mapping, not copies: addresses differ as offsets do.
    for weight in weights.clone().iter() {
        let Location::External { offset: other, .. } = weight.location else { continue };
        let distance = weight.bytes.as_ptr() as i128 - embeddings.bytes.as_ptr() as i128;
        assert_eq!(distance, i128::from(other) - i128::from(offset), "{}", weight.name);
        assert_eq!(other % ALIGNMENT_BYTES, 0, "{}", weight.name);
    }
}

#[test]
fn one_file_under_two_spellings_is_mapped_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data"), [1.0f32, 2.0, 3.0].map(f32::to_le_bytes).concat())
        .unwrap();
    let one = |name, entries: &[_]| external(tensor(name, data_type::FLOAT, &[1]), entries);
    let model = model(
        folder.path(),
        vec![
            one("first", &[("location", "data")]),
            one("last", &[("location", "./data"), ("offset", "8"), ("length", "4")]),
        ],
    );
    let weights = Weights::map(&model).unwrap();
    let (first, last) = (weights.get("first").unwrap(), weights.get("last").unwrap());
    assert_eq!(first.bytes, 1.0f32.to_le_bytes());
    assert_eq!(last.bytes, 3.0f32.to_le_bytes());
    assert_eq!(last.bytes.as_ptr() as usize - first.bytes.as_ptr() as usize, 8);
    // The views outlive the model and the first handle.
    let kept = weights.clone();
    drop((weights, model));
    assert_eq!(kept.get("last").unwrap().bytes, 3.0f32.to_le_bytes());
}

/// A folder with `data` of 100 bytes inside and a secret beside it.
fn folders() -> (TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("model");
    std::fs::create_dir_all(inner.join("subfolder")).unwrap();
    std::fs::write(outer.path().join("secret"), [7; 100]).unwrap();
    std::fs::write(inner.join("data"), [1; 100]).unwrap();
    std::fs::write(inner.join("subfolder/data"), [2; 100]).unwrap();
    std::fs::write(inner.join("empty"), []).unwrap();
    (outer, inner)
}

fn refusal(folder: &Path, tensor: TensorProto) -> String {
    let error = Weights::map(&model(folder, vec![tensor])).unwrap_err();
    assert_eq!(error.code(), Code::GraphExternalData, "{error}");
    assert!(error.to_string().contains("\"w\""), "{error} names no tensor");
    error.to_string()
}

#[test]
fn hostile_locations_are_refused() {
    let (outer, inner) = folders();
    let floats = || tensor("w", data_type::FLOAT, &[5, 5]);
    let absolute = outer.path().join("secret");
    let outside = [
        "../secret",
        "subfolder/../../secret",
        "subfolder/../data",
        "..",
        "",
        "/",
        absolute.to_str().unwrap(),
    ];
    for location in outside {
        let message = refusal(&inner, external(floats(), &[("location", location)]));
        assert!(message.contains("inside the model's folder"), "{location:?}: {message}");
    }
    for location in ["missing", "data/data", "\0", &"x".repeat(5000)] {
        refusal(&inner, external(floats(), &[("location", location)]));
    }
    let message = refusal(&inner, external(floats(), &[("location", "subfolder")]));
    assert!(message.contains("not a regular file"), "{message}");
    assert!(refusal(&inner, external(floats(), &[])).contains("no location"));
    // What is inside, at any depth, is found.
    let inside = external(floats(), &[("location", "subfolder/data")]);
    let weights = Weights::map(&model(&inner, vec![inside])).unwrap();
    assert_eq!(weights.get("w").unwrap().bytes, [2; 100]);
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_refused() {
    let (outer, inner) = folders();
    let link = |target: &Path, name: &str| {
        std::os::unix::fs::symlink(target, inner.join(name)).unwrap();
        external(tensor("w", data_type::FLOAT, &[5, 5]), &[("location", name)])
    };
    let to_file = link(&outer.path().join("secret"), "link");
    assert!(refusal(&inner, to_file).contains("outside"));
    link(outer.path(), "folder_link");
    let through =
        external(tensor("w", data_type::FLOAT, &[5, 5]), &[("location", "folder_link/secret")]);
    assert!(refusal(&inner, through).contains("outside"));
    // A link that stays inside is as good as the file, and so is a link to the folder itself.
    let within = link(&inner.join("data"), "link_within");
    assert!(Weights::map(&model(&inner, vec![within.clone()])).is_ok());
    let folder_link = outer.path().join("model_link");
    std::os::unix::fs::symlink(&inner, &folder_link).unwrap();
    assert!(Weights::map(&model(&folder_link, vec![within])).is_ok());
}

#[test]
fn ranges_must_fit_the_file_and_the_tensor() {
    let (_outer, inner) = folders();
    let place = |dims: &[i64], offset: &str, length: &str| {
        let entries = [("location", "data"), ("offset", offset), ("length", length)];
        external(tensor("w", data_type::FLOAT, dims), &entries)
    };
    assert!(Weights::map(&model(&inner, vec![place(&[5, 5], "0", "100")])).is_ok());
    assert!(Weights::map(&model(&inner, vec![place(&[0, 5], "100", "0")])).is_ok());
    let message = refusal(&inner, place(&[5, 5], "4", "100"));
    for part in ["data", "expected 100 bytes", "at least 104", "found 100"] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    refusal(&inner, place(&[5, 5], "0", "96"));
    refusal(&inner, place(&[6, 5], "0", "120"));
    refusal(&inner, place(&[0], "101", "0"));
    refusal(&inner, place(&[5, 5], &u64::MAX.to_string(), "100"));
    refusal(&inner, place(&[5, 5], &(u64::MAX - 99).to_string(), "100"));
    for number in ["-1", "0x10", "", "1e2", "18446744073709551616", "4 "] {
        assert!(refusal(&inner, place(&[5, 5], number, "100")).contains("number"), "{number:?}");
        assert!(refusal(&inner, place(&[5, 5], "0", number)).contains("number"), "{number:?}");
    }
    refusal(&inner, place(&[-1, -25], "0", "100"));
    refusal(&inner, place(&[i64::MAX, i64::MAX, 4], "0", "100"));
    refusal(&inner, place(&[i64::MAX, 2, 2], "0", "100"));
    let mut unknown = place(&[100], "0", "100");
    unknown.data_type = Some(99);
    refusal(&inner, unknown);
    let twice = [("location", "data"), ("location", "empty")];
    let message = refusal(&inner, external(tensor("w", data_type::FLOAT, &[5, 5]), &twice));
    assert!(message.contains("twice"), "{message}");
    let empty = external(tensor("w", data_type::FLOAT, &[1]), &[("location", "empty")]);
    assert!(refusal(&inner, empty).contains("found 0"));
}

#[test]
fn a_truncated_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = model(folder.path(), vec![raw("w", &[0.5; 4096])]);
    let weights = Weights::map(&source).unwrap();
    write_with_external_data(&source, &weights, folder.path(), "m.onnx", "m.data").unwrap();
    let data = folder.path().join("m.data");
    let file = std::fs::OpenOptions::new().write(true).open(&data).unwrap();
    file.set_len(16_383).unwrap();
    let error = Weights::map(&Model::read(&folder.path().join("m.onnx")).unwrap()).unwrap_err();
    assert_eq!(error.code(), Code::GraphExternalData);
    for part in ["m.data", "\"w\"", "expected 16384", "found 16383"] {
        assert!(error.to_string().contains(part), "{part:?} is not in {error}");
    }
}

/// Values in typed fields, and the bytes ONNX prescribes for them in `raw_data`.
#[test]
fn typed_values_become_bytes() {
    let ints = |kind, dims: &[i64], values: &[i32]| TensorProto {
        int32_data: values.to_vec(),
        ..tensor("t", kind, dims)
    };
    let cases: Vec<(TensorProto, Vec<u8>)> = vec![
        (
            TensorProto { float_data: vec![1.0, -2.0], ..tensor("t", data_type::FLOAT, &[2]) },
            vec![0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0],
        ),
        (
            TensorProto { double_data: vec![1.0], ..tensor("t", data_type::DOUBLE, &[]) },
            vec![0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
        ),
        (
            TensorProto { int64_data: vec![-2], ..tensor("t", data_type::INT64, &[1]) },
            vec![0xfe, 255, 255, 255, 255, 255, 255, 255],
        ),
        (
            TensorProto { uint64_data: vec![0x0102_0304], ..tensor("t", data_type::UINT32, &[1]) },
            vec![4, 3, 2, 1],
        ),
        (ints(data_type::INT32, &[1], &[-1]), vec![255; 4]),
        (ints(data_type::FLOAT16, &[2], &[0x3c00, 0xc000]), vec![0, 0x3c, 0, 0xc0]),
        (ints(data_type::INT8, &[2], &[-1, 5]), vec![255, 5]),
        (ints(data_type::BOOL, &[3], &[1, 0, 1]), vec![1, 0, 1]),
        (ints(data_type::FLOAT8E4M3FN, &[1], &[0x7e]), vec![0x7e]),
        // Two 4-bit values or four 2-bit values an element, the last byte filled up.
        (ints(data_type::INT4, &[3], &[0x21, 0x03]), vec![0x21, 0x03]),
        (ints(data_type::UINT2, &[5], &[0b1110_0100, 1]), vec![0b1110_0100, 1]),
        // One 6-bit value an element; four of them make three bytes.
        (
            ints(data_type::FLOAT6E2M3, &[5], &[0b000001, 0b100010, 0b110011, 0b111111, 0b101010]),
            vec![0b1000_0001, 0b0011_1000, 0b1111_1111, 0b0010_1010],
        ),
    ];
    for (tensor, bytes) in cases {
        let name = data_type::name(tensor.data_type());
        assert_eq!(inline_bytes(&tensor).unwrap(), bytes, "{name}");
        let mut longer = tensor.clone();
        longer.dims = vec![9];
        let error = inline_bytes(&longer).unwrap_err();
        assert_eq!(error.code(), Code::GraphMalformed, "{name}");
    }
}

#[test]
fn inline_initializers_are_checked_and_found() {
    let folder = Path::new(".");
    let string = tensor("text", data_type::STRING, &[1]);
    let found = model(folder, vec![raw("a", &[1.0, 2.0]), string]);
    let weights = Weights::map(&found).unwrap();
    assert_eq!(weights.len(), 1);
    assert_eq!(weights.get("a").unwrap().location, Location::Inline);
    assert!(weights.get("text").is_none() && weights.get("b").is_none());
    let mut short = raw("a", &[1.0]);
    short.dims = vec![2];
    for broken in [vec![short], vec![raw("a", &[1.0]), raw("a", &[2.0])]] {
        let error = Weights::map(&model(folder, broken)).unwrap_err();
        assert_eq!(error.code(), Code::GraphMalformed);
        assert!(error.to_string().contains("\"a\""), "{error}");
    }
}
