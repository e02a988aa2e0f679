//! Joins an encoder and its decoder into one graph.
//!
//! The modules of the encoder get their names in the framework's whole model, so that a module has
//! the same name in every graph; an initializer that both decoders have gets one name, so that it
//! is one weight.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    INPUT_DECODER_IDS, INPUT_ENCODER_MASK, INPUT_HIDDEN_STATES, Parts, is_cross, is_present,
    mismatch,
};
use crate::bundle::{INPUT_ATTENTION_MASK, INPUT_IDS};
use crate::error::{Code, Error, Result, ResultExt};
use crate::graph::{
    self, Dim, GraphProto, Model, NodeProto, OperatorSetIdProto, TensorType, ValueInfoProto,
    Weights, data_type,
};

/// The scopes that the dynamo exporter writes beside a node.
const SCOPES_KEY: &str = "pkg.torch.onnx.name_scopes";

/// The symbol for the length of a target; no encoder uses it.
const TARGET_LENGTH: &str = "target_sequence_length";

pub(in crate::bundle) struct Joined {
    /// From source and target to logits and caches.
    pub model: Model,
    /// From one more target token and the caches to logits and caches.
    pub with_past: Option<Model>,
}

/// Joins the graphs; `hidden` is the name of the encoder's output.
pub(super) fn join(parts: Parts, hidden: &str) -> Result<Joined> {
    let Parts { mut encoder, mut decoder, mut with_past } = parts;
    check_imports(&encoder, &decoder)?;
    check_cross_attention(decoder.graph()?)?;
    let root = root(decoder.graph()?);
    name_encoder(encoder.graph_mut()?, root, hidden);
    let taken = graph::value_names(encoder.graph()?);
    name_decoder(decoder.graph_mut()?, hidden, &taken);
    let model = one_model(encoder, decoder, hidden)?;
    if let Some(later) = &mut with_past {
        check_imports(&model, later)?;
        name_decoder(later.graph_mut()?, hidden, &BTreeSet::new());
        drop_unused_inputs(later.graph_mut()?);
        name_weights_alike(later, &model)?;
        drop_cross_caches(later.graph_mut()?);
    }
    Ok(Joined { model, with_past })
}

/// The module of the encoder in the whole model.
fn root(decoder: &GraphProto) -> &'static str {
    let inside = |name: &str| name.starts_with("model.decoder.") || name.starts_with("/model/dec");
    let weights = decoder.initializer.iter().map(|tensor| tensor.name());
    let mut names = weights.chain(decoder.node.iter().map(|node| node.name()));
    if names.any(inside) { "model.encoder" } else { "encoder" }
}

/// Moves all names of the encoder but its inputs and its output below `root`.
fn name_encoder(graph: &mut GraphProto, root: &str, hidden: &str) {
    let weights = graph.initializer.iter().map(|tensor| tensor.name().to_owned());
    let weights: BTreeSet<String> = weights.collect();
    let inputs = graph.input.iter().map(|info| info.name().to_owned());
    let mut kept: BTreeSet<String> = inputs.filter(|name| !weights.contains(name)).collect();
    kept.insert(hidden.to_owned());
    let mut names = BTreeMap::new();
    let mut taken = kept.clone();
    for name in graph::value_names(graph) {
        if !kept.contains(&name) {
            let mut new = below(&name, root);
            while !taken.insert(new.clone()) {
                new.push('_');
            }
            names.insert(name, new);
        }
    }
    graph::rename_values(graph, &|name| names.get(name).map_or(name, String::as_str).to_owned());
    graph::change_nodes(graph, &|node: &mut NodeProto| {
        if let Some(name) = node.name.as_mut().filter(|name| !name.is_empty()) {
            *name = below(name, root);
        }
        for entry in node.metadata_props.iter_mut().filter(|entry| entry.key() == SCOPES_KEY) {
            entry.value = Some(scopes_below(entry.value(), root));
        }
    });
}

/// The name below `root`, in its own spelling: dots for modules, slashes for nodes.
fn below(name: &str, root: &str) -> String {
    match name.strip_prefix('/') {
        Some(rest) => {
            let root = root.replace('.', "/");
            if rest.starts_with(&format!("{root}/")) {
                return name.to_owned();
            }
            format!("/{root}/{rest}")
        }
        None if name.starts_with(&format!("{root}.")) => name.to_owned(),
        None => format!("{root}.{name}"),
    }
}

/// A list such as `['', 'layers.0', 'layers.0.fc1', 'linear_3']` with its modules below `root`.
fn scopes_below(list: &str, root: &str) -> String {
    let Some(inner) = list.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return list.to_owned();
    };
    let scope = |scope: &str| match scope.trim().trim_matches(['\'', '"']) {
        "" => "''".to_owned(),
        module => format!("'{}'", below(module, root)),
    };
    format!("[{}]", inner.split(',').map(scope).collect::<Vec<_>>().join(", "))
}

/// Gives the decoder's inputs the names of the values they are joined with, and renames values
/// whose name is in `taken`.
fn name_decoder(graph: &mut GraphProto, hidden: &str, taken: &BTreeSet<String>) {
    let joins = [
        (INPUT_IDS, INPUT_DECODER_IDS),
        (INPUT_HIDDEN_STATES, hidden),
        (INPUT_ENCODER_MASK, INPUT_ATTENTION_MASK),
    ];
    let old = graph::value_names(graph);
    let is_input = |name: &str| graph.input.iter().any(|info| info.name() == name);
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for (from, to) in joins {
        if from != to && is_input(from) {
            names.insert(from.to_owned(), to.to_owned());
        }
    }
    let joined: BTreeSet<String> = joins.iter().map(|(_, to)| (*to).to_owned()).collect();
    for name in &old {
        let is_joined = joined.contains(name);
        let clashes = taken.contains(name) && !is_joined || is_joined && !is_input(name);
        if clashes && !names.contains_key(name) {
            let mut new = format!("{name}_decoder");
            while taken.contains(&new) || old.contains(&new) {
                new.push('_');
            }
            names.insert(name.clone(), new);
        }
    }
    graph::rename_values(graph, &|name| names.get(name).map_or(name, String::as_str).to_owned());
}

/// The graph of both, whose outputs are the hidden states, the logits and the caches.
fn one_model(encoder: Model, mut decoder: Model, hidden: &str) -> Result<Model> {
    let folder = encoder.folder().to_owned();
    let mut proto = encoder.proto;
    proto.ir_version = proto.ir_version.max(decoder.proto.ir_version);
    for import in std::mem::take(&mut decoder.proto.opset_import) {
        let known = |set: &OperatorSetIdProto| set.domain() == import.domain();
        if !proto.opset_import.iter().any(known) {
            proto.opset_import.push(import);
        }
    }
    let second = std::mem::take(decoder.graph_mut()?);
    let no_graph = || Error::new(Code::GraphMalformed, "the encoder has no graph");
    let graph = proto.graph.as_mut().ok_or_else(no_graph)?;
    let batch = match graph.input.iter().find(|info| info.name() == INPUT_IDS) {
        Some(ids) => first_dim(ids),
        None => Dim::Unknown,
    };
    let target = || vec![batch.clone(), Dim::Symbol(TARGET_LENGTH.to_owned())];
    let ids = TensorType::new(data_type::INT64, target()).to_value_info(INPUT_DECODER_IDS);
    graph.input.push(ids);
    // Logits come first, as the main result.
    let states: Vec<ValueInfoProto> =
        graph.output.drain(..).filter(|info| info.name() == hidden).collect();
    for mut output in second.output {
        if !is_present(output.name()) {
            let last = stated(&output).and_then(|dims| dims.last().cloned());
            let dims = [target(), vec![last.unwrap_or(Dim::Unknown)]].concat();
            let kind = element_type(&output);
            output = TensorType::new(kind, dims).to_value_info(output.name());
        } else {
            forget_symbols(&mut output);
        }
        graph.output.push(output);
    }
    graph.output.extend(states);
    graph.node.extend(second.node);
    graph.initializer.extend(second.initializer);
    graph.sparse_initializer.extend(second.sparse_initializer);
    Model::new(proto, &folder)
}

fn stated(info: &ValueInfoProto) -> Option<Vec<Dim>> {
    info.r#type.as_ref().and_then(TensorType::from_proto)?.shape
}

fn element_type(info: &ValueInfoProto) -> i32 {
    let found = info.r#type.as_ref().and_then(TensorType::from_proto);
    found.map_or(data_type::FLOAT, |found| found.data_type)
}

fn first_dim(info: &ValueInfoProto) -> Dim {
    stated(info).and_then(|dims| dims.into_iter().next()).unwrap_or(Dim::Unknown)
}

/// Removes symbols: those of one export have another meaning in the other.
fn forget_symbols(info: &mut ValueInfoProto) {
    if let Some(mut dims) = stated(info) {
        for dim in &mut dims {
            if dim.known().is_none() {
                *dim = Dim::Unknown;
            }
        }
        *info = TensorType::new(element_type(info), dims).to_value_info(info.name());
    }
}

/// Removes inputs that no node reads: some exporters declare them.
pub(super) fn drop_unused_inputs(graph: &mut GraphProto) {
    let nodes = graph.node.iter();
    let used: BTreeSet<String> = nodes.flat_map(graph::used_values).map(str::to_owned).collect();
    let outputs: BTreeSet<String> = graph.output.iter().map(|o| o.name().to_owned()).collect();
    graph.input.retain(|info| used.contains(info.name()) || outputs.contains(info.name()));
}

/// Removes the outputs for the source's cache: later steps do not change it.
fn drop_cross_caches(graph: &mut GraphProto) {
    graph.output.retain(|info| !(is_present(info.name()) && is_cross(info.name())));
    graph.output.iter_mut().filter(|info| is_present(info.name())).for_each(forget_symbols);
}

/// Renames initializers that share a name with the joined model but have another value.
fn name_weights_alike(later: &mut Model, joined: &Model) -> Result<()> {
    let (own, known) = (Weights::map(later)?, Weights::map(joined)?);
    let mut taken = graph::value_names(joined.graph()?);
    taken.extend(graph::value_names(later.graph()?));
    let mut names = BTreeMap::new();
    for weight in own.iter() {
        if known.get(weight.name).is_some_and(|other| !other.is_same(&weight)) {
            // An underscore after `.weight` keeps the module's name readable.
            let mut new = format!("{}_past", weight.name);
            while !taken.insert(new.clone()) {
                new.push('_');
            }
            names.insert(weight.name.to_owned(), new);
        }
    }
    let graph = later.graph_mut()?;
    graph::rename_values(graph, &|name| names.get(name).map_or(name, String::as_str).to_owned());
    Ok(())
}

/// Checks that both models use the same operator sets, and no functions of their own.
fn check_imports(left: &Model, right: &Model) -> Result<()> {
    for import in &right.proto.opset_import {
        let version = left.opset(import.domain());
        if version.is_some_and(|version| version != import.version()) {
            return Err(mismatch(format!(
                "one imports version {} of the operators {:?}, another version {}",
                version.unwrap_or(0),
                import.domain(),
                import.version()
            )));
        }
    }
    for model in [left, right] {
        if let Some(function) = model.proto.functions.first() {
            let message = format!("the model brings the function {:?} along", function.name());
            return Err(Error::new(Code::GraphUnsupported, message))
                .context(|| "joining encoder and decoder".to_owned());
        }
    }
    Ok(())
}

/// Checks that the decoder reads the encoder's states.
fn check_cross_attention(decoder: &GraphProto) -> Result<()> {
    let declared = decoder.input.iter().any(|info| info.name() == INPUT_HIDDEN_STATES);
    let mut nodes = decoder.node.iter();
    let used = nodes.any(|node| graph::used_values(node).contains(&INPUT_HIDDEN_STATES));
    if declared && used {
        return Ok(());
    }
    let found = if declared { "no node that reads it" } else { "no such input" };
    Err(Error::new(
        Code::GraphUnsupported,
        format!(
            "the decoder has no cross-attention: expected the input {INPUT_HIDDEN_STATES:?}, found \
             {found}"
        ),
    ))
}
