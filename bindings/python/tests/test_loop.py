"""The whole loop on the reference bundle: predict, update, commit, roll back; and interruptions."""

import contextlib
import io
import json
import os
import signal
import threading
import traceback
import unittest

import numpy
import support
from support import TASK, ModelTest

import polygraft
from polygraft import Cancel, Phase, ProgressBar, UpdateOptions, errors


class Loop(ModelTest):
    def test_the_whole_loop(self):
        model, store = self.open()
        with self.assertRaises(errors.StoreNoVersionError):
            model.predict(TASK, "de", "Licht an")
        update = self.enter(self.begin(model))
        phases = []

        def follow(progress):
            phases.append(progress.phase)
            self.assertEqual(progress.loss is not None, progress.phase == Phase.TRAIN
                             and progress.step > 0)
            self.assertLessEqual(progress.step, progress.steps_count)

        planned = update.run(follow)
        self.assertIn(Phase.TRAIN, phases)
        self.assertEqual((planned.task, planned["de"].version), (TASK, 0))
        judged = update.judge(UpdateOptions(gate_confidence=0.999))
        self.assertNotEqual(judged.gate, planned.gate)
        update.judge(UpdateOptions(gate_enabled=False))
        again = []
        update.measure_again(lambda progress: again.append(progress.phase))
        self.assertNotIn(Phase.TRAIN, again)
        self.assertIn(Phase.MEASURE_AFTER, again)
        store.discard_checkpoint(TASK)
        committed = update.commit()
        self.assertEqual({one.version for one in committed.languages}, {1})
        self.assertEqual(committed.activated, ["de", "en", "mul"])
        self.check_results(committed)

        update = self.enter(self.begin(model, seed=2, strategy="replay"))
        update.run()
        update.commit()
        self.assertEqual([one["de"].version for one in store.reports(TASK)], [1, 2])
        self.assertIn("2 updates of the task", store.reports_html(TASK))
        self.check_predictions(model)
        self.check_versions(model, store)

    def check_results(self, report):
        """A report is data for plots, JSON and people."""
        again = json.loads(json.dumps(report.to_dict(), allow_nan=False))
        self.assertEqual(again["languages"][0]["decision"], "activate")
        self.assertEqual(again["training"]["steps"], report.training.steps)
        columns = report.columns()
        after = numpy.array(columns["after"], dtype=float)
        self.assertEqual(after.shape, (3,))
        self.assertEqual(columns["language"], ["de", "en", "mul"])
        self.assertIn("languages improve", str(report))
        self.assertIn("activate version 1", str(report))
        self.assertLessEqual(report.training.loss_last, report.training.loss_first + 1)
        self.assertIsInstance(report.candidate_summary.gain_total, float)

    def check_predictions(self, model):
        one = model.predict(TASK, "de-AT", "Licht an", top_k=1)
        self.assertEqual((one.language, one.version, len(one.labels)), ("de", 2, 1))
        best = one.labels[0]
        self.assertEqual((one.label, one.probability), (best.name, best.probability))
        self.assertEqual((one.number, one.text, one.words), (None, None, ()))
        json.dumps(one.to_dict(), allow_nan=False)
        many = model.predict_many(TASK, [("en", "light on"), ("de", "Licht an")], top_k=1)
        self.assertEqual([len(one.labels) for one in many], [1, 1])
        self.assertEqual(many[0].version, model.predict(TASK, "en", "light on").version)
        self.assertEqual(many[1].label, model.predict(TASK, "de", "Licht an").label)
        self.assertEqual(model.predict_many(TASK, []), [])
        batch = model.predict_batch(TASK, "de", ["Licht an", "Timer abbrechen"])
        self.assertEqual(len(batch), 2)
        self.assertAlmostEqual(sum(label.probability for label in batch[1].labels), 1, places=5)
        self.assertEqual(batch[0].label, one.label)
        with self.assertRaises(TypeError):
            model.predict_batch(TASK, "de", "Licht an")
        with self.assertRaises(TypeError):
            model.predict(TASK, "de", 7)
        with self.assertRaises(errors.TaskEmptyTextError):
            model.predict_batch(TASK, "de", ["a", ""])
        with Cancel() as cancel:
            model.predict(TASK, "de", "Licht an", cancel=cancel)
            cancel.trigger()
            with self.assertRaises(errors.CancelledError):
                model.predict(TASK, "de", "Licht an", cancel=cancel)

    def check_versions(self, model, store):
        self.assertEqual(store.roll_back(TASK, "de"), 1)
        self.assertEqual(model.predict(TASK, "de", "Licht an").version, 1)
        self.assertIsNone(store.roll_back(TASK, "de"))
        store.activate(TASK, {"de": 2, "en": 1})
        versions = store.versions(TASK)
        active = {one.language: one.number for one in versions if one.active}
        self.assertEqual(active, {"de": 2, "en": 1, "mul": 2})
        self.assertEqual(len(versions), len(store.versions()))
        self.assertEqual(len(versions[0].hash), 64)
        json.dumps(versions[0].to_dict())
        self.assertEqual(store.pin(TASK, "de"), 2)
        with self.assertRaises(errors.StorePinnedError):
            store.roll_back(TASK, "de")
        store.unpin(TASK, "de")

    def test_vectors_are_arrays(self):
        model, _ = self.open()
        vectors = model.embed(["Licht an", "turn on the light", "Wie spät ist es?"])
        self.assertEqual((vectors.shape, vectors.dtype), ((3, 384), numpy.float32))
        cosines = vectors @ vectors.T
        numpy.testing.assert_allclose(numpy.diag(cosines), 1, atol=1e-5)
        self.assertGreater(cosines[0, 1], cosines[0, 2])
        plain = model.embed(["Licht an"], normalise=False)
        self.assertGreater(abs(float(numpy.linalg.norm(plain)) - 1), 1e-3)
        self.assertEqual(model.embed([]).shape[0], 0)
        with self.assertRaises(errors.StoreNoVersionError):
            model.embed(["Licht an"], task=TASK, language="de")
        with self.assertRaises(TypeError):
            model.embed(["Licht an"], task=TASK)


class Interruptions(ModelTest):
    def setUp(self):
        self.model, self.store = self.open()
        # Long enough that it never ends by itself in these tests.
        self.update = self.enter(self.begin(self.model, steps_max=100_000, epochs=10_000))

    def tearDown(self):
        self.assertEqual(self.store.versions(), [])

    def test_false_cancels(self):
        with self.assertRaises(errors.CancelledError):
            self.update.run(lambda progress: False)
        with self.assertRaises(errors.UpdateStateError):
            self.update.commit()

    def test_what_a_callback_raises_comes_out(self):
        def fail(progress):
            raise LookupError(progress.phase)

        try:
            self.update.run(fail)
            self.fail("nothing was raised")
        except LookupError as error:
            frames = traceback.extract_tb(error.__traceback__)
        self.assertEqual(frames[-1].name, "fail")

    def test_a_token_cancels_from_another_thread(self):
        with Cancel() as cancel:
            started = threading.Event()
            thread = threading.Thread(target=lambda: started.wait(60) and cancel.trigger())
            thread.start()
            with self.assertRaises(errors.CancelledError):
                self.update.run(lambda progress: started.set(), cancel)
            thread.join()

    def test_control_c_cancels_with_and_without_a_callback(self):
        for progress in (None, lambda progress: None):
            timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            with self.assertRaises(KeyboardInterrupt):
                self.update.run(progress)
            timer.join()

    def test_an_update_may_be_closed_in_its_callback(self):
        def close(progress):
            self.update.close()
            return False

        with self.assertRaises(errors.CancelledError):
            self.update.run(close)
        with self.assertRaises(ValueError):
            self.update.run()

    def test_closing_waits_for_a_run_on_another_thread(self):
        started, ended = threading.Event(), []

        def follow(progress):
            started.set()
            return False if self.update.closed else None

        def run():
            with contextlib.suppress(errors.CancelledError):
                self.update.run(follow)
            ended.append(True)

        thread = threading.Thread(target=run)
        thread.start()
        started.wait(60)
        self.update.close()
        thread.join()
        self.assertEqual(ended, [True])

    def test_a_bar_draws_each_phase(self):
        file = io.StringIO()
        bar = ProgressBar(file)
        with self.assertRaises(errors.CancelledError):
            self.update.run(lambda progress: bar(progress) or progress.phase != Phase.TRAIN)
        bar.close()
        self.assertIn("train", file.getvalue())


class Threads(ModelTest):
    def test_closing_while_others_predict(self):
        model, _ = self.open()
        update = self.enter(self.begin(model))
        update.run()
        update.commit()
        counted, unexpected = threading.Semaphore(0), []

        def predict():
            try:
                while True:
                    model.predict(TASK, "en", "turn on the light", top_k=1)
                    counted.release()
            except ValueError:
                pass
            except BaseException as error:
                unexpected.append(error)

        threads = [threading.Thread(target=predict) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(12):
            counted.acquire(timeout=60)
        model.close()
        for thread in threads:
            thread.join()
        self.assertEqual(unexpected, [])

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_a_forked_child_is_refused_and_may_close(self):
        model, _ = self.open()
        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(BaseException):
                try:
                    model.embed(["a"])
                except errors.RuntimeFailedError:
                    status = 0
                model.close()
            os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(model.embed(["a"]).shape[0], 1)
