//! Making bundles.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use polygraft::Code;
use polygraft::bundle::{
    Bundle, BundlePhase, CreateOptions, MANIFEST_FILE, Manifest, Pooling, Verify, create, inspect,
};
use polygraft::graph::{GraphProto, Location, Model, ModelProto, TensorType, Weights, data_type};
use serde_json::json;

use crate::workshop::{
    EMBEDDINGS, HIDDEN, POSITIONS, Workshop, flip_byte, small_model, small_tokenizer,
};

/// Every initializer of `found` has the type, dimensions and bytes it has in `expected`.
fn assert_same_weights(expected: &Weights, found: &Weights) {
    assert_eq!(expected.len(), found.len());
    for (expected, found) in expected.iter().zip(found.iter()) {
        assert_eq!(expected.name, found.name);
        assert_eq!((expected.data_type, expected.dims), (found.data_type, found.dims));
        assert!(expected.bytes == found.bytes, "the bytes of {}", expected.name);
    }
}

/// The message without where its tensors' values lie.
fn without_values(model: &Model) -> ModelProto {
    let mut proto = model.proto.clone();
    for tensor in &mut proto.graph.as_mut().unwrap().initializer {
        tensor.raw_data = None;
        tensor.float_data.clear();
        tensor.int64_data.clear();
        tensor.external_data.clear();
        tensor.data_location = None;
    }
    proto
}

#[test]
fn a_bundle_holds_the_model_unchanged_with_its_weights_outside() {
    let workshop = Workshop::new();
    let mut phases = Vec::new();
    let bundle = create(&workshop.options(), &mut |progress| phases.push(progress.phase)).unwrap();
    assert_eq!(phases.first(), Some(&BundlePhase::Read));
    assert_eq!(phases.last(), Some(&BundlePhase::Hash));
    assert!(phases.contains(&BundlePhase::Write));

    let source = Model::read(&workshop.path("model.onnx")).unwrap();
    assert_same_weights(&Weights::map(&source).unwrap(), bundle.weights());
    // What an open bundle gives is prepared for adapters; the file is what was brought.
    let graph = &bundle.manifest().backbone.graph;
    let written = Model::read(&bundle.folder().join(graph)).unwrap();
    assert_eq!(without_values(&source), without_values(&written));
    for weight in bundle.weights().iter() {
        match weight.location {
            Location::External { offset, .. } => assert_eq!(offset % 4096, 0, "{}", weight.name),
            Location::Inline => assert!(weight.bytes.len() < 1024, "{}", weight.name),
        }
    }

    let manifest = bundle.manifest();
    assert_eq!(manifest.backbone.inputs.input_ids, "input_ids");
    assert_eq!(manifest.backbone.inputs.token_type_ids, None);
    assert_eq!((manifest.backbone.output.as_str(), manifest.backbone.hidden), ("states", HIDDEN));
    assert_eq!((manifest.backbone.opset, manifest.tokens_max), (17, POSITIONS));
    assert_eq!((manifest.pooling, manifest.prefix.as_str()), (Pooling::Mean, "query: "));
    assert_eq!(bundle.interface().embeddings, Some(EMBEDDINGS));
    assert_eq!(bundle.tokenizer().vocabulary_size(), EMBEDDINGS);
    assert_eq!(bundle.backbone_hash().len(), 64);
    for record in &manifest.files {
        let bytes = fs::read(bundle.folder().join(&record.path)).unwrap();
        assert_eq!(record.blake3, blake3::hash(&bytes).to_hex().as_str(), "{}", record.path);
        assert_eq!(record.size_bytes, bytes.len() as u64);
    }
    assert_eq!(workshop.names(), ["bundle", "model.onnx", "tokenizer.json"]);
}

#[test]
fn the_same_sources_give_the_same_identity_and_other_weights_another() {
    let workshop = Workshop::new();
    let first = workshop.create().unwrap().backbone_hash().to_owned();
    let mut options = workshop.options();
    options.out = workshop.path("second");
    options.prefix = String::new();
    options.pooling = Pooling::Cls;
    let second = create(&options, &mut |_| {}).unwrap();
    assert_eq!(second.backbone_hash(), first);

    let mut proto = small_model();
    proto.graph.as_mut().unwrap().initializer[0].float_data[7] += 1.0;
    workshop.write_model(&proto);
    options.out = workshop.path("third");
    assert_ne!(create(&options, &mut |_| {}).unwrap().backbone_hash(), first);
}

#[test]
fn an_existing_folder_is_kept() {
    let workshop = Workshop::new();
    let first = workshop.create().unwrap();
    let error = workshop.create().unwrap_err();
    assert_eq!(error.code(), Code::ArgumentInvalid, "{error}");

    let mut options = workshop.options();
    options.overwrite = true;
    options.prefix = "passage: ".to_owned();
    let second = create(&options, &mut |_| {}).unwrap();
    assert_eq!(second.manifest().prefix, "passage: ");
    // The replaced bundle stays usable while it is open.
    assert_same_weights(second.weights(), first.weights());
    assert_eq!(workshop.names(), ["bundle", "model.onnx", "tokenizer.json"]);

    let other = workshop.path("precious");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("diary.txt"), "dear diary").unwrap();
    options.out = other.clone();
    let error = create(&options, &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), Code::ArgumentInvalid, "{error}");
    assert_eq!(fs::read_to_string(other.join("diary.txt")).unwrap(), "dear diary");
}

/// Replaces a bundle again and again while `look` looks at it, as often as it can.
fn replace_beside(look: impl Fn(&Workshop) + Sync) {
    const REPLACEMENTS_COUNT: usize = 30;
    let workshop = Workshop::new();
    workshop.create().unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                look(&workshop);
            }
        });
        for number in 0..REPLACEMENTS_COUNT {
            // Another size of the graph, so that no file of one fits the manifest of the other.
            let mut model = small_model();
            model.doc_string = Some("x".repeat(number));
            workshop.write_model(&model);
            let options = CreateOptions { overwrite: true, ..workshop.options() };
            create(&options, &mut |_| {}).unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
        looking.join().unwrap();
    });
    assert_eq!(workshop.names(), ["bundle", "model.onnx", "tokenizer.json"]);
}

#[test]
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn a_bundle_that_is_replaced_is_there_at_every_moment() {
    replace_beside(|workshop| {
        let manifest = workshop.path("bundle").join(MANIFEST_FILE);
        assert!(manifest.exists(), "there was neither the old bundle nor the new one");
    });
}

#[test]
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn a_bundle_that_is_opened_while_it_is_replaced_is_the_old_or_the_new_one() {
    replace_beside(|workshop| {
        workshop.open(Verify::Full).unwrap();
    });
}

#[test]
fn a_failed_creation_leaves_nothing_behind() {
    let workshop = Workshop::new();
    fs::write(workshop.path("tokenizer.json"), small_tokenizer(EMBEDDINGS + 1).to_string())
        .unwrap();
    let error = workshop.create().unwrap_err();
    assert_eq!(error.code(), Code::BundleTokenizer, "{error}");
    assert!(error.to_string().contains("64"), "{error}");
    let mut options = workshop.options();
    options.out = workshop.path("tokenizer.json/bundle");
    fs::write(workshop.path("tokenizer.json"), small_tokenizer(EMBEDDINGS).to_string()).unwrap();
    let error = create(&options, &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), Code::IoWrite, "{error}");
    assert_eq!(workshop.names(), ["model.onnx", "tokenizer.json"]);
    // Missing folders above the bundle are made.
    options.out = workshop.path("missing/bundle");
    create(&options, &mut |_| {}).unwrap();
}

#[test]
fn the_limit_of_tokens_comes_from_the_positions() {
    let limit = |edit: fn(&mut GraphProto)| {
        let workshop = Workshop::new();
        let mut proto = small_model();
        edit(proto.graph.as_mut().unwrap());
        workshop.write_model(&proto);
        workshop.create().unwrap().manifest().tokens_max
    };
    // A running sum of the mask is 1 for the first token, so the first row is none of a text's.
    let counted = limit(|graph| {
        let mut count = graph.node[0].clone();
        count.op_type = Some("CumSum".to_owned());
        count.input = vec!["attention_mask".to_owned(), "position_ids".to_owned()];
        count.output = vec!["counted".to_owned()];
        graph.node[1].input[1] = "counted".to_owned();
        graph.node.insert(0, count);
    });
    assert_eq!(counted, POSITIONS - 1);
    let without = limit(|graph| {
        graph.node.remove(1);
        graph.node[1].input[1] = "word".to_owned();
    });
    assert_eq!(without, 512);
    let cast = limit(|graph| {
        let mut cast = graph.node[0].clone();
        cast.op_type = Some("Cast".to_owned());
        cast.input = vec!["input_ids".to_owned()];
        cast.output = vec!["cast_ids".to_owned()];
        graph.node[0].input[1] = "cast_ids".to_owned();
        graph.node.insert(0, cast);
    });
    assert_eq!(cast, POSITIONS);
}

/// Marks the child process of the next test.
#[cfg(unix)]
const CHILD_VARIABLE: &str = "POLYGRAFT_TEST_FULL_DISK";

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_behind() {
    if std::env::var_os(CHILD_VARIABLE).is_some() {
        return create_with_full_disk();
    }
    // A process of its own, because the limit holds for all of its threads.
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "create::a_full_disk_leaves_nothing_behind"])
        .env(CHILD_VARIABLE, "1")
        // The limit would also hold for a log file that this process writes to.
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(child.success());
}

/// Makes a bundle where no file may grow beyond a few kilobytes, as on a disk that is full.
#[cfg(unix)]
fn create_with_full_disk() {
    let workshop = Workshop::new();
    let limit = libc::rlimit { rlim_cur: 4_096, rlim_max: 4_096 };
    // SAFETY: both calls only change how this process, which runs nothing but this test, may
    // write files: at the limit, writes fail instead of killing it.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
    }
    let error = workshop.create().unwrap_err();
    assert_eq!(error.code(), Code::IoFull, "{error}");
    assert_eq!(workshop.names(), ["model.onnx", "tokenizer.json"]);
}

#[test]
fn models_that_are_no_encoders_are_refused() {
    let graph = |edit: fn(&mut GraphProto)| {
        let mut proto = small_model();
        edit(proto.graph.as_mut().unwrap());
        proto
    };
    let cases = [
        ("no mask", graph(|graph| drop(graph.input.pop()))),
        ("an unknown input", graph(|graph| graph.input[1].name = Some("speaker".to_owned()))),
        (
            "float ids",
            graph(|graph| {
                let float = TensorType::unranked(data_type::FLOAT).to_proto();
                graph.input[0].r#type = Some(float);
            }),
        ),
        ("no output", graph(|graph| graph.output.clear())),
        (
            "logits",
            graph(|graph| {
                let logits = TensorType::of_dims(data_type::FLOAT, &[-1, 3]);
                graph.output[0] = logits.to_value_info("position");
            }),
        ),
    ];
    for (what, proto) in cases {
        let workshop = Workshop::new();
        workshop.write_model(&proto);
        let error = workshop.create().unwrap_err();
        assert_eq!(error.code(), Code::GraphUnsupported, "{what}: {error}");
    }
    let workshop = Workshop::new();
    let mut options = workshop.options();
    options.output = Some("logits".to_owned());
    let error = create(&options, &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), Code::GraphUnsupported, "{error}");
}

#[test]
fn options_out_of_range_are_refused() {
    let workshop = Workshop::new();
    // The prefix alone has eight tokens.
    for tokens_max in [0, 1, 8, POSITIONS + 1] {
        let mut options = workshop.options();
        options.tokens_max = Some(tokens_max);
        let error = create(&options, &mut |_| {}).unwrap_err();
        assert_eq!(error.code(), Code::ArgumentInvalid, "{tokens_max}: {error}");
    }
    let mut options = workshop.options();
    options.prefix = "x".repeat(2_000);
    assert_eq!(create(&options, &mut |_| {}).unwrap_err().code(), Code::ArgumentInvalid);
    assert_eq!("median".parse::<Pooling>().unwrap_err().code(), Code::ArgumentInvalid);
}

#[test]
fn an_inspection_counts_what_is_there() {
    let workshop = Workshop::new();
    let bundle = workshop.create().unwrap();
    let found = serde_json::to_value(inspect(bundle.model(), bundle.weights()).unwrap()).unwrap();
    assert_eq!(found["operators"], json!({ "Add": 1, "Gather": 2 }));
    assert_eq!(found["opsets"], json!({ "ai.onnx": 17 }));
    assert_eq!(found["inputs"][0]["shape"], json!(["batch", "sequence"]));
    assert_eq!(found["outputs"][0]["data_type"], "float");
    let floats = 4 * HIDDEN * (EMBEDDINGS + POSITIONS);
    assert_eq!(found["types"]["float"], json!({ "count": 2, "size_bytes": floats }));
    assert_eq!(found["inline"], json!({ "count": 1, "size_bytes": 24 }));
    assert_eq!(found["weights"], json!({ "count": 3, "size_bytes": floats + 24 }));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_reference_backbone_becomes_a_bundle() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/backbone/e5-small");
    assert!(source.exists(), "{} is missing: run `make setup` first", source.display());
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = CreateOptions {
        onnx: source.join("model.onnx"),
        tokenizer: source.join("tokenizer.json"),
        pooling: Pooling::Mean,
        layers: Vec::new(),
        tokens_stated: None,
        prefix: "query: ".to_owned(),
        tokens_max: None,
        output: None,
        upcast: false,
        out: folder.path().join("e5"),
        overwrite: false,
    };
    let bundle = create(&options, &mut |_| {}).unwrap();
    let manifest: &Manifest = bundle.manifest();
    assert_eq!((manifest.backbone.hidden, manifest.tokens_max), (384, 512));
    assert_eq!(manifest.backbone.output, "last_hidden_state");
    assert_eq!(manifest.backbone.inputs.token_type_ids.as_deref(), Some("token_type_ids"));
    assert_eq!(bundle.interface().embeddings, Some(250_037));
    assert!(bundle.tokenizer().is_compiled());
    let encoding = bundle.tokenizer().encode("query: hello world, how are you", 512).unwrap();
    assert_eq!(encoding.ids, [0, 41, 1294, 12, 33600, 31, 8999, 4, 3642, 621, 398, 2]);

    let model = Model::read(&options.onnx).unwrap();
    assert_same_weights(&Weights::map(&model).unwrap(), bundle.weights());
    assert_eq!(without_values(&model), without_values(bundle.model()));
    Bundle::open(&options.out, Verify::Full).unwrap();

    // One byte in the middle of the weights: too large for the quick check, found by the full one.
    let data = options.out.join(&manifest.backbone.data[0]);
    drop(bundle);
    flip_byte(&data, 200_000_000);
    Bundle::open(&options.out, Verify::Quick).unwrap();
    let error = Bundle::open(&options.out, Verify::Full).unwrap_err();
    assert_eq!(error.code(), Code::BundleMismatch, "{error}");
    assert!(error.to_string().contains("backbone.onnx.data"), "{error}");
}
