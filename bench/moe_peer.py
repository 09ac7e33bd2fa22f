#!/usr/bin/env python3
"""LoRA training of two layers of the DeepSeek-V2-Lite shape by transformers and PEFT: one dense layer, one of 64 experts. One JSON line, as compare.py reads it.

usage: bench/moe_peer.py --shape v2-lite-2l --mode bf16 [--batch 1] [--seq 512] [--steps 4]

LoRA r16 on what PEFT calls "all-linear": attention, router and experts (of which the gate and up projections share one tensor and get rank 32).
"""
import argparse
import json
import os
import resource
import statistics
import time

BEGUN = time.time()
import torch
from peft import LoraConfig, get_peft_model
from transformers import DeepseekV2Config, DeepseekV2ForCausalLM

SHAPES = {
    "v2-lite-2l": dict(hidden_size=2048, intermediate_size=10944, moe_intermediate_size=1408, num_hidden_layers=2, num_attention_heads=16, num_key_value_heads=16,
                       kv_lora_rank=512, q_lora_rank=None, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, n_routed_experts=64, n_shared_experts=2,
                       num_experts_per_tok=6, first_k_dense_replace=1, routed_scaling_factor=1.0, topk_method="greedy", norm_topk_prob=False, vocab_size=102400,
                       tie_word_embeddings=False, max_position_embeddings=4096),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="v2-lite-2l")
    parser.add_argument("--mode", choices=("bf16",), default="bf16")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--steps", type=int, default=4)
    a = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count())
    config = DeepseekV2Config(**SHAPES[a.shape])
    torch.set_default_dtype(torch.bfloat16)
    model = DeepseekV2ForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    times, first = [], None
    for _ in range(a.steps):
        ids = torch.randint(0, config.vocab_size, (a.batch, a.seq))
        begun = time.time()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.time() - begun)
        first = first or time.time() - BEGUN
    print(json.dumps({"peer": "transformers+peft", "shape": a.shape, "mode": a.mode, "batch": a.batch, "seq": a.seq, "trained": sum(p.numel() for p in trained),
                      "tok_s": round(a.batch * a.seq / statistics.median(times[1:] or times), 1), "first_step_s": round(first, 1), "loss": round(loss.item(), 3),
                      "peak_rss_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)}))


main()
