"""The package says what the header says: names, numbers and fields."""

import dataclasses
import doctest
import inspect
import re
import unittest

import support

import polygraft
from polygraft import (
    _library,
    errors,
    examples,
    inputs,
    inspection,
    names,
    options,
    prediction,
    progress,
    report,
    store,
)

# A comment may stand before each field.
STRUCT = re.compile(r"typedef struct \{(.*?)\} polygraft_(\w+);", re.DOTALL)
CONSTANT = re.compile(r"^#define POLYGRAFT_(\w+) (\d+)$", re.MULTILINE)
STATUS = re.compile(r"^  (POLYGRAFT_ERROR_\w+) = (\d+),$", re.MULTILINE)


def fields_of(wanted):
    """The fields of a struct that carry a value."""
    bodies = [body for body, name in STRUCT.findall(support.HEADER) if name == wanted]
    found = re.findall(r"^  [\w *]*?(\w+)(?:\[\d\])?;$", bodies[0], re.MULTILINE)
    return {name for name in found if name not in ("struct_size", "reserved")}


def fields(kind):
    return {field.name for field in dataclasses.fields(kind)}


class Header(unittest.TestCase):
    def test_every_status_has_an_exception(self):
        statuses = STATUS.findall(support.HEADER)
        self.assertGreater(len(statuses), 40)
        lib = _library.library()
        known = errors.classes_by_name()
        for constant, number in statuses:
            name = _library.text(lib.polygraft_status_name(int(number)))
            self.assertIn(name, known, constant)
            error = errors.Error.named(name, "m", ("m",))
            self.assertIs(type(error), known[name])
            words = re.split(r"[._]", name)
            self.assertIn(type(error).__name__, ("".join(map(str.capitalize, words)) + "Error",))

    def test_an_unknown_name_is_an_error_of_its_group(self):
        error = errors.Error.named("store.on_fire", "m", ("a", "m"))
        self.assertIs(type(error), errors.StoreError)
        self.assertEqual((error.name, str(error)), ("store.on_fire", "m [store.on_fire]"))
        self.assertIs(type(errors.Error.named("new.name", "m", ())), errors.Error)

    def test_constants_are_those_of_the_header(self):
        kinds = [one for _, one in inspect.getmembers(names, inspect.isclass)
                 if issubclass(one, names.Named) and one is not names.Named]
        prefixes = {
            names.TaskKind: "TASK", names.FinishReason: "FINISH", names.ReasonKind: "REASON",
            names.AdapterKind: "ADAPTER", names.SubLayers: "SUB_LAYERS",
            names.ImportActivation: "ACTIVATION", names.AdapterFormat: "FORMAT",
            names.StepKind: "STEP", names.CheckState: "CHECK", names.LogSeverity: "LOG",
        }
        known = {
            f"{prefixes.get(kind, kind.__name__.upper())}_{member.name}": int(member)
            for kind in kinds for member in kind
        }
        declared = {name: int(number) for name, number in CONSTANT.findall(support.HEADER)
                    if not name.startswith("VERSION_") and name != "ABI_VERSION"}
        self.assertEqual(known, declared)

    def test_options_have_the_fields_of_the_structs(self):
        for kind in options.Options.__subclasses__():
            declared = fields_of(kind._kind)
            self.assertEqual(fields(kind), {
                name for name in declared if not name.endswith("_count") and name != "cancel"
            })
            self.assertGreater(len(fields(kind)), 3)

    def test_results_have_the_fields_of_the_structs(self):
        for kind, struct in (
            (report.LanguageReport, "language_report"), (report.Summary, "summary"),
            (report.Training, "training"), (progress.Progress, "progress"),
            (prediction.Word, "word"), (prediction.Span, "span"),
            (inspection.ChainStep, "chain_step"),
        ):
            self.assertEqual(fields(kind), fields_of(struct), struct)
        for kind, struct, own in (
            (inspection.StoreStatistics, "store_statistics", {"tasks"}),
            (inspection.TaskStatistics, "task_statistics", {"examples"}),
        ):
            self.assertEqual(fields(kind) - own, fields_of(struct), struct)
        examples = fields(inspection.ExamplesStatistics)
        self.assertEqual({"oldest_unix_ms" if one == "oldest" else one for one in examples},
                         fields_of("examples_statistics"))
        renamed = {"created_unix_ms": "created"}
        self.assertEqual(
            fields(store.Version), {renamed.get(one, one) for one in fields_of("version")}
        )

    def test_defaults_are_the_librarys(self):
        update = polygraft.UpdateOptions.defaults()
        self.assertEqual(update.strategy, polygraft.Strategy.URIEL)
        self.assertIs(update.gate_enabled, True)
        self.assertEqual(update.lora_targets, None)
        self.assertGreater(update.steps_min, 0)
        self.assertEqual(polygraft.PredictOptions.defaults().num_beams, 1)
        self.assertEqual(polygraft.ModelOptions.defaults().mode, polygraft.Mode.LEAN)

    def test_versions_are_those_of_the_repository(self):
        manifest = (support.ROOT / "Cargo.toml").read_text(encoding="utf-8")
        expected = re.search(r'^version = "(.*)"', manifest, re.MULTILINE).group(1)
        self.assertEqual(polygraft.version(), expected)
        self.assertIn(expected, polygraft.build_info())
        lib = _library.library()
        self.assertEqual(lib.polygraft_abi_version(), lib.POLYGRAFT_ABI_VERSION)

    def test_names_are_texts_and_texts_are_names(self):
        self.assertEqual(f"{polygraft.Phase.MEASURE_BEFORE}", "measure-before")
        self.assertIs(polygraft.SubLayers.of("feed forward"), polygraft.SubLayers.FEED_FORWARD)
        self.assertEqual(polygraft.Phase(9).label, "unknown-9")
        with self.assertRaises(TypeError):
            polygraft.Phase(None)


def load_tests(loader, tests, pattern):
    for module in (errors, examples, inputs, names, options):
        flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
        tests.addTests(doctest.DocTestSuite(module, optionflags=flags))
    return tests
