"""Writes onnx_node_tests.safetensors: cases of the ONNX project's node tests.

Each tensor is one case: the bytes of a model of one node whose inputs are initializers. Taken are
the operators of docs/operators.md, where the result and at least one input are of one type, float or double, and small.
Run: python tests/oracle/onnx_node_tests.py (needs onnx 1.23).
"""

import pathlib
import re
import warnings

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

import safetensors_file

FOLDER = pathlib.Path(__file__).parent
OPSET_MAX = 23
ELEMENTS_MAX = 128
CASES_PER_OPERATOR_MAX = 10


def operators():
    """Names of the standard operators in the table, which its own test keeps current."""
    text = (FOLDER.parent.parent / "docs" / "operators.md").read_text()
    return set(re.findall(r"^\| (\w+) \| ai\.onnx \|", text, re.MULTILINE))


def opset_of(model, operator):
    """The opset to run the case in; none where the operator changed after OPSET_MAX."""
    version = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    if version <= OPSET_MAX:
        return version
    try:
        then = defs.get_schema(operator, OPSET_MAX, "")
    except defs.SchemaError:
        return None
    same = then.since_version == defs.get_schema(operator, version, "").since_version
    return OPSET_MAX if same or operator not in CHANGED_MEANING else None


# Operators whose later versions add more than element types.
CHANGED_MEANING = {"Attention", "RotaryEmbedding", "Swish", "TensorScatter"}


def case(test):
    """The model of a case, or none where it does not fit."""
    model = test.model
    if model is None or len(model.graph.node) != 1 or "_expanded" in test.name:
        return None
    node = model.graph.node[0]
    values = dict(zip((info.name for info in model.graph.input), test.data_sets[0][0]))
    results = test.data_sets[0][1]
    arrays = all(isinstance(value, np.ndarray | np.generic) for value in values.values())
    element = np.asarray(results[0]).dtype
    if not arrays or not values or element not in (np.float32, np.float64):
        return None
    if any(np.asarray(value).dtype.kind == "u" for value in values.values()):
        return None  # ONNX Runtime has no kernels for them.
    floats = [v for v in map(np.asarray, values.values()) if v.dtype == element]
    elements = sum(value.size for value in floats)
    if not floats or not 0 < elements <= ELEMENTS_MAX or np.asarray(results[0]).size == 0:
        return None
    opset = opset_of(model, node.op_type)
    if opset is None:
        return None
    initializers = [numpy_helper.from_array(np.asarray(v), name) for name, v in values.items()]
    graph = helper.make_graph([node], "case", [], [], initializer=initializers)
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10, producer_name="")


def main():
    warnings.filterwarnings("ignore")
    np.random.seed(0)
    known, counts, cases = operators(), {}, {}
    for test in sorted(collect_testcases(None), key=lambda test: test.name):
        if test.model is None or test.model.graph.node[0].op_type not in known:
            continue
        operator = test.model.graph.node[0].op_type
        model = case(test)
        if model is None or counts.get(operator, 0) >= CASES_PER_OPERATOR_MAX:
            continue
        counts[operator] = counts.get(operator, 0) + 1
        cases[test.name] = np.frombuffer(model.SerializeToString(), dtype=np.uint8)
    metadata = {"onnx": onnx.__version__}
    safetensors_file.write(FOLDER / "onnx_node_tests.safetensors", cases, metadata)
    print(len(cases), "cases of", len(counts), "operators")
    print("without a case:", ", ".join(sorted(known - set(counts))))


if __name__ == "__main__":
    main()
