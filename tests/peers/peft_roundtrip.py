#!/usr/bin/env python3
"""PEFT loads what hone trained and computes the same: peft_roundtrip.py HONE (the hone program; needs torch, transformers, peft).

A small random model of every family is saved by transformers, trained by hone in f32 with each kind of adapter and set of targets, and the
loss is computed by hone, by PEFT with hone's adapter, and by transformers with the merged model. Only the cases named after HONE run, if any.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import peft
import tokenizers
import torch
import transformers

hone = sys.argv[1]
work = pathlib.Path(tempfile.mkdtemp(prefix="peft-roundtrip-"))
torch.manual_seed(0)
rows = [{"messages": [{"role": "user", "content": f"count to {i} 数"}, {"role": "assistant", "content": f"number {i % 5}"}]} for i in range(32)]
(work / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")

tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = tokenizers.decoders.ByteLevel()
trainer = tokenizers.trainers.BpeTrainer(vocab_size=320, special_tokens=["<|im_start|>", "<|im_end|>"],
                                         initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
tokenizer.train_from_iterator([json.dumps(row) for row in rows], trainer)
fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
fast.chat_template = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['role'] == 'assistant' %}{% generation %}"
                      "{{ m['content'] + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
                      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
sizes = dict(vocab_size=len(fast), hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=256)
experts = dict(sizes, num_key_value_heads=4, kv_lora_rank=16, q_lora_rank=24, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16, n_routed_experts=4,
               n_shared_experts=1, num_experts_per_tok=2, moe_intermediate_size=32, first_k_dense_replace=1, n_group=1, topk_group=1)
configs = {"llama": transformers.LlamaConfig(**sizes), "tied": transformers.LlamaConfig(**sizes, tie_word_embeddings=True), "qwen2": transformers.Qwen2Config(**sizes),
           "qwen3": transformers.Qwen3Config(**sizes, head_dim=16), "deepseek": transformers.DeepseekV3Config(**experts)}


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager").eval()


for family, config in configs.items():
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(work / family)
    fast.save_pretrained(work / family)


def peft_loss(adapted):
    total, count = 0.0, 0
    for row in rows:
        out = fast.apply_chat_template(row["messages"], return_dict=True, return_assistant_tokens_mask=True, return_tensors="pt")
        labels = torch.where(out["assistant_masks"].bool(), out["input_ids"], -100)[0, 1:]
        with torch.no_grad():
            logits = adapted(out["input_ids"]).logits[0, :-1].double()
        total += torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum").item()
        count += (labels != -100).sum().item()
    return total / count


def run(*words):
    return subprocess.run([hone, *map(str, words)], check=True, capture_output=True, text=True).stdout


cases = {f"{family} {targets}": (family, [f"lora.target={targets}"]) for family in configs for targets in ("all-linear", "attention", "mlp")}
cases.update({f"deepseek {targets}": ("deepseek", [f"lora.target={targets}"]) for targets in ("routed_experts", "shared_experts")})
cases.update({
    "rslora": ("llama", ["lora.rslora=true"]),
    "patterns": ("qwen2", ["lora.rank_pattern={q_proj: 2, 'layers.1.*v_proj': 6}", "lora.alpha_pattern={down_proj: 4}"]),
    "dora": ("qwen2", ["lora.dora=true"]),
    "vocabulary": ("qwen3", ["lora.target=[q_proj, embed_tokens, lm_head]"]),
    "tied vocabulary": ("tied", ["lora.target=[q_proj, embed_tokens]"]),
    "whole": ("llama", ["lora.target=[v_proj]", "lora.modules_to_save=[embed_tokens, lm_head, norm]"]),
    "tied whole": ("tied", ["lora.target=[v_proj]", "lora.modules_to_save=[embed_tokens]"]),
    "pissa": ("llama", ["lora.init=pissa"]),
    "olora": ("qwen3", ["lora.init=olora", "lora.rslora=true"]),
})
failed = False
for name, (family, extra) in cases.items():
    if sys.argv[2:] and name not in sys.argv[2:]:
        continue
    run_folder, yaml = work / name.replace(" ", "-"), work / f"{name}.yaml"
    yaml.write_text(f"model.base: {work}/{family}\ndata: {work}/rows.jsonl\ntraining: {{precision: f32, learning_rate: 1e-2, batch_size: 4, epochs: 4, output_dir: {run_folder}}}\n"
                    "lora.r: 4\ndata.cutoff_length: 64\n")
    run("train", yaml, *extra)
    mine = json.loads(run("eval", yaml, *extra, "--adapter", run_folder, "--data", work / "rows.jsonl", "--no-answers", "--json"))["loss"]
    theirs = peft_loss(peft.PeftModel.from_pretrained(load(work / family), run_folder / "best").eval())
    run("export", run_folder, "--format", "safetensors", "--type", "f32", "--out", run_folder / "merged")
    merged = peft_loss(load(run_folder / "merged"))
    base = peft_loss(load(work / family))
    wrong = abs(mine - theirs) > 1e-4 * theirs or abs(mine - merged) > 1e-4 * theirs or mine > base
    print(f"{name:24} base {base:.6f}   hone {mine:.6f}   peft {theirs:.6f}   merged in transformers {merged:.6f}{'   WRONG' if wrong else ''}", flush=True)
    failed |= wrong
print(f"transformers {transformers.__version__}, peft {peft.__version__}: {'FAILED' if failed else 'equal'}")
sys.exit(failed)
