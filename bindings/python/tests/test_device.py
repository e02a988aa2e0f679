"""What a device does besides learning: adapters in and out, examples wiped, a store checked."""

import datetime
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

import support
from support import TASK, ModelTest, examples

from polygraft import (
    AdapterFormat,
    CheckState,
    Examples,
    ExportOptions,
    ImportOptions,
    Model,
    StepKind,
    Store,
    combine_adapters,
    diagnose,
    errors,
    stack_adapters,
    verify_bundle,
)


class Device(ModelTest):
    """A store that has learnt from real sentences once; each test has a copy of it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.taught = cls.enterClassContext(tempfile.TemporaryDirectory())
        with Store(cls.taught) as store, Model(cls.engine, cls.bundle(), store) as model:
            with cls.begin(model) as update:
                update.run()
                update.commit()

    def setUp(self):
        self.folder = self.enter(tempfile.TemporaryDirectory())
        shutil.copytree(self.taught, self.path("taught"))
        self.store = self.enter(Store(self.path("taught")))
        self.model = self.enter(Model(self.engine, self.bundle(), self.store))

    def path(self, name):
        return Path(self.folder, name)

    def other_model(self):
        store = self.enter(Store(self.path("other")))
        return self.enter(Model(self.engine, self.bundle(), store)), store

    def test_a_base_adapter_is_installed_and_given_on(self):
        self.model.export_adapter(TASK, "de", self.path("de.adapter"), number=1)
        with self.assertRaises(errors.ArgumentInvalidError):
            self.model.export_adapter(TASK, "de", self.path("de.adapter"))
        device, store = self.other_model()
        base = device.import_adapter(TASK, "mul", self.path("de.adapter"))
        self.assertEqual((base.version, base.activated, base.format), (1, True, AdapterFormat.OWN))
        self.assertEqual(base.decision.language, "mul")
        text = "schalte das Licht an"
        self.assertEqual(device.predict(TASK, "tr", text).labels,
                         self.model.predict(TASK, "de", text).labels)
        kept = device.import_adapter(
            TASK, "de", self.path("de.adapter"), ImportOptions(activation="never")
        )
        self.assertEqual((kept.activated, kept.decision), (False, None))
        self.assertEqual([one.active for one in store.versions(TASK)], [False, True])

        self.model.export_adapter(
            TASK, "de", self.path("peft"), options=ExportOptions(format="peft", encoder="bert")
        )
        peft = device.import_adapter(
            TASK, "en", self.path("peft"),
            ImportOptions(activation="always", head_on_pooled=True,
                          labels=["HassCancelTimer", "HassTurnOn"]),
        )
        self.assertEqual((peft.format, peft.activated), (AdapterFormat.PEFT, True))
        self.assertEqual(peft.notes, ())
        with self.assertRaises(FileNotFoundError):
            device.import_adapter(TASK, "de", "/nowhere")
        named = ImportOptions(
            activation="never", encoder="bert.encoder", within="encoder", head_on_pooled=True,
            labels=["HassCancelTimer", "HassTurnOn"],
        )
        matched = device.import_adapter(TASK, "fr", self.path("peft"), named)
        note = "bert.encoder.* of the adapter is encoder.* of the backbone"
        self.assertEqual(matched.notes, (note,))

    def test_adapters_are_combined_and_stacked(self):
        for language in ("de", "en"):
            self.model.export_adapter(TASK, language, self.path(language))
        both = [self.path("de"), self.path("en")]
        combine_adapters(both, self.path("both"), weights=[0.5, 0.5])
        stack_adapters(self.path("de"), self.path("en"), self.path("stack"))
        device, _ = self.other_model()
        for name in ("both", "stack"):
            imported = device.import_adapter(
                TASK, "mul", self.path(name), ImportOptions(activation="always")
            )
            self.assertTrue(imported.activated)
        with self.assertRaises(errors.ArgumentInvalidError):
            combine_adapters(both, self.path("none"), weights=[1.0])
        with self.assertRaises(errors.ArgumentInvalidError):
            combine_adapters([], self.path("none"))

    def test_examples_are_read_evaluated_and_added(self):
        rows = [(one["lang"], one["text"], one["label"]) for one in examples("de", 4)]
        listed = Examples.labelled(rows)
        lines = "\n".join(json.dumps(one) for one in examples("de", 4))
        parsed = Examples.parse(lines)
        self.path("examples.jsonl").write_text(lines, encoding="utf-8")
        read = Examples.read(self.path("examples.jsonl"))
        self.assertEqual([len(one) for one in (listed, parsed, read)], [8, 8, 8])
        steps = []
        found = self.model.evaluate(TASK, read, lambda *step: steps.append(step))
        self.assertEqual(found, self.model.evaluate(TASK, listed))
        self.assertEqual(steps[-1], (8, 8))
        score = found.languages[0]
        self.assertEqual((score.language, score.served_by, score.version), ("de", "de", 1))
        self.assertEqual(score.examples_count, 8)
        right = sum(
            self.model.predict(TASK, "de", text).label == label for _, text, label in rows
        )
        self.assertAlmostEqual(score.score, right / 8)
        self.assertAlmostEqual(found.mean.metrics["accuracy"], right / 8)
        json.dumps(found.to_dict(), allow_nan=False)

        def fail(step, steps_count):
            raise LookupError(step)

        with self.assertRaises(LookupError):
            self.model.evaluate(TASK, read, fail)
        with self.assertRaises(errors.CancelledError):
            self.model.evaluate(TASK, read, lambda step, steps_count: False)
        with self.model.begin_update(TASK) as update:
            update.add_examples(parsed)
        with self.assertRaisesRegex(errors.ExamplesMalformedError, "line 2"):
            Examples.parse(lines.splitlines()[0] + "\n{}")

    def test_examples_are_wiped_and_what_learnt_from_them_retired(self):
        before = self.store.statistics()
        task = before.tasks[0]
        self.assertEqual((task.task, task.versions_count), (TASK, 3))
        self.assertEqual([one.language for one in task.examples], ["de", "en"])
        self.assertEqual(sum(one.training_count + one.held_out_count for one in task.examples),
                         task.examples_count)
        self.assertEqual((before.versions_count, before.tasks_count), (3, 1))
        long_ago = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)
        self.assertEqual(self.store.wipe(TASK, added_before=long_ago).examples, {})
        wiped = self.store.wipe(TASK, language="de", label="HassTurnOn")
        self.assertEqual((list(wiped.examples), wiped.retired), (["de"], False))
        self.assertGreater(len(wiped.versions), 0)
        wiped = self.store.wipe(TASK, retire=True)
        self.assertTrue(wiped.retired)
        self.assertEqual(self.store.versions(TASK), [])
        after = self.store.statistics()
        self.assertGreater(after.generation, before.generation)
        self.assertEqual(sum(one.examples_count for one in after.tasks), 0)

    def test_old_versions_are_removed(self):
        self.model.export_adapter(TASK, "de", self.path("de"))
        never = ImportOptions(activation="never")
        for _ in range(3):
            self.model.import_adapter(TASK, "de", self.path("de"), never)
        removed = self.store.remove_versions(TASK, "de", keep_last=1)
        # The active version 1 and the newest stay.
        self.assertEqual([one.number for one in removed], [2, 3])
        numbers = [one.number for one in self.store.versions(TASK) if one.language == "de"]
        self.assertEqual(numbers, [1, 4])

    def test_who_serves_is_explained(self):
        steps = self.store.explain(TASK, "de-CH")
        self.assertEqual([(one.language, one.kind) for one in steps[:2]],
                         [("de-CH", StepKind.OWN), ("de", StepKind.SHORTER_TAG)])
        self.assertEqual([one.language for one in steps if one.serves], ["de"])
        self.assertEqual(self.model.predict(TASK, "de-CH", "Licht an").language, "de")

    def test_damage_is_found(self):
        self.assertTrue(self.store.verify())
        verify_bundle(self.bundle())
        folder = self.path("damaged")
        with Store(folder) as store:
            with Model(self.engine, self.bundle(), store) as device:
                self.model.export_adapter(TASK, "de", self.path("de"))
                device.import_adapter(TASK, "de", self.path("de"))
            content = max((one for one in folder.rglob("*") if one.is_file()),
                          key=lambda one: one.stat().st_size)
            content.chmod(0o644)
            damaged = bytearray(content.read_bytes())
            damaged[-1] ^= 1
            content.write_bytes(damaged)
            found = store.verify()
        self.assertFalse(found.all_right)
        self.assertEqual(found.checks[0].state, CheckState.WRONG)
        self.assertEqual(found.checks[0].error_name, "store.corrupt")
        said = diagnose(None, folder, onnxruntime_path=support.onnxruntime())
        self.assertFalse(said)
        self.assertIn("wrong  store", str(said))


class Engines(unittest.TestCase):
    """Engines in processes of their own: a process has one ONNX Runtime."""

    def python(self, code):
        process = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-c", textwrap.dedent(code),
             support.onnxruntime(), str(support.cache("bundle", "e5-small"))],
            capture_output=True, text=True, check=False,
        )
        self.assertEqual(process.returncode, 0, process.stderr)
        return process

    def test_onnxruntime_is_handed_in(self):
        process = self.python("""
            import ctypes, sys, polygraft
            ort = ctypes.CDLL(sys.argv[1])
            ort.OrtGetApiBase.restype = ctypes.c_void_p
            with polygraft.Engine(ort_api_base=ort.OrtGetApiBase()) as engine:
                print(engine.onnxruntime_version)
        """)
        self.assertRegex(process.stdout, r"^1\.\d+\.\d+\n$")

    def test_what_is_logged_is_heard(self):
        process = self.python("""
            import logging, sys, tempfile, polygraft
            logging.basicConfig(level=logging.INFO, stream=sys.stdout)
            logger = logging.getLogger("app")
            with tempfile.TemporaryDirectory() as folder, polygraft.Store(folder) as store:
                with polygraft.Engine(sys.argv[1], log=logger, log_severity="info") as engine:
                    polygraft.Model(engine, sys.argv[2], store).close()
        """)
        self.assertIn("INFO:app:", process.stdout)

    def test_what_a_log_callback_raises_is_unraisable(self):
        process = self.python("""
            import sys, tempfile, polygraft
            seen = []
            sys.unraisablehook = lambda lost: seen.append(type(lost.exc_value).__name__)
            def fail(line): raise LookupError(line.message)
            with tempfile.TemporaryDirectory() as folder, polygraft.Store(folder) as store:
                with polygraft.Engine(sys.argv[1], log=fail, log_severity="verbose") as engine:
                    polygraft.Model(engine, sys.argv[2], store).close()
            print(set(seen))
        """)
        self.assertEqual(process.stdout, "{'LookupError'}\n")
