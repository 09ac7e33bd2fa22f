#!/usr/bin/env python3
"""PEFT loads what hone trained and computes the same: peft_roundtrip.py HONE (the hone program; needs torch, transformers, peft).

A small random llama is saved by transformers, trained by hone in f32, and the held-out loss of the adapter is computed by both.
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
config = transformers.LlamaConfig(vocab_size=len(fast), hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
                                  num_key_value_heads=2, max_position_embeddings=256)
model = transformers.LlamaForCausalLM(config)
model.save_pretrained(work / "base")
fast.save_pretrained(work / "base")


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


failed = False
for name, extra in {"plain": [], "rslora": ["lora.rslora=true"], "attention": ["lora.target=attention"]}.items():
    yaml = work / f"{name}.yaml"
    yaml.write_text(f"model.base: {work}/base\ndata: {work}/rows.jsonl\ntraining: {{precision: f32, learning_rate: 1e-2, batch_size: 4, epochs: 4, output_dir: {work}/{name}}}\n"
                    "lora.r: 4\ndata.cutoff_length: 64\n")
    run("train", yaml, *extra)
    mine = json.loads(run("eval", yaml, *extra, "--adapter", work / name, "--data", work / "rows.jsonl", "--no-answers", "--json"))["loss"]
    theirs = peft_loss(peft.PeftModel.from_pretrained(transformers.LlamaForCausalLM.from_pretrained(work / "base"), work / name / "best"))
    run("export", work / name, "--format", "safetensors", "--type", "f32", "--out", work / name / "merged")
    merged = peft_loss(transformers.AutoModelForCausalLM.from_pretrained(work / name / "merged", dtype=torch.float32))
    base = peft_loss(model)
    print(f"{name:10} base {base:.6f}   hone {mine:.6f}   peft {theirs:.6f}   merged in transformers {merged:.6f}")
    failed |= abs(mine - theirs) > 1e-4 * theirs or abs(mine - merged) > 1e-4 * theirs or mine > base
print(f"transformers {transformers.__version__}, peft {peft.__version__}: {'FAILED' if failed else 'equal'}")
sys.exit(failed)
