"""Writes graph_full_schema.onnx: a model in which every field of the ONNX schema is set.

The schema is walked by reflection over the official Python package, so tags and wire types come
from there and not from polygraft. Run: python tests/oracle/graph_full_schema.py (needs onnx 1.23).
"""

import pathlib

import onnx
from google.protobuf.descriptor import FieldDescriptor as Field

# How often a message may stand inside itself. Higher adds size, not coverage.
NESTING = {"TypeProto": 2}
counter = 0
visited = set()


def scalar(field):
    """A value no other field has, so that exchanged fields show."""
    global counter
    counter += 1
    if field.type == Field.TYPE_STRING:
        return f"{field.name} {counter} ä"
    if field.type == Field.TYPE_BYTES:
        return f"{field.name} {counter}".encode() + b"\xff\x00"
    if field.type in (Field.TYPE_FLOAT, Field.TYPE_DOUBLE):
        return counter + 0.5
    if field.type == Field.TYPE_ENUM:
        values = field.enum_type.values
        return values[counter % len(values)].number
    if field.type == Field.TYPE_UINT64:
        return 2**64 - counter
    if field.type == Field.TYPE_INT32:
        return counter if counter % 2 else -counter
    return counter if counter % 2 else -(2**40) - counter


def allowed(descriptor, path):
    return path.count(descriptor.name) < NESTING.get(descriptor.name, 1)


def fill(message, path=(), variant=0):
    message.SetInParent()
    descriptor = message.DESCRIPTOR
    path = path + (descriptor.name,)
    chosen = set()
    for oneof in descriptor.oneofs:
        chosen.add(oneof.fields[variant % len(oneof.fields)].name)
    for field in descriptor.fields:
        if field.containing_oneof is not None and field.name not in chosen:
            continue
        # A later oneof member after `denotation` is written in another order by each library.
        if field.name == "denotation" and descriptor.name == "TypeProto" and variant % 6 > 2:
            continue
        if field.type == Field.TYPE_MESSAGE and not allowed(field.message_type, path):
            continue
        visited.add(field.full_name)
        if field.type == Field.TYPE_MESSAGE:
            if field.is_repeated:
                oneofs = field.message_type.oneofs
                count = max([len(oneof.fields) for oneof in oneofs], default=1)
                if field.message_type.name == "ValueInfoProto":
                    count = 6
                for index in range(count):
                    fill(getattr(message, field.name).add(), path, index)
            else:
                fill(getattr(message, field.name), path, variant)
        elif field.is_repeated:
            getattr(message, field.name).extend([scalar(field), scalar(field)])
        else:
            setattr(message, field.name, scalar(field))


def every_field(descriptor):
    fields = {field.full_name for field in descriptor.fields}
    for nested in descriptor.nested_types:
        fields |= every_field(nested)
    return fields


def main():
    model = onnx.ModelProto()
    fill(model)
    schema = onnx.ModelProto.DESCRIPTOR.file
    wanted = set().union(*map(every_field, schema.message_types_by_name.values()))
    assert visited == wanted, wanted - visited
    # What a reader checks before it accepts a model.
    model.ir_version = 13
    model.opset_import[0].domain = ""
    model.opset_import[0].version = 24
    target = pathlib.Path(__file__).with_suffix(".onnx")
    target.write_bytes(model.SerializeToString(deterministic=True))
    print(target.name, target.stat().st_size, "bytes")


main()
