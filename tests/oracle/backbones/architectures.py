"""The architectures: one table of small models with random weights, and what is done with each.

Every model has 2 layers, hidden size 32, 4 heads, feed-forward size 64 and 96 tokens. Weights
depend on the parameter's name alone, not on the release of transformers, and are rounded to
bfloat16, which makes them compress.
"""

import zlib
from dataclasses import dataclass

import torch
import transformers

VOCABULARY, HIDDEN, LAYERS, HEADS, WIDE, POSITIONS, PADDING = 96, 32, 2, 4, 64, 64, 1
LENGTHS = (9, 7, 6)
STATES_LENGTH = 5
TRANSLATE = "text2text-generation"
ENCODE = "feature-extraction"

BERT_LIKE = {
    "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS, "intermediate_size": WIDE,
    "max_position_embeddings": POSITIONS, "pad_token_id": PADDING,
}
T5_LIKE = {
    "vocab_size": VOCABULARY, "d_model": HIDDEN, "d_kv": HIDDEN // HEADS, "d_ff": WIDE,
    "num_layers": LAYERS, "num_decoder_layers": LAYERS, "num_heads": HEADS, "pad_token_id": 0,
    "decoder_start_token_id": 0, "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 16,
}
BART_LIKE = {
    "vocab_size": VOCABULARY, "d_model": HIDDEN, "encoder_layers": LAYERS,
    "decoder_layers": LAYERS, "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS, "encoder_ffn_dim": WIDE, "decoder_ffn_dim": WIDE,
    "max_position_embeddings": POSITIONS, "pad_token_id": PADDING,
    "decoder_start_token_id": 2, "bos_token_id": 0, "eos_token_id": 2,
    "forced_eos_token_id": None,
}
BERT_LAST = ("attention.output.dense", "output.dense")
T5_LAST = ("SelfAttention.o", "EncDecAttention.o", "DenseReluDense.wo")
BART_LAST = ("self_attn.out_proj", "encoder_attn.out_proj", "fc2")


@dataclass(frozen=True)
class Architecture:
    """A model, or one half of a sequence-to-sequence model."""

    name: str
    model: str
    settings: dict
    # Module-name endings of the last linear layer of each sub-layer: bottlenecks follow these.
    last: tuple
    inputs: tuple = ("input_ids", "attention_mask")
    # None: the whole model; else `encoder` or `decoder`.
    half: str = None
    task: str = ENCODE
    # File name that Optimum gives the model.
    file: str = "model.onnx"
    output: str = "last_hidden_state"


TYPED = ("input_ids", "attention_mask", "token_type_ids")
ENCODERS = (
    ("bert", "BertModel", BERT_LIKE, BERT_LAST, TYPED),
    ("roberta", "RobertaModel", BERT_LIKE, BERT_LAST, TYPED[:2]),
    ("xlm-roberta", "XLMRobertaModel", BERT_LIKE, BERT_LAST, TYPED[:2]),
    ("distilbert", "DistilBertModel",
     {"vocab_size": VOCABULARY, "dim": HIDDEN, "n_layers": LAYERS, "n_heads": HEADS,
      "hidden_dim": WIDE, "max_position_embeddings": POSITIONS, "pad_token_id": PADDING},
     ("attention.out_lin", "ffn.lin2"), TYPED[:2]),
    ("albert", "AlbertModel", BERT_LIKE | {"embedding_size": 16},
     ("attention.dense", "ffn_output"), TYPED),
    ("electra", "ElectraModel", BERT_LIKE | {"embedding_size": 16}, BERT_LAST, TYPED),
    ("mpnet", "MPNetModel", BERT_LIKE,
     ("attention.attn.o", "output.dense"), TYPED[:2]),
    ("deberta-v2", "DebertaV2Model",
     BERT_LIKE | {"relative_attention": True, "position_buckets": 8, "share_att_key": True,
                  "pos_att_type": ["p2c", "c2p"], "norm_rel_ebd": "layer_norm",
                  "position_biased_input": False, "type_vocab_size": 0},
     BERT_LAST, TYPED[:2]),
    ("modernbert", "ModernBertModel",
     BERT_LIKE | {"local_attention": 8, "global_attn_every_n_layers": 2,
                  "reference_compile": False, "bos_token_id": 0, "eos_token_id": 2,
                  "cls_token_id": 0, "sep_token_id": 2},
     ("attn.Wo", "mlp.Wo"), TYPED[:2]),
    ("nomic-bert", "NomicBertModel", BERT_LIKE, ("self_attn.o_proj", "mlp.down_proj"), TYPED),
    ("roformer", "RoFormerModel", BERT_LIKE | {"embedding_size": HIDDEN}, BERT_LAST, TYPED),
)
SEQUENCE_TO_SEQUENCE = (
    ("t5", "T5ForConditionalGeneration", T5_LIKE, T5_LAST),
    ("mt5", "MT5ForConditionalGeneration",
     T5_LIKE | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, T5_LAST),
    ("byt5", "T5ForConditionalGeneration",
     T5_LIKE | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
                "num_decoder_layers": 1}, T5_LAST),
    ("mbart", "MBartForConditionalGeneration", BART_LIKE, BART_LAST),
    ("m2m100", "M2M100ForConditionalGeneration", BART_LIKE, BART_LAST),
    ("marian", "MarianMTModel", BART_LIKE, BART_LAST),
)


def architectures():
    """All of them; a sequence-to-sequence model gives one entry per half."""
    found = [Architecture(name, model, settings, last, inputs)
             for name, model, settings, last, inputs in ENCODERS]
    for name, model, settings, last in SEQUENCE_TO_SEQUENCE:
        shared = {"model": model, "settings": settings, "last": last, "task": TRANSLATE}
        found.append(Architecture(f"{name}-encoder", half="encoder", file="encoder_model.onnx",
                                  **shared))
        found.append(Architecture(
            f"{name}-decoder", half="decoder", file="decoder_model.onnx", output="logits",
            inputs=("input_ids", "encoder_hidden_states", "encoder_attention_mask"), **shared))
    return found


def whole_model(architecture, attention):
    """The model that transformers builds, with our weights, ready to export."""
    kind = getattr(transformers, architecture.model)
    config = kind.config_class(**architecture.settings)
    # Those that do not know the fused attention compute it in parts.
    attention = attention if kind._supports_sdpa else "eager"
    model = kind._from_config(config, attn_implementation=attention)
    fill(model)
    return model.eval()


def fill(model):
    """Gives every parameter values that follow from its name."""
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue  # Sinusoids that a model keeps as a parameter.
        # Releases differ in whether the output layer is tied to the embeddings; here it always is.
        source = "shared.weight" if name == "lm_head.weight" else name
        generator = torch.Generator().manual_seed(zlib.crc32(source.encode()))
        values = torch.randn(parameter.shape, generator=generator)
        if name.endswith("bias"):
            values = 0.1 * values
        elif parameter.ndim == 1:
            values = 1 + 0.2 * values
        else:
            values = 0.2 * values
        parameter.data = values.bfloat16().float()


def forward_of(architecture, model):
    """`(module, forward)`: the module whose names the sites have, and its function of the inputs.
    """
    if architecture.half == "encoder":
        module = model.get_encoder()
    else:
        module = model
    original = type(module).forward

    def encode(self, input_ids, attention_mask):
        return original(self, input_ids=input_ids, attention_mask=attention_mask)[0]

    def encode_typed(self, input_ids, attention_mask, token_type_ids):
        return original(self, input_ids=input_ids, attention_mask=attention_mask,
                        token_type_ids=token_type_ids)[0]

    def decode(self, input_ids, encoder_hidden_states, encoder_attention_mask):
        return original(self, decoder_input_ids=input_ids,
                        encoder_outputs=(encoder_hidden_states,),
                        attention_mask=encoder_attention_mask, use_cache=False).logits

    if architecture.half == "decoder":
        return module, decode
    return module, encode_typed if "token_type_ids" in architecture.inputs else encode


def inputs_of(architecture, lengths, seed):
    """A padded batch as the model's inputs, by name."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    mask = (torch.arange(longest)[None] < torch.tensor(lengths)[:, None]).long()
    padding = architecture.settings["pad_token_id"]
    ids = torch.randint(3, VOCABULARY, mask.shape, generator=generator)
    values = {"attention_mask": mask, "input_ids": torch.where(mask == 1, ids, padding)}
    values["token_type_ids"] = torch.randint(0, 2, mask.shape, generator=generator) * mask
    if architecture.half == "decoder":
        # Decoders read whole targets; what is padded is what the encoder has seen.
        values["input_ids"] = ids
        shape = (len(lengths), STATES_LENGTH, HIDDEN)
        values["encoder_hidden_states"] = torch.randn(shape, generator=generator)
        rows = torch.arange(STATES_LENGTH)[None] < torch.tensor(lengths)[:, None] - 4
        values["encoder_attention_mask"] = rows.long()
    return {name: values[name] for name in architecture.inputs}
