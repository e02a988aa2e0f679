//! The command and the kinds of adapters: what `inspect --adapters` prints, which flags of `update`
//! go together.

mod cli_support;

use cli_support::{cache, polygraft, run};
use polygraft::graph::Model;

/// Parameters of an adapter on the reference backbone: 12 layers of hidden size 384 and inner size
/// 1536.
const LAYERS: u64 = 12;
const HIDDEN: u64 = 384;
const INNER: u64 = 1536;

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn inspect_counts_what_each_kind_adds_and_measures_it() {
    let bundle = cache("bundle/e5-small");
    let found = run(polygraft().args(["inspect", "--adapters", "--json"]).arg(&bundle)).json();
    let roles = &found["adapters"]["roles"];
    for (role, count) in [
        ("attention_output", 12),
        ("feed_forward_input", 12),
        ("feed_forward_output", 12),
        ("other", 36),
    ] {
        assert_eq!(roles[role], count, "{role}");
    }
    let rows = found["adapters"]["rows"].as_array().unwrap();
    let rank = 8;
    let square = 2 * rank * HIDDEN;
    let (width, bottleneck) = (HIDDEN / 16, |width: u64| 2 * HIDDEN * width + width + HIDDEN);
    let expected = [
        ("lora", LAYERS * 2 * square),
        ("lora", LAYERS * (4 * square + 2 * rank * (HIDDEN + INNER))),
        ("bottleneck", LAYERS * 2 * bottleneck(width)),
        ("bottleneck", LAYERS * bottleneck(width)),
        ("bottleneck", LAYERS * bottleneck(width)),
        ("ia3", LAYERS * (2 * HIDDEN + INNER)),
    ];
    assert_eq!(rows.len(), expected.len());
    for (row, (kind, parameters)) in rows.iter().zip(expected) {
        assert_eq!(row["kind"], kind);
        assert_eq!(row["parameters"], parameters, "{row}");
        for milliseconds in row["milliseconds"].as_array().unwrap() {
            assert!(milliseconds.as_f64().unwrap() > 0.0);
        }
    }
    assert_eq!(found["sites"][0]["role"], "other");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_graph_that_is_no_encoder_is_counted_and_not_measured() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert-fused-erf");
    for file in std::fs::read_dir(fixture).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let path = folder.path().join("model.onnx");
    let mut model = Model::read(&path).unwrap();
    let graph = model.graph_mut().unwrap();
    for info in graph.input.iter_mut().filter(|info| info.name() == "input_ids") {
        info.name = Some("pixels".to_owned());
    }
    for name in graph.node.iter_mut().flat_map(|node| &mut node.input) {
        if name == "input_ids" {
            "pixels".clone_into(name);
        }
    }
    std::fs::write(&path, model.to_bytes()).unwrap();
    let ran = run(polygraft().args(["inspect", "--adapters"]).arg(&path));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("time not measured: the graph is no encoder"), "{}", ran.stdout);
    assert!(ran.stdout.contains("feed_forward_output"), "{}", ran.stdout);
}

#[test]
fn flags_that_do_not_go_together_are_usage_errors() {
    let net = ["--adapter", "bottleneck"];
    let cases: [(&[&str], &str); 5] = [
        (&["--adapter", "prefix"], "prefix"),
        (
            &[
                net[0],
                net[1],
                "--bottleneck-placement",
                "parallel",
                "--bottleneck-sub-layers",
                "both",
            ],
            "beside a feed-forward",
        ),
        (&[net[0], net[1], "--bottleneck-reduction-factor", "0"], "bottleneck.reduction_factor"),
        (&["--lora-rank-pattern", "query"], "equals sign"),
        (&["--lora-rank-pattern", "query=0"], "rank_pattern"),
    ];
    for (flags, expected) in cases {
        let mut command = polygraft();
        command.args(["update", "--bundle", "none", "--store", "none", "--task", "intent"]);
        let ran = run(command.args(["--examples", "none.jsonl"]).args(flags));
        assert_eq!(ran.code, 2, "{flags:?} {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{flags:?} {}", ran.stderr);
    }
}
