//! The heads on an encoder, as graph nodes.
//!
//! `logits = read head.weight + head.bias` for the whole input, where [`pooling`] makes `read` of
//! the hidden states, and `tag_logits = hidden tags.weight + tags.bias` for each token. Both heads
//! are inputs. With defaults a run may omit them, and they have no outputs then, so one session
//! serves every task and the bare backbone.

use super::pooling;
use crate::adapter::{self, HeadInputs, HeadName};
use crate::bundle::{Bundle, Interface, Pooler};
use crate::graph::{Builder, Dim, GraphProto, TensorType, data_type};

pub use pooling::POOLED;
pub(crate) use pooling::with_axes;
/// The logits of the whole input, `[batch, labels]`.
pub const LOGITS: &str = "polygraft.logits";
/// The logits of each token, `[batch, sequence, tags]`.
pub const TAG_LOGITS: &str = "polygraft.tag_logits";

/// The sizes of what the heads on a bundle read.
pub fn inputs(bundle: &Bundle) -> HeadInputs {
    HeadInputs { pooled: bundle.pooler().size, hidden: bundle.interface().hidden }
}

/// Adds pooling and the heads; with `defaults` a run may omit them.
pub fn add(
    graph: &mut GraphProto,
    backbone: &Interface,
    pooler: &Pooler<'_>,
    heads: &[HeadName],
    defaults: bool,
) {
    let inputs = HeadInputs { pooled: pooler.size, hidden: backbone.hidden };
    for head in heads {
        declare(graph, *head, inputs.of(*head), defaults);
    }
    let mut builder = Builder::new(graph, "polygraft/");
    let mut outputs = Vec::new();
    if heads.contains(&HeadName::Labels) {
        let read = pooling::add(&mut builder, backbone, pooler);
        add_linear(&mut builder, &read, HeadName::Labels, LOGITS);
        outputs.extend([(POOLED, vec!["batch", "pooled"]), (LOGITS, vec!["batch", "labels"])]);
    }
    if heads.contains(&HeadName::Tags) {
        add_linear(&mut builder, &backbone.output, HeadName::Tags, TAG_LOGITS);
        outputs.push((TAG_LOGITS, vec!["batch", "sequence", "tags"]));
    }
    for (name, dims) in outputs {
        let dim = |name: &str| match name {
            "pooled" => Dim::Known(pooler.size as i64),
            name => Dim::Symbol(name.to_owned()),
        };
        let shape = dims.into_iter().map(dim).collect();
        graph.output.push(TensorType::new(data_type::FLOAT, shape).to_value_info(name));
    }
}

fn declare(graph: &mut GraphProto, head: HeadName, inputs: usize, defaults: bool) {
    let outputs = match head {
        HeadName::Labels => "labels",
        HeadName::Tags => "tags",
    };
    let outputs = || Dim::Symbol(outputs.to_owned());
    let inputs = Dim::Known(inputs as i64);
    adapter::declare(graph, head.weight(), vec![inputs, outputs()], defaults);
    adapter::declare(graph, head.bias(), vec![outputs()], defaults);
}

fn add_linear(builder: &mut Builder<'_>, input: &str, head: HeadName, output: &str) {
    let product = builder.node("MatMul", &[input, head.weight()], vec![]);
    builder.node_named("Add", "", &[&product, head.bias()], &[output], vec![]);
}
