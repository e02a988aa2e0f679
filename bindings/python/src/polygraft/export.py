"""From a model of Hugging Face to a bundle: `polygraft-export FOLDER --out BUNDLE`.

The encoder becomes ONNX, the pooling, the layers after it, the token limit and the prompts are those
of the files of sentence-transformers where there are any, and the command `polygraft bundle create`
makes the bundle. It is kept only if its vectors of a few texts are those of PyTorch.

It needs the extra `export`, which brings PyTorch, transformers and the exporter to ONNX, and the
command `polygraft`. Nothing is downloaded: FOLDER lies on the disk.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

from polygraft._reference import Reference, copy_modules, transformer_folder
from polygraft.engine import ONNXRUNTIME_VARIABLE, Engine, packaged_onnxruntime
from polygraft.model import Model
from polygraft.store import Store

COMMAND_VARIABLE = "POLYGRAFT_COMMAND"
POOLINGS = ("mean", "cls", "last", "max", "weighted-mean")
EXPORTERS = ("dynamo", "torchscript")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"

#: The newest opset that each exporter writes without a conversion in old and new releases.
OPSETS = {"dynamo": 18, "torchscript": 17}

#: The largest difference between an entry of a vector and PyTorch's, for vectors whose largest
#: entry is 1 or less; for others relative to that entry.
TOLERANCE = 1e-3

#: Short and long, in several scripts, and of different lengths once they are tokenized.
TEXTS = (
    "Turn on the light.",
    "ışığı kapat",
    "Mach bitte das Licht im Wohnzimmer aus, wenn ich gegangen bin.",
    "キッチンの電気をつけて",
    "Включи свет",
    "a",
)


class ExportError(Exception):
    """The export failed; the message says where and what would help."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """A bundle that was made and compared with PyTorch."""

    #: The folder of the bundle.
    bundle: Path
    #: The exporter that wrote the graph.
    exporter: str
    #: The largest difference between its vectors and PyTorch's.
    difference: float
    #: The identity of the bundle.
    identity: str
    #: What the vectors are made of: pooling, layers, prefix.
    reading: dict[str, Any]


def export(
    source: str | os.PathLike[str] | Any,
    out: str | os.PathLike[str],
    *,
    tokenizer: Any = None,
    pooling: str | None = None,
    normalise: bool = False,
    prefix: str | None = None,
    tokens_max: int | None = None,
    exporter: str | None = None,
    opset: int | None = None,
    texts: Sequence[str] = TEXTS,
    command: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> Exported:
    """Makes the bundle `out` of a folder of Hugging Face, or of a model of transformers and its
    `tokenizer`, and compares it with PyTorch.

    `pooling`, `prefix` and `tokens_max` override what the files of sentence-transformers say;
    without such files the pooling must be given, because nothing else states it.

    Raises `ExportError`, and then `out` is as it was.
    """
    _check_packages()
    out = Path(out).absolute()
    if out.exists() and not (overwrite and (out / "manifest.json").is_file()):
        what = "is not a bundle" if overwrite else "exists; overwrite it only if you mean it"
        raise ExportError(f"{out}: {what}")
    made_by = _command(command)
    folder = Path(source).absolute() if isinstance(source, (str, os.PathLike)) else None
    model, tokenizer = _load(source if folder is None else folder, tokenizer)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".polygraft-export-") as name:
        work = Path(name)
        modules = copy_modules(folder, work / "modules") if folder else None
        if modules is None and pooling is None:
            raise ExportError(
                "nothing says how the hidden states become a vector: there is no modules.json of "
                f"sentence-transformers; give the pooling, one of {', '.join(POOLINGS)}"
            )
        say(f"encoder {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} "
            "parameters")
        written = _write_graph(model, tokenizer, work, exporter, opset, say)
        arguments = [
            "--onnx", work / "model.onnx", "--tokenizer", work / "tokenizer" / "tokenizer.json",
            *(("--modules", modules) if modules else ()),
            *(("--pooling", pooling) if pooling else ()),
            *(("--normalise",) if normalise else ()),
            *(("--prefix", prefix) if prefix is not None else ()),
            *(("--tokens-max", tokens_max) if tokens_max is not None else ()),
            "--out", work / "bundle",
        ]
        made = _run(made_by, ["bundle", "create", *map(str, arguments)], say)
        manifest = json.loads((work / "bundle" / "manifest.json").read_text(encoding="utf-8"))
        reading = {name: manifest.get(name) for name in ("pooling", "layers", "prefix")}
        reading["tokens_max"] = manifest["tokens_max"]
        say(f"the vector of a text: {_described(reading)}")
        say(_trainability(made_by, work / "bundle"))
        reference = Reference(model, tokenizer, modules, reading)
        difference = _difference(work / "bundle", reference, texts)
        say(f"compared with PyTorch on {len(texts)} texts: the largest difference is "
            f"{difference:.1e}")
        if not difference <= TOLERANCE:
            raise ExportError(
                f"the bundle's vectors differ from PyTorch's by up to {difference:.1e}, expected at "
                f"most {TOLERANCE:.0e}; nothing was written. Try the other exporter"
            )
        if out.exists():
            shutil.rmtree(out)
        (work / "bundle").rename(out)
    say(f"{out}: identity {made['identity']}")
    return Exported(out, written, difference, made["identity"], reading)


def _check_packages() -> None:
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        message = f"{error.name} is missing: pip install 'polygraft[export]'"
        raise ExportError(message) from error


def _command(given: str | os.PathLike[str] | None) -> str:
    found = given or os.environ.get(COMMAND_VARIABLE) or shutil.which("polygraft")
    if found is None:
        raise ExportError(
            "the command polygraft makes the bundle and is not in PATH: `make install` in the "
            f"repository installs it; or give it by --command or {COMMAND_VARIABLE}"
        )
    return os.fspath(found)


def _load(source: Any, tokenizer: Any) -> tuple[Any, Any]:
    """The model and its tokenizer, ready to be exported."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    if isinstance(source, Path):
        if not source.is_dir():
            raise ExportError(f"{source}: expected the folder of a model, found none")
        place = transformer_folder(source)
        model = AutoModel.from_pretrained(place, local_files_only=True)
        tokenizer = tokenizer or AutoTokenizer.from_pretrained(place, local_files_only=True)
    else:
        model = source
    if tokenizer is None:
        raise ExportError("a model without its folder needs its tokenizer, too")
    if not getattr(tokenizer, "is_fast", False):
        raise ExportError(f"{type(tokenizer).__name__} has no tokenizer.json; expected a fast one")
    if model.config.is_encoder_decoder:
        raise ExportError(
            "the model has a decoder of its own: export it with Optimum and give the folder to "
            "`polygraft bundle create`, or hand in its encoder"
        )
    # Caches are for generation; as outputs of an encoder they would only be in the way.
    model.config.use_cache = False
    return model.eval().to(device="cpu", dtype=torch.float32), tokenizer


def _write_graph(
    model: Any,
    tokenizer: Any,
    work: Path,
    exporter: str | None,
    opset: int | None,
    say: Callable[[str], None],
) -> str:
    """Writes `model.onnx` and the tokenizer; returns the exporter that could."""
    tokenizer.save_pretrained(work / "tokenizer")
    if not (work / "tokenizer" / "tokenizer.json").is_file():
        raise ExportError(f"{type(tokenizer).__name__} wrote no tokenizer.json")
    tried = []
    for name in (exporter,) if exporter else EXPORTERS:
        number = opset or OPSETS[name]
        try:
            _export_onnx(model, tokenizer, work / "model.onnx", name, number)
        except Exception as error:  # Exporters raise whatever their tracing met.
            lines = str(error).strip().splitlines() or [""]
            tried.append(f"{name} at opset {number}: {type(error).__name__}: {lines[0]:.300}")
            say(f"the exporter {tried[-1]}")
            continue
        say(f"exported by {name} at opset {number}")
        return name
    raise ExportError("no exporter can write the model: " + "; ".join(tried))


def _export_onnx(model: Any, tokenizer: Any, path: Path, exporter: str, opset: int) -> None:
    import inspect
    import types

    import torch

    original = type(model).forward
    known = inspect.signature(original).parameters
    names = [name for name in INPUTS if name in known and name in tokenizer.model_input_names]
    # `forward` is replaced on the model itself, so that the nodes keep the names of its modules, by
    # which adapters are attached. Exporters read the number of its arguments.
    if "token_type_ids" in names:
        def forward(self: Any, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            return original(
                self, input_ids=input_ids, attention_mask=attention_mask,
                token_type_ids=token_type_ids,
            ).last_hidden_state
    else:
        def forward(self: Any, input_ids: Any, attention_mask: Any) -> Any:  # type: ignore[misc]
            return original(
                self, input_ids=input_ids, attention_mask=attention_mask
            ).last_hidden_state
    # Two texts of different lengths, as any batch may have.
    ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12], [6, 5, 8, 7, 10, 9, 0, 0]])
    mask = torch.tensor([[1] * 8, [1] * 6 + [0] * 2])
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    given = tuple(values[name] for name in names)
    common = {"input_names": names, "output_names": [OUTPUT], "opset_version": opset}
    model.forward = types.MethodType(forward, model)
    try:
        with torch.no_grad():
            if exporter == "dynamo":
                size = torch.export.Dim.DYNAMIC
                shapes = tuple({0: size, 1: size} for _ in names)
                program = torch.onnx.export(
                    model, given, dynamic_shapes=shapes, dynamo=True, verbose=False, **common
                )
                program.save(path, external_data=True)
            else:
                axes = {name: {0: "batch", 1: "sequence"} for name in (*names, OUTPUT)}
                torch.onnx.export(
                    model, given, str(path), dynamic_axes=axes, dynamo=False, **common
                )
    finally:
        del model.forward


def _run(command: str, arguments: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """What the command answers, as data. What it notes on the way is told."""
    library = os.environ.get(ONNXRUNTIME_VARIABLE) or packaged_onnxruntime()
    runtime = ["--onnxruntime", str(library)] if library else []
    ran = subprocess.run(
        [command, "--json", "--progress", "none", *runtime, *arguments],
        capture_output=True, text=True, encoding="utf-8", check=False,
    )
    for line in ran.stderr.splitlines():
        say(line)
    try:
        answer: dict[str, Any] = json.loads(ran.stdout)
    except ValueError:
        answer = {}
    if ran.returncode != 0:
        message = answer.get("error", {}).get("message") or ran.stdout.strip()
        raise ExportError(f"{' '.join(arguments[:2])}: {message}")
    return answer


def _described(reading: dict[str, Any]) -> str:
    parts = [f"pooling {reading['pooling']}"]
    for layer in reading["layers"] or ():
        size = f" to {layer['outputs']}, {layer['activation']}" if "outputs" in layer else ""
        parts.append(f"{layer['kind']}{size}")
    parts.append(f"prefix {reading['prefix']!r}")
    parts.append(f"at most {reading['tokens_max']} tokens")
    return ", ".join(parts)


def _trainability(command: str, bundle: Path) -> str:
    training = _run(command, ["inspect", str(bundle)], lambda line: None).get("training", {})
    if training.get("trainable"):
        return f"gradients reach {training['sites']} sites of adapters"
    reasons = [one.get("reason") for one in training.get("obstacles", ())]
    return f"note: adapters cannot be trained: {'; '.join(map(str, reasons))}"


def _difference(bundle: Path, reference: Reference, texts: Sequence[str]) -> float:
    """The largest difference between the bundle's vectors of the texts and PyTorch's."""
    import numpy

    expected = numpy.stack([reference.vector(text) for text in texts])
    with tempfile.TemporaryDirectory() as folder, Engine() as engine, Store(folder) as store:
        with Model(engine, bundle, store) as model:
            found = model.embed(texts, normalise=False)
    if found.shape != expected.shape:
        raise ExportError(f"vectors of shape {found.shape}, expected {expected.shape}")
    return float(numpy.abs(found - expected).max() / max(1.0, float(numpy.abs(expected).max())))


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="polygraft-export", description="Make a bundle of a model of Hugging Face."
    )
    add = parser.add_argument
    add("folder", help="the folder of the model, with or without the files of sentence-transformers")
    add("--out", required=True, help="the folder to create")
    add("--pooling", choices=POOLINGS, help="instead of what modules.json says")
    add("--normalise", action="store_true", help="divide vectors by their length")
    add("--prefix", help="text before every input, such as 'query: '; instead of a default prompt")
    add("--tokens-max", type=int, help="the largest number of tokens of a text")
    add("--exporter", choices=EXPORTERS, help="the first one that works if left out")
    add("--opset", type=int, help="the version of the standard operators")
    add("--text", action="append", help="a text to compare on; may be given several times")
    add("--command", help="the command polygraft, if it is not in PATH")
    add("--overwrite", action="store_true", help="replace the folder if it is a bundle")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """The command `polygraft-export`; returns its exit code."""
    args = _arguments(given)
    try:
        export(
            args.folder, args.out, pooling=args.pooling, normalise=args.normalise,
            prefix=args.prefix, tokens_max=args.tokens_max, exporter=args.exporter,
            opset=args.opset, texts=args.text or TEXTS, command=args.command,
            overwrite=args.overwrite,
        )
    except ExportError as error:
        print(f"polygraft-export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
