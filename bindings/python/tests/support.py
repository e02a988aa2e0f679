"""What the tests share: the real bundle, real sentences, and a record of the functions called.

The cache folder of the repository holds ONNX Runtime, the reference bundle and the data; `make
setup` and `make bundle-dev` fill it.
"""

import json
import os
import unittest
from pathlib import Path

from polygraft import Engine, Model, Store, UpdateOptions, _library

ROOT = Path(__file__).resolve().parents[3]
HEADER = (ROOT / "include" / "polygraft.h").read_text(encoding="utf-8")
TASK = "intent"

#: Every function of the library that was called by name.
CALLED = set()


class Recorder:
    """The library, with a record of what is asked of it."""

    def __init__(self, lib):
        self._lib = lib

    def __getattr__(self, name):
        CALLED.add(name)
        return getattr(self._lib, name)


original = _library.checked
_library.checked = lambda lib, name: Recorder(original(lib, name))


def cache(*parts):
    path = ROOT.joinpath(".cache", *parts)
    if not path.exists():
        raise FileNotFoundError(f"{path}: run `make bundle` in the repository's root")
    return path


def onnxruntime():
    return os.environ.get("ORT_DYLIB_PATH") or str(cache("onnxruntime", "libonnxruntime.so"))


def lines(*parts):
    with open(cache("data", *parts), encoding="utf-8") as file:
        yield from map(json.loads, file)


def examples(language, count):
    """Real sentences of two intents, `count` of each."""
    left = {"HassTurnOn": count, "HassCancelTimer": count}
    for one in lines("intents", "train", f"{language}.jsonl"):
        if left.get(one["label"]):
            left[one["label"]] -= 1
            yield one


def sentences(language, count, data_set="slots"):
    """The first real sentences that have a slot."""
    found = []
    for one in lines(data_set, "train", f"{language}.jsonl"):
        has_slot = any(tag.startswith("B-") for tag in one.get("tags", ())) or one.get("spans")
        if has_slot and len(found) < count:
            found.append(one)
    return found


class ModelTest(unittest.TestCase):
    """A test with the reference bundle and a store of its own."""

    @classmethod
    def setUpClass(cls):
        cls.engine = cls.enterClassContext(Engine(onnxruntime()))

    @classmethod
    def bundle(cls):
        return cache("bundle", "e5-small")

    @classmethod
    def enterClassContext(cls, context):  # Python 3.9 and 3.10 have no such method.
        entered = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        return entered

    def enter(self, context):
        entered = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return entered

    def open(self):
        import tempfile

        folder = self.enter(tempfile.TemporaryDirectory())
        store = self.enter(Store(folder))
        return self.enter(Model(self.engine, self.bundle(), store)), store

    @staticmethod
    def begin(model, task=TASK, **settings):
        """A short update with examples in two languages. The caller closes it."""
        chosen = {"seed": 1, "steps_max": 3, "new_labels": True, "gate_enabled": False, **settings}
        update = model.begin_update(task, UpdateOptions(**chosen))
        for language in ("de", "en"):
            for one in examples(language, 16):
                update.add(one["lang"], one["text"], one["label"])
        return update

    def train(self, model, task, add, data_set="slots"):
        """A short update with real sentences in two languages, committed."""
        options = UpdateOptions(seed=7, steps_max=2, new_labels=True, gate_enabled=False)
        with model.begin_update(task, options) as update:
            for language in ("de", "en"):
                for one in sentences(language, 12, data_set):
                    add(update, one)
            update.run()
            return update.commit()
