"""`polygraft-export`, on models with random weights that are made here.

They need PyTorch and transformers, which a plain environment does not have; the tests are skipped
without them.
"""

import contextlib
import importlib.util
import io
import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path

from polygraft import export as exporting
from polygraft.export import ExportError, export

MISSING = [name for name in ("torch", "transformers", "onnxscript")
           if importlib.util.find_spec(name) is None]
COMMAND = os.environ.get("POLYGRAFT_COMMAND") or shutil.which("polygraft")

WORDS = ["turn", "on", "off", "the", "light", "in", "kitchen", "query", "wait", "a", "minute"]
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
TEXTS = ("turn on the light", "off", "wait a minute in the kitchen", "something else")
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 48, "vocab_size": len(SPECIAL + WORDS)}


class Arguments(unittest.TestCase):
    def test_what_is_missing_is_said_in_one_line(self):
        if not MISSING:
            self.skipTest("everything is installed")
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(exporting.main(["/nowhere", "--out", "/nowhere/bundle"]), 1)
        self.assertRegex(said.getvalue(), r"^polygraft-export: .* is missing: pip install .*\n$")


@unittest.skipIf(MISSING, f"needs {', '.join(MISSING)}: pip install 'polygraft[export]'")
@unittest.skipIf(COMMAND is None, "needs the command polygraft, in PATH or by POLYGRAFT_COMMAND")
class Export(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.said = []

    @staticmethod
    def tokenizer(template="<s> $A </s>"):
        from tokenizers import Tokenizer, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        vocabulary = {word: number for number, word in enumerate(SPECIAL + WORDS)}
        made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        made.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("<s>", 2), ("</s>", 3)]
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", bos_token="<s>",
            eos_token="</s>", model_input_names=["input_ids", "attention_mask"],
        )

    @staticmethod
    def model(name, **settings):
        import torch
        import transformers

        torch.manual_seed(4)
        kind = getattr(transformers, name)
        config = kind.config_class(pad_token_id=0, **{**SMALL, **settings})
        return kind(config).eval()

    def made(self, source, **options):
        out = self.folder / "bundle"
        options = {"texts": TEXTS, "command": COMMAND, "say": self.said.append, **options}
        found = export(source, out, **options)
        self.assertLess(found.difference, 1e-4)
        self.assertEqual(found.bundle, out)
        return found, json.loads((out / "manifest.json").read_text(encoding="utf-8"))

    def saved(self, model, tokenizer):
        folder = self.folder / "model"
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    def sentence_transformer(self, folder, modules, prompts=None):
        """Writes what sentence-transformers writes beside a model."""
        listed = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]
        for kind, config in modules:
            place = folder / f"{len(listed)}_{kind}"
            place.mkdir()
            (place / "config.json").write_text(json.dumps(config), encoding="utf-8")
            listed.append({"idx": len(listed), "path": place.name,
                           "type": f"sentence_transformers.models.{kind}"})
        for name, content in (
            ("modules.json", listed), ("sentence_bert_config.json", {"max_seq_length": 20}),
            ("config_sentence_transformers.json", prompts or {}),
        ):
            (folder / name).write_text(json.dumps(content), encoding="utf-8")

    def test_an_encoder_like_xlm_roberta_of_objects(self):
        model = self.model("XLMRobertaModel", max_position_embeddings=40)
        for exporter in exporting.EXPORTERS:
            found, manifest = self.made(
                model, tokenizer=self.tokenizer(), pooling="mean", normalise=True,
                prefix="query ", exporter=exporter, overwrite=True,
            )
            self.assertEqual(found.exporter, exporter)
            self.assertEqual(manifest["layers"], [{"kind": "normalise"}])
            self.assertEqual((manifest["pooling"], manifest["prefix"]), ("mean", "query "))
        self.assertTrue([line for line in self.said if line.startswith("gradients reach ")])

    def test_a_decoder_read_at_its_last_token(self):
        model = self.model("Qwen3Model", num_key_value_heads=2, head_dim=8)
        folder = self.saved(model, self.tokenizer("$A </s>"))
        pooling = {"embedding_dimension": 32, "pooling_mode": "lasttoken"}
        prompts = {"prompts": {"query": "query ", "document": ""}, "default_prompt_name": None}
        self.sentence_transformer(folder, [("Pooling", pooling), ("Normalize", {})], prompts)
        _, manifest = self.made(folder)
        self.assertEqual((manifest["pooling"], manifest["prefix"]), ("last", ""))
        self.assertEqual(manifest["tokens_max"], 20)
        self.assertTrue([line for line in self.said if 'query "query "' in line], self.said)
        # Query, key, value, output and the three layers of the feed-forward, in two layers.
        self.assertIn("gradients reach 14 sites of adapters", self.said)
        # The text is asked for, not guessed.
        _, manifest = self.made(folder, prefix="query ", overwrite=True)
        self.assertEqual(manifest["prefix"], "query ")

    def test_layers_whose_weights_are_a_pickle(self):
        import torch

        model = self.model("BertModel", max_position_embeddings=24, type_vocab_size=2)
        folder = self.saved(model, self.tokenizer())
        dense = {"in_features": 32, "out_features": 6, "bias": True,
                 "activation_function": "torch.nn.modules.activation.Tanh"}
        pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True}
        self.sentence_transformer(folder, [("Pooling", pooling), ("Dense", dense)])
        tensors = {"linear.weight": torch.randn(6, 32), "linear.bias": torch.randn(6)}
        torch.save(tensors, folder / "2_Dense" / "pytorch_model.bin")
        _, manifest = self.made(folder)
        self.assertEqual((manifest["pooling"], manifest["layers"][0]["outputs"]), ("cls", 6))

    def test_what_is_not_known_is_asked_for_and_nothing_is_left(self):
        model = self.model("XLMRobertaModel", max_position_embeddings=40)
        folder = self.saved(model, self.tokenizer())
        with self.assertRaisesRegex(ExportError, "give the pooling"):
            self.made(folder)
        (self.folder / "bundle").mkdir()
        with self.assertRaisesRegex(ExportError, "exists"):
            self.made(folder, pooling="mean")
        with self.assertRaisesRegex(ExportError, "not a bundle"):
            self.made(folder, pooling="mean", overwrite=True)
        with self.assertRaisesRegex(ExportError, "tokens_max"):
            (self.folder / "bundle").rmdir()
            self.made(folder, pooling="mean", tokens_max=4000)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["model"])

    def test_a_bundle_that_differs_is_not_kept(self):
        from unittest import mock

        model = self.model("XLMRobertaModel", max_position_embeddings=40)
        options = {"tokenizer": self.tokenizer(), "pooling": "mean"}
        with mock.patch.object(exporting, "TOLERANCE", -1.0):
            with self.assertRaisesRegex(ExportError, "differ from PyTorch's"):
                self.made(model, **options)
        self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
