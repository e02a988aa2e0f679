"""The tiny encoder that adapters of other libraries are made for, and what it is run on.

Random weights from fixed seeds. `TextClassifier` is a model as people write it around an encoder:
mean pooling over the tokens that the mask keeps, then one linear layer.
"""

import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

LABELS = ("on", "off", "dim")
INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")
DISTIL_INPUT_NAMES = INPUT_NAMES[:2]
LENGTHS = (7, 4, 1)


def config():
    sizes = BertConfig(
        vocab_size=80, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=32, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    sizes._attn_implementation = "eager"
    return sizes


def fill(module, names, seed, spread=0.3):
    """Draws the parameters that `names` chooses, each from its own generator."""
    for name, parameter in sorted(module.named_parameters()):
        if names(name):
            generator = torch.Generator().manual_seed(seed + sum(map(ord, name)))
            values = torch.randn(parameter.shape, generator=generator) * spread
            centre = 1.0 if "ia3" in name or "LayerNorm.weight" in name else 0.0
            parameter.data.copy_(values + centre)


def encoder():
    torch.manual_seed(5)
    model = BertModel(config(), add_pooling_layer=False)
    fill(model, lambda name: True, 100)
    return model.eval()


def distil_config():
    sizes = DistilBertConfig(
        vocab_size=80, dim=32, hidden_dim=48, n_layers=2, n_heads=4, max_position_embeddings=32,
        dropout=0.0, attention_dropout=0.0,
    )
    sizes._attn_implementation = "eager"
    return sizes


def distil_encoder():
    """An encoder whose modules AdapterHub calls otherwise than those of BERT."""
    torch.manual_seed(6)
    model = DistilBertModel(distil_config())
    fill(model, lambda name: True, 200)
    return model.eval()


def inputs():
    generator = torch.Generator().manual_seed(17)
    width = max(LENGTHS)
    lengths = torch.tensor(LENGTHS)[:, None]
    mask = (torch.arange(width)[None] < lengths).long()
    ids = torch.randint(2, 80, (len(LENGTHS), width), generator=generator)
    return {
        "input_ids": ids * mask,
        "attention_mask": mask,
        "token_type_ids": torch.zeros_like(mask),
    }


class TextClassifier(torch.nn.Module):
    """Mean pooling and a linear layer around an encoder called `bert`."""

    def __init__(self, bert):
        super().__init__()
        self.bert = bert
        self.classifier = torch.nn.Linear(32, len(LABELS))

    def forward(self, input_ids, attention_mask, token_type_ids):
        hidden = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
        mask = attention_mask[:, :, None].float()
        return self.classifier((hidden * mask).sum(1) / mask.sum(1))
