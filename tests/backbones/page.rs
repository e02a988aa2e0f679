//! The matrix as a document: `docs/backbones.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::record::Row;

const INTRODUCTION: &str = "\
# Backbones

This page shows on which exported models adapters train, and how exact their gradients are.
`POLYGRAFT_BLESS=1 cargo test --test backbones` writes it, and `cargo test --test backbones` fails
when a cell that is green here turns red. The rows are also in
[results/backbones.json](results/backbones.json).

Each cell is one model file with one kind of adapter. The models have random weights, 2 layers and a
hidden size of 32, and are built from the configurations of `transformers`; the encoder and the
decoder of a sequence-to-sequence model are separate files. `tests/oracle/backbones/` builds and
exports them, with the releases that its requirements pin. A cell is green when polygraft finds the
sites of PyTorch's modules by itself, and the output, the gradient of every adapter tensor and every
tensor after one step of AdamW equal PyTorch's in double precision, with a relative error of at most
1e-4. A cell shows the largest relative error of a gradient over all of its tensors:
`|g - reference| / |reference|`.

**LoRA**: rank 4 on every linear layer of attention and feed-forward. **Bottleneck**: width 8,
GELU, after the last linear layer of every sub-layer. **(IA)3**: a factor on the output of every
linear layer that LoRA is on, except the last one of each feed-forward, where it is on the input.
**torchscript**: `torch.onnx.export(dynamo=False)`. **dynamo**: `torch.onnx.export(dynamo=True)`.
**optimum**: Optimum's exporter; **optimum-o1** and **optimum-o2**: the same, followed by ONNX
Runtime's transformer optimiser as Optimum's levels call it, which writes fused `com.microsoft`
operators. The number is the opset. An empty cell has no file: the exporter cannot write it, or it
would show nothing new.

Some of these files also exist with rounded weights, as ONNX Runtime's tools write them. In
**fp16**, graphs of dynamo compute in float16 throughout and those of Optimum have float16 weights
with a `Cast`; **int8** is the output of `quantize_dynamic`, which also quantises activations;
**q4** has 4 bits in blocks of 32, as `MatMulNBits` in graphs of Optimum and as `DequantizeLinear`
in those of dynamo. PyTorch then computes with the dequantised weights, and for int8 quantises the
same activations and passes gradients straight through ([quantised.md](quantised.md)). The batch is
one in which no activation lies within 1e-4 quantisation steps of a rounding boundary, where single
and double precision would round differently. One step of AdamW shows nothing there that the
gradients do not, and is compared with float32 weights only.
";

/// Advice for a reason that contains these words. Every red cell needs an entry.
const HELP: [(&str, &str); 6] = [
    (
        "the output differs by",
        "Adapters reach only some uses of a layer that is used more than once. ALBERT: the \
         optimiser has packed query, key and value of one of its two layers, and not of the \
         other. DeBERTa: its keys and queries also project the relative positions, which are \
         constants, and the optimiser has folded those products into constants. Use \
         bottlenecks, or export without the optimiser.",
    ),
    (
        "_quant_output_scale_mul",
        "The quantiser drops the module names that the dynamo exporter writes, and layers without \
         a bias keep only the name of their node. Attach by these names or by role, or quantise an \
         export of Optimum or of the TorchScript exporter, whose nodes are named after modules.",
    ),
    (
        "no module of the backbone is named",
        "The optimiser has packed query, key and value into one fused `com.microsoft.Attention`, \
         where they are no longer separate layers. Attach to the other layers, use bottlenecks, or \
         export without fusing attention (Optimum's level O1).",
    ),
    (
        "the rank of",
        "The exporter left the shape of this value undefined. Export with the TorchScript \
         exporter of PyTorch 2.9 or later, or with the dynamo exporter.",
    ),
    (
        "whose output is a linear layer that a residual sum takes",
        "The optimiser has fused the residual sum in a form in which polygraft does not find the \
         end of the sub-layer. Use LoRA, or export without fusing (Optimum's level O1).",
    ),
    ("there is no derivative rule", "Export without the operator named, or use another opset."),
];

/// The rows as a markdown page.
pub fn page(rows: &[Row]) -> String {
    let mut text = INTRODUCTION.to_owned();
    count(&mut text, rows);
    let groups: BTreeSet<(&str, &str)> =
        rows.iter().map(|row| (row.weights.as_str(), row.adapter.as_str())).collect();
    let mut groups: Vec<_> = groups.into_iter().rev().collect();
    groups.sort_by_key(|(weights, _)| *weights != "fp32");
    for (weights, adapter) in groups {
        let chosen = rows.iter().filter(|row| row.weights == weights && row.adapter == adapter);
        table(&mut text, &title(weights, adapter), &chosen.collect::<Vec<_>>());
    }
    red(&mut text, rows);
    text
}

/// How many cells are green, in all and by weights.
fn count(text: &mut String, rows: &[Row]) {
    let green: Vec<&Row> = rows.iter().filter(|row| row.is_green()).collect();
    let worst = green.iter().filter_map(|row| row.gradient_error).fold(0.0, f64::max);
    let architectures: BTreeSet<&str> = rows.iter().map(|row| row.architecture.as_str()).collect();
    let (some, all, architectures) = (green.len(), rows.len(), architectures.len());
    writeln!(
        text,
        "\n{some} of {all} cells are green, over {architectures} architectures; their largest \
         error is {worst:.0e}."
    )
    .unwrap();
    let kinds: BTreeSet<&str> = rows.iter().map(|row| row.weights.as_str()).collect();
    let counts = kinds.into_iter().map(|weights| {
        let all = rows.iter().filter(|row| row.weights == weights).count();
        let green = green.iter().filter(|row| row.weights == weights).count();
        format!("{weights} {green} of {all}")
    });
    let counts: Vec<String> = counts.collect();
    writeln!(text, "By weights: {}.", counts.join(", ")).unwrap();
}

fn title(weights: &str, adapter: &str) -> String {
    let adapter = match adapter {
        "lora" => "LoRA",
        "bottleneck" => "Bottleneck",
        "ia3" => "(IA)3",
        other => other,
    };
    if weights == "fp32" { adapter.to_owned() } else { format!("{adapter}, weights {weights}") }
}

/// One line per architecture, one column per exporter and opset.
fn table(text: &mut String, title: &str, rows: &[&Row]) {
    let columns: BTreeSet<(&str, i64)> =
        rows.iter().map(|row| (row.exporter.as_str(), row.opset)).collect();
    let mut lines = BTreeMap::<&str, BTreeMap<(&str, i64), String>>::new();
    for row in rows {
        let cell = match row.gradient_error {
            Some(error) => format!("{error:.0e}"),
            None => "**red**".to_owned(),
        };
        let line = lines.entry(&row.architecture).or_default();
        line.insert((&row.exporter, row.opset), cell);
    }
    let heads = columns.iter().map(|(exporter, opset)| format!(" {exporter} {opset} |"));
    let heads: String = heads.collect();
    writeln!(text, "\n## {title}\n\n| architecture |{heads}").unwrap();
    writeln!(text, "|---|{}", "---|".repeat(columns.len())).unwrap();
    for (architecture, cells) in lines {
        let cell = |column| cells.get(column).map_or("", String::as_str);
        let cells: String = columns.iter().map(|column| format!(" {} |", cell(column))).collect();
        writeln!(text, "| {architecture} |{cells}").unwrap();
    }
}

/// Every red cell with its reason and what would help.
fn red(text: &mut String, rows: &[Row]) {
    let mut reasons = BTreeMap::<&str, Vec<String>>::new();
    for row in rows.iter().filter(|row| !row.is_green()) {
        let Row { architecture, exporter, opset, weights, adapter, .. } = row;
        let kind = title(weights, adapter);
        let cell = format!("{architecture}, {exporter} {opset}, {kind}");
        reasons.entry(help(&row.reason)).or_default().push(format!("{cell}: {}", row.reason));
    }
    if reasons.is_empty() {
        return;
    }
    text.push_str("\n## What is red, and why\n");
    for (help, cells) in reasons {
        writeln!(text, "\n{help}\n").unwrap();
        for cell in cells {
            writeln!(text, "- {cell}").unwrap();
        }
    }
}

fn help(reason: &str) -> &'static str {
    let known = HELP.iter().find(|(words, _)| reason.contains(words));
    known.map_or("Not explained yet.", |(_, help)| help)
}

/// Whether there is advice for this reason.
pub fn is_explained(reason: &str) -> bool {
    HELP.iter().any(|(words, _)| reason.contains(words))
}
