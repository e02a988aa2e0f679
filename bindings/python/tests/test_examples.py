"""The scripts of examples/python and the code of the README do what they say."""

import doctest
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import support

EXAMPLES = support.ROOT / "examples" / "python"
LIGHT = EXAMPLES.parent / "light.jsonl"


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = str(Path(folder.name, "store"))
        self.bundle = str(support.cache("bundle", "e5-small"))

    def command(self, script, *arguments):
        environment = {**os.environ, "ORT_DYLIB_PATH": support.onnxruntime()}
        command = [sys.executable, "-W", "error::ResourceWarning", str(EXAMPLES / script)]
        return {"args": command + list(map(str, arguments)), "env": environment, "text": True}

    def succeed(self, script, *arguments):
        process = subprocess.run(
            **self.command(script, *arguments), capture_output=True, check=False
        )
        self.assertEqual(process.returncode, 0, process.stderr)
        return process.stdout

    def test_the_scenarios_follow_each_other(self):
        failed = subprocess.run(
            **self.command("classify.py", self.bundle, self.store, "de", "Licht an"),
            capture_output=True, check=False,
        )
        self.assertIn("run update.py first", failed.stderr)
        learnt = self.succeed("update.py", self.bundle, self.store, LIGHT, "--steps-max", 3)
        self.assertIn("activate version 1", learnt)
        answers = self.succeed("classify.py", self.bundle, self.store, "de", "Licht an", "dunkel")
        self.assertRegex(answers, r"^Licht an: (on|off) 0\.\d{3} \(de version 1\)\ndunkel: ")
        held_out = EXAMPLES.parent / "guide" / "held-out.jsonl"
        thresholds = self.succeed("threshold.py", self.bundle, self.store, held_out)
        self.assertRegex(thresholds, r"^80% right: (at no|from 0\.\d{3} on, \d+ of 32)")
        swapped = self.succeed("hot_swap.py", self.bundle, self.store, LIGHT, 2)
        self.assertRegex(swapped, r"de version 1 answered \d+ times")

        def ship(store, *arguments):
            return self.succeed("ship.py", self.bundle, store, *arguments)

        ship(self.store, "export", "mul", self.store + ".adapter")
        installed = ship(self.store + "2", "install", self.store + ".adapter")
        self.assertRegex(installed, r"^version 1, active\n  mul 1 [\d-]+ active\n$")
        device = self.store + "2"
        answers = self.succeed("classify.py", self.bundle, device, "tr", "ışığı kapat")
        self.assertIn("(mul version 1)", answers)
        rolled = ship(self.store, "roll-back", "de")
        self.assertIn("de is back on version 1, pinned", rolled)
        self.assertRegex(rolled, r"\n  de 1 [\d-]+ pinned\n")
        wiped = ship(self.store, "wipe", "de")
        self.assertRegex(wiped, r"^[1-9]\d* examples and [1-9]\d* versions")

    def test_control_c_ends_an_update_and_changes_nothing(self):
        process = subprocess.Popen(
            **self.command("update.py", self.bundle, self.store, LIGHT), stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        heard = ""
        while "train" not in heard and process.poll() is None:
            heard += process.stderr.read(1)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=120)
        self.assertEqual((process.returncode, stdout), (1, ""), stderr)
        self.assertIn("interrupted: nothing has changed", stderr)
        # Nothing was lost on the way into a callback.
        self.assertNotIn("Traceback", stderr)
        self.assertNotIn("cffi", stderr)

    def test_a_service_answers_while_it_learns(self):
        bundle = support.ROOT / "tests" / "fixtures" / "written-by-0.1.0" / "encoder"
        process = subprocess.Popen(
            **self.command("serve.py", "--address", "localhost:0", "--steps-max", 4, bundle,
                           self.store),
            stderr=subprocess.PIPE,
        )
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        line = process.stderr.readline()
        self.assertRegex(line, r"^listening on .+:\d+$")
        url = "http://" + line.split()[-1]

        def ask(path, body=None):
            data = None if body is None else body.encode()
            try:
                with urllib.request.urlopen(url + path, data, timeout=60) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        question = '{"lang": "de", "text": "Licht an"}'
        feedback = LIGHT.read_text(encoding="utf-8")
        self.assertEqual(ask("/healthz"), (200, "ok\n"))
        for expected, path, body in [
            (404, "/nothing", None), (400, "/update", ""), (400, "/feedback", "not an example"),
            (400, "/predict", "not a question"), (400, "/predict", '{"lang": 1, "text": 2}'),
            (503, "/predict", question),
        ]:
            status, said = ask(path, body)
            self.assertEqual(status, expected, path)
            self.assertIn("error", json.loads(said))

        answered = set()
        for update in (1, 2):
            self.assertEqual(ask("/feedback", feedback)[0], 202)
            self.assertEqual(ask("/update", "")[0], 202)
            self.assertEqual(ask("/update", "")[0], 409)
            while True:
                status, said = ask("/predict", question)
                if status == 200:
                    answered.add(json.loads(said)["version"])
                state = json.loads(ask("/update")[1])
                if not state["running"]:
                    break
            self.assertEqual((state["updates"], state["waiting"]), (update, 0), state)
            self.assertNotIn("error", state)
        self.assertIn(1, answered)
        metrics = ask("/metrics")[1]
        for expected in ("polygraft_updates_total 2", "polygraft_update_running 0",
                         'polygraft_prediction_seconds_bucket{le="+Inf"} ',
                         "polygraft_feedback_waiting 0"):
            self.assertIn(expected, metrics)

        # A running update is cancelled, and what was sent before is still answered.
        ask("/feedback", feedback)
        self.assertEqual(ask("/update", "")[0], 202)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=120), 0)
        self.assertNotIn("Traceback", process.stderr.read())

    def test_the_readme(self):
        examples = [json.loads(line) for line in LIGHT.read_text(encoding="utf-8").splitlines()]
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(Path(self.store).parent)
        results = doctest.testfile(
            str(support.ROOT / "bindings" / "python" / "README.md"), module_relative=False,
            optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL,
            globs={
                "bundle": self.bundle,
                "examples": [(one["lang"], one["text"], one["label"]) for one in examples],
            },
        )
        self.assertGreater(results.attempted, 10)
        self.assertEqual(results.failed, 0)
