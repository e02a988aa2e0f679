"""Writes the fixtures and oracles of sequence-to-sequence models.

In: the models of the table below, with random weights that follow from the parameters' names.
Out, for each of them:
  tests/fixtures/sequence/NAME/: what Optimum exports (encoder, decoder, decoder with past, merged
  decoder, configuration), over one file of weights, and a tokenizer
  tests/oracle/sequence/NAME.json: token ids, and what `transformers` generates from them
  tests/oracle/sequence/NAME.safetensors: a batch of sources and targets, the loss with label
  smoothing of a model with LoRA on every linear layer, and its gradients, from PyTorch

Runs with `tests/oracle/backbones/requirements-optimum.txt`.
"""

import json
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
import transformers

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "backbones")]

import adapters  # noqa: E402
import architectures  # noqa: E402
import model_file  # noqa: E402
import safetensors_file  # noqa: E402

FIXTURES = ROOT / "tests" / "fixtures" / "sequence"
OPSET = 18
SMOOTHING = 0.1
BYTES_OFFSET, BYTE_VOCABULARY = 3, 272
# A random model seldom ends by itself; a longer vector of the end's logit makes it do so.
END_FACTOR = 4.0

MODELS = {
    "mt5": ("MT5ForConditionalGeneration", architectures.T5_LIKE | {
        "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
        "vocab_size": BYTE_VOCABULARY, "eos_token_id": 1,
    }),
    "m2m100": ("M2M100ForConditionalGeneration", architectures.BART_LIKE),
    "mbart": ("MBartForConditionalGeneration", architectures.BART_LIKE),
    "marian": ("MarianMTModel", architectures.BART_LIKE),
}
GENERATION = {
    "mt5": {"decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0},
    "m2m100": {"decoder_start_token_id": 2, "eos_token_id": 2, "pad_token_id": 1,
               "bos_token_id": 0, "forced_bos_token_id": 93},
    # Targets begin with the language, which no token is forced for.
    "mbart": {"decoder_start_token_id": 95, "eos_token_id": 2, "pad_token_id": 1,
              "bos_token_id": 0, "forced_eos_token_id": 2},
    "marian": {"decoder_start_token_id": 1, "eos_token_id": 2, "pad_token_id": 1,
               "forced_eos_token_id": 2},
}
SHORT, LONG = 12, 40


def model_of(name):
    kind_name, settings = MODELS[name]
    kind = getattr(transformers, kind_name)
    model = kind._from_config(kind.config_class(**settings), attn_implementation="eager")
    architectures.fill(model)
    end = GENERATION[name]["eos_token_id"]
    if name == "mt5":
        model.lm_head.weight.data[end] *= END_FACTOR
    else:
        weight = model.lm_head.weight.data.clone()
        weight[end] *= END_FACTOR
        model.lm_head.weight = torch.nn.Parameter(weight)
        model.config.tie_word_embeddings = False
    model.generation_config = transformers.GenerationConfig(**GENERATION[name])
    return model.eval()


def export(name, folder):
    """The files of Optimum, slimmed, over one file of weights."""
    from optimum.exporters.onnx import onnx_export_from_model

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as made:
        onnx_export_from_model(
            model_of(name), output=Path(made), opset=OPSET, do_validation=False,
            task="text2text-generation-with-past",
        )
        weights = model_file.SharedWeights()
        for path in sorted(Path(made).glob("*.onnx")):
            model_file.write(onnx.load(path), folder / path.name, weights)
        for path in Path(made).glob("*.json"):
            shutil.copy(path, folder)


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def write_tokenizer(name, folder):
    if name == "mt5":
        # As for every byte-level model: the class is all there is, and there is no vocabulary.
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": "ByT5Tokenizer"})
        return
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *letters, *(f"▁{one}" for one in letters),
              "en", "er", "ch", "ei", "ie", "sch", "▁d", "ung"]
    pieces = list(dict.fromkeys(pieces))
    pieces += [f"<{index}>" for index in range(len(pieces), 93)]
    languages = ["__de__", "__en__", "__fr__"]
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    added = [(pieces.index(one), one) for one in special]
    added += [(93 + index, one) for index, one in enumerate(languages)]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always",
                 "split": True}
    source = "__en__"
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": index, "content": text, **flags} for index, text in added],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": metaspace,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": source, "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                source: {"id": source, "ids": [94], "tokens": [source]},
                "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]},
            },
        },
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": False,
                  "vocab": [[text, -1.0 - index / 10] for index, text in enumerate(pieces)]},
    })


def sources(name):
    """Rows of different lengths that end as the tokenizer ends them."""
    generator = torch.Generator().manual_seed(11)
    config = GENERATION[name]
    if name == "mt5":
        texts = ["Licht an", "ışığı kapat", "今日は", "a", "Wie wird das Wetter morgen?"]
        return [[byte + BYTES_OFFSET for byte in text.encode()] + [config["eos_token_id"]]
                for text in texts]
    rows = []
    for length in (3, 9, 5, 14, 1):
        ids = torch.randint(4, 90, (length,), generator=generator).tolist()
        rows.append([94, *ids, config["eos_token_id"]])
    return rows


def padded(rows, pad):
    longest = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids, mask


CASES = [
    {"beams": 1, "tokens_max": SHORT}, {"beams": 1, "tokens_max": LONG},
    {"beams": 2, "tokens_max": LONG}, {"beams": 4, "tokens_max": LONG},
    {"beams": 4, "tokens_max": SHORT, "length_penalty": 0.0},
    {"beams": 4, "tokens_max": LONG, "length_penalty": 2.0},
    {"beams": 1, "tokens_max": SHORT, "forced_begin": 7},
    {"beams": 2, "tokens_max": 1},
    {"beams": 1, "tokens_max": LONG, "no_repeat": 2},
    {"beams": 4, "tokens_max": LONG, "no_repeat": 3},
    {"beams": 1, "tokens_max": SHORT, "repetition_penalty": 1.3},
    {"beams": 3, "tokens_max": LONG, "repetition_penalty": 0.8, "no_repeat": 1},
    {"beams": 1, "tokens_max": LONG, "tokens_min": 30},
    {"beams": 4, "tokens_max": LONG, "tokens_min": 20, "repetition_penalty": 1.5},
]


def generated(name):
    """What `transformers` generates, with and without cache, without what it pads with."""
    model = model_of(name)
    rows = sources(name)
    config = GENERATION[name]
    ids, mask = padded(rows, config["pad_token_id"])
    cases = []
    for case in CASES:
        options = {
            "num_beams": case["beams"], "max_new_tokens": case["tokens_max"], "do_sample": False,
            "length_penalty": case.get("length_penalty", 1.0), "return_dict_in_generate": True,
            "output_scores": True,
        }
        for ours, theirs in (("tokens_min", "min_new_tokens"), ("no_repeat", "no_repeat_ngram_size"),
                             ("repetition_penalty", "repetition_penalty")):
            if ours in case:
                options[theirs] = case[ours]
        if "forced_begin" in case:
            options["forced_bos_token_id"] = case["forced_begin"]
        found = []
        for use_cache in (True, False):
            with torch.no_grad():
                result = model.generate(input_ids=ids, attention_mask=mask, use_cache=use_cache,
                                        **options)
            found.append([trimmed(row, config) for row in result.sequences[:, 1:].tolist()])
        if found[0] != found[1]:
            raise SystemExit(f"{name} {case}: transformers differs with and without cache")
        scores = getattr(result, "sequences_scores", None)
        cases.append({**case, "outputs": found[0],
                      **({"scores": scores.tolist()} if scores is not None else {})})
    return {"sources": rows, "ends": [config["eos_token_id"]], "cases": cases,
            "transformers": transformers.__version__}


def trimmed(row, config):
    """A row up to its end, which stays; a row that is cut off has none."""
    end = config["eos_token_id"]
    # The forced first token may be any, so only what follows can end a row.
    return row[: row.index(end) + 1] if end in row else row


def lesson(name):
    """A batch of teacher forcing, its loss with LoRA everywhere, and the gradients."""
    model = model_of(name)
    config = GENERATION[name]
    ids, mask = padded(sources(name)[:3], config["pad_token_id"])
    generator = torch.Generator().manual_seed(17)
    lengths = (6, 3, 8)
    targets = [torch.randint(4, 90, (length - 1,), generator=generator).tolist()
               + [config["eos_token_id"]] for length in lengths]
    labels, label_mask = padded(targets, config["pad_token_id"])
    start = torch.full((len(lengths), 1), config["decoder_start_token_id"])
    decoder_ids = torch.cat([start, labels[:, :-1]], dim=1)
    weights = label_mask.double() / label_mask.sum()
    architecture = architectures.Architecture(name, "", {}, ())
    tensors = adapters.tensors_of("lora", architecture, model)
    leaves = {key: value.double().requires_grad_() for key, value in tensors.items()}
    model = model.double()

    def forward(module, ids, mask, decoder_ids):
        return module(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder_ids,
                      use_cache=False).logits

    inputs = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": decoder_ids}
    logits = adapters.run(model, forward, inputs, leaves, ())
    losses = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), labels, reduction="none", label_smoothing=SMOOTHING)
    loss = (losses * weights).sum()
    loss.backward()
    plain = adapters.run(model, forward, inputs, {}, ())
    result = {f"input/{key}": value for key, value in inputs.items()}
    result |= {"labels": labels, "weights": weights.float(), "loss": loss.reshape(1).float(),
               "logits": plain.float(), "logits_with_adapter": logits.float()}
    for key, leaf in leaves.items():
        result[f"value/{key}"] = tensors[key]
        result[f"gradient/{key}"] = leaf.grad.float()
    arrays = {key: value.detach().contiguous().numpy() for key, value in result.items()}
    safetensors_file.write(HERE / f"{name}.safetensors", arrays, {
        "smoothing": str(SMOOTHING), "torch": torch.__version__,
        "transformers": transformers.__version__,
    })


def main():
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for name in MODELS:
        folder = FIXTURES / name
        export(name, folder)
        write_tokenizer(name, folder)
        oracle = generated(name)
        lines = [json.dumps(case, separators=(",", ":")) for case in oracle.pop("cases")]
        head = json.dumps(oracle, separators=(",", ":"))[:-1]
        (HERE / f"{name}.json").write_text(head + ',"cases":[\n' + ",\n".join(lines) + "\n]}\n")
        lesson(name)
        sizes = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{name}: {sizes} bytes; new tokens: "
              f"{[[len(row) for row in json.loads(line)['outputs']] for line in lines]}")


if __name__ == "__main__":
    main()
