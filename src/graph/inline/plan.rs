//! Decides which functions can be inlined, and how much memory that takes.
//!
//! Each function is measured before any body is copied: a chain of functions that each call the
//! next one twice is small as a file and grows exponentially when inlined.

use std::collections::{BTreeMap, HashMap, HashSet};

use prost::Message;

use crate::graph::decode::function_size_bytes;
use crate::graph::index::subgraphs;
use crate::graph::model::canonical_domain;
use crate::graph::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto};

/// Calls nested deeper than this stay calls.
const CALLS_NESTED_MAX: usize = 50;

/// Graphs nested deeper than this could not be decoded again: messages may be nested 100 deep, and
/// each graph takes three levels.
const GRAPHS_NESTED_MAX: usize = 30;

/// Which function a node calls: domain, name and overload.
type Key<'a> = (&'a str, &'a str, &'a str);

fn key(node: &NodeProto) -> Key<'_> {
    (canonical_domain(node.domain()), node.op_type(), node.overload())
}

/// The most memory that inlined bodies may take, in bytes. A graph of 250,000 nodes takes less.
pub(super) const GROWTH_BYTES_MAX: usize = 256 << 20;

/// The longest node name that is composed from those of the call and of the body, in bytes.
pub(super) const NODE_NAME_BYTES_MAX: usize = 200;

/// The length of the prefix that makes a name unique, in bytes.
const NAME_START_BYTES: usize = 32;

/// The size of an inlined function.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// The memory of its own body, in bytes.
    own_bytes: usize,
    /// How many names of values and nodes are in its own body.
    names_count: usize,
    /// The memory including everything it calls, as far as the function alone determines it.
    all_bytes: usize,
    /// The depth of nested calls, including those of the functions that it calls.
    calls_nested: usize,
    /// The depth of nested graphs, including those of the functions that it calls.
    graphs_nested: usize,
}

impl Size {
    /// The memory of the body where no name is longer than `longest`.
    fn with_names(&self, longest: usize) -> usize {
        let each = longest.max(NODE_NAME_BYTES_MAX) + NAME_START_BYTES;
        self.own_bytes.saturating_add(self.names_count.saturating_mul(each))
    }
}

/// The state of a function's examination.
enum Verdict {
    /// The examination has begun.
    Open,
    Inlined(Size),
    /// It stays a call, for this reason.
    Left(String),
}

/// Which functions of a model are inlined.
pub(super) struct Plan<'a> {
    functions: HashMap<Key<'a>, &'a FunctionProto>,
    verdicts: HashMap<Key<'a>, Verdict>,
    /// Versions of operator sets by domain: those of the model, and those that only bodies use.
    imports: BTreeMap<&'a str, i64>,
}

impl<'a> Plan<'a> {
    /// Examines every function of the model.
    pub fn of(model: &'a ModelProto) -> Self {
        let imports = model.opset_import.iter();
        let imports = imports.map(|set| (canonical_domain(set.domain()), set.version())).collect();
        let mut plan = Self { functions: HashMap::new(), verdicts: HashMap::new(), imports };
        for function in &model.functions {
            let key = key_of(function);
            if plan.functions.insert(key, function).is_some() {
                plan.verdicts.insert(key, Verdict::Left("it is defined twice".to_owned()));
            }
        }
        for function in &model.functions {
            plan.judge(key_of(function), 0);
        }
        plan
    }

    /// The function that a node calls, or why the call stays; `None` for other nodes.
    pub fn function(&self, node: &NodeProto) -> Option<Result<&'a FunctionProto, String>> {
        let function = *self.functions.get(&key(node))?;
        Some(match self.verdicts.get(&key(node)) {
            Some(Verdict::Inlined(_)) => fits(function, node).map(|()| function),
            Some(Verdict::Left(reason)) => Err(reason.clone()),
            Some(Verdict::Open) | None => Err("it was not looked at".to_owned()),
        })
    }

    /// The memory that the body takes in the place of the call, without the functions it calls
    /// itself, in bytes.
    pub fn size_bytes(&self, call: &NodeProto) -> usize {
        let given = call.input.iter().chain(&call.output);
        let longest = given.map(String::len).max().unwrap_or(0);
        match self.verdicts.get(&key(call)) {
            Some(Verdict::Inlined(size)) => size.with_names(longest),
            _ => 0,
        }
    }

    /// The operator sets that model and bodies use, by domain.
    pub fn imports(&self) -> BTreeMap<String, i64> {
        self.imports.iter().map(|(domain, version)| ((*domain).to_owned(), *version)).collect()
    }

    /// Examines a function after those that it calls.
    fn judge(&mut self, key: Key<'a>, depth: usize) {
        let Some(&function) = self.functions.get(&key) else { return };
        if self.verdicts.contains_key(&key) {
            return;
        }
        self.verdicts.insert(key, Verdict::Open);
        let verdict = match self.measure(function, depth) {
            Ok(size) => Verdict::Inlined(size),
            Err(reason) => Verdict::Left(reason),
        };
        self.verdicts.insert(key, verdict);
    }

    fn measure(&mut self, function: &'a FunctionProto, depth: usize) -> Result<Size, String> {
        let too_deep = || format!("functions call each other deeper than {CALLS_NESTED_MAX}");
        if depth >= CALLS_NESTED_MAX {
            return Err(too_deep());
        }
        check_names(function)?;
        let encoded = function.encode_to_vec();
        let own_bytes =
            function_size_bytes(&encoded).map_err(|error| error.message().to_owned())?;
        let mut size = Size { own_bytes, ..Size::default() };
        let mut nodes = Vec::new();
        collect(&function.node, 0, &mut nodes);
        size.names_count = nodes.iter().map(|(node, _)| names_count(node)).sum();
        size.all_bytes = size.with_names(0);
        let mut used = BTreeMap::new();
        for (node, level) in nodes {
            size.graphs_nested = size.graphs_nested.max(level);
            if self.functions.contains_key(&key(node)) {
                let called = self.call(node, depth)?;
                size.calls_nested = size.calls_nested.max(called.calls_nested + 1);
                size.graphs_nested = size.graphs_nested.max(level + called.graphs_nested);
                size.all_bytes = size.all_bytes.saturating_add(called.all_bytes);
            } else {
                let domain = canonical_domain(node.domain());
                used.insert(domain, self.version(function, domain)?);
            }
        }
        if size.calls_nested >= CALLS_NESTED_MAX {
            return Err(too_deep());
        }
        if size.graphs_nested > GRAPHS_NESTED_MAX {
            return Err(format!("its graphs are nested deeper than {GRAPHS_NESTED_MAX}"));
        }
        if size.all_bytes > GROWTH_BYTES_MAX {
            return Err(format!("inlined, it takes more than {GROWTH_BYTES_MAX} bytes"));
        }
        for (domain, version) in used {
            self.imports.entry(domain).or_insert(version);
        }
        Ok(size)
    }

    /// The size that a call inside a body adds to it.
    fn call(&mut self, node: &'a NodeProto, depth: usize) -> Result<Size, String> {
        let key = key(node);
        self.judge(key, depth + 1);
        match self.verdicts.get(&key) {
            Some(Verdict::Open) => Err("it calls itself".to_owned()),
            Some(Verdict::Inlined(size)) => Ok(*size),
            // The call stays; ONNX Runtime resolves it because the model imports its domain.
            _ if self.imports.contains_key(key.0) => Ok(Size::default()),
            _ => Err(format!("it calls {}, which stays a call", key.1)),
        }
    }

    /// The version of a domain's operators that the body requires; it must equal the model's.
    fn version(&self, function: &FunctionProto, domain: &str) -> Result<i64, String> {
        let mut own = function.opset_import.iter();
        let own = own.find(|set| canonical_domain(set.domain()) == domain);
        let shown = if domain.is_empty() { "ai.onnx" } else { domain };
        let own = own.ok_or_else(|| format!("it does not import the operators of {shown}"))?;
        match self.imports.get(domain) {
            Some(version) if *version != own.version() => Err(format!(
                "its operators are of {shown} {}, those of the model of {shown} {version}",
                own.version()
            )),
            _ => Ok(own.version()),
        }
    }
}

fn key_of(function: &FunctionProto) -> Key<'_> {
    (canonical_domain(function.domain()), function.name(), function.overload())
}

/// Every node with its graph nesting level, including nodes in subgraphs.
fn collect<'a>(nodes: &'a [NodeProto], level: usize, found: &mut Vec<(&'a NodeProto, usize)>) {
    for node in nodes {
        found.push((node, level));
        for inner in subgraphs(node) {
            collect(&inner.node, level + 1, found);
        }
    }
}

/// The number of names of a node, its inputs and outputs, and the values that its direct subgraphs
/// declare.
fn names_count(node: &NodeProto) -> usize {
    let stated = |graph: &GraphProto| {
        let infos = graph.input.len() + graph.output.len() + graph.value_info.len();
        infos + graph.initializer.len() + graph.sparse_initializer.len()
    };
    let inside: usize = subgraphs(node).map(stated).sum();
    1 + node.input.len() + node.output.len() + inside
}

/// Checks that the function's own names stay distinct after renaming.
fn check_names(function: &FunctionProto) -> Result<(), String> {
    let mut formal = HashSet::new();
    if let Some(name) = function.input.iter().find(|name| !formal.insert(name.as_str())) {
        return Err(format!("it has two inputs {name:?}"));
    }
    formal.extend(function.output.iter().map(String::as_str));
    let has_graph =
        |attribute: &AttributeProto| attribute.g.is_some() || !attribute.graphs.is_empty();
    if let Some(default) = function.attribute_proto.iter().find(|default| has_graph(default)) {
        return Err(format!("its attribute {:?} is a graph", default.name()));
    }
    let mut nodes = Vec::new();
    collect(&function.node, 0, &mut nodes);
    for (node, _) in nodes {
        for inner in subgraphs(node) {
            if let Some(name) = defined(inner).find(|name| formal.contains(name)) {
                return Err(format!("a graph inside of it defines {name:?} again"));
            }
        }
    }
    Ok(())
}

fn defined(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let inputs = graph.input.iter().map(|info| info.name());
    let tensors = graph.initializer.iter().map(|tensor| tensor.name());
    let made = graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str));
    inputs.chain(tensors).chain(made).filter(|name| !name.is_empty())
}

/// Checks that the inputs, outputs and attributes of a call match the function's.
fn fits(function: &FunctionProto, call: &NodeProto) -> Result<(), String> {
    let sides = [
        ("inputs", call.input.len(), function.input.len()),
        ("outputs", call.output.len(), function.output.len()),
    ];
    for (what, found, most) in sides {
        if found > most {
            return Err(format!("a call has {found} {what}, it takes at most {most}"));
        }
    }
    let is_graph =
        |attribute: &&AttributeProto| attribute.g.is_some() || !attribute.graphs.is_empty();
    if let Some(attribute) = call.attribute.iter().find(is_graph) {
        return Err(format!("a call gives it a graph as {:?}", attribute.name()));
    }
    // An output that is also an input of the function has no value when the call omits that input.
    let is_missing = |formal: &String| {
        let position = function.input.iter().position(|input| input == formal);
        position.is_some_and(|position| call.input.get(position).is_none_or(String::is_empty))
    };
    match function
        .output
        .iter()
        .zip(&call.output)
        .find(|(formal, actual)| !actual.is_empty() && is_missing(formal))
    {
        Some((formal, _)) => {
            Err(format!("its output {formal:?} is an input that a call leaves out"))
        }
        None => Ok(()),
    }
}
