"""Quantise the tiny encoder with the usual tools, and write PyTorch's gradients on each result.

Out: `tests/fixtures/quantised/FORM/model.onnx` and
`tests/oracle/quantised_bert_gradients.safetensors`. The forms:
  dynamic-int8, dynamic-uint8     ONNX Runtime's `quantize_dynamic`, per column and per tensor
  qdq-int8                        ONNX Runtime's `quantize_static`, QuantizeLinear/DequantizeLinear
  nbits-4, nbits-4-symmetric      ONNX Runtime's `MatMulNBitsQuantizer`, operator MatMulNBits
  blocks-uint4                    the same as DequantizeLinear of UINT4 blocks
  float16                         a graph that computes in float16 throughout
  stored-float16, stored-q4       what `tools/backbone` writes

Run it in the environment of `make peers` with the packages onnx, onnxruntime and onnx-ir added.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools" / "backbone"), str(ROOT / "tools" / "peers")]

import onnx  # noqa: E402
import onnxruntime.quantization as quantization  # noqa: E402
import safetensors_file  # noqa: E402
import tiny_bert  # noqa: E402
import torch  # noqa: E402
from bert_graph import write_encoder  # noqa: E402
from onnx_torch import Interpreter  # noqa: E402
from onnxruntime.quantization import matmul_nbits_quantizer  # noqa: E402
from onnxruntime.transformers import float16  # noqa: E402
from storage import BLOCK, Blocks4, Float16  # noqa: E402

FIXTURES = ROOT / "tests" / "fixtures"
SOURCE = FIXTURES / "tiny-bert-fused-erf" / "model.onnx"
SIZES = tiny_bert.SIZES


def dynamic(target, kind, per_channel):
    # Seven bits of the weights, so that no processor's sums of 16 bits overflow.
    quantization.quantize_dynamic(
        SOURCE, target, weight_type=kind, per_channel=per_channel, reduce_range=True
    )


class Calibration(quantization.CalibrationDataReader):
    """A few random batches."""

    def __init__(self):
        random = np.random.default_rng(3)
        batches = [tiny_bert.batch(random) for _ in range(4)]
        for batch in batches:
            del batch["targets"]
        self.batches = iter(batches)

    def get_next(self):
        return next(self.batches, None)


def static(target):
    quantization.quantize_static(
        SOURCE,
        target,
        Calibration(),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["MatMul", "Softmax", "Add"],
        per_channel=True,
        reduce_range=True,
    )


def blocks(target, form, symmetric):
    model = onnx.load(SOURCE)
    if form == quantization.QuantFormat.QDQ:
        model = onnx.version_converter.convert_version(model, 21)
    made = matmul_nbits_quantizer.MatMulNBitsQuantizer(
        model, block_size=BLOCK, is_symmetric=symmetric, accuracy_level=1, quant_format=form
    )
    made.process()
    made.model.save_model_to_file(str(target), use_external_data_format=False)


def half(target):
    onnx.save(float16.convert_float_to_float16(onnx.load(SOURCE)), target)


def quantised(matrix):
    """Codes `[out, in]` and scales of 4-bit blocks along the inputs of a matrix `[in, out]`."""
    rows = matrix.T.reshape(matrix.shape[-1], -1, BLOCK)
    scales = (np.abs(rows).max(axis=-1) / 7).astype(np.float16)
    codes = np.clip(np.rint(rows / scales[:, :, None].astype(np.float32)) + 8, 0, 15)
    return codes.astype(np.uint8).reshape(len(rows), -1), scales


def stored(target, weights, storage):
    write_encoder(target.parent, SIZES, weights, {"source": "tests/oracle/quantised_bert.py"},
                  storage=storage)


def write_forms():
    # The weights are drawn in the order in which they are first asked for.
    weights = tiny_bert.SeededWeights(7)
    with tempfile.TemporaryDirectory() as folder:
        write_encoder(folder, SIZES, weights, {})

    def packed(name):
        matrix = weights(name)
        return quantised(matrix.T if name.startswith("embeddings.") else matrix)

    operator, pairs = quantization.QuantFormat.QOperator, quantization.QuantFormat.QDQ
    makers = {
        "dynamic-int8": lambda to: dynamic(to, quantization.QuantType.QInt8, True),
        "dynamic-uint8": lambda to: dynamic(to, quantization.QuantType.QUInt8, False),
        "qdq-int8": static,
        "nbits-4": lambda to: blocks(to, operator, False),
        "nbits-4-symmetric": lambda to: blocks(to, operator, True),
        "blocks-uint4": lambda to: blocks(to, pairs, False),
        "float16": half,
        "stored-float16": lambda to: stored(to, weights, Float16()),
        "stored-q4": lambda to: stored(to, weights, Blocks4(packed)),
    }
    for form, make in makers.items():
        folder = FIXTURES / "quantised" / form
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder / "model.onnx")
    return list(makers)


def additions(tensors):
    """What the LoRA tensors add to the outputs of the query and value layers."""
    added = {}
    for layer in range(SIZES.layers):
        normalized = f"/encoder/layer.{layer - 1}/output/LayerNorm/LayerNormalization_output_0"
        if layer == 0:
            normalized = "/embeddings/LayerNorm/LayerNormalization_output_0"
        for part in ("query", "value"):
            site = f"encoder.layer.{layer}.attention.self.{part}"
            path = f"/encoder/layer.{layer}/attention/self/{part}/MatMul_output_0"
            down, up = tensors[site + ".lora_A"], tensors[site + ".lora_B"]

            def add(run, node, result, down=down, up=up, normalized=normalized):
                # Where the layer takes a float, that is the node's own input.
                whole = node.op_type in ("MatMul", "MatMulNBits")
                value = run.values[node.input[0] if whole else normalized]
                return result + (value @ down) @ up

            added[path] = add
    return added


def gradients(form, inputs, arrays):
    """(loss, {name: gradient}) of one training step on a form."""
    tensors = {name: torch.from_numpy(array).requires_grad_() for name, array in arrays.items()}
    given = {name: torch.from_numpy(array) for name, array in inputs.items()}
    model = onnx.load(FIXTURES / "quantised" / form / "model.onnx")
    added = additions(tensors)
    values = Interpreter(model, added).run(given)
    missing = added.keys() - values.keys()
    assert not missing, f"{form}: no layer makes {missing}"
    mask = given["attention_mask"][:, :, None].float()
    pooled = (values["last_hidden_state"] * mask).sum(1) / mask.sum(1)
    logits = pooled @ tensors["head.weight"] + tensors["head.bias"]
    loss = -(given["targets"] * logits.log_softmax(-1)).sum()
    loss.backward()
    return loss.item(), {name: tensor.grad.numpy() for name, tensor in tensors.items()}


def main():
    torch.set_num_threads(1)
    random = np.random.default_rng(11)
    inputs, tensors = tiny_bert.batch(random), tiny_bert.trainable(random)
    result = dict(tensors)
    result |= {f"input.{name}": array for name, array in inputs.items()}
    for form in write_forms():
        loss, grads = gradients(form, inputs, tensors)
        result[f"{form}/loss"] = np.float32(loss)
        result |= {f"{form}/grad.{name}": array for name, array in grads.items()}
        print(f"{form}: loss {loss:.6f}")
    path = ROOT / "tests" / "oracle" / "quantised_bert_gradients.safetensors"
    safetensors_file.write(path, result, {"torch": torch.__version__})


if __name__ == "__main__":
    main()
