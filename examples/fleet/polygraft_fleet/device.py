"""A device of the fleet: a store, its own examples, and the answer to a round.

What is sent is bytes of polygraft. Nothing here activates a version but the device's own gate.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from polygraft import Engine, Examples, Model, ModelOptions, Store

TASK = "intent"


@contextlib.contextmanager
def opened(bundle: str, store: str, threads: int = 1) -> Iterator[tuple[Model, Store]]:
    """A model over the store of one device or of the server."""
    with Engine() as engine, Store(store) as place:
        with Model(engine, bundle, place, ModelOptions(threads=threads)) as model:
            yield model, place


def install(model: Model, base: Path) -> None:
    """Puts the adapter that a product ships with in place; it serves every language."""
    model.import_adapter(TASK, "mul", base)


def new_examples(folder: Path) -> Examples | None:
    """The examples that came since the last round. A device hands them over once; afterwards it
    remembers them itself."""
    path = folder / "new.jsonl"
    if not path.exists():
        return None
    return Examples.read(path)


def answer(model: Model, folder: Path, message: bytes, noise_least: float = 0.0) -> bytes:
    """Trains and makes the reply. The seed of noise is fresh from the system each time."""
    options = {
        "threads": int(os.environ.get("POLYGRAFT_THREADS", "1")),
        "noise_multiplier_min": noise_least,
        "noise_seed": secrets.token_hex(32),
    }
    reply = model.round_reply(message, new_examples(folder), options)
    (folder / "new.jsonl").unlink(missing_ok=True)
    return reply.data
