"""Quantises some fixtures of the backbone matrix, and writes PyTorch's gradients on the results.

In: the float32 files that `build.py` wrote. Out, for each architecture of `FILES`:
  tests/fixtures/backbones/NAME/EXPORTER-OPSET.WEIGHTS.onnx
  tests/oracle/backbones/NAME.WEIGHTS.safetensors: inputs, a cotangent, and for each kind of adapter
  (`KINDS`) the output and the gradients. The adapters' tensors are those of NAME.safetensors.

The reference is the model of transformers, in double precision, with the numbers that the codes in
the file stand for; `int8` also rounds the activations of quantised layers as the file says, and
passes gradients on as if it did not (straight through). Every file written was run by ONNX Runtime
and agrees with PyTorch. Run it in the environment of `requirements.txt`.
"""

import logging
import sys
import tempfile
import types
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import onnxruntime.quantization as quantization
import torch
import transformers
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import matmul_nbits_quantizer
from onnxruntime.transformers import float16

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent))

import adapters  # noqa: E402
import model_file  # noqa: E402
import safetensors_file  # noqa: E402
from architectures import architectures, forward_of, inputs_of, whole_model  # noqa: E402
from onnx_torch import Interpreter  # noqa: E402

FIXTURES = ROOT / "tests" / "fixtures" / "backbones"
BLOCK = 32
LENGTHS = (6, 5)
# The least distance, in codes, of any activation from a boundary between two codes. Closer ones may
# round differently in single and in double precision, which is not an error of a gradient.
MARGIN = 1e-4
SEEDS = range(1, 5000)
# Largest difference of ONNX Runtime's output from PyTorch's, relative to the largest output.
# A graph that computes in float16 has 10 bits of fraction.
ERRORS_MAX = {"fp16": 3e-2, "int8": 1e-4, "q4": 2e-5}


def fp16_throughout(source, target):
    """A graph that computes in float16, as ONNX Runtime's converter writes it."""
    onnx.save(float16.convert_float_to_float16(onnx.load(source)), target)


def fp16_weights(source, target):
    """Weights in float16, each with a Cast to float32."""
    model = onnx.load(source)
    casts = []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.ndim == 0:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), f"{name}_fp16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, target)


def int8(source, target):
    """Integer products, as `quantize_dynamic` writes them, also when called by Optimum."""
    # Seven bits of the weights, so that no processor's sums of 16 bits overflow.
    quantization.quantize_dynamic(source, target, per_channel=True, reduce_range=True,
                                  weight_type=quantization.QuantType.QInt8)


def blocks(source, target, form):
    made = matmul_nbits_quantizer.MatMulNBitsQuantizer(
        onnx.load(source), block_size=BLOCK, is_symmetric=False, accuracy_level=1,
        quant_format=form,
    )
    made.process()
    made.model.save_model_to_file(str(target), use_external_data_format=False)


def q4(source, target):
    """The operator MatMulNBits."""
    blocks(source, target, quantization.QuantFormat.QOperator)


def q4_pairs(source, target):
    """DequantizeLinear of UINT4 in blocks, which there is from opset 21 on."""
    blocks(source, target, quantization.QuantFormat.QDQ)


# Per architecture: the float32 file, the weights, and how they are made. Files of the same weights
# would share an oracle; the two forms of 4 bits round differently, so each has only one of them.
FILES = {
    "bert": (
        ("dynamo-23", "fp16", fp16_throughout), ("optimum-o1-17", "int8", int8),
        ("optimum-o1-17", "q4", q4),
    ),
    "xlm-roberta": (("optimum-18", "int8", int8), ("dynamo-23", "q4", q4_pairs)),
    "distilbert": (("dynamo-23", "fp16", fp16_throughout), ("dynamo-23", "q4", q4_pairs)),
    "t5-encoder": (
        ("optimum-o1-17", "fp16", fp16_weights), ("optimum-o1-17", "int8", int8),
        ("optimum-o1-17", "q4", q4),
    ),
    "t5-decoder": (("dynamo-18", "int8", int8),),
    "marian-decoder": (("dynamo-23", "q4", q4_pairs),),
}
# Kinds of adapter, where not all: what a gradient passes through is the same for each.
KINDS = {"bert": adapters.KINDS}
KINDS_ELSEWHERE = ("lora",)


def constants(model):
    """What every value that depends on weights alone stands for, by name."""
    run = Interpreter(model, {})
    values = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    run.values = {one.name: torch.from_numpy(
        values[one.name].astype(np.float32 if values[one.name].dtype in (np.float16, np.float32)
                                else np.int64)) for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("Cast", "DequantizeLinear") and node.input[0] in run.values:
            given = [run.values.get(name) for name in node.input]
            run.values[node.output[0]] = getattr(run, node.op_type)(node, attributes(node), *given)
        if node.op_type == "MatMulNBits":
            given = [run.values.get(name) for name in node.input[1:]]
            unit = torch.eye(attributes(node)["K"])
            # Under the name of the product: its own matrix has another name than the float one.
            run.values[f"{node.output[0]} matrix"] = run.MatMulNBits(
                node, attributes(node), unit, *given)
    for name, codes in list(run.values.items()):
        if name.endswith("_quantized"):
            scale, zero = (run.values[name.removesuffix("quantized") + end]
                           for end in ("scale", "zero_point"))
            run.values[name.removesuffix("_quantized")] = (codes - zero) * scale
    return run.values


def attributes(node):
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def dequantised(before, after):
    """`[(float32 array, what it has become, whether it is a quantised one)]` of a model's weights.
    """
    values = constants(after)
    nodes = {node.output[0]: node for node in after.graph.node}
    own = {one.name: numpy_helper.to_array(one) for one in before.graph.initializer}
    names = {one.name for one in after.graph.initializer}
    found = {name: (values[name], name not in names) for name in own if name in values}
    for node in before.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in own:
            continue
        product = nodes.get(node.output[0])
        for matrix in (f"{node.output[0]} matrix", product and product.input[1]):
            if matrix in values:
                found[node.input[1]] = values[matrix], True
                break
    return [(torch.from_numpy(own[name].copy()), became, is_quantised)
            for name, (became, is_quantised) in found.items() if own[name].dtype == np.float32]


def fill(model, weights):
    """Puts dequantised weights into the modules; returns those linear layers that have them."""
    layers = []
    for name, module in model.named_modules():
        for part, parameter in list(module.named_parameters(recurse=False)):
            is_matrix = isinstance(module, torch.nn.Linear) and part == "weight"
            wanted = parameter.data.T if is_matrix else parameter.data
            same = [(became, is_quantised) for array, became, is_quantised in weights
                    if array.shape == wanted.shape and torch.equal(array, wanted)]
            if not same:
                continue
            became, is_quantised = same[0]
            # A layer of its own, should it have been tied to another.
            value = (became.T if is_matrix else became).contiguous()
            setattr(module, part, torch.nn.Parameter(value, requires_grad=False))
            if is_matrix and is_quantised:
                layers.append(name)
    return layers


class Rounding:
    """DynamicQuantizeLinear before a linear layer, straight through."""

    def __init__(self):
        self.margin = 0.5

    def codes(self, exact):
        fraction = (exact - exact.floor() - 0.5).abs().min().item()
        self.margin = min(self.margin, fraction)
        return exact.round()

    def forward(self, layer, value):
        exact = value.detach()
        low, high = exact.min().clamp(max=0), exact.max().clamp(min=0)
        scale = (high - low) / 255
        zero = self.codes(-low / scale).clamp(0, 255)
        codes = (self.codes(exact / scale) + zero).clamp(0, 255)
        rounded = value + ((codes - zero) * scale - exact)
        return torch.nn.functional.linear(rounded, layer.weight, layer.bias)

    def attach(self, model, names):
        for name in names:
            layer = model.get_submodule(name)
            layer.forward = types.MethodType(self.forward, layer)


def quantise(architecture, name, make, folder):
    """`(path, float32 model, quantised model)` of one file."""
    source = FIXTURES / architecture.name / f"{name}.onnx"
    path = folder / f"{name}.onnx"
    make(source, path)
    return path, onnx.load(source), onnx.load(path)


def reference(architecture, module, forward, rounding):
    """The oracle's arrays, on the first batch that has no activation near a step."""
    for seed in SEEDS:
        rounding.margin = 0.5
        inputs = inputs_of(architecture, LENGTHS, seed)
        double = {name: value.double() if value.is_floating_point() else value
                  for name, value in inputs.items()}
        with torch.no_grad():
            plain = forward(module.double(), *double.values()).float()
        result = {f"input/{name}": value for name, value in inputs.items()}
        for kind in KINDS.get(architecture.name, KINDS_ELSEWHERE):
            result |= adapters.reference(kind, architecture, module, forward, inputs)
            if rounding.margin < MARGIN:
                break
        else:
            break
    else:
        raise ValueError(f"{architecture.name}: an activation near a step in every batch")
    kept = {name: value for name, value in result.items()
            if "/value/" not in name and "/step/" not in name}
    return {name: value.detach().numpy() for name, value in kept.items()}, plain.numpy(), seed


def disagreement(path, oracle, plain, output):
    options = onnxruntime.SessionOptions()
    # Products with blocks of 4 bits round activations to bytes otherwise.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    halves = {one.name for one in session.get_inputs() if one.type == "tensor(float16)"}
    inputs = {one.name: oracle[f"input/{one.name}"] for one in session.get_inputs()}
    inputs = {name: value.astype(np.float16) if name in halves else value
              for name, value in inputs.items()}
    found = session.run([output], inputs)[0]
    counts = np.abs(oracle["cotangent"]) > 0
    return np.abs(found - plain)[counts].max() / np.abs(plain).max()


def store(model, folder, path):
    """Writes a model; weights that are as they were lie in the file that all models share."""
    shared = model_file.SharedWeights.read(folder)
    model_file.slim(model)
    for tensor in model.graph.initializer:
        content = numpy_helper.to_array(tensor).tobytes()
        if content in shared.offsets and tensor.data_type == TensorProto.FLOAT:
            model_file.point(tensor, shared.offsets[content], len(content))
    path.write_bytes(model.SerializeToString(deterministic=True))


def build(architecture, weights, files, folder):
    model = whole_model(architecture, "eager")
    module, forward = forward_of(architecture, model)
    rounding, filled, made = Rounding(), None, []
    for name, make in files:
        path, before, after = quantise(architecture, name, make, folder)
        made.append((name, path, after))
        if filled is None:
            filled = dequantised(before, after)
            layers = fill(model, filled)
            if weights == "int8":
                rounding.attach(model, layers)
            continue
        other = whole_model(architecture, "eager")
        fill(other, dequantised(before, after))
        for (parameter, one), two in zip(model.named_parameters(), other.parameters()):
            if not torch.allclose(one, two, rtol=0, atol=1e-7):
                raise ValueError(f"{architecture.name} {weights}: {parameter} differs by "
                                 f"{(one - two).abs().max()} between files")
    print(f"{architecture.name} {weights}: {len(layers)} layers: {layers[0]}", flush=True)
    oracle, plain, seed = reference(architecture, module, forward, rounding)
    metadata = {"output": architecture.output, "torch": torch.__version__,
                "transformers": transformers.__version__}
    safetensors_file.write(HERE / f"{architecture.name}.{weights}.safetensors", oracle, metadata)
    for name, path, after in made:
        error = disagreement(path, oracle, plain, architecture.output)
        target = FIXTURES / architecture.name / f"{name}.{weights}.onnx"
        store(after, target.parent, target)
        print(f"{architecture.name} {name}.{weights}: {target.stat().st_size} bytes, "
              f"seed {seed}, margin {rounding.margin:.1e}, error {error:.1e}", flush=True)
        if not error <= ERRORS_MAX[weights]:
            raise ValueError(f"differs from PyTorch by {error:.2e}")


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for architecture in architectures():
        files = FILES.get(architecture.name, ())
        for weights in dict.fromkeys(weights for _, weights, _ in files):
            chosen = [(name, make) for name, kind, make in files if kind == weights]
            with tempfile.TemporaryDirectory() as folder:
                build(architecture, weights, chosen, Path(folder))


if __name__ == "__main__":
    main()
