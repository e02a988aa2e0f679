//! Building, indexing and sorting graphs.

use polygraft::Code;
use polygraft::graph::{
    Builder, GraphProto, Index, NodeProto, TensorType, attr, attribute_float, attribute_int,
    attribute_ints, attribute_string, attribute_tensor, data_type, is_topologically_sorted,
    sort_topologically, topological_order,
};
use proptest::prelude::*;

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    NodeProto {
        op_type: Some(op.to_owned()),
        input: owned(inputs),
        output: owned(outputs),
        ..NodeProto::default()
    }
}

/// A graph whose `If` uses `x` of the outer graph and makes `hidden` of its own.
fn with_subgraph() -> GraphProto {
    let mut branch = GraphProto { node: vec![node("Neg", &["x"], &["hidden"])], ..<_>::default() };
    branch.output = vec![TensorType::unranked(1).to_value_info("hidden")];
    let mut conditional = node("If", &["flag"], &["chosen"]);
    conditional.attribute = vec![attr::graph("then_branch", branch)];
    GraphProto {
        node: vec![node("Relu", &["start"], &["x"]), conditional],
        input: vec![TensorType::unranked(1).to_value_info("start")],
        ..GraphProto::default()
    }
}

#[test]
fn names_are_unique_over_subgraphs() {
    let mut graph = with_subgraph();
    let mut builder = Builder::new(&mut graph, "");
    for taken in ["hidden", "x", "flag", "start", "chosen"] {
        assert_eq!(builder.unique(taken), format!("{taken}_1"));
    }
    assert_eq!(builder.unique("fresh"), "fresh");
    assert_eq!(builder.unique("fresh"), "fresh_1");
    builder.set_prefix("grad/");
    assert_eq!(builder.node("Relu", &["x"], vec![]), "grad/Relu");
    assert_eq!(builder.node("Relu", &["x"], vec![]), "grad/Relu_1");
}

#[test]
fn equal_constants_are_shared() {
    let mut graph = GraphProto::default();
    let mut builder = Builder::new(&mut graph, "c/");
    let shape = builder.constant_i64(&[0, -1]);
    assert_eq!(builder.constant_i64(&[0, -1]), shape);
    assert_ne!(builder.constant_i64(&[0]), builder.constant_i64_scalar(0));
    assert_ne!(builder.constant_f32(0.0), builder.constant_f32(-0.0));
    assert_eq!(builder.constant_f32(0.5), builder.constant_f32(0.5));
    assert_ne!(
        builder.constant_f32(0.5),
        builder.constant(data_type::INT32, &[], 0.5f32.to_le_bytes().to_vec())
    );
    assert_eq!(graph.initializer.len(), 7);
    let first = &graph.initializer[0];
    assert_eq!((first.data_type(), first.dims.as_slice()), (data_type::INT64, &[2i64][..]));
    assert_eq!(first.raw_data()[8..], (-1i64).to_le_bytes());
}

#[test]
fn nodes_are_appended_as_asked() {
    let mut graph = GraphProto::default();
    let mut builder = Builder::new(&mut graph, "p/");
    let parts = ["p/Split_out0", "p/Split_out1"];
    builder.node_named("Split", "", &["x", ""], &parts, vec![attr::int("axis", -1)]);
    builder.node_named("Gelu", "com.microsoft", &[parts[0]], &["y"], vec![]);
    assert_eq!(builder.unique("y"), "p/y");
    let [split, gelu] = &graph.node[..] else { panic!("{} nodes", graph.node.len()) };
    assert_eq!(split.input, ["x", ""]);
    assert_eq!(split.output, parts);
    assert_eq!(split.domain, None);
    assert_eq!((gelu.domain(), gelu.output[0].as_str()), ("com.microsoft", "y"));
    assert_ne!(gelu.name, split.name);
}

#[test]
fn attributes_are_read_by_kind() {
    let mut any = node("Any", &[], &[]);
    any.attribute = vec![
        attr::int("int", -3),
        attr::ints("ints", &[1, 2]),
        attr::float("float", 0.5),
        attr::string("string", "ä"),
        attr::tensor("tensor", Default::default()),
    ];
    assert_eq!(attribute_int(&any, "int"), Some(-3));
    assert_eq!(attribute_ints(&any, "ints"), Some(&[1i64, 2][..]));
    assert_eq!(attribute_float(&any, "float"), Some(0.5));
    assert_eq!(attribute_string(&any, "string"), Some("ä"));
    assert!(attribute_tensor(&any, "tensor").is_some());
    assert_eq!(attribute_int(&any, "float"), None);
    assert_eq!(attribute_ints(&any, "absent"), None);
    any.attribute[3].s = Some(vec![0xff]);
    assert_eq!(attribute_string(&any, "string"), None);
}

#[test]
fn the_index_sees_into_subgraphs() {
    let graph = with_subgraph();
    let index = Index::new(&graph).unwrap();
    assert_eq!(index.producer("x"), Some(0));
    assert_eq!(index.consumers("x"), [1]);
    assert_eq!(index.consumers("flag"), [1]);
    assert_eq!(index.producer("hidden"), None);
    assert_eq!(index.consumers("hidden"), [0usize; 0]);
    assert_eq!(index.producer("start"), None);
}

#[test]
fn one_value_made_twice_is_an_error() {
    let graph = GraphProto {
        node: vec![node("Relu", &["x"], &["y"]), node("Neg", &["x"], &["y"])],
        ..GraphProto::default()
    };
    let error = Index::new(&graph).unwrap_err();
    assert_eq!(error.code(), Code::GraphMalformed);
    for part in ["\"y\"", "Relu", "Neg"] {
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn a_captured_value_orders_nodes() {
    let mut graph = with_subgraph();
    assert!(is_topologically_sorted(&graph));
    graph.node.swap(0, 1);
    assert!(!is_topologically_sorted(&graph));
    assert_eq!(topological_order(&graph).unwrap(), [1, 0]);
    sort_topologically(&mut graph).unwrap();
    assert_eq!(graph, with_subgraph());
}

#[test]
fn a_cycle_is_named_and_changes_nothing() {
    let mut graph = GraphProto {
        node: vec![node("Add", &["b", "x"], &["a"]), node("Neg", &["a"], &["b"])],
        ..GraphProto::default()
    };
    assert!(!is_topologically_sorted(&graph));
    let before = graph.clone();
    let error = sort_topologically(&mut graph).unwrap_err();
    assert!(error.message().contains("Add"), "{error}");
    assert_eq!(graph, before);
    let own = GraphProto { node: vec![node("Add", &["a"], &["a"])], ..GraphProto::default() };
    assert!(!is_topologically_sorted(&own));
    assert!(topological_order(&own).is_err());
}

proptest! {
    /// A random acyclic graph in random order: sorted it is in order, and keeps its nodes.
    #[test]
    fn any_acyclic_graph_is_sorted(
        edges in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..30),
        order in any::<u64>(),
    ) {
        let mut nodes = Vec::new();
        for (position, (earlier, uses)) in edges.iter().enumerate() {
            let made = format!("v{position}");
            let used = if *uses && position > 0 {
                format!("v{}", earlier.index(position))
            } else {
                "input".to_owned()
            };
            nodes.push(node("Relu", &[&used], &[&made]));
        }
        // A fixed multiplicative shuffle is enough disorder.
        nodes.sort_by_key(|node| {
            let number: u64 = node.output[0][1..].parse().unwrap();
            (number + 1).wrapping_mul(order | 1)
        });
        let mut graph = GraphProto { node: nodes.clone(), ..GraphProto::default() };
        sort_topologically(&mut graph).unwrap();
        prop_assert!(is_topologically_sorted(&graph));
        prop_assert_eq!(graph.node.len(), nodes.len());
        prop_assert!(nodes.iter().all(|node| graph.node.contains(node)));
        let sorted = graph.clone();
        sort_topologically(&mut graph).unwrap();
        prop_assert_eq!(graph, sorted, "what is in order stays");
    }
}
