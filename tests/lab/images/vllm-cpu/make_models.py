"""Makes the two models that the image carries: real architectures, random weights.

What they say is noise, the same noise at every build; everything around it (tokenizer, chat
template, weights file, vLLM's own loading and serving) is what a real model goes through.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

SEED = 20260
VOCABULARY = 512
CONTEXT = 512
"""Longest text, in tokens; here a token is little more than a byte."""
TEXT = [
    "The quick brown fox jumps over the lazy dog.",
    "You are a helpful assistant. Answer in one short sentence, please.",
    "Hello! How can I help you today? What is the capital of France?",
    "Graphics cards are split into instances, and every instance serves a model.",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}</s>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE, so that every text has tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>", "<pad>", "<|system|>", "<|user|>", "<|assistant|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=CONTEXT,
        chat_template=CHAT_TEMPLATE,
    )


def make_models(tokenizer: PreTrainedTokenizerFast) -> dict[str, PreTrainedModel]:
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "dtype": "bfloat16",
    }
    return {
        "tiny-chat": LlamaForCausalLM(LlamaConfig(**shape)),
        "tiny-embedding": BertModel(BertConfig(**shape)),
    }


def main(folder: Path) -> None:
    torch.manual_seed(SEED)
    tokenizer = make_tokenizer()
    for name, model in make_models(tokenizer).items():
        model.to(torch.bfloat16).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
        for file in (folder / name).iterdir():
            file.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
