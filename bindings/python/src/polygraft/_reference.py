"""What PyTorch makes of a text, with the modules of sentence-transformers: what an export is
compared with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

MODULES = "modules.json"
CONFIGS = ("config.json", "sentence_bert_config.json", "tokenizer_config.json")
PROMPTS = "config_sentence_transformers.json"
WEIGHTS = "model.safetensors"
PICKLE = "pytorch_model.bin"

#: The activations of a bundle's layers by their names in PyTorch.
ACTIVATIONS = {
    "identity": "Identity", "tanh": "Tanh", "relu": "ReLU", "gelu": "GELU", "sigmoid": "Sigmoid",
    "silu": "SiLU",
}


def transformer_folder(folder: Path) -> Path:
    """Where in a folder the transformer lies."""
    if not (folder / MODULES).is_file():
        return folder
    modules = json.loads((folder / MODULES).read_text(encoding="utf-8"))
    return folder / (modules[0].get("path") or "")


def copy_modules(folder: Path, copy: Path) -> Path | None:
    """A copy of what sentence-transformers says about a model, without the transformer's weights
    and with those of layers as safetensors; None for a folder that says nothing."""
    if not (folder / MODULES).is_file():
        return None
    copy.mkdir()
    modules = json.loads((folder / MODULES).read_text(encoding="utf-8"))
    for name in (MODULES, PROMPTS):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, copy / name)
    for position, module in enumerate(modules):
        place, target = folder / module.get("path", ""), copy / module.get("path", "")
        target.mkdir(exist_ok=True)
        for name in CONFIGS:
            if (place / name).is_file():
                shutil.copyfile(place / name, target / name)
        if position > 0:
            _copy_weights(place, target)
    return copy


def _copy_weights(place: Path, target: Path) -> None:
    if (place / WEIGHTS).is_file():
        shutil.copyfile(place / WEIGHTS, target / WEIGHTS)
    elif (place / PICKLE).is_file():
        import torch
        from safetensors.torch import save_file

        tensors = torch.load(place / PICKLE, map_location="cpu", weights_only=True)
        save_file({name: value.contiguous() for name, value in tensors.items()}, target / WEIGHTS)


class Reference:
    """A model of transformers, its tokenizer, and how a bundle says that vectors are made."""

    def __init__(
        self, model: Any, tokenizer: Any, modules: Path | None, reading: dict[str, Any]
    ) -> None:
        self._model, self._tokenizer, self._reading = model, tokenizer, reading
        self._dense = list(_dense_weights(modules)) if modules else []

    def vector(self, text: str) -> Any:
        """The vector of one text, run alone, as NumPy's."""
        import torch

        reading = self._reading
        tokens = self._tokenizer(
            reading["prefix"] + text, return_tensors="pt", truncation=True,
            max_length=reading["tokens_max"],
        )
        with torch.no_grad():
            states = self._model(**tokens).last_hidden_state[0]
            vector = _pooled(states, reading["pooling"])
            dense = iter(self._dense)
            for layer in reading["layers"] or ():
                if layer["kind"] == "normalise":
                    vector = torch.nn.functional.normalize(vector, dim=0)
                    continue
                tensors = next(dense)
                activation = getattr(torch.nn, ACTIVATIONS[layer["activation"]])()
                weight, bias = tensors["linear.weight"], tensors.get("linear.bias")
                vector = activation(torch.nn.functional.linear(vector, weight, bias))
        return vector.numpy()


def _dense_weights(modules: Path) -> Any:
    from safetensors.torch import load_file

    for module in json.loads((modules / MODULES).read_text(encoding="utf-8"))[1:]:
        path = modules / module["path"] / WEIGHTS
        if path.is_file():
            yield {name: value.float() for name, value in load_file(path).items()}


def _pooled(states: Any, pooling: str) -> Any:
    """The states of the tokens of one text, without padding, as one vector."""
    import torch

    if pooling == "cls":
        return states[0]
    if pooling == "last":
        return states[-1]
    if pooling == "max":
        return states.max(dim=0).values
    if pooling == "mean":
        return states.mean(dim=0)
    weights = torch.arange(1, len(states) + 1, dtype=states.dtype)
    return (weights[:, None] * states).sum(dim=0) / weights.sum()
