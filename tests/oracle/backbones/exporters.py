"""The exporters that people use, each as a function to an in-memory ONNX model."""

import io
import tempfile
import types
from pathlib import Path

import onnx
import torch
from architectures import HEADS, HIDDEN, TRANSLATE, forward_of, inputs_of, whole_model

# The batch that is traced. Its sizes differ from those that the models are then run on.
TRACED_LENGTHS = (8, 6)
AXES = {
    "encoder_hidden_states": {0: "batch_size", 1: "encoder_sequence_length"},
    "encoder_attention_mask": {0: "batch_size", 1: "encoder_sequence_length"},
}
OTHER_AXES = {0: "batch_size", 1: "sequence_length"}


def prepared(architecture, attention):
    """The module with its function of the inputs as `forward`, and inputs to trace."""
    module, forward = forward_of(architecture, whole_model(architecture, attention))
    module.forward = types.MethodType(forward, module)
    return module, inputs_of(architecture, TRACED_LENGTHS, seed=3)


def torchscript(architecture, opset, attention):
    """The tracing exporter, PyTorch's only one for years."""
    module, inputs = prepared(architecture, attention)
    axes = {name: AXES.get(name, OTHER_AXES) for name in (*inputs, architecture.output)}
    buffer = io.BytesIO()
    torch.onnx.export(
        module, tuple(inputs.values()), buffer, input_names=list(inputs),
        output_names=[architecture.output], dynamic_axes=axes, opset_version=opset, dynamo=False,
    )
    return onnx.load_model_from_string(buffer.getvalue())


def dynamo(architecture, opset, attention):
    """The exporter over `torch.export`, PyTorch's default since 2.9."""
    module, inputs = prepared(architecture, attention)
    sizes = {name: torch.export.Dim.DYNAMIC for name in ("batch", "sequence", "encoder")}
    shapes = [
        {0: sizes["batch"], 1: sizes["encoder" if name in AXES else "sequence"]} for name in inputs
    ]
    program = torch.onnx.export(
        module, tuple(inputs.values()), input_names=list(inputs),
        output_names=[architecture.output], dynamic_shapes=tuple(shapes), opset_version=opset,
        dynamo=True, external_data=False, verbose=False,
    )
    return program.model_proto


def optimum(architecture, opset, attention, level=None):
    """Optimum's command, without the command; `level` is that of its graph optimiser."""
    from optimum.exporters.onnx import onnx_export_from_model

    model = whole_model(architecture, attention)
    with tempfile.TemporaryDirectory() as folder:
        onnx_export_from_model(
            model, output=Path(folder), opset=opset, task=architecture.task,
            do_validation=False, no_post_process=architecture.task == TRANSLATE,
        )
        if level is not None:
            return optimised(Path(folder) / architecture.file, architecture, level)
        return onnx.load(Path(folder) / architecture.file)


def optimised(path, architecture, level):
    """What Optimum's optimiser makes of a model: it calls this function of ONNX Runtime's."""
    from onnxruntime.transformers import optimizer

    kind = "bart" if architecture.task == TRANSLATE else "bert"
    result = optimizer.optimize_model(
        str(path), model_type=kind, num_heads=HEADS, hidden_size=HIDDEN,
        opt_level=1, only_onnxruntime=level == "O1", use_gpu=False,
    )
    return result.model
