//! `docs/operators.md` is what the tables of rules and expansions say. `make operators` writes it
//! anew.

use std::fmt::Write as _;
use std::path::Path;

use polygraft::autodiff::{Operator, operators};

#[test]
fn the_table_of_operators_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operators.md");
    let expected = document();
    if std::env::var_os("POLYGRAFT_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/operators.md is stale: run `make operators`");
}

/// The document promises it: some test here names every operator of the table.
#[test]
fn every_operator_has_a_case() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = std::fs::read_dir(tests.join("autodiff_rules")).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.push(tests.join("quantised_rules.rs"));
    let mut sources = String::new();
    for path in paths {
        if !path.ends_with("operators.rs") && !path.ends_with("hostile.rs") {
            sources.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let all = operators();
    let is_unnamed = |operator: &&Operator| !sources.contains(&format!("\"{}\"", operator.name));
    let untested: Vec<&str> = all.iter().filter(is_unnamed).map(|operator| operator.name).collect();
    assert!(untested.is_empty(), "no test names {untested:?}");
}

fn document() -> String {
    let mut text = String::from(
        "# Operators that gradients can pass\n\n\
         Written by `make operators` from the tables in `src/autodiff/rules/mod.rs` and\n\
         `src/autodiff/expand/mod.rs`; a test fails when it is stale.\n\n\
         A training graph needs a derivative for every operator between the adapters and the \
         loss.\nOperators elsewhere need none. `polygraft inspect FILE.onnx` says whether a model \
         can be\ntrained and, if not, which node stops it and what would help.\n\n\
         - **by rule**: the gradients of the inputs follow from that of the output.\n\
         - **by expansion**: in the training graph the node is first written out in operators \
         with rules;\n  the model that predicts keeps the fused node.\n\n\
         Gradients are computed in float and double. `If`, `Loop` and `Scan` may stand anywhere \
         off the\nway; on it they are refused. Groups of nodes that exporters write for Gelu, \
         LayerNormalization\nand RMSNormalization are recognised and differentiated as a whole.\n\n\
         Every row is compared with finite differences of ONNX Runtime's own kernels in\n\
         `tests/autodiff_rules/`, and with the cases of the ONNX project where it has some.\n\n\
         | operator | domain | from opset | how | forms |\n|---|---|---|---|---|\n",
    );
    for Operator { domain, name, since, expanded, limits } in operators() {
        let domain = if domain.is_empty() { "ai.onnx" } else { domain };
        let how = if expanded { "by expansion" } else { "by rule" };
        let forms = if limits.is_empty() { "all" } else { limits };
        writeln!(text, "| {name} | {domain} | {since} | {how} | {forms} |").unwrap();
    }
    text
}
