"""Adapters in PyTorch, as forward hooks: outputs, gradients and one step of AdamW.

LoRA of rank 4 on every linear layer inside the model's layers; a bottleneck of width 8 after the
last linear layer of every sub-layer: `h + up(gelu(down(h)))`; and (IA)3, a factor on every output
of these linear layers, but on the input of each feed-forward's last one. Gradients are computed in
double precision, so that what a comparison finds is the error of the other side alone.
"""

import math
import zlib

import torch

RANK, ALPHA, WIDTH = 4, 8.0, 8
KINDS = ("lora", "bottleneck", "ia3")
STEP = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}


def linear_layers(module):
    """The linear layers of attention and feed-forward: those that lie in a numbered layer."""
    return {
        name: layer for name, layer in module.named_modules()
        if isinstance(layer, torch.nn.Linear) and any(part.isdigit() for part in name.split("."))
    }


def draw(name, shape):
    """Values that follow from the tensor's name."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    values = torch.randn(shape, generator=generator) / math.sqrt(shape[0])
    return (0.5 * values).bfloat16().float()


def tensors_of(kind, architecture, module):
    """Adapter tensors by name."""
    shapes = {}
    for name, layer in linear_layers(module).items():
        if kind == "lora":
            shapes[f"{name}.lora_A"] = (layer.in_features, RANK)
            shapes[f"{name}.lora_B"] = (RANK, layer.out_features)
        elif kind == "ia3":
            on_input = is_feed_forward_last(name, architecture.last)
            shapes[f"{name}.ia3"] = (layer.in_features if on_input else layer.out_features,)
        elif is_last(name, architecture.last):
            shapes[f"{name}.bottleneck.0.down.weight"] = (layer.out_features, WIDTH)
            shapes[f"{name}.bottleneck.0.down.bias"] = (WIDTH,)
            shapes[f"{name}.bottleneck.0.up.weight"] = (WIDTH, layer.out_features)
            shapes[f"{name}.bottleneck.0.up.bias"] = (layer.out_features,)
    centre = 1.0 if kind == "ia3" else 0.0
    return {name: centre + draw(name, shape) for name, shape in shapes.items()}


def is_last(name, endings):
    return any(name.endswith("." + ending) for ending in endings)


def is_feed_forward_last(name, endings):
    """The table states the feed-forward's ending last, and others may end with it, too."""
    return is_last(name, endings[-1:]) and not is_last(name, endings[:-1])


def hook_of(name, tensors):
    """The forward hook of one linear layer, or None where no tensor belongs to it."""
    factors = tensors.get(f"{name}.ia3")
    if factors is not None:
        return lambda layer, given, out: out * factors
    down, up = tensors.get(f"{name}.lora_A"), tensors.get(f"{name}.lora_B")
    if down is not None:
        return lambda layer, given, out: out + (given[0] @ down @ up) * (ALPHA / RANK)
    base = f"{name}.bottleneck.0."
    if base + "down.weight" not in tensors:
        return None

    def bottleneck(layer, given, out):
        inner = out @ tensors[base + "down.weight"] + tensors[base + "down.bias"]
        inner = torch.nn.functional.gelu(inner)
        return out + inner @ tensors[base + "up.weight"] + tensors[base + "up.bias"]

    return bottleneck


def run(module, forward, inputs, tensors, endings):
    """The output with the adapter `tensors` attached."""
    handles = []
    for name, layer in linear_layers(module).items():
        factors = tensors.get(f"{name}.ia3")
        if factors is not None and is_feed_forward_last(name, endings):
            multiply = lambda layer, given, factors=factors: (given[0] * factors,)  # noqa: E731
            handles.append(layer.register_forward_pre_hook(multiply))
            continue
        hook = hook_of(name, tensors)
        if hook is not None:
            handles.append(layer.register_forward_hook(hook))
    try:
        return forward(module, *inputs.values())
    finally:
        for handle in handles:
            handle.remove()


def cotangent(shape, inputs):
    """What the output is multiplied with before it is summed up; nothing where there is padding."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    if "attention_mask" in inputs:
        values = values * inputs["attention_mask"][:, :, None]
    return values.bfloat16().float()


def reference(kind, architecture, module, forward, inputs):
    """Everything to compare with for one kind of adapter, as float32 tensors by name."""
    tensors = tensors_of(kind, architecture, module)
    module = module.double()
    wide = {name: value.double() if value.is_floating_point() else value
            for name, value in inputs.items()}
    leaves = {name: value.double().requires_grad_() for name, value in tensors.items()}
    output = run(module, forward, wide, leaves, architecture.last)
    weights = cotangent(output.shape, inputs)
    (output * weights.double()).sum().backward()
    # Those that the output does not depend on (the encoder's, seen from the decoder) are left out.
    used = {name: leaf for name, leaf in leaves.items() if leaf.grad is not None}
    result = {"cotangent": weights, f"{kind}/output": output.detach()}
    for name, leaf in used.items():
        result[f"{kind}/value/{name}"] = tensors[name]
        result[f"{kind}/gradient/{name}"] = leaf.grad.clone()
    torch.optim.AdamW(list(used.values()), **STEP).step()
    for name, leaf in used.items():
        result[f"{kind}/step/{name}"] = leaf.detach()
    module.float()
    return {name: value.float().contiguous() for name, value in result.items()}
