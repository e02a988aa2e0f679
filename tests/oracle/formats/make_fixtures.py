"""Write adapters with PEFT and with AdapterHub's `adapters`, and what their models compute.

Out: `tests/fixtures/adapters/`: `backbone.onnx` and `distilbert.onnx` (TorchScript exporter, opset
17), one folder for each adapter as its library saves it, and `outputs.safetensors` with the inputs and, for each
adapter, `<folder>.hidden` and, where it has a head, `<folder>.logits`.

Run it in the environment that `make formats-peers` builds.
"""

import json
import logging
import shutil
import sys
import warnings
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(HERE.parent)]

import safetensors_file  # noqa: E402
import tiny_model  # noqa: E402
from adapters import BertAdapterModel, DistilBertAdapterModel  # noqa: E402
from adapters.configuration import (  # noqa: E402
    DoubleSeqBnConfig,
    IA3Config as HubIA3Config,
    LoRAConfig as HubLoRAConfig,
    ParBnConfig,
    SeqBnConfig,
)
from peft import IA3Config, LoraConfig, get_peft_model  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from tokenizers.models import WordPiece  # noqa: E402
from tokenizers.pre_tokenizers import Whitespace  # noqa: E402
from tokenizers.processors import TemplateProcessing  # noqa: E402

FOLDER = ROOT / "tests" / "fixtures" / "adapters"

PEFT = {
    # Patterns of rank and alpha, and a head of the user's own model.
    "peft-lora-head": LoraConfig(
        r=4, lora_alpha=6, target_modules=["query", "value"], modules_to_save=["classifier"],
        rank_pattern={"layer.1.attention.self.query": 2},
        alpha_pattern={"attention.self.value": 3},
    ),
    # A regular expression over module paths, and the scale of rsLoRA.
    "peft-rslora-regex": LoraConfig(
        r=3, lora_alpha=5, use_rslora=True,
        target_modules=r".*layer\.(0\.attention\.self\.key|\d+\.intermediate\.dense)",
    ),
    # Some layers only; a name that two modules of a layer end in.
    "peft-lora-layers": LoraConfig(
        r=2, lora_alpha=2, target_modules=["output.dense", "key"], layers_to_transform=[1],
        exclude_modules=["attention.output.dense"],
    ),
    "peft-ia3-head": IA3Config(
        target_modules=["key", "value", "output.dense"], feedforward_modules=["output.dense"],
        modules_to_save=["classifier"],
    ),
}

HUB = {
    "hub-seq-bn": SeqBnConfig(reduction_factor=8),
    "hub-double-seq-bn": DoubleSeqBnConfig(reduction_factor=4),
    "hub-par-bn": ParBnConfig(reduction_factor=4),
    "hub-seq-bn-gelu": SeqBnConfig(
        reduction_factor=16, non_linearity="gelu", scaling=0.5, mh_adapter=True
    ),
    "hub-lora": HubLoRAConfig(r=4, alpha=8, intermediate_lora=True, leave_out=[0]),
    "hub-ia3": HubIA3Config(),
}

DISTIL = {
    # One factor for each bottleneck, and one for each of its outputs.
    "distil-double-seq-bn-learned": DoubleSeqBnConfig(reduction_factor=4, scaling="learned"),
    "distil-seq-bn-channel": SeqBnConfig(
        reduction_factor={"1": 8, "default": 2}, scaling="channel", leave_out=[0]
    ),
    "distil-lora": HubLoRAConfig(r=2, alpha=3, output_lora=True),
}


def save_peft(name, config, inputs):
    with_head = config.modules_to_save is not None
    encoder = tiny_model.encoder()
    model = get_peft_model(tiny_model.TextClassifier(encoder) if with_head else encoder, config)
    added = ("lora_", "ia3_", "modules_to_save")
    tiny_model.fill(model, lambda parameter: any(part in parameter for part in added), len(name))
    folder = FOLDER / name
    model.eval().save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    bert = model.base_model.model.bert if with_head else model
    result = {f"{name}.hidden": bert(**inputs).last_hidden_state}
    if with_head:
        labels = {str(index): label for index, label in enumerate(tiny_model.LABELS)}
        (folder / "config.json").write_text(json.dumps({"id2label": labels}) + "\n")
        result[f"{name}.logits"] = model(**inputs)
    return result


def bert_with_heads():
    model = BertAdapterModel(tiny_model.config())
    model.bert.load_state_dict(tiny_model.encoder().state_dict(), strict=False)
    return model


def distil_with_heads():
    model = DistilBertAdapterModel(tiny_model.distil_config())
    model.distilbert.load_state_dict(tiny_model.distil_encoder().state_dict(), strict=False)
    return model


def save_hub(model, name, config, inputs):
    model.add_adapter("intent", config=config)
    model.add_classification_head(
        "intent", num_labels=len(tiny_model.LABELS), layers=1, use_pooler=False,
        id2label=dict(enumerate(tiny_model.LABELS)),
    )
    model.set_active_adapters("intent")
    added = (".adapters.", ".loras.", "heads.")
    tiny_model.fill(model, lambda parameter: any(part in parameter for part in added), len(name))
    model.eval()
    model.save_adapter(str(FOLDER / name), "intent", with_head=True, use_safetensors=True)
    hidden = model.base_model(**inputs).last_hidden_state
    return {f"{name}.hidden": hidden, f"{name}.logits": model(**inputs, head="intent").logits}


def export(encoder, file_name, names, inputs):
    axes = {name: {0: "batch", 1: "sequence"} for name in names}
    axes["last_hidden_state"] = {0: "batch", 1: "sequence"}
    torch.onnx.export(
        encoder, tuple(inputs[name] for name in names), str(FOLDER / file_name),
        input_names=list(names), output_names=["last_hidden_state"], dynamic_axes=axes,
        opset_version=17, dynamo=False,
    )


def save_tokenizer():
    """A tokenizer of 80 words, so that the backbone can be made a bundle."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = special + [f"w{number}" for number in range(80 - len(special))]
    tokenizer = Tokenizer(WordPiece({word: id_ for id_, word in enumerate(words)}))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    tokenizer.save(str(FOLDER / "tokenizer.json"), pretty=False)


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    inputs = tiny_model.inputs()
    outputs = {f"input.{name}": tensor for name, tensor in inputs.items()}
    with torch.no_grad():
        outputs["bare.hidden"] = tiny_model.encoder()(**inputs).last_hidden_state
        for name, config in PEFT.items():
            outputs |= save_peft(name, config, inputs)
        for name, config in HUB.items():
            outputs |= save_hub(bert_with_heads(), name, config, inputs)
        export(tiny_model.encoder(), "backbone.onnx", tiny_model.INPUT_NAMES, inputs)
        distil = {name: inputs[name] for name in tiny_model.DISTIL_INPUT_NAMES}
        for name, config in DISTIL.items():
            outputs |= save_hub(distil_with_heads(), name, config, distil)
        export(
            tiny_model.distil_encoder(), "distilbert.onnx", tiny_model.DISTIL_INPUT_NAMES, distil
        )
    save_tokenizer()
    arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
    safetensors_file.write(FOLDER / "outputs.safetensors", arrays, {"torch": torch.__version__})
    for path in FOLDER.rglob("*.safetensors"):
        path.chmod(0o644)
    print(f"{len(PEFT) + len(HUB) + len(DISTIL)} adapters written to {FOLDER.name}/")


if __name__ == "__main__":
    main()
