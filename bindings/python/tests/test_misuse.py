"""Bad input and misuse: an error in Python's own manner, and nothing is lost."""

import gc
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest
import warnings
from pathlib import Path

import support

import polygraft
from polygraft import Cancel, Engine, Model, Store, _library, errors

FOREIGN = """
#include <stddef.h>
typedef struct { const char *ptr; size_t len; } view;
unsigned polygraft_abi_version(void) { return ABI; }
view polygraft_version_string(void) { view v = {"9.9.9", 5}; return v; }
"""


def python(code, **environment):
    """Runs code in a process of its own; None takes a variable away."""
    variables = {**os.environ, **environment}
    variables = {name: value for name, value in variables.items() if value is not None}
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def last_line(process):
    return process.stderr.strip().splitlines()[-1]


class Libraries(unittest.TestCase):
    def test_a_missing_library_names_what_was_tried(self):
        code = "import polygraft; polygraft.version()"
        process = python(code, POLYGRAFT_LIBRARY="/nowhere/libpolygraft.so.0")
        self.assertIn("polygraft.errors.LibraryNotFoundError", process.stderr)
        self.assertIn("POLYGRAFT_LIBRARY: cannot load library '/nowhere/", process.stderr)

    def test_another_library_is_refused(self):
        code = "import polygraft; polygraft.version()"
        process = python(code, POLYGRAFT_LIBRARY=support.onnxruntime())
        self.assertIn("is no library of polygraft", last_line(process))

    def test_a_library_of_another_interface_is_refused(self):
        compiler = shutil.which(os.environ.get("CC", "cc"))
        if compiler is None:
            self.skipTest("needs a C compiler")
        for abi, expected in ((7, "expected version 0 of the binary interface, found 7"),
                              (0, "(version 9.9.9) is older than this package: it has no ")):
            with tempfile.TemporaryDirectory() as folder:
                source, library = Path(folder, "a.c"), Path(folder, "a.so")
                source.write_text(FOREIGN, encoding="utf-8")
                subprocess.run(
                    [compiler, "-shared", "-fPIC", f"-DABI={abi}", source, "-o", library],
                    check=True,
                )
                code = "import polygraft; polygraft.version()"
                process = python(code, POLYGRAFT_LIBRARY=str(library))
            self.assertIn(expected, process.stderr)

    def test_onnxruntime_of_the_package_is_found(self):
        # The layout of the package onnxruntime, with the real library in it.
        with tempfile.TemporaryDirectory() as folder:
            capi = Path(folder, "onnxruntime", "capi")
            capi.mkdir(parents=True)
            (capi.parent / "__init__.py").write_text("raise SystemExit('imported')")
            real = Path(support.onnxruntime()).resolve()
            (capi / real.name).symlink_to(real)
            code = """
                import polygraft
                with polygraft.Engine() as engine: print(engine.onnxruntime_version)
            """
            path = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
            process = python(code, PYTHONPATH=path, ORT_DYLIB_PATH=None)
        self.assertRegex(process.stdout, r"^1\.\d+\.\d+\n$", process.stderr)

    def test_a_missing_onnxruntime_names_what_was_tried(self):
        code = "import polygraft; polygraft.Engine()"
        process = python(code, ORT_DYLIB_PATH=None)
        if "onnxruntime" in subprocess.run(
            [sys.executable, "-m", "pip", "list"], capture_output=True, text=True, check=False
        ).stdout:
            self.skipTest("onnxruntime is installed here")
        self.assertIn("polygraft.errors.RuntimeNotFoundError", process.stderr)
        self.assertIn("tried libonnxruntime.so", process.stderr)
        self.assertIn("tried the Python package onnxruntime: it is not installed",
                      last_line(process))

    def test_a_path_without_onnxruntime_is_named(self):
        code = """
            import polygraft
            try: polygraft.Engine("/nowhere/libonnxruntime.so")
            except RuntimeError as error: print(type(error).__name__, error)
        """
        process = python(code)
        self.assertIn("RuntimeNotFoundError", process.stdout, process.stderr)
        self.assertIn("/nowhere/libonnxruntime.so", process.stdout)
        self.assertIn("[runtime.not_found]", process.stdout)

    def test_no_error_has_no_code(self):
        lib = _library.library()
        self.assertEqual(lib.polygraft_error_code(_library.ffi.NULL), 0)
        self.assertEqual(_library.text(lib.polygraft_error_name(_library.ffi.NULL)), "")


class Arguments(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def test_what_c_cannot_carry_is_refused(self):
        with self.assertRaises(ValueError) as caught:
            Store("a\0b")
        self.assertEqual(caught.exception.name, "argument.invalid")
        with Store(self.folder.name) as store:
            with self.assertRaises(errors.ArgumentInvalidError):
                store.versions("a\0b")
            with self.assertRaises(TypeError):
                store.versions(7)
            with self.assertRaises(UnicodeEncodeError):
                store.versions("\udcff")
            with self.assertRaises(errors.TaskNameError):
                store.versions("a/b")
            with self.assertRaises(OverflowError):
                store.activate("a", {"de": -1})
            with self.assertRaises(errors.LanguageUnknownError) as caught:
                store.activate("a", {"German": 1})
            self.assertIn('did you mean "de"', str(caught.exception))
            with self.assertRaises(errors.StoreNoVersionError):
                store.roll_back("a", "de")

    def test_paths_are_bytes(self):
        path = Path(self.folder.name, os.fsdecode(b"d\xe9p\xf4t"))
        with Store(path):
            self.assertTrue(path.is_dir())

    def test_a_missing_bundle_is_a_missing_file(self):
        with Engine(support.onnxruntime()) as engine, Store(self.folder.name) as store:
            with self.assertRaises(FileNotFoundError) as caught:
                Model(engine, "/nowhere", store)
            self.assertIn("/nowhere", str(caught.exception))
            for bad, error in (({"threads": -1}, OverflowError), ({"threads": "2"}, TypeError),
                               ({"targets": "query"}, TypeError)):
                with self.assertRaisesRegex(error, next(iter(bad))):
                    Model(engine, "/nowhere", store, polygraft.ModelOptions(**bad))
            with self.assertRaises(TypeError):
                Model(engine, "/nowhere", store, polygraft.UpdateOptions())


class Handles(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def test_use_after_close_is_a_value_error(self):
        store = Store(self.folder.name)
        self.assertIn("open", repr(store))
        store.close()
        store.close()
        self.assertTrue(store.closed)
        self.assertIn("closed", repr(store))
        with self.assertRaisesRegex(ValueError, "the store is closed"):
            store.versions()
        with self.assertRaises(ValueError), store:
            self.fail("entered")
        cancel = Cancel()
        cancel.close()
        with self.assertRaisesRegex(ValueError, "the cancel is closed"):
            cancel.trigger()

    def test_a_handle_cannot_be_copied_by_pickle(self):
        with Store(self.folder.name) as store, self.assertRaises(TypeError):
            pickle.dumps(store)

    def test_an_error_can(self):
        error = pickle.loads(pickle.dumps(errors.IoNotFoundError("m")))
        self.assertEqual((error.name, str(error)), ("io.not_found", "m [io.not_found]"))

    def test_what_nobody_closed_is_closed_on_whichever_thread_the_collector_runs(self):
        seen = []
        holder = [Store(self.folder.name)]
        finalizer = holder[0]._finalizer
        # A circle, which only the collector takes apart.
        holder[0].itself = holder[0]

        def collect():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                holder.clear()
                gc.collect()
                seen.extend(str(one.message) for one in caught)

        thread = threading.Thread(target=collect)
        thread.start()
        thread.join()
        self.assertFalse(finalizer.alive)
        self.assertEqual(len(seen), 1, seen)
        self.assertIn("unclosed store", seen[0])

    def test_a_process_may_end_with_open_handles(self):
        code = f"import polygraft as p; s = p.Store({self.folder.name!r}); c = p.Cancel()"
        process = python(code)
        self.assertEqual((process.returncode, process.stderr), (0, ""))
