"""Every kind of input, target and output goes in and comes out."""

import math
import os
import subprocess
import tempfile
from pathlib import Path

import support
from support import ModelTest

from polygraft import (
    Cancel,
    FinishReason,
    Pair,
    PredictOptions,
    TaskKind,
    TextSpan,
    UpdateOptions,
    Words,
    errors,
)


def joined(one):
    return " ".join(one["words"])


class Kinds(ModelTest):
    def test_pairs_sets_and_numbers(self):
        model, _ = self.open()

        def label(one):
            return "same" if one["label"] == "HassTurnOn" else "other"

        self.train(model, "same", lambda update, one: update.add(
            one["lang"], Pair(joined(one), "mach das Licht an"), label(one)))
        pair = Pair("mach das Licht an", "schalte das Licht ein")
        prediction = model.predict("same", "de", pair)
        self.assertEqual(prediction.kind, TaskKind.CLASSIFICATION)
        self.assertEqual({one.name for one in prediction.labels}, {"same", "other"})
        mixed = model.predict_batch("same", "de", [pair, "mach das Licht an"])
        self.assertAlmostEqual(mixed[0].probability, prediction.probability, places=4)
        with self.assertRaises(errors.TaskKindError):
            model.predict("same", "de", Words(["mach", "Licht"]))

        self.train(model, "topics", lambda update, one: update.add_labels(
            one["lang"], joined(one), sorted({tag[2:] for tag in one["tags"] if tag != "O"})))
        topics = model.predict("topics", "de", "mach das Licht in der Küche an")
        self.assertEqual(topics.kind, TaskKind.MULTI_LABEL)
        self.assertGreater(len(topics.labels), 1)

        self.train(model, "length", lambda update, one: update.add_number(
            one["lang"], joined(one), len(one["words"])))
        number = model.predict("length", "de", "mach das Licht an")
        self.assertEqual(number.kind, TaskKind.REGRESSION)
        self.assertTrue(math.isfinite(number.number))
        self.assertIsNone(number.label)

    def test_words_and_spans(self):
        model, _ = self.open()
        self.train(model, "slots", lambda update, one: update.add_tags(
            one["lang"], one["words"], one["tags"]))
        # An emoji is one character, two code units elsewhere, and four bytes.
        words = Words(["😀", "mach", "das", "Licht", "in", "der", "Küche", "an"])
        tagged = model.predict("slots", "de", words)
        self.assertEqual(tagged.kind, TaskKind.TOKEN_CLASSIFICATION)
        self.assertEqual([words.text[one.char_start:one.char_end] for one in tagged.words],
                         list(words))
        encoded = words.text.encode()
        self.assertEqual([encoded[one.byte_start:one.byte_end].decode() for one in tagged.words],
                         list(words))

        # Nearly every word is a span, so that two steps are enough to predict some.
        self.train(model, "both", lambda update, one: update.add_label_and_tags(
            one["lang"], one["words"], one["label"], ["O"] + ["B-word"] * (len(one["words"]) - 1)))
        text = "mach 😀 das Licht an"
        both = model.predict("both", "de", text)
        self.assertEqual(both.kind, TaskKind.INTENT_AND_SLOTS)
        self.assertIsNotNone(both.label)
        self.assertGreater(len(both.spans), 0)
        for span in both.spans:
            self.assertEqual(span.kind, "word")
            covered = text[span.char_start:span.char_end]
            self.assertEqual(text.encode()[span.byte_start:span.byte_end].decode(), covered)
            self.assertIn(covered, text.split())
            self.assertLessEqual(span.word_first, span.word_last)
        with model.begin_update("slots") as update:
            with self.assertRaisesRegex(errors.ArgumentInvalidError, "3"):
                update.add_tags("de", ["a", "b", "c"], ["O", "O"])
            with self.assertRaises(TypeError):
                update.add_tags("de", "a b c", ["O"])

    def test_spans_count_characters(self):
        model, _ = self.open()

        def add(update, one):
            spans = [TextSpan(**span) for span in one["spans"]]
            update.add_spans(one["lang"], one["text"], spans, one["label"])

        report = self.train(model, "spans", add, "spans")
        self.assertGreater(report.training.examples_new, 0)
        prediction = model.predict("spans", "de", "mach 😀 das Licht in der Küche an")
        with model.begin_update("spans") as update:
            # What was predicted can be given back.
            update.add_spans("de", "mach 😀 das Licht in der Küche an", prediction.spans,
                             prediction.label)
            update.add_spans("de", "mach 😀 an", [TextSpan("name", 5, 6)], "HassTurnOn")
            for start, end in ((5, 11), (6, 6), (-2, 3)):
                with self.assertRaisesRegex(errors.ArgumentInvalidError, "span 1"):
                    update.add_spans("de", "mach 😀 an", [TextSpan("name", start, end)], "a")
            with self.assertRaises(errors.ArgumentInvalidError):
                update.add_spans("de", "ab cd", [TextSpan("x", 0, 1), TextSpan("y", 1, 2)], "a")


class Texts(ModelTest):
    @classmethod
    def bundle(cls):
        """A bundle of a small model with a decoder; its weights are random."""
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        model = support.ROOT / "tests" / "fixtures" / "sequence" / "mt5"
        bundle = Path(folder, "bundle")
        command = [os.environ["POLYGRAFT_COMMAND"], "bundle", "create", "--onnx", model]
        subprocess.run([*command, "--out", bundle], check=True, capture_output=True)
        return bundle

    def test_texts_are_generated(self):
        model, _ = self.open()
        options = UpdateOptions(
            seed=7, steps_max=2, gate_enabled=False, label_smoothing=0.1, lora_targets=["q", "v"]
        )
        with model.begin_update("plural", options) as update:
            for number in range(16):
                update.add_text("en", f"one tree {number}", f"{number} trees")
            update.run()
            update.commit()
        how = PredictOptions(max_new_tokens=12)
        whole = model.predict("plural", "en", "one tree 3", options=how)
        self.assertEqual(whole.kind, TaskKind.SEQUENCE_TO_SEQUENCE)
        self.assertLessEqual(whole.log_probability, 0)
        self.assertLessEqual(whole.tokens_count, 12)
        chunks = []
        streamed = model.generate("plural", "en", "one tree 3", on_chunk=chunks.append, options=how)
        self.assertEqual((streamed.text, "".join(chunks)), (whole.text, whole.text))
        self.assertGreater(len(chunks), 1)
        self.check_ends(model, how, whole, chunks)

    def check_ends(self, model, how, whole, chunks):
        def generate(**arguments):
            return model.generate("plural", "en", "one tree 3", options=how, **arguments)

        first = generate(on_chunk=lambda chunk: False)
        self.assertEqual(first.finish_reason, FinishReason.STOPPED)
        self.assertTrue(whole.text.startswith(first.text))
        stopping = PredictOptions(max_new_tokens=12, stop_strings=[chunks[-1]])
        stopped = model.predict("plural", "en", "one tree 3", options=stopping)
        self.assertEqual(stopped.finish_reason, FinishReason.STOPPED)
        self.assertNotIn(chunks[-1], stopped.text)
        with Cancel() as cancel:
            ended = generate(on_chunk=lambda chunk: cancel.trigger(), cancel=cancel)
        self.assertIn(ended.finish_reason,
                      (FinishReason.CANCELLED, FinishReason.END, FinishReason.LENGTH))
        self.assertTrue(whole.text.startswith(ended.text))

        def fail(chunk):
            raise LookupError(chunk)

        with self.assertRaises(LookupError):
            generate(on_chunk=fail)
        with self.assertRaises(errors.ArgumentInvalidError):
            model.predict("plural", "en", "one", options=PredictOptions(num_beams=0))
