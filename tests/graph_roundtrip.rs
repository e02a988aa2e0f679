//! Reading and writing models without loss.

use std::path::{Path, PathBuf};

use polygraft::Code;
use polygraft::graph::{
    AttributeProto, FunctionProto, GraphProto, Model, ModelProto, NodeProto, OperatorSetIdProto,
    SparseTensorProto, StringStringEntryProto, TensorAnnotation, TensorProto, TrainingInfoProto,
    TypeProto, ValueInfoProto, attr, tensor_proto, type_proto,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The fixture sets every field of the schema and was written by the official library.
#[test]
fn every_field_of_the_official_schema_survives() {
    let path = fixture("tests/oracle/graph_full_schema.onnx");
    let bytes = std::fs::read(&path).unwrap();
    let model = Model::read(&path).unwrap();
    assert!(model.to_bytes() == bytes, "the model is written differently from how it was read");
    // A field whose wire type fits but whose meaning does not would survive too, so look inside.
    assert_eq!(model.proto.ir_version, Some(13));
    assert!(model.proto.producer_name().starts_with("producer_name "));
    let function = &model.proto.functions[0];
    assert!(function.attribute[0].starts_with("attribute "));
    assert!(function.overload().starts_with("overload "));
    let node = &model.graph().unwrap().node[0];
    assert!(node.op_type().starts_with("op_type "));
    assert!(node.metadata_props[0].value().starts_with("value "));
    assert!(node.device_configurations[0].configuration_id().starts_with("configuration_id "));
    let attribute = &node.attribute[0];
    assert!(attribute.ref_attr_name().starts_with("ref_attr_name "));
    assert!(attribute.strings[1].starts_with(b"strings "));
    let tensor = attribute.t.as_ref().unwrap();
    assert!(tensor.raw_data().starts_with(b"raw_data "));
    assert_eq!(tensor.uint64_data.len(), 2);
    let annotation = &model.graph().unwrap().quantization_annotation[0];
    assert!(annotation.tensor_name().starts_with("tensor_name "));
    let kinds =
        model.graph().unwrap().input.iter().map(|info| {
            std::mem::discriminant(info.r#type.as_ref().unwrap().value.as_ref().unwrap())
        });
    let mut kinds: Vec<_> = kinds.collect();
    kinds.dedup();
    assert_eq!(kinds.len(), 6, "each kind of type is an input");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_reference_backbone_is_written_as_it_was_read() {
    let path = fixture(".cache/backbone/e5-small/model.onnx");
    let model = Model::read(&path).unwrap();
    assert!(model.to_bytes() == std::fs::read(&path).unwrap());
    assert_eq!(model.folder(), path.parent().unwrap());
    assert!(model.opset("").unwrap() >= 11);
    assert_eq!(model.opset("ai.onnx"), model.opset(""));
    assert_eq!(model.opset("com.example"), None);
}

fn minimal() -> ModelProto {
    ModelProto {
        ir_version: Some(10),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(GraphProto::default()),
        ..ModelProto::default()
    }
}

fn refused(change: impl FnOnce(&mut ModelProto)) -> (Code, String) {
    let mut proto = minimal();
    change(&mut proto);
    let error = Model::from_bytes(&proto.encode_to_vec(), Path::new(".")).unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn what_is_no_model_is_refused() {
    assert!(Model::from_bytes(&minimal().encode_to_vec(), Path::new(".")).is_ok());
    let cases: [(&str, Code, (Code, String)); 6] = [
        ("no graph", Code::GraphMalformed, refused(|m| m.graph = None)),
        ("no IR version", Code::GraphMalformed, refused(|m| m.ir_version = None)),
        ("IR version 2", Code::GraphUnsupported, refused(|m| m.ir_version = Some(2))),
        ("no operator set", Code::GraphMalformed, refused(|m| m.opset_import.clear())),
        ("version 0", Code::GraphMalformed, refused(|m| m.opset_import[0].version = None)),
        (
            "imported twice",
            Code::GraphMalformed,
            refused(|m| {
                let domain = Some("ai.onnx".to_owned());
                m.opset_import.push(OperatorSetIdProto { domain, version: Some(13) });
            }),
        ),
    ];
    for (part, code, (found, message)) in cases {
        assert_eq!(found, code, "{message}");
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert_eq!(Model::from_bytes(b"", Path::new(".")).unwrap_err().code(), Code::GraphMalformed);
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.onnx");
    let error = Model::read(&missing).unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.to_string().contains("missing.onnx"), "{error}");
    let damaged = folder.path().join("damaged.onnx");
    std::fs::write(&damaged, b"\xff\xff\xff").unwrap();
    let error = Model::read(&damaged).unwrap_err();
    assert_eq!(error.code(), Code::GraphMalformed);
    assert!(error.to_string().contains("damaged.onnx"), "{error}");
    assert_eq!(Model::read(folder.path()).unwrap_err().code(), Code::IoRead);
}

fn text() -> impl Strategy<Value = Option<String>> {
    option::of("[a-zäß/_.0-9]{0,6}")
}

fn entry() -> impl Strategy<Value = StringStringEntryProto> {
    (text(), text()).prop_map(|(key, value)| StringStringEntryProto { key, value })
}

fn tensor() -> impl Strategy<Value = TensorProto> {
    let data = (vec(any::<i32>(), 0..4), vec(any::<i64>(), 0..4), vec(any::<u64>(), 0..3));
    let place = (vec(entry(), 0..2), option::of(0..3i32), option::of(vec(any::<u8>(), 0..9)));
    let segment = option::of((option::of(any::<i64>()), option::of(any::<i64>())));
    (vec(any::<i64>(), 0..4), option::of(-1..40i32), text(), data, place, segment).prop_map(
        |(dims, data_type, name, (int32_data, int64_data, uint64_data), place, segment)| {
            let (external_data, data_location, raw_data) = place;
            TensorProto {
                dims,
                data_type,
                name,
                int32_data,
                int64_data,
                uint64_data,
                external_data,
                data_location,
                raw_data: raw_data.map(Into::into),
                segment: segment.map(|(begin, end)| tensor_proto::Segment { begin, end }),
                ..TensorProto::default()
            }
        },
    )
}

fn sparse() -> impl Strategy<Value = SparseTensorProto> {
    (option::of(tensor()), option::of(tensor()), vec(any::<i64>(), 0..3))
        .prop_map(|(values, indices, dims)| SparseTensorProto { values, indices, dims })
}

fn r#type() -> impl Strategy<Value = TypeProto> {
    let dense = (option::of(0..20i32)).prop_map(|elem_type| {
        type_proto::Value::TensorType(type_proto::Tensor { elem_type, shape: None })
    });
    let leaf =
        (option::of(dense), text()).prop_map(|(value, denotation)| TypeProto { value, denotation });
    leaf.prop_recursive(3, 6, 1, |inner| {
        (inner, option::of(0..20i32), 0..3).prop_map(|(inner, key_type, kind)| {
            let inner = Some(Box::new(inner));
            let value = match kind {
                0 => type_proto::Value::SequenceType(type_proto::Sequence { elem_type: inner }),
                1 => type_proto::Value::OptionalType(type_proto::Optional { elem_type: inner }),
                _ => type_proto::Value::MapType(type_proto::Map { key_type, value_type: inner }),
            };
            TypeProto { value: Some(value), denotation: None }
        })
    })
}

fn value_info() -> impl Strategy<Value = ValueInfoProto> {
    (text(), option::of(r#type()), text(), vec(entry(), 0..2)).prop_map(
        |(name, r#type, doc_string, metadata_props)| ValueInfoProto {
            name,
            r#type,
            doc_string,
            metadata_props,
        },
    )
}

fn attribute() -> impl Strategy<Value = AttributeProto> {
    let small = (vec(-9i64..9, 0..3), vec(-1e9f32..1e9, 0..3), vec(vec(any::<u8>(), 0..4), 0..3));
    (text(), option::of(-1..20i32), small, option::of(tensor()), vec(sparse(), 0..2)).prop_map(
        |(name, r#type, (ints, floats, strings), t, sparse_tensors)| AttributeProto {
            name,
            r#type,
            ints,
            floats,
            strings,
            t: t.map(Box::new),
            sparse_tensors,
            ..AttributeProto::default()
        },
    )
}

fn node(attributes: impl Strategy<Value = AttributeProto>) -> impl Strategy<Value = NodeProto> {
    let names = || vec("[a-z]{0,3}", 0..3);
    (names(), names(), text(), text(), text(), vec(attributes, 0..3), vec(entry(), 0..2)).prop_map(
        |(input, output, op_type, domain, overload, attribute, metadata_props)| NodeProto {
            input,
            output,
            op_type,
            domain,
            overload,
            attribute,
            metadata_props,
            ..NodeProto::default()
        },
    )
}

fn graph() -> impl Strategy<Value = GraphProto> {
    let of_nodes = |node: BoxedStrategy<NodeProto>| {
        let values = (vec(tensor(), 0..3), vec(sparse(), 0..2), vec(value_info(), 0..3));
        let annotation = (text(), vec(entry(), 0..2)).prop_map(|(tensor_name, names)| {
            TensorAnnotation { tensor_name, quant_parameter_tensor_names: names }
        });
        (text(), vec(node, 0..3), values, vec(annotation, 0..2)).prop_map(
            |(name, node, (initializer, sparse_initializer, input), quantization_annotation)| {
                GraphProto {
                    name,
                    node,
                    initializer,
                    sparse_initializer,
                    value_info: input.clone(),
                    input,
                    quantization_annotation,
                    ..GraphProto::default()
                }
            },
        )
    };
    of_nodes(node(attribute()).boxed()).prop_recursive(3, 12, 2, move |inner| {
        of_nodes(node(inner.prop_map(|graph| attr::graph("body", graph))).boxed())
    })
}

fn function() -> impl Strategy<Value = FunctionProto> {
    (text(), vec(node(attribute()), 0..2), vec(attribute(), 0..2), vec("[a-z]{1,3}", 0..2))
        .prop_map(|(name, node, attribute_proto, attribute)| FunctionProto {
            name,
            node,
            attribute_proto,
            attribute,
            ..FunctionProto::default()
        })
}

prop_compose! {
    fn model()(
        graph in graph(),
        functions in vec(function(), 0..2),
        metadata_props in vec(entry(), 0..3),
        training in option::of(graph()),
        domain in text(),
    ) -> ModelProto {
        let info = TrainingInfoProto { algorithm: training, ..TrainingInfoProto::default() };
        ModelProto {
            graph: Some(graph),
            functions,
            metadata_props,
            training_info: vec![info],
            domain,
            ..minimal()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_model_survives(proto in model()) {
        let bytes = proto.encode_to_vec();
        let model = Model::from_bytes(&bytes, Path::new(".")).unwrap();
        prop_assert_eq!(&model.proto, &proto);
        prop_assert_eq!(model.to_bytes(), bytes);
    }
}
