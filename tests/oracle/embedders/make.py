"""Writes tests/fixtures/embedders: a small encoder, folders of sentence-transformers around it, and
the vectors that sentence-transformers gives.

    python tests/oracle/embedders/make.py

runs with what requirements.txt beside it pins. The encoder is a BERT with random weights. Its own
weights are left out of the folders, because the ONNX file has them.
"""

import json
import shutil
import tempfile
import types
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "embedders"
HIDDEN = 16
POSITIONS = 32
WORDS = ["turn", "on", "off", "the", "light", "in", "kitchen", "and", "wait", "a", "minute"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
TEXTS = [
    "turn on the light", "off", "wait a minute and turn off the light in the kitchen",
    "the the the", "unknown words", " ".join(WORDS * 4),
]


def tokenizer():
    """Words as tokens, with a token before and behind a text."""
    vocabulary = {word: number for number, word in enumerate(SPECIAL + WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=POSITIONS,
    )


def encoder():
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(SPECIAL + WORDS), hidden_size=HIDDEN, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=24, max_position_embeddings=POSITIONS,
        hidden_act="gelu",
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data = 0.4 * torch.randn(parameter.shape)
    return model


def dense(inputs, outputs, activation, bias=True):
    layer = Dense(inputs, outputs, bias=bias, activation_function=activation)
    torch.nn.init.normal_(layer.linear.weight, std=0.5)
    if bias:
        torch.nn.init.normal_(layer.linear.bias, std=0.2)
    return layer


def cases():
    """The modules after the encoder, by the name of their folder."""
    def pooling(mode):
        return Pooling(HIDDEN, pooling_mode=mode)

    identity = torch.nn.Identity
    yield "mean", [pooling("mean")]
    yield "cls", [pooling("cls"), Normalize()]
    yield "last", [pooling("lasttoken"), Normalize()]
    yield "max", [pooling("max")]
    yield "weighted-mean", [pooling("weightedmean")]
    yield "labse", [pooling("cls"), dense(HIDDEN, HIDDEN, torch.nn.Tanh()), Normalize()]
    yield "narrow", [pooling("mean"), dense(HIDDEN, 6, torch.nn.GELU())]
    yield "gemma", [
        pooling("mean"), dense(HIDDEN, 24, identity(), bias=False),
        dense(24, HIDDEN, identity(), bias=False), Normalize(),
    ]


def write_onnx(model, path):
    """The encoder by the tracing exporter, with dynamic sizes."""
    ids = torch.tensor([[2, 4, 5, 3], [2, 6, 3, 0]])
    mask = (ids > 0).long()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    original = type(model).forward

    def forward(self, input_ids, attention_mask, token_type_ids):
        return original(self, input_ids=input_ids, attention_mask=attention_mask,
                        token_type_ids=token_type_ids).last_hidden_state

    model.forward = types.MethodType(forward, model)
    axes = {name: {0: "batch", 1: "sequence"} for name in [*names, "last_hidden_state"]}
    torch.onnx.export(
        model, (ids, mask, torch.zeros_like(ids)), str(path), input_names=names,
        output_names=["last_hidden_state"], dynamic_axes=axes, opset_version=17, dynamo=False,
    )


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    model, words = encoder(), tokenizer()
    vectors = {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        model.save_pretrained(work / "encoder")
        words.save_pretrained(work / "encoder")
        shutil.copyfile(work / "encoder" / "tokenizer.json", OUT / "tokenizer.json")
        torch.manual_seed(2)
        for case, modules in cases():
            first = Transformer(str(work / "encoder"), max_seq_length=24)
            embedder = SentenceTransformer(modules=[first, *modules], device="cpu").eval()
            found = embedder.encode(TEXTS, batch_size=len(TEXTS))
            vectors[case] = [[float(value) for value in vector] for vector in found]
            embedder.save(str(work / case))
            copy(work / case, OUT / case)
        write_onnx(model, OUT / "model.onnx")
    document = {"texts": TEXTS, "vectors": vectors}
    (OUT / "vectors.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def copy(source, target):
    """Copies the files that describe the modules."""
    kept = ["modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
            "tokenizer_config.json"]
    kept += [str(path.relative_to(source)) for path in source.glob("*_*/*")]
    for name in kept:
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


if __name__ == "__main__":
    main()
