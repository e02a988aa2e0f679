"""The reference encoder in PyTorch, with LoRA on chosen projections: the oracle for gradients.

In: weights by Hugging Face name (matrices `[in, out]`), as `onnx_file.read_weights` gives them.
Out: `last_hidden_state`, or the classification loss of a training step.

It follows the exported graph step by step in float32 and shares no code with polygraft, so that
equal gradients mean that both are right.
"""

import math

import torch
import torch.nn.functional as functional


class Encoder:
    """A frozen encoder; only the LoRA tensors and the head given to `loss` can need gradients."""

    def __init__(self, weights, layers, heads, norm_epsilon=1e-12, fused_attention=False):
        self.weights = {
            name: torch.from_numpy(array.copy())
            for name, array in weights.items()
            if name.endswith((".weight", ".bias"))
        }
        for name, weight in self.weights.items():
            if name.startswith("encoder.") and weight.dim() == 2:
                # PyTorch keeps matrices as [out, in]; its fused product with bias wants that.
                self.weights[name] = weight.T.contiguous()
        self.layers, self.heads, self.norm_epsilon = layers, heads, norm_epsilon
        self.fused_attention = fused_attention

    def linear(self, value, name, lora=None):
        weight, bias = self.weights[name + ".weight"], self.weights[name + ".bias"]
        result = functional.linear(value, weight, bias)
        if lora is not None and name + ".lora_A" in lora:
            result = result + (value @ lora[name + ".lora_A"]) @ lora[name + ".lora_B"]
        return result

    def layer_norm(self, value, name):
        weight, bias = self.weights[name + ".weight"], self.weights[name + ".bias"]
        return functional.layer_norm(value, weight.shape, weight, bias, self.norm_epsilon)

    def hidden(self, input_ids, attention_mask, token_type_ids, lora):
        table = {
            kind: self.weights[f"embeddings.{kind}_embeddings.weight"]
            for kind in ("word", "position", "token_type")
        }
        value = table["word"][input_ids] + table["token_type"][token_type_ids]
        value = value + table["position"][: input_ids.shape[1]]
        value = self.layer_norm(value, "embeddings.LayerNorm")
        lowest = torch.finfo(torch.float32).min
        mask = (1.0 - attention_mask[:, None, None, :].float()) * lowest
        for layer in range(self.layers):
            value = self.layer(value, mask, f"encoder.layer.{layer}.", lora)
        return value

    def layer(self, hidden, mask, name, lora):
        batch, sequence, width = hidden.shape
        head_size = width // self.heads

        def split(part):
            flat = self.linear(hidden, name + "attention.self." + part, lora)
            return flat.view(batch, sequence, self.heads, head_size).transpose(1, 2)

        query, key, value = split("query"), split("key"), split("value")
        if self.fused_attention:
            context = functional.scaled_dot_product_attention(query, key, value, mask)
        else:
            scores = query @ key.transpose(2, 3) / math.sqrt(head_size) + mask
            context = scores.softmax(-1) @ value
        context = context.transpose(1, 2).reshape(batch, sequence, width)
        attended = self.linear(context, name + "attention.output.dense") + hidden
        attended = self.layer_norm(attended, name + "attention.output.LayerNorm")
        wide = functional.gelu(self.linear(attended, name + "intermediate.dense"))
        narrow = self.linear(wide, name + "output.dense") + attended
        return self.layer_norm(narrow, name + "output.LayerNorm")

    def logits(self, inputs, lora):
        """Mean over the tokens that the mask keeps, then the head."""
        ids = (inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"])
        hidden = self.hidden(*ids, lora)
        mask = inputs["attention_mask"][:, :, None].float()
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        return pooled @ lora["head.weight"] + lora["head.bias"]

    def loss(self, inputs, lora):
        """Sum over the batch of the cross-entropy against the target rows."""
        return -(inputs["targets"] * self.logits(inputs, lora).log_softmax(-1)).sum()


def gradients(encoder, inputs, tensors):
    """(loss, {name: gradient}); `tensors` maps names to arrays of the trainable tensors."""
    lora = {name: torch.from_numpy(array).requires_grad_() for name, array in tensors.items()}
    given = {name: torch.from_numpy(array) for name, array in inputs.items()}
    loss = encoder.loss(given, lora)
    loss.backward()
    return loss.item(), {name: tensor.grad.numpy() for name, tensor in lora.items()}
