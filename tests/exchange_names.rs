//! The same layers under other names: wrappers around the backbone, encoders inside of models, what
//! lies behind the output, and models of other sizes.

mod exchange_support;

use exchange_support::{Copy, Fixture, adapters, fixture_path, model, tensors_of};
use polygraft::Code;
use polygraft::adapter::Adapter;
use polygraft::exchange::{self, Backbone, Format, Imported, ReadOptions, WriteOptions};
use polygraft::sites::{Site, unread_sites};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

const CONFIG: &str = "adapter_config.json";
const PEFT_TENSORS: &str = "adapter_model.safetensors";

/// The fixture's sites as an exporter names them inside of a wrapper.
fn wrapped(fixture: &Fixture, wrapper: &str) -> Vec<Site> {
    let inside =
        |site: &Site| Site { module: format!("{wrapper}.{}", site.module), ..site.clone() };
    fixture.sites().iter().map(inside).collect()
}

fn with_sites<'a>(fixture: &'a Fixture, name: &str, sites: &'a [Site]) -> Backbone<'a> {
    Backbone { sites, ..fixture.backbone(name) }
}

fn import(path: &Path, backbone: &Backbone<'_>) -> Imported {
    exchange::import(path, backbone, &ReadOptions::default())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The tensors under the names that they have without the wrapper.
fn unwrapped(adapter: &Adapter, wrapper: &str) -> BTreeMap<String, Vec<f32>> {
    let start = format!("{wrapper}.");
    let bare = |name: &String| name.strip_prefix(&start).unwrap_or(name).to_owned();
    adapter.tensors.iter().map(|(name, one)| (bare(name), one.values.to_vec())).collect()
}

#[test]
fn adapters_find_their_layers_inside_of_a_wrapper() {
    let fixture = Fixture::open();
    for wrapper in ["m", "model.0.auto_model"] {
        let sites = wrapped(&fixture, wrapper);
        for name in adapters() {
            let backbone = with_sites(&fixture, name, &sites);
            let Imported { adapter, notes } = import(&fixture_path(name), &backbone);
            let plain = fixture.read(name);
            assert_eq!(unwrapped(&adapter, wrapper), unwrapped(&plain, wrapper), "{name}");
            // Some were trained in the encoder alone, so that only one side has a prefix.
            let theirs = tensors_of(&fixture_path(name)).into_keys().next().unwrap();
            let note = format!("bert.* of the adapter is {wrapper}.* of the backbone");
            let expected = if theirs.contains("bert.") { vec![note] } else { vec![] };
            assert_eq!(notes, expected, "{name}");
        }
    }
}

#[test]
fn adapters_go_out_under_the_names_that_the_library_wants() {
    let fixture = Fixture::open();
    let sites = wrapped(&fixture, "m");
    let folder = tempfile::tempdir().unwrap();
    let (name, hub) = ("peft-lora-layers", "hub-seq-bn");
    let kind = |options: &WriteOptions| if options.within.is_some() { "as-it-is" } else { "bare" };
    let write = |name: &str, format: Format, options: &WriteOptions| {
        let backbone = with_sites(&fixture, name, &sites);
        let adapter = import(&fixture_path(name), &backbone).adapter;
        let out = folder.path().join(format!("{name}-{}-{}", options.encoder, kind(options)));
        exchange::write(&adapter, format, &out, &backbone, options).unwrap();
        let Imported { adapter: again, notes } = import(&out, &backbone);
        // The head is left out.
        for (tensor, value) in &again.tensors {
            assert_eq!(value, &adapter.tensors[tensor], "{name}: {tensor}");
        }
        let heads = adapter.tensors.keys().filter(|tensor| tensor.starts_with("head.")).count();
        assert_eq!(again.tensors.len() + heads, adapter.tensors.len(), "{name}");
        (tensors_of(&out).into_keys().next().unwrap(), notes)
    };
    let none = WriteOptions { without_head: true, ..WriteOptions::default() };
    let bert = WriteOptions { encoder: "bert".to_owned(), ..none.clone() };
    let kept = WriteOptions { within: Some(String::new()), ..none.clone() };
    let (first, notes) = write(name, Format::Peft, &none);
    assert!(first.starts_with("base_model.model.encoder.layer."), "{first}");
    assert_eq!(notes, Vec::<String>::new());
    let (first, notes) = write(name, Format::Peft, &bert);
    assert!(first.starts_with("base_model.model.bert.encoder.layer."), "{first}");
    assert_eq!(notes.len(), 1);
    assert!(write(name, Format::Peft, &kept).0.starts_with("base_model.model.m.encoder.layer."));
    assert!(write(hub, Format::AdapterHub, &none).0.starts_with("encoder.layer."));
    assert!(write(hub, Format::AdapterHub, &bert).0.starts_with("bert.encoder.layer."));

    // The file of ONNX Runtime has the names of the graph's inputs, of whichever graph.
    let path = folder.path().join("a.onnx_adapter");
    let plain = fixture.read(name);
    exchange::write(&plain, Format::OnnxAdapter, &path, &fixture.backbone(name), &none).unwrap();
    let backbone = with_sites(&fixture, name, &sites);
    let read = import(&path, &backbone).adapter;
    assert_eq!(read.tensors.len(), plain.tensors.len());
    assert!(
        read.tensors.keys().all(|name| name.starts_with("m.encoder.")),
        "{:?}",
        read.components
    );
}

#[test]
fn one_of_several_encoders_is_named_by_an_option() {
    let fixture = Fixture::open();
    let mut sites = wrapped(&fixture, "queries");
    sites.extend(wrapped(&fixture, "passages"));
    let name = "peft-lora-layers";
    let backbone = with_sites(&fixture, name, &sites);
    let read = |within: Option<&str>, encoder: Option<&str>| {
        let (within, encoder) = (within.map(str::to_owned), encoder.map(str::to_owned));
        let options = ReadOptions { within, encoder, ..ReadOptions::default() };
        exchange::import(&fixture_path(name), &backbone, &options)
    };
    let error = read(None, None).unwrap_err();
    assert_eq!(error.code(), Code::AdapterUnsupported);
    let text = error.to_string();
    assert!(text.contains("--within passages") && text.contains("--within queries"), "{text}");
    let found = read(Some("passages"), None).unwrap().adapter;
    assert!(found.tensors.keys().all(|name| name.starts_with("passages.")));
    let found = read(Some("queries"), Some("")).unwrap().adapter;
    assert!(found.tensors.keys().all(|name| name.starts_with("queries.")));
    let text = read(None, Some("roberta")).unwrap_err().to_string();
    assert!(text.contains("is no linear layer"), "{text}");
}

/// Adds a low-rank product on a module that the backbone does not have.
fn add_module(copy: &Copy, module: &str, target: &str) {
    copy.edit(CONFIG, |config| {
        config["layers_to_transform"] = json!(null);
        let targets = config["target_modules"].as_array_mut().unwrap();
        targets.push(json!(target));
    });
    copy.edit_tensors(PEFT_TENSORS, |tensors| {
        for (end, shape) in [("lora_A", [4, 32]), ("lora_B", [32, 4])] {
            let name = format!("base_model.model.{module}.{end}.weight");
            tensors.insert(name, (shape.to_vec(), vec![0; 4 * 4 * 32]));
        }
    });
}

#[test]
fn what_lies_behind_the_output_is_left_out_with_a_note() {
    let fixture = Fixture::open();
    let copy = Copy::of("peft-lora-head");
    add_module(&copy, "bert.pooler.dense", "pooler.dense");
    let backbone = fixture.backbone("peft-lora-head");
    let error = exchange::read(copy.path(), &backbone, &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("--head-on-pooled"), "{error}");
    let options = ReadOptions { head_on_pooled: true, ..ReadOptions::default() };
    let Imported { adapter, notes } = exchange::import(copy.path(), &backbone, &options).unwrap();
    assert_eq!(adapter, fixture.read("peft-lora-head"));
    let note = "left out, because the output does not depend on it: bert.pooler.dense";
    assert_eq!(notes, [note]);

    // A layer of the same kind that is missing, and one that might matter, are not left out.
    for module in ["bert.encoder.layer.7.output.dense", "bert.embeddings.projection"] {
        let copy = Copy::of("peft-lora-head");
        add_module(&copy, module, module);
        let text = copy.refused(&fixture).to_string();
        assert!(text.contains("is no linear layer"), "{text}");
    }
}

#[test]
fn layers_of_the_graph_that_the_output_does_not_use_are_left_out() {
    let fixture = Fixture::open();
    let (model, _) = model("backbone.onnx");
    let graph = model.graph().unwrap();
    let all = unread_sites(graph, fixture.sites(), &["last_hidden_state"]).unwrap();
    assert_eq!(all, Vec::<String>::new());
    // The output of the first layer alone does not depend on the second.
    let first: Vec<&Site> =
        fixture.sites().iter().filter(|site| site.module.contains("layer.0.")).collect();
    let last = &graph.node[*first.last().unwrap().nodes.last().unwrap()].output[0];
    let unread = unread_sites(graph, fixture.sites(), &[last]).unwrap();
    assert!(unread.iter().all(|module| module.contains("layer.1.")), "{unread:?}");
    assert_eq!(unread.len(), fixture.sites().len() - first.len());

    for name in ["peft-rslora-regex", "hub-ia3", "hub-seq-bn"] {
        let backbone = Backbone { unread: &unread, ..fixture.backbone(name) };
        let Imported { adapter, notes } = import(&fixture_path(name), &backbone);
        let is_kept = |name: &&String| !name.contains("layer.1.");
        let (found, plain) = (adapter.tensors, fixture.read(name).tensors);
        assert!(found.keys().filter(is_kept).eq(plain.keys().filter(is_kept)), "{name}");
        // A bottleneck stands in every sub-layer; there it adds nothing.
        let rest = found.iter().filter(|(name, _)| !is_kept(name));
        let is_empty = rest.flat_map(|(_, one)| one.values.iter()).all(|value| *value == 0.0);
        assert!(is_empty && (name == "hub-seq-bn" || found.keys().all(|name| is_kept(&name))));
        assert!(notes[0].starts_with("left out") && notes[0].contains("layer.1."), "{notes:?}");
    }
    let backbone = Backbone { unread: &unread, ..fixture.backbone("peft-lora-layers") };
    let path = fixture_path("peft-lora-layers");
    let error = exchange::read(&path, &backbone, &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("depends on none of its modules"), "{error}");
}

/// Files as the libraries write them, for other models or with features that polygraft does not
/// support, are never called malformed.
#[test]
fn sound_files_are_not_called_malformed() {
    let fixture = Fixture::open();
    let mut deeper = fixture.sites().to_vec();
    deeper.extend(
        fixture.sites().iter().filter(|site| site.module.contains("layer.1.")).map(|site| Site {
            module: site.module.replace("layer.1.", "layer.2."),
            ..site.clone()
        }),
    );
    let mut wider = fixture.sites().to_vec();
    wider
        .iter_mut()
        .for_each(|site| (site.inputs, site.outputs) = (site.inputs * 2, site.outputs * 2));
    let unsupported = |error: polygraft::Error, expected: &str| {
        let text = error.to_string();
        assert_eq!(error.code(), Code::AdapterUnsupported, "{text}");
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    };
    for name in adapters() {
        let plain = ReadOptions::default();
        let wide = Backbone { hidden: 64, pooled: 64, ..with_sites(&fixture, name, &wider) };
        let error = exchange::read(&fixture_path(name), &wide, &plain).unwrap_err();
        unsupported(error, "size");
        if name != "peft-lora-layers" {
            let deep = with_sites(&fixture, name, &deeper);
            let error = exchange::read(&fixture_path(name), &deep, &plain).unwrap_err();
            unsupported(error, "layers");
        }
    }
    let copy = Copy::of("peft-lora-layers");
    copy.edit(CONFIG, |config| config["peft_type"] = json!("OFT"));
    unsupported(copy.refused(&fixture), "OFT");
    let copy = Copy::of("peft-lora-head");
    std::fs::remove_file(copy.path().join("config.json")).unwrap();
    unsupported(copy.refused(&fixture), "--labels");
    // The tensors alone, and the folder above.
    let tensors = fixture_path("peft-lora-layers").join(PEFT_TENSORS);
    let backbone = fixture.backbone("peft-lora-layers");
    let refused =
        |path: &Path| exchange::read(path, &backbone, &ReadOptions::default()).unwrap_err();
    unsupported(refused(&tensors), "give the folder");
    unsupported(refused(&fixture_path("")), "there is one in");
}
