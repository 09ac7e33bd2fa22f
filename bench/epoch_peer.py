"""One epoch of supervised fine-tuning as a PEFT user writes it: chat template, prompts masked, padded batches, LoRA on every linear layer.

usage: epoch_peer.py MODEL_DIR ROWS.jsonl OUT --mode bf16|nf4|f32 --batch 8 --cutoff 512   (bench/epoch.py runs it)
Prints one JSON line.
"""
import argparse
import json
import os
import random
import resource
import time

begun = time.time()
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("rows")
parser.add_argument("out")
parser.add_argument("--mode", default="bf16")
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--cutoff", type=int, default=512)
a = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(os.cpu_count())

tokenizer = AutoTokenizer.from_pretrained(a.model)
samples = []
for line in open(a.rows, encoding="utf-8"):
    messages = json.loads(line)["messages"]
    ids, labels = [], []
    for i, message in enumerate(messages):
        whole = tokenizer.apply_chat_template(messages[:i + 1], tokenize=True, return_dict=True)["input_ids"]
        if message["role"] == "assistant":
            ask = tokenizer.apply_chat_template(messages[:i], tokenize=True, return_dict=True, add_generation_prompt=True)["input_ids"]
            labels += [-100] * (len(ask) - len(labels)) + whole[len(ask):]
        else:
            labels += [-100] * (len(whole) - len(labels))
        ids = whole
    samples.append((ids[:a.cutoff], labels[:a.cutoff]))
samples = [s for s in samples if any(label != -100 for label in s[1])]
random.Random(0).shuffle(samples)

options = {"dtype": torch.float32 if a.mode == "f32" else torch.bfloat16}
if a.mode == "nf4":
    options["quantization_config"] = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16)
model = AutoModelForCausalLM.from_pretrained(a.model, **options)
model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
model.train()
parameters = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(parameters, lr=1e-4)
pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
tokens = padded = steps = 0
losses = []
for at in range(0, len(samples), a.batch):
    rows = samples[at:at + a.batch]
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([x + [pad] * (width - len(x)) for x, _ in rows])
    labels = torch.tensor([y + [-100] * (width - len(y)) for _, y in rows])
    mask = torch.tensor([[1] * len(x) + [0] * (width - len(x)) for x, _ in rows])
    loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    steps += 1
    tokens += sum(len(x) for x, _ in rows)
    padded += ids.numel()
    losses.append(loss.item())
model.save_pretrained(a.out)
print(json.dumps({"seconds": time.time() - begun, "steps": steps, "rows": len(samples), "tokens": tokens, "padded_tokens": padded, "losses": losses,
                  "peak_rss_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))
