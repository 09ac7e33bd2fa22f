#!/usr/bin/env python3
"""A GGUF in the Q4_K_M mixture with random weights, of the shape of DeepSeek-R1-Distill-Qwen-1.5B: what bench/infer.py compares where no
such model can be fetched. Its words mean nothing; its speed is the real one's.

usage: bench/random_gguf.py OUT.gguf [--layers 28]

Needs the packages gguf and numpy. The mixture is llama.cpp's: Q6_K for the head, and for v_proj and down_proj of the first and last
eighth of the layers and of every third between; Q4_K elsewhere.
"""
import argparse

import gguf
import numpy as np

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("out")
parser.add_argument("--layers", type=int, default=28)
a = parser.parse_args()
hidden, wide, heads, kv_heads, head_dim, vocab = 1536, 8960, 12, 2, 128, 151936
rng = np.random.default_rng(0)
writer = gguf.GGUFWriter(a.out, "qwen2")
writer.add_name("random")
writer.add_context_length(32768)
writer.add_embedding_length(hidden)
writer.add_block_count(a.layers)
writer.add_feed_forward_length(wide)
writer.add_head_count(heads)
writer.add_head_count_kv(kv_heads)
writer.add_rope_freq_base(10000.0)
writer.add_layer_norm_rms_eps(1e-6)
writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)

# GPT-2's letters for bytes, then as many words as the model has rows.
bytes_ = [*range(33, 127), *range(161, 173), *range(174, 256)]
letters = [chr(b) for b in bytes_] + [chr(256 + i) for i in range(256 - len(bytes_))]
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("qwen2")
writer.add_token_list(letters + ["wo", "rd", "word"] + [f"word{i}" for i in range(vocab - 260)] + ["<end>"])
writer.add_token_types([gguf.TokenType.NORMAL] * (vocab - 1) + [gguf.TokenType.CONTROL])
writer.add_token_merges(["w o", "r d", "wo rd"])
writer.add_eos_token_id(vocab - 1)


def half(value, blocks):
    return np.full((blocks, 1), value, np.float16).view(np.uint8)


def q4_k(rows, cols):  # scales about 24 of 63, codes about 7.5: weights about zero, their spread 1/sqrt(cols)
    blocks = rows * cols // 256
    d = 1 / (cols**0.5 * 24 * 4.6)
    scales = np.zeros((blocks, 12), np.uint8)
    scales[:, :4] = rng.integers(16, 32, (blocks, 4))
    scales[:, 4:8] = scales[:, :4]  # minima like the scales
    low = rng.integers(8, 16, (blocks, 4), np.uint8)
    scales[:, 8:] = low | low << 4
    scales[:, :8] |= 1 << 6  # 16 more in the upper four
    return np.concatenate([half(d, blocks), half(7.5 * d, blocks), scales, rng.integers(0, 256, (blocks, 128), np.uint8)], axis=1).reshape(rows, -1)


def q6_k(rows, cols):
    blocks = rows * cols // 256
    scales = rng.integers(12, 28, (blocks, 16), np.uint8)
    return np.concatenate([rng.integers(0, 256, (blocks, 192), np.uint8), scales, half(1 / (cols**0.5 * 20 * 18.5), blocks)], axis=1).reshape(rows, -1)


def add(name, rows, cols, better=False):
    kind = gguf.GGMLQuantizationType.Q6_K if better else gguf.GGMLQuantizationType.Q4_K
    writer.add_tensor(name, (q6_k if better else q4_k)(rows, cols), raw_dtype=kind)


def ones(name, size, value=1.0):
    writer.add_tensor(name, np.full(size, value, np.float32))


add("token_embd.weight", vocab, hidden)
add("output.weight", vocab, hidden, better=True)
ones("output_norm.weight", hidden)
for i in range(a.layers):
    better = i < a.layers // 8 or i >= 7 * a.layers // 8 or (i - a.layers // 8) % 3 == 2
    ones(f"blk.{i}.attn_norm.weight", hidden)
    ones(f"blk.{i}.ffn_norm.weight", hidden)
    for name, rows in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
        add(f"blk.{i}.attn_{name}.weight", rows * head_dim, hidden, better and name == "v")
        ones(f"blk.{i}.attn_{name}.bias", rows * head_dim, 0.0)
    add(f"blk.{i}.attn_output.weight", hidden, heads * head_dim)
    add(f"blk.{i}.ffn_gate.weight", wide, hidden)
    add(f"blk.{i}.ffn_up.weight", wide, hidden)
    add(f"blk.{i}.ffn_down.weight", hidden, wide, better)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
