#!/usr/bin/env python3
"""Writes a checkpoint of random bfloat16 weights in the shape of a real model, with the tokenizer of a folder that has one.

usage: random_checkpoint.py SHAPE TOKENIZER_FOLDER OUT_FOLDER      SHAPE: qwen3-0.6b, llama-3.2-1b, llama-3.1-8b,
tiny-qwen3 or tiny-llama

Needs numpy only. Files of at most 2 GiB; the values repeat a random tile, so that 16 GB are written at the disk's speed.
"""
import json
import pathlib
import shutil
import struct
import sys

import numpy as np

SHAPES = {  # class, layers, hidden, query heads, key/value heads, head size, features, vocabulary, tied, rope base
    "qwen3-0.6b": ("Qwen3ForCausalLM", 28, 1024, 16, 8, 128, 3072, 151936, True, 1e6),
    "llama-3.2-1b": ("LlamaForCausalLM", 16, 2048, 32, 8, 64, 8192, 128256, True, 5e5),
    "llama-3.1-8b": ("LlamaForCausalLM", 32, 4096, 32, 8, 128, 14336, 128256, False, 5e5),
    "tiny-qwen3": ("Qwen3ForCausalLM", 2, 64, 4, 2, 32, 96, 8192, True, 1e4),
    "tiny-llama": ("LlamaForCausalLM", 2, 64, 4, 2, 32, 96, 8192, False, 1e4),
}
SHARD_BYTES = 2 << 30


def tensors(shape):
    kind, layers, hidden, hq, hkv, d, features, vocab, tied, _ = shape
    yield "model.embed_tokens.weight", (vocab, hidden)
    for i in range(layers):
        at = f"model.layers.{i}."
        yield at + "input_layernorm.weight", (hidden,)
        for name, rows in (("q", hq * d), ("k", hkv * d), ("v", hkv * d)):
            yield f"{at}self_attn.{name}_proj.weight", (rows, hidden)
        if kind.startswith("Qwen3"):
            yield at + "self_attn.q_norm.weight", (d,)
            yield at + "self_attn.k_norm.weight", (d,)
        yield at + "self_attn.o_proj.weight", (hidden, hq * d)
        yield at + "post_attention_layernorm.weight", (hidden,)
        yield at + "mlp.gate_proj.weight", (features, hidden)
        yield at + "mlp.up_proj.weight", (features, hidden)
        yield at + "mlp.down_proj.weight", (hidden, features)
    yield "model.norm.weight", (hidden,)
    if not tied:
        yield "lm_head.weight", (vocab, hidden)


def bf16(values):
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def shards(shape):
    group, size = [], 0
    for name, dims in tensors(shape):
        count = int(np.prod(dims))
        if group and size + 2 * count > SHARD_BYTES:
            yield group
            group, size = [], 0
        group.append((name, dims, count))
        size += 2 * count
    yield group


def write_shard(path, group, tile, ones):
    header, at = {}, 0
    for name, dims, count in group:
        header[name] = dict(dtype="BF16", shape=list(dims), data_offsets=[at, at + 2 * count])
        at += 2 * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, dims, count in group:
            source = ones if len(dims) == 1 else tile
            for start in range(0, count, source.size):
                file.write(source[:min(source.size, count - start)].tobytes())


def main():
    name, tokenizer, out = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    shape = SHAPES[name]
    kind, layers, hidden, hq, hkv, d, features, vocab, tied, base = shape
    out.mkdir(parents=True, exist_ok=True)
    config = dict(architectures=[kind], hidden_size=hidden, intermediate_size=features, num_hidden_layers=layers,
                  num_attention_heads=hq, num_key_value_heads=hkv, head_dim=d, vocab_size=vocab, max_position_embeddings=32768,
                  rms_norm_eps=1e-6, rope_theta=base, tie_word_embeddings=tied, hidden_act="silu", torch_dtype="bfloat16")
    (out / "config.json").write_text(json.dumps(config, indent=1))
    for file in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(tokenizer / file, out / file)
    rng = np.random.default_rng(0)
    tile, ones = bf16(rng.standard_normal(1 << 24, np.float32) * 0.02), bf16(np.ones(1 << 16))
    groups, places = list(shards(shape)), {}
    for i, group in enumerate(groups):
        file = "model.safetensors" if len(groups) == 1 else f"model-{i + 1:05}-of-{len(groups):05}.safetensors"
        write_shard(out / file, group, tile, ones)
        places.update({tensor[0]: file for tensor in group})
    if len(groups) > 1:
        (out / "model.safetensors.index.json").write_text(json.dumps(dict(weight_map=places)))
    print(f"{name}: {sum(t[2] for g in groups for t in g) * 2 / 1e9:.2f} GB in {len(groups)} file(s)")


if __name__ == "__main__":
    main()
